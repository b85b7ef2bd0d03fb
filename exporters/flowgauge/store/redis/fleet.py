"""A Redis that moves: named by Sentinels, or in a cluster."""

import time
from binascii import crc_hqx
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from flowgauge.store.redis.connections import (
    Command,
    NoMasterError,
    Pool,
    RefusedError,
    deadline,
    seconds_left,
)
from flowgauge.store.redis.servers import Address, pool_to
from flowgauge.store.redis.url import RedisUrl

__all__ = ["Fleet", "cluster", "sentinels"]

_SLOTS = 16_384


class Fleet:
    """Where the store is, some know: they are asked, and again once it was not there.

    *read* finds in the answer to *question* where it is, and who else knows; *options* are for
    those that are asked.
    """

    moves = True

    def __init__(
        self,
        url: RedisUrl,
        timeout_seconds: float,
        options: Mapping[str, Any],
        question: Command,
        read: Callable[[Any, Address], Sequence[Address]],
    ) -> None:
        self._question = question
        self._read = read
        self._new = partial(pool_to, url.tls, timeout_seconds)
        self._options = options
        self._named = url.addresses
        self._store_options = {**url.options, "db": url.db}
        self._known: dict[Address, Pool] = {
            address: self._new(options, address) for address in url.addresses
        }
        self._pool: Pool | None = None

    def pool(self) -> Pool:
        """See `Server.pool`."""
        pool = self._pool
        if pool is None:
            pool = self._pool = self._new(self._store_options, self._find())
        return pool

    def look_again(self) -> None:
        """See `Server.look_again`."""
        pool, self._pool = self._pool, None
        if pool:
            pool.close()

    def close(self) -> None:
        """See `Server.close`."""
        self.look_again()
        for pool in self._known.values():
            pool.close()

    def _find(self) -> Address:
        """Return where the store is, or raise what the one who knows most says instead."""
        errors: list[Exception] = []
        known = self._known
        for asked, (address, pool) in enumerate(known.items()):
            # Who is still to be asked has a share of the time, and so has the step.
            share = seconds_left() / (len(known) - asked + 1)
            try:
                with deadline(time.monotonic() + share):
                    (answer,) = pool.ask(self._question)
                found, *others = self._read(answer, address)
            # What is no Redis answers what it likes.
            except Exception as error:  # noqa: BLE001
                errors.append(error)
                continue
            # Who answered is asked first; who is no longer named, and was not in the URL, no more.
            those = dict.fromkeys((address, *self._named, *others))
            new = {each: self._new(self._options, each) for each in those if each not in known}
            self._known = {each: known.get(each) or new[each] for each in those}
            return found
        raise min(errors, key=lambda error: isinstance(error, OSError))


def sentinels(url: RedisUrl, timeout_seconds: float) -> Fleet:
    """Return the master that Sentinels name."""
    options = {**_for_any(url.options), **url.sentinel_login}
    question = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", url.master)
    return Fleet(url, timeout_seconds, options, question, _master)


def _for_any(options: Mapping[str, Any]) -> Mapping[str, Any]:
    # A Sentinel has its own logins, and may let them do no more than ask.
    masters = {"username", "password", "client_name"}
    return {name: each for name, each in options.items() if name not in masters}


def _master(answer: Any, _: Address) -> Sequence[Address]:
    if answer is None:
        raise NoMasterError("unknown")
    host, port = answer
    return [(host, int(port))]


def cluster(url: RedisUrl, key: str, timeout_seconds: float) -> Fleet:
    """Return the node of a cluster that has *key*: its keys are all in one slot."""
    tag = key.partition("{")[2].partition("}")[0]
    # https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
    slot = crc_hqx(tag.encode(), 0) % _SLOTS
    return Fleet(url, timeout_seconds, url.options, ("CLUSTER", "SLOTS"), partial(_owner, slot))


def _owner(slot: int, answer: Any, asked: Address) -> Sequence[Address]:
    owners: list[Address] = []
    others: list[Address] = []
    for first, last, *nodes in answer:
        master, *replicas = [(_host(node, asked), node[1]) for node in nodes]
        others += [master, *replicas]
        if first <= slot <= last:
            owners.append(master)
    if not owners:
        raise RefusedError("CLUSTERDOWN no node has the keys of the store")
    return [*owners, *others]


def _host(node: Sequence[Any], asked: Address) -> str:
    host, _, *more = node
    if host == "?":
        # It should go by a name, and has none: further names, and what they are, may follow.
        _, further = more
        host = dict(zip(further[::2], further[1::2], strict=True))["ip"]
    # Whoever does not know its own name gives none.
    return str(host or asked[0])
