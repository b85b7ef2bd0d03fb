"""Files that are mapped into memory, on a disk that may be full.

What is written into a mapped file needs room on the disk only then, and where there is none, the
kernel ends the process (SIGBUS), MLflow with it. So room is reserved before anything is mapped:
that fails as an `OSError`, and what has found no room waits in memory until there is some.

https://man7.org/linux/man-pages/man3/posix_fallocate.3.html
"""

import errno
import mmap
import os
import struct
from contextlib import suppress
from pathlib import Path
from threading import Lock
from weakref import WeakSet

__all__ = ["ReservedDict", "is_gone", "reserve", "settle_all"]

_FIRST_SIZE = 1 << 16
_HEADER = 8
_VALUE = struct.Struct("dd")

_open: "WeakSet[ReservedDict]" = WeakSet()


def reserve(file: int, size: int) -> None:
    """Make *file* *size* bytes long, or longer; raise `OSError` if the disk has no room for it."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    elif os.fstat(file).st_size < size:  # macOS
        os.ftruncate(file, size)


def is_gone(file: int, path: Path) -> bool:
    """Return whether the open *file* is not, or no longer, the one at *path*."""
    try:
        return not os.path.samestat(os.fstat(file), path.lstat())
    except OSError:
        return True


class ReservedDict:
    """A process's values of one kind, in a file as prometheus_client writes them.

    It stands for prometheus_client's `MmapedDict`. A value that has no place in the file, for its
    disk is full or somebody took it away, waits for `settle`; until then no other process sees it.
    """

    def __init__(self, filename: str) -> None:
        self._path = Path(filename)
        self._lock = Lock()
        self._file: int | None = None
        self._map: mmap.mmap | None = None
        self._used = _HEADER
        self._positions: dict[str, int] = {}
        self._waiting: dict[str, tuple[float, float]] = {}
        _open.add(self)

    def read_value(self, key: str) -> tuple[float, float]:
        """Return the value and the time of *key*, which are 0 if it is new."""
        with self._lock:
            self._know(key)
            return self._kept(key)

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Keep the value and the time of *key*."""
        with self._lock:
            at = self._positions.get(key)
            if at is None:
                at = self._know(key)
            if at is None or self._map is None:
                self._waiting[key] = value, timestamp
            else:
                # As a whole: whoever reads meanwhile sees no half of it.
                self._map[at : at + _VALUE.size] = _VALUE.pack(value, timestamp)

    def settle(self) -> None:
        """Give what waits its place in the file; raise `OSError` if there still is no room."""
        with self._lock:
            if self._file is not None and is_gone(self._file, self._path):
                self._waiting |= {key: self._kept(key) for key in self._positions}
                self._let_go()
            if self._waiting:
                self._place()

    def close(self) -> None:
        """Let go of the file, which stays."""
        _open.discard(self)
        self._let_go()

    def _know(self, key: str) -> int | None:
        """Return the place of *key*, for which one is sought if it is new; None while it waits."""
        if key not in self._positions and key not in self._waiting:
            self._waiting[key] = 0.0, 0.0
            with suppress(OSError):
                self._place()
        return self._positions.get(key)

    def _place(self) -> None:
        if self._file is None:
            self._file = _opened(self._path)
        entries = {key: _entry(key, *value) for key, value in self._waiting.items()}
        mapped = self._map_for(self._file, self._used + sum(map(len, entries.values())))
        for key, entry in entries.items():
            mapped[self._used : self._used + len(entry)] = entry
            self._used += len(entry)
            self._positions[key] = self._used - _VALUE.size
            mapped[:4] = struct.pack("i", self._used)
            del self._waiting[key]

    def _map_for(self, file: int, size: int) -> mmap.mmap:
        """Return the memory of *file*, of *size* bytes or more."""
        capacity = len(self._map) if self._map is not None else _FIRST_SIZE
        while capacity < size:
            capacity *= 2
        if self._map is None or capacity > len(self._map):
            reserve(file, capacity)
            self._map = mmap.mmap(file, capacity)
        return self._map

    def _kept(self, key: str) -> tuple[float, float]:
        at = self._positions.get(key)
        if at is None or self._map is None:
            return self._waiting[key]
        value, timestamp = _VALUE.unpack_from(self._map, at)
        return value, timestamp

    def _let_go(self) -> None:
        if self._map is not None:
            self._map.close()
        if self._file is not None:
            os.close(self._file)
        self._file = self._map = None
        self._used = _HEADER
        self._positions.clear()


def settle_all() -> None:
    """Have each open `ReservedDict` settle; raise the first `OSError`, once all have tried."""
    errors = []
    for each in tuple(_open):
        try:
            each.settle()
        except OSError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _opened(path: Path) -> int:
    """Open the file at *path*, in a folder of this user's: anybody else could cut it off."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "another user's folder", str(path.parent))
        return os.open(path.name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, mode=0o600, dir_fd=folder)
    finally:
        os.close(folder)


def _entry(key: str, value: float, timestamp: float) -> bytes:
    encoded = key.encode()
    padded = encoded + b" " * (8 - (len(encoded) + 4) % 8)
    return struct.pack(f"i{len(padded)}s", len(encoded), padded) + _VALUE.pack(value, timestamp)
