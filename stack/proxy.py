"""A TCP proxy in front of a part, or several, to make the way to them slow or to cut it."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from stack.process import LOOPBACK

__all__ = ["Proxy", "proxy"]


class Proxy:
    """A running proxy on `port`; what clients send is held back for `delay` seconds.

    A request that makes n round trips takes n times `delay` longer. `round_trips` counts what was
    sent so far, by clients that wait for an answer each time, and fits into one packet. Connections
    go to `target_ports` in turn; one where nobody accepts them is passed over.
    """

    def __init__(self, listener: socket.socket, target_port: int) -> None:
        self.port: int = listener.getsockname()[1]
        self.delay = 0.0
        self.target_ports: Sequence[int] = [target_port]
        self.round_trips = 0
        self._listener = listener
        self._turns = itertools.count()
        self._is_cut = False
        self._open: set[socket.socket] = set()

    def cut(self) -> None:
        """Break all connections, and hang up on new ones from now on."""
        self._is_cut = True
        for connection in list(self._open):
            _hang_up(connection)

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    def serve(self) -> None:
        """Accept connections until the listener is shut down."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self._is_cut:
                return
            with self._reach() as server:
                self._open |= {client, server}
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                self._pump_slowly(client, server)
                back.join()
                self._open -= {client, server}

    def _reach(self) -> socket.socket:
        ports = list(self.target_ports)
        turn = next(self._turns) % len(ports)
        for port in [*ports[turn:], *ports[:turn]]:
            with suppress(ConnectionRefusedError):
                return socket.create_connection((LOOPBACK, port))
        raise ConnectionRefusedError

    def _pump_slowly(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                self.round_trips += 1
                time.sleep(self.delay)
                target.sendall(chunk)
        _hang_up(target)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    _hang_up(target)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(target_port: int) -> Iterator[Proxy]:
    """Run a proxy on loopback to *target_port* of loopback until the block ends."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        running = Proxy(listener, target_port)
        threading.Thread(target=running.serve, daemon=True).start()
        try:
            yield running
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            running.cut()
