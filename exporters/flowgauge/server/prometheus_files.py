"""The door to prometheus_client's multi-process mode: all that is not public of it, once.

`NAMES` is the list; no other module uses them. What its files are called is in `metrics_folder`,
which `mlflow server` runs before there is a folder, so before prometheus_client may be loaded.
"""

import importlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from importlib.metadata import version
from pathlib import Path

from prometheus_client import mmap_dict, multiprocess
from prometheus_client import values as value_classes
from prometheus_client.metrics_core import Metric

from flowgauge.errors import UsageError
from flowgauge.server.reserved import ReservedDict

__all__ = [
    "NAMES",
    "MalformedFileError",
    "merge",
    "read",
    "require_files",
    "supported",
    "use_reserved_files",
    "write",
]

NAMES = (
    ("prometheus_client.mmap_dict", "MmapedDict.read_all_values_from_file"),
    ("prometheus_client.multiprocess", "MultiProcessCollector.merge"),
    ("prometheus_client.values", "MmapedDict"),
    ("prometheus_client.values", "MutexValue"),
    ("prometheus_client.values", "ValueClass"),
)
"""Modules, and names in them, that prometheus_client does not promise."""

_KNOWN = "0.21 to 0.26"

# A hundred thousand series and more: a worker has some thousand.
_LONGEST_BYTES = 32 * 2**20
_HEADER_BYTES = 8
# An entry without a key: its length, padding, value and timestamp.
_SMALLEST_ENTRY_BYTES = 24
# What prometheus_client raises for bytes that it did not write.
_MALFORMED = (struct.error, RuntimeError, ValueError, TypeError, AttributeError, LookupError)


class MalformedFileError(Exception):
    """A file that prometheus_client cannot have written."""


def supported() -> None:
    """Return if prometheus_client has every name of `NAMES`.

    Raises `UsageError` with what would work.
    """
    for module, name in NAMES:
        try:
            reduce(getattr, name.split("."), importlib.import_module(module))
        except (ImportError, AttributeError):
            raise UsageError(
                f"prometheus_client {version('prometheus_client')} lacks {module}.{name}, which "
                f"flowgauge's server app needs: upgrade flowgauge, or use its versions {_KNOWN}"
            ) from None


def require_files() -> None:
    """Raise `UsageError` if prometheus_client keeps metrics in memory: it decides at its import."""
    if value_classes.ValueClass is value_classes.MutexValue:
        raise UsageError(
            "prometheus_client was imported before flowgauge's app was made, and keeps metrics "
            "where /metrics would not find them: set PROMETHEUS_MULTIPROC_DIR to an empty folder "
            "before the server starts"
        )


def use_reserved_files() -> None:
    """Have prometheus_client keep its values by `ReservedDict` from now on."""
    value_classes.MmapedDict = ReservedDict  # type: ignore[attr-defined, assignment]


def merge(files: Sequence[Path]) -> Iterable[Metric]:
    """Return the metrics of all *files* as one; a file that is malformed adds nothing.

    Raises `FileNotFoundError` for one that is gone.
    """
    try:
        if all(file.stat().st_size <= _LONGEST_BYTES for file in files):
            return _merged(files)
    except _MALFORMED:
        pass
    return _merged([file for file in files if _is_readable(file)])


def read(file: Path) -> Mapping[str, float]:
    """Return the values of *file* by their keys, as `write` takes them.

    Raises `MalformedFileError`.
    """
    size = file.stat().st_size
    if size > _LONGEST_BYTES:
        raise MalformedFileError(file)
    values: dict[str, float] = {}
    if not size:  # its process died, or waits, between making it and writing to it
        return values
    try:
        entries = mmap_dict.MmapedDict.read_all_values_from_file(str(file))
        for number, (key, value, _, _) in enumerate(entries):
            # A length below zero would lead prometheus_client round in circles.
            if number > size // _SMALLEST_ENTRY_BYTES:
                raise MalformedFileError(file)
            values[key] = value
        _merged([file])
    except _MALFORMED as error:
        raise MalformedFileError(file) from error
    return values


def write(values: Mapping[str, float], file: Path) -> None:
    """Write *values* to *file* as prometheus_client would.

    It writes into mapped memory, where a full disk ends the process; here it is an `OSError`.
    """
    entries = b"".join(_entry(key.encode(), value) for key, value in values.items())
    file.write_bytes(struct.pack("i4x", _HEADER_BYTES + len(entries)) + entries)


def _entry(key: bytes, value: float) -> bytes:
    padded = key + b" " * (8 - (len(key) + 4) % 8)
    timestamp = 0.0
    return struct.pack(f"i{len(padded)}sdd", len(key), padded, value, timestamp)


def _merged(files: Iterable[Path]) -> Iterable[Metric]:
    families: Iterable[Metric] = multiprocess.MultiProcessCollector.merge(map(str, files))
    for family in families:
        # What is no text would take the whole page away.
        _require_text(family.name, family.documentation)
        for sample in family.samples:
            _require_text(sample.name, *sample.labels, *sample.labels.values())
    return families


def _require_text(*parts: str) -> None:
    "".join(parts).encode()


def _is_readable(file: Path) -> bool:
    try:
        read(file)
    except MalformedFileError:
        return False
    return True
