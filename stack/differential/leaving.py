"""Clients that leave, and a server that is told to."""

import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import httpx
import psutil

from stack.mlflow import MlflowServer
from stack.process import wait_for

__all__ = ["Held", "hang_up", "held", "stop"]

_ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/left.bin"
_SMALL = "/api/2.0/mlflow-artifacts/artifacts/small.bin"
_MEGABYTE = 1_000_000

_Client = Callable[[MlflowServer, Callable[[], None]], str]


def hang_up(server: MlflowServer) -> int:
    """Leave *server* at many moments of a request; return how many. It still answers then."""
    httpx.put(server.url + _ARTIFACT, content=bytes(20 * _MEGABYTE)).raise_for_status()
    httpx.put(server.url + _SMALL, content=b"small").raise_for_status()
    moments = list(_moments(urlsplit(server.url).netloc))
    for request, read in moments:
        for abrupt in (False, True):
            with _connected(server, abrupt=abrupt) as client, suppress(OSError):
                client.sendall(request)
                if read:
                    client.recv(read)
    httpx.get(server.url + _SMALL, timeout=60).raise_for_status()
    return 2 * len(moments)


def _moments(host: str) -> Iterator[tuple[bytes, int]]:
    """Yield what is sent before the client leaves, and how many bytes it still reads."""
    get = f"GET {_SMALL} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    for cut in range(0, len(get) + 1, 8):
        yield get[:cut], 0
    length = f"Content-Length: {_MEGABYTE}"
    put = f"PUT {_ARTIFACT} HTTP/1.1\r\nHost: {host}\r\n{length}\r\n\r\n".encode()
    for sent in (0, 1, 65536, _MEGABYTE - 1, _MEGABYTE):
        yield put + bytes(sent), 0
    chunked = put.replace(length.encode(), b"Transfer-Encoding: chunked")
    for part in (b"", b"5\r\n", b"5\r\nabc", b"5\r\nabcde\r\n", b"zz\r\n", b"5\r\nabcde\r\n0\r\n"):
        yield chunked + part, 0
    download = f"GET {_ARTIFACT} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    for read in (1, 100, 65536, _MEGABYTE):
        yield download, read
    yield get + get + download, 1


def _connected(server: MlflowServer, *, abrupt: bool = False) -> socket.socket:
    address = urlsplit(server.url)
    client = socket.create_connection((str(address.hostname), int(address.port or 0)), 30)
    if abrupt:  # a reset, as when the host is gone
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return client


class Held:
    """What the processes of a server hold: threads, and descriptors that are sockets or files."""

    def __init__(self, server: MlflowServer) -> None:
        processes = psutil.Process(server.pid).children(recursive=True)
        self.threads = sum(process.num_threads() for process in processes)
        self.descriptors = sum(process.num_fds() for process in processes)


def held(server: MlflowServer, is_enough: Callable[[Held], bool]) -> Held:
    """Return what *server* holds once *is_enough* of it; raise `StackError` if it never is."""
    found = [Held(server)]

    def look() -> bool:
        found[0] = Held(server)
        return is_enough(found[0])

    wait_for(look, "what clients that left had is given back")
    return found[0]


def stop(server: MlflowServer) -> dict[str, str]:
    """Tell *server* to stop with requests in flight; return what became of each, and of it."""
    httpx.put(server.url + _ARTIFACT, content=bytes(20 * _MEGABYTE)).raise_for_status()
    ended: dict[str, str] = {}
    in_flight, told = threading.Barrier(4), threading.Event()

    def go_on() -> None:
        in_flight.wait()
        told.wait()

    def note(name: str, client: _Client) -> None:
        try:
            ended[name] = client(server, go_on)
        except (OSError, httpx.HTTPError):
            ended[name] = "broken off"

    clients = [
        threading.Thread(target=note, args=(each.__name__.strip("_"), each))
        for each in (_upload, _download, _idle)
    ]
    for client in clients:
        client.start()
    in_flight.wait()
    process = psutil.Process(server.pid)
    os.kill(server.pid, signal.SIGTERM)
    # Until the worker has heard of it, nothing has changed for its clients.
    wait_for(lambda: not _listens(server), "nobody is let in any more")
    told.set()
    for client in clients:
        client.join()
    try:
        process.wait(60)
        ended["server"] = "ended"
    except psutil.TimeoutExpired:
        ended["server"] = "goes on"
    return ended


def _upload(server: MlflowServer, go_on: Callable[[], None]) -> str:
    with _connected(server) as client:
        client.sendall(
            f"PUT {_ARTIFACT} HTTP/1.1\r\nHost: {urlsplit(server.url).netloc}\r\n"
            f"Content-Length: {_MEGABYTE}\r\n\r\n".encode()
        )
        client.sendall(bytes(_MEGABYTE // 2))
        go_on()
        client.sendall(bytes(_MEGABYTE // 2))
        return client.recv(65536).partition(b"\r\n")[0].decode()


def _download(server: MlflowServer, go_on: Callable[[], None]) -> str:
    received = 0
    with httpx.stream("GET", server.url + _ARTIFACT, timeout=60) as answer:
        for number, part in enumerate(answer.iter_raw(65536)):
            if number == 0:
                go_on()
            received += len(part)
    return f"{answer.status_code}, {received} bytes"


def _idle(server: MlflowServer, go_on: Callable[[], None]) -> str:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        client.get("/health")
        go_on()
        return str(client.get("/health").status_code)


def _listens(server: MlflowServer) -> bool:
    with suppress(OSError):
        _connected(server).close()
        return True
    return False
