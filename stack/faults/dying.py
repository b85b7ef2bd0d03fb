"""An MLflow that dies in the midst of a call: it answers some of its requests, and is then gone."""

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from stack.process import LOOPBACK

__all__ = ["dying"]

# A log call's own run takes four: where is the experiment, create, fill and end the run.
_MOST_ANSWERS = 4

# What is not read when the connection is closed makes it a reset (RST), as by a dead process.
_RESET = struct.pack("ii", 1, 0)


@contextmanager
def dying(port: int) -> Iterator[Sequence[str]]:
    """Pass connections on to *port* of loopback, and reset them.

    Yields an address for each way to die: after each number of answers the next request is not
    taken, or is taken and not answered.
    """
    with ExitStack() as listeners:
        addresses = []
        for way in range(2 * _MOST_ANSWERS):
            listener = listeners.enter_context(socket.create_server((LOOPBACK, 0)))
            listeners.callback(listener.shutdown, socket.SHUT_RDWR)
            threading.Thread(target=_serve, args=(listener, port, way), daemon=True).start()
            addresses.append(f"http://{LOOPBACK}:{listener.getsockname()[1]}")
        yield addresses


def _serve(listener: socket.socket, port: int, way: int) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_pass_on, args=(client, port, way), daemon=True).start()


def _pass_on(client: socket.socket, port: int, way: int) -> None:
    answers, takes_one_more = divmod(way, 2)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    with suppress(OSError), client, socket.create_connection((LOOPBACK, port)) as server:
        for _ in range(answers):
            _pass_message(client, server)
            _pass_message(server, client)
        if takes_one_more:
            _pass_message(client, server)
            # It is done, and nobody is told.
            server.recv(1)
        else:
            client.recv(1)


def _pass_message(source: socket.socket, target: socket.socket) -> None:
    """Pass a request or an answer on, whose headers and body may come one after the other."""
    message = b""
    while not _is_whole(message):
        part = source.recv(2**20)
        if not part:
            raise ConnectionResetError
        message += part
    target.sendall(message)


def _is_whole(message: bytes) -> bool:
    head, end, body = message.partition(b"\r\n\r\n")
    lengths = [
        int(line.partition(b":")[2])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    return bool(end) and len(body) >= sum(lengths)
