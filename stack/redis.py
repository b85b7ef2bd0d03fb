"""A real Redis, or a Valkey: alone, watched by Sentinels, or as a cluster.

`STACK_REDIS` names another program than redis-server.
"""

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.sentinel import Sentinel

from stack.process import LOOPBACK, free_port, running, wait_for

__all__ = [
    "LASTING",
    "RedisCluster",
    "SentinelSet",
    "client_at",
    "client_of",
    "redis_cluster",
    "redis_server",
    "sentinel_set",
]

LASTING = ("--appendonly", "yes")
"""Options of a server whose data survive it."""

_MASTER = "flowgauge"
_SENTINELS = 3
_SLOTS = 16384
_QUICKLY_MS = "500"


@contextmanager
def redis_server(folder: Path, *options: str, port: int | None = None) -> Iterator[str]:
    """Run it on loopback until the block ends, without persistence; yield its `redis://` URL."""
    port = port or free_port()
    with _server(folder, port, *options):
        yield f"redis://{LOOPBACK}:{port}/0"


@dataclass(frozen=True)
class SentinelSet:
    """A master, a replica and three Sentinels, running; `url` is for a store."""

    sentinels: Sequence[int]
    servers: dict[int, subprocess.Popen[bytes]]

    @property
    def url(self) -> str:
        """The store's URL."""
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in self.sentinels)
        return f"redis+sentinel://{hosts}/{_MASTER}"

    @property
    def master(self) -> int:
        """The port of the master, as the Sentinels have it."""
        with closing(client_of(self.sentinels[0])) as sentinel:
            _, port = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", _MASTER)
        return int(port)

    @property
    def replica(self) -> int:
        """The port of the other server."""
        (port,) = set(self.servers) - {self.master}
        return port

    def wait_until_whole(self) -> None:
        """Return once the master has its replica, and every Sentinel knows it as well."""
        wait_for(self._is_whole, "the master has a replica that the Sentinels may promote")

    def _is_whole(self) -> bool:
        try:
            with closing(client_of(self.master)) as master:
                slaves = master.info("replication")["connected_slaves"]
        except redis.RedisError:
            return False
        return slaves == 1 and all(_knows_all(port) for port in self.sentinels)

    def fail_over(self) -> None:
        """Let the Sentinels promote the replica, and return once they have."""
        before = self.master
        with closing(client_of(self.sentinels[0])) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", _MASTER)
        wait_for(lambda: self.master != before, "the replica is master")

    def kill_master(self) -> None:
        """Kill it, and return once the Sentinels have promoted the replica."""
        before = self.master
        self.servers[before].kill()
        wait_for(lambda: self.master != before, "the replica is master")


@contextmanager
def sentinel_set(folder: Path) -> Iterator[SentinelSet]:
    """Run it on loopback until the block ends."""
    master, replica, *sentinels = (free_port() for _ in range(2 + _SENTINELS))
    with ExitStack() as stack:
        servers = {master: stack.enter_context(_server(folder / "master", master))}
        follow = ("--replicaof", f"{LOOPBACK} {master}")
        servers[replica] = stack.enter_context(_server(folder / "replica", replica, *follow))
        for number, port in enumerate(sentinels):
            home = folder / f"sentinel{number}"
            home.mkdir(parents=True)
            config = home / "sentinel.conf"
            config.write_text(
                f"sentinel monitor {_MASTER} {LOOPBACK} {master} 2\n"
                f"sentinel down-after-milliseconds {_MASTER} {_QUICKLY_MS}\n"
                f"sentinel failover-timeout {_MASTER} 5000\n"
            )
            stack.enter_context(_program(home, port, "--sentinel", config=config))
        running_set = SentinelSet(sentinels, servers)
        running_set.wait_until_whole()
        yield running_set


@dataclass(frozen=True)
class RedisCluster:
    """Three masters, running, and a replica of the one that has the slot of `key`."""

    key: str
    servers: dict[int, subprocess.Popen[bytes]]

    @property
    def url(self) -> str:
        """The store's URL, with two of the nodes."""
        hosts = ",".join(f"{LOOPBACK}:{port}" for port in list(self.servers)[:2])
        return f"redis+cluster://{hosts}"

    @property
    def alive(self) -> Sequence[int]:
        """The ports of the nodes that were not killed."""
        return [port for port, process in self.servers.items() if process.poll() is None]

    @property
    def owner(self) -> int:
        """The port of the master that has the key's slot."""
        with closing(client_of(self.alive[0])) as node:
            slot = self.slot
            for first, last, master, *_ in node.execute_command("CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return int(master[1])
        raise LookupError(slot)

    @property
    def slot(self) -> int:
        """The key's slot."""
        with closing(client_of(self.alive[0])) as node:
            return int(node.execute_command("CLUSTER", "KEYSLOT", self.key))

    def masters(self) -> dict[int, str]:
        """Return the ids of the masters that live, by port."""
        found = {}
        for port in self.alive:
            with closing(client_of(port)) as node:
                if node.info("replication")["role"] == "master":
                    found[port] = str(node.execute_command("CLUSTER", "MYID"))
        return found

    def flush(self) -> None:
        """Empty all nodes."""
        for port in self.masters():
            with closing(client_of(port)) as node:
                node.flushall()

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Move the slot to another master, half of its keys before the block, half after it."""
        source = self.owner
        masters = self.masters()
        target = next(port for port in masters if port != source)
        with closing(client_of(source)) as giving, closing(client_of(target)) as taking:
            slot = ("CLUSTER", "SETSLOT", self.slot)
            taking.execute_command(*slot, "IMPORTING", masters[source])
            giving.execute_command(*slot, "MIGRATING", masters[target])
            half = giving.execute_command("CLUSTER", "COUNTKEYSINSLOT", self.slot) // 2
            self._move_keys(giving, target, half)
            yield
            while self._move_keys(giving, target, 100):
                pass
            for node in (taking, giving):
                node.execute_command(*slot, "NODE", masters[target])
        wait_for(lambda: self.owner == target, "the slot has moved")

    def _move_keys(self, giving: Any, target: int, number: int) -> int:
        keys = giving.execute_command("CLUSTER", "GETKEYSINSLOT", self.slot, number)
        if keys:
            giving.execute_command("MIGRATE", LOOPBACK, target, "", 0, 10_000, "KEYS", *keys)
        return len(keys)

    def kill_owner(self) -> None:
        """Kill the node that has the slot, and return once its replica has taken over."""
        before = self.owner
        self.servers[before].kill()
        self.servers[before].wait()
        wait_for(lambda: self.owner != before, "the replica has the slot")


@contextmanager
def redis_cluster(folder: Path, key: str) -> Iterator[RedisCluster]:
    """Run it on loopback until the block ends."""
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
    with ExitStack() as stack:
        servers, buses = {}, {}
        for number in range(4):
            port, bus = free_port(), free_port()
            own = ("--cluster-port", str(bus))
            servers[port] = stack.enter_context(
                _server(folder / f"node{number}", port, *options, *own)
            )
            buses[port] = bus
        cluster = RedisCluster(key, servers)
        *masters, replica = servers
        clients = {port: stack.enter_context(closing(client_of(port))) for port in servers}
        for number, port in enumerate(masters):
            first, last = _SLOTS * number // 3, _SLOTS * (number + 1) // 3 - 1
            clients[port].execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            clients[port].execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for port in (*masters[1:], replica):
            clients[masters[0]].execute_command("CLUSTER", "MEET", LOOPBACK, port, buses[port])
        wait_for(lambda: all(_is_joined(each) for each in clients.values()), "the cluster is whole")
        owner = str(clients[cluster.owner].execute_command("CLUSTER", "MYID"))
        clients[replica].execute_command("CLUSTER", "REPLICATE", owner)
        wait_for(
            lambda: clients[replica].info("replication").get("master_link_status") == "up",
            "the owner has a replica",
        )
        yield cluster


def client_of(port: int) -> Any:
    """Return a client of the server or Sentinel at *port* of loopback."""
    return redis.Redis(LOOPBACK, port, decode_responses=True, socket_timeout=10)


def client_at(url: str) -> Any:
    """Return a redis-py client of its own for a store's *url* of any kind, for writing."""
    scheme, _, rest = url.partition("://")
    hosts, _, name = rest.partition("/")
    addresses = [(host, int(port)) for host, port in (each.split(":") for each in hosts.split(","))]
    if scheme == "redis+sentinel":
        return Sentinel(addresses).master_for(name, decode_responses=True)  # type: ignore[no-untyped-call]
    if scheme == "redis+cluster":
        return redis.RedisCluster(*addresses[0], decode_responses=True)
    return redis.Redis.from_url(url, decode_responses=True)


def _knows_all(sentinel_port: int) -> bool:
    with closing(client_of(sentinel_port)) as sentinel:
        state = sentinel.sentinel_master(_MASTER)
        slaves = sentinel.sentinel_slaves(_MASTER)
    is_up = len(slaves) == 1 and "slave" in slaves[0]["flags"] and not slaves[0]["is_sdown"]
    linked = is_up and slaves[0].get("master-link-status") == "ok"
    return bool(
        linked and state["num-other-sentinels"] == _SENTINELS - 1 and state["flags"] == "master"
    )


def _is_joined(node: Any) -> bool:
    state = str(node.execute_command("CLUSTER", "INFO"))
    return "cluster_state:ok" in state and "cluster_known_nodes:4" in state


@contextmanager
def _server(folder: Path, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    unsaved = ("--save", "", "--appendonly", "no")
    with _program(folder, port, *unsaved, "--repl-diskless-sync-delay", "0", *options) as process:
        yield process


@contextmanager
def _program(
    folder: Path, port: int, *options: str, config: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    folder.mkdir(parents=True, exist_ok=True)
    program = os.environ.get("STACK_REDIS", "redis-server")
    place = ["--port", str(port), "--bind", LOOPBACK, "--dir", str(folder)]
    command = [program, *([str(config)] if config else ()), *place, *options]
    with running(command, log=folder / "redis.log", ready=lambda: _pong(port)) as process:
        yield process


def _pong(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
