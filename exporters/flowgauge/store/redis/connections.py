"""Connections to a Redis that keep to a deadline.

Redis' protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/) is small, and a
client for all that Redis can do takes a task longer to load than what it is loaded for. Here all
that a thread does within `deadline` ends by it: look-up, each address, handshake, answers.
"""

# What the first look-up of a name would load, where another thread may fork.
import encodings.idna  # noqa: F401
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillRunning
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any

from flowgauge.background import in_background
from flowgauge.redact import without

__all__ = [
    "Command",
    "Connection",
    "NoMasterError",
    "NotConnectedError",
    "NotRedisError",
    "Pool",
    "RefusedError",
    "connected",
    "deadline",
    "seconds_left",
]

Command = Sequence[str | int]

_AT_ONCE = 65_536
# All answers to what is asked at once, in bytes: a page of the largest payloads has less.
_LONGEST = 256 * 2**20


class RefusedError(Exception):
    """What Redis answered instead."""

    def __init__(self, said: str) -> None:
        # To a command that it does not know it repeats what came with it, the password of a login.
        super().__init__(said.partition(", with args beginning with")[0])

    @property
    def code(self) -> str:
        """What kind of refusal it is."""
        return str(self).partition(" ")[0]


class NotConnectedError(ConnectionError):
    """There was no connection, so nothing was sent."""


class NoMasterError(Exception):
    """A Sentinel knows of no master of that name."""


class NotRedisError(Exception):
    """What answers is something else."""


class _Thread(threading.local):
    deadline = 0.0


_this = _Thread()


@contextmanager
def deadline(at: float) -> Iterator[None]:
    """Let what this thread does in the block end by a time of `time.monotonic`."""
    before, _this.deadline = _this.deadline, at
    try:
        yield
    finally:
        _this.deadline = before


def seconds_left() -> float:
    """Return the seconds until this thread's deadline; raise `TimeoutError` after it."""
    left = _this.deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timeout")
    return left


def connected(address: tuple[str, int] | str) -> socket.socket:
    """Return a socket connected to host and port, or to the socket at a path.

    Raises `OSError`. Where a name has several addresses, each has its share of the time.
    """
    if isinstance(address, str):
        return _connected(socket.AF_UNIX, address, seconds_left())
    addresses = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    for number, (family, *_, place) in enumerate(addresses[:-1]):
        with suppress(OSError):
            return _connected(family, place, seconds_left() / (len(addresses) - number))
    family, *_, place = addresses[-1]
    return _connected(family, place, seconds_left())


def _connected(family: int, place: object, seconds: float) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(seconds)
        made.connect(place)  # type: ignore[arg-type]  # as `getaddrinfo` gives it
        if family != socket.AF_UNIX:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        made.close()
        raise
    return made


class Connection:
    """Asks over a connected socket, within the thread's deadline. For one thread at a time.

    Who answers may repeat what it was sent: *secrets* are in no error.
    """

    def __init__(self, connected: socket.socket, secrets: Sequence[str] = ()) -> None:
        self._socket = connected
        self._secrets = secrets
        self._came = bytearray()
        self._received = 0
        self.used = time.monotonic()
        """When it was asked last, on `time.monotonic`."""

    def ask(self, *commands: Command) -> Sequence[Any]:
        """Send *commands* at once and return their answers: texts, numbers, None, lists of these.

        Raises `RefusedError` for the first that is refused, once all are answered; and `OSError` or
        `NotRedisError`, after which the connection is of no use.
        """
        self._received = 0
        self._socket.settimeout(seconds_left())
        self._socket.sendall(b"".join(map(_packed, commands)))
        answers = [self._answer() for _ in commands]
        self.used = time.monotonic()
        for answer in answers:
            if isinstance(answer, RefusedError):
                raise answer
        return answers

    @property
    def is_left_alone(self) -> bool:
        """Whether nothing came that nobody asked for: a server that hangs up says so."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not self._came and not poll.poll(0)

    def __del__(self) -> None:
        # Whoever forgets it: Python would do the same, and warn.
        self._socket.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
        # Whoever holds the error that led here holds this too.
        self._came.clear()

    def _answer(self) -> Any:
        kind, said = self._line()
        try:
            match kind:
                case "+":
                    return said
                case "-":
                    # The first word says what kind of refusal it is, also where it is a password.
                    code, space, rest = said.partition(" ")
                    return RefusedError(f"{code}{space}{without(rest, self._secrets)}")
                case ":":
                    return int(said)
                case "$":
                    return None if said == "-1" else self._text(_length(said))
                case "*":
                    return None if said == "-1" else [self._answer() for _ in range(_length(said))]
        except (ValueError, RecursionError):
            pass
        raise NotRedisError(without(f"{kind}{said}", self._secrets))

    def _line(self) -> tuple[str, str]:
        seen = 0
        while (end := self._came.find(b"\r\n", seen)) < 0:
            # A line is short; its end may come in two parts.
            seen = max(len(self._came) - 1, 0)
            if seen > _AT_ONCE:
                raise NotRedisError("a line without end")
            self._receive()
        line = _readable(self._came[:end])
        del self._came[: end + 2]
        return line[:1], line[1:]

    def _text(self, length: int) -> str:
        while len(self._came) < length + 2:
            self._receive()
        text = _readable(self._came[:length])
        if self._came[length : length + 2] != b"\r\n":
            raise NotRedisError("a text that is longer than it says")
        del self._came[: length + 2]
        return text

    def _receive(self) -> None:
        self._socket.settimeout(seconds_left())
        part = self._socket.recv(_AT_ONCE)
        if not part:
            raise ConnectionResetError("it hung up, is it a Redis?")
        self._received += len(part)
        if self._received > _LONGEST:
            raise NotRedisError("an answer without end")
        self._came += part


def _packed(command: Command) -> bytes:
    words = [str(word).encode(errors="replace") for word in command]
    parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)]
    return b"".join(parts)


def _length(said: str) -> int:
    # `int` takes signs, spaces and underscores too.
    if not (said.isascii() and said.isdigit()):
        raise ValueError(said)
    return int(said)


def _readable(came: bytearray) -> str:
    # Whoever may write to a Redis may write what is no text.
    return came.decode(errors="replace")


class Pool:
    """Connections that are used again, each made by *connect*, up to *most* at once, if given.

    One that was not used for *idle_seconds* is made anew. For any number of threads.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        timeout_seconds: float,
        *,
        most: int | None,
        idle_seconds: float,
    ) -> None:
        self._connect = connect
        self._timeout = timeout_seconds
        self._idle_seconds = idle_seconds
        # A semaphore, written in Python, stays locked where a signal's exception hits it.
        self._places: SimpleQueue[None] | None = None
        if most:
            self._places = SimpleQueue()
            for _ in range(most):
                self._places.put(None)
        # Made, or still being made for somebody who has given up.
        self._unused: list[Future[Connection]] = []
        self._is_open = True

    def ask(self, *commands: Command) -> Sequence[Any]:
        """See `Connection.ask`; raises `NotConnectedError` as well."""
        if self._places is None:
            return self._ask(*commands)
        taken: list[None] = []
        try:
            # One step of Python's: between two, an exception of a signal's would lose the place.
            taken.extend(map(self._places.get, (True,), (seconds_left(),)))
            return self._ask(*commands)
        except Empty:
            raise TimeoutError("timeout") from None
        finally:
            if taken:
                self._places.put(None)

    def close(self) -> None:
        """Hang up, where a thread is asking once it has its answer."""
        self._is_open = False
        with suppress(IndexError):
            while True:
                self._unused.pop().add_done_callback(_close)

    def _ask(self, *commands: Command) -> Sequence[Any]:
        coming = self._next()
        try:
            connection = coming.result(seconds_left())
        except StillRunning:
            self._keep(coming)
            raise TimeoutError("timeout") from None
        try:
            answers = connection.ask(*commands)
        except RefusedError:
            self._keep(coming)
            raise
        except BaseException:
            # An answer may still come.
            connection.close()
            raise
        self._keep(coming)
        return answers

    def _next(self) -> Future[Connection]:
        with suppress(IndexError):
            while True:
                coming = self._unused.pop()
                if not coming.done() or self._is_fit(coming):
                    return coming
                coming.add_done_callback(_close)
        return in_background(self._connect_in_time, "flowgauge-redis")

    def _is_fit(self, made: Future[Connection]) -> bool:
        if made.exception():
            return False
        connection = made.result()
        idle = time.monotonic() - connection.used
        return connection.is_left_alone and idle < self._idle_seconds

    def _connect_in_time(self) -> Connection:
        with deadline(time.monotonic() + self._timeout):
            try:
                return self._connect()
            except TimeoutError:
                raise
            except OSError as error:
                raise NotConnectedError(error.strerror or str(error)) from error
            except UnicodeError as error:
                raise NotConnectedError("that is no host name") from error

    def _keep(self, coming: Future[Connection]) -> None:
        self._unused.append(coming)
        if not self._is_open:
            self.close()


def _close(made: Future[Connection]) -> None:
    if not made.exception():
        made.result().close()
