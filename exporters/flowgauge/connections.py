"""Connections: so many at a time, and none that keeps its place while it asks for nothing.

asyncio's own server takes whatever comes: some hundred connections that say nothing use up the
descriptors of a process, and nobody else gets in.
"""

import asyncio
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from flowgauge.complaint import Complaint
from flowgauge.errors import FlowgaugeError

__all__ = ["BoundedServer", "most_connections"]

# From the connection to the end of its request; after an answer uvicorn waits five.
_IDLE_SECONDS = 10.0
# From a request to the last byte of its answer, however slowly that is read.
_BUSY_SECONDS = 60.0
_SWEEP_SECONDS = 1.0


# What of a process's descriptors is for connections: the rest is for its other work.
_SHARE = 3


def most_connections(wanted: int) -> int:
    """Return *wanted*, or as many connections as this process has descriptors for."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    return min(max(descriptors // _SHARE, 1), wanted)


class _Protocol(H11Protocol):
    """Tells when an answer has ended, and when its connection is gone."""

    answered: Callable[[], None]
    gone: Callable[[], None]

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.answered()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.gone()


class _Connection:
    """One connection, from its acceptance on; `since` is when it last began or ended a request."""

    def __init__(self, host: str, now: float) -> None:
        self.host = host
        self.since = now
        self.is_busy = False
        self.taking: asyncio.Task[None] | None = None
        self.protocol: _Protocol | None = None

    def begin(self, now: float) -> None:
        """Note that a request may come from *now* on."""
        self.is_busy, self.since = False, now

    def look(self, now: float) -> None:
        """Note whether a request is being answered."""
        cycle = self.protocol.cycle if self.protocol else None
        is_busy = cycle is not None and not cycle.response_complete
        if is_busy != self.is_busy:
            self.is_busy, self.since = is_busy, now

    def is_over(self, now: float) -> bool:
        """Return whether its time is over."""
        return now - self.since > (_BUSY_SECONDS if self.is_busy else _IDLE_SECONDS)

    def end(self) -> None:
        """Close it at once."""
        if self.protocol and self.protocol.transport:
            self.protocol.transport.abort()
        elif self.taking:
            self.taking.cancel()


class BoundedServer(uvicorn.Server):
    """Serves one listener, with *most* connections at a time.

    Whoever comes when all places are taken gets that of the one who has asked for nothing for the
    longest time; if all are being answered, one of the host that has most of them. *tls* returns
    how the next connection is to be secured, None for plain HTTP; while it raises `FlowgaugeError`,
    none is taken.
    """

    def __init__(
        self, config: uvicorn.Config, most: int, tls: Callable[[], ssl.SSLContext | None]
    ) -> None:
        super().__init__(config)
        self._tls = tls
        self._most = most
        self._open: set[_Connection] = set()
        self._work: list[asyncio.Task[None]] = []
        self._complaint = Complaint("Taking connections")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take connections."""
        await self.lifespan.startup()
        self.servers = []
        (listener,) = sockets or []
        listener.setblocking(False)
        self._work = [
            asyncio.create_task(self._accept(listener)),
            asyncio.create_task(self._sweep()),
        ]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, and let requests end."""
        for task in self._work:
            task.cancel()
        for connection in [each for each in self._open if each.protocol is None]:
            connection.end()
        await super().shutdown(sockets)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listener)
            except OSError as error:
                # Somebody went away again, or this process has no descriptor left.
                self._complaint.raise_(error.strerror or "the system refuses")
                await asyncio.sleep(_SWEEP_SECONDS)
                continue
            host = str(address[0])
            if len(self._open) >= self._most and not self._make_room(host, loop.time()):
                accepted.close()
                continue
            connection = _Connection(host, loop.time())
            self._open.add(connection)
            connection.taking = loop.create_task(self._take(connection, accepted))
            connection.taking.add_done_callback(partial(self._taken, connection, accepted))
            # There may always be one more to accept: those that were must have their turn.
            await asyncio.sleep(0)

    async def _take(self, connection: _Connection, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        protocol = _Protocol(self.config, self.server_state, self.lifespan.state, loop)
        protocol.answered = lambda: connection.begin(loop.time())
        protocol.gone = lambda: self._open.discard(connection)
        try:
            await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self._tls())
        except FlowgaugeError as error:
            self._complaint.raise_(str(error))
        # What strangers send in the place of a handshake, or do not send.
        except (OSError, asyncio.CancelledError):
            pass
        else:
            connection.protocol = protocol
            self._complaint.settle()

    def _taken(
        self, connection: _Connection, accepted: socket.socket, _task: asyncio.Task[None]
    ) -> None:
        # Not in `_take`, which does not even begin where it is cancelled at once.
        if connection.protocol is None:
            self._open.discard(connection)
            accepted.close()

    def _make_room(self, host: str, now: float) -> bool:
        """End a connection for one of *host*; return whether there was one to end."""
        for each in self._open:
            each.look(now)
        of_hosts = Counter(each.host for each in self._open)
        ((greedy, number),) = of_hosts.most_common(1)
        candidates = [each for each in self._open if not each.is_busy]
        if not candidates and of_hosts[host] < number:
            candidates = [each for each in self._open if each.host == greedy]
        if not candidates:
            return False
        longest = min(candidates, key=lambda each: each.since)
        longest.end()
        self._open.discard(longest)
        return True

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            now = loop.time()
            for each in list(self._open):
                each.look(now)
                if each.is_over(now):
                    each.end()
