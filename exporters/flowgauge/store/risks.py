"""Risks: what would lose the outbox, though the store works."""

from typing import NamedTuple

__all__ = ["RISKS", "Risk"]

RISKS = {
    "eviction": "evicts keys when its memory is full: set its maxmemory-policy to noeviction",
    "persistence": "keeps nothing on disk, a restart loses all: turn on appendonly",
    "snapshots": "is saved now and then alone, and loses what came since if it is killed: turn on"
    " appendonly",
    "replica": "is a replica or read-only: name the primary",
    "disk": "cannot save, or its disk is nearly full: make room, and see its log",
    "memory": "has used over 95 % of its memory, and refuses payloads soon: raise its maxmemory",
    "fsync": "does not wait for its disk, a power failure loses payloads: set fsync and"
    " synchronous_commit to on, for the server and the role",
    "network_file_system": "is a file on a network file system, where locks and shared memory fail:"
    " use redis:// or postgresql://",
    "volatile": "is a file in memory or in a container's own file system, and goes with it: put it"
    " on a disk or a volume",
}


class Risk(NamedTuple):
    """One of `RISKS`, and whether the store has it; None if it could not be asked."""

    name: str
    present: bool | None

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, to go on from the store's name."""
        return RISKS[self.name]
