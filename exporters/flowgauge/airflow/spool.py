"""The last resort: a file beside the store's default place, for when the store is down as well."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from uuid import uuid4

from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.host import stats
from flowgauge.airflow.reasons import Reason
from flowgauge.airflow.spool_folder import spool_folder
from flowgauge.background import in_background
from flowgauge.foreign import parse_json, read_text
from flowgauge.redact import quote
from flowgauge.store.errors import StoreError
from flowgauge.store.log_calls import deferred
from flowgauge.store.private import make_folder, temporary_file
from flowgauge.store.store import Store

__all__ = ["SpoolState", "drain_spool", "spool", "spool_state"]

# A file's name says what it is: waiting, taken by a process that moves it, or of no use.
_WAITING, _TAKEN, _BAD = ".json", ".taken", ".bad"
# Nobody takes longer to move one file: whoever took it was killed.
_TAKEN_SECONDS = 60.0
_LONGEST_CALL_SECONDS = 24 * 3600.0
# A disk may hang. Where it does not, a file is written in a moment.
_PATIENCE_SECONDS = 0.5
_LOGGED = "FLOWGAUGE_LOG_PAYLOADS"
_MARK = "[payload] "
_CURE = f"or set {_LOGGED}=true to have such payloads in the log"
_FULL = f"it is lost, make room there, {_CURE}"
_HANGS = f"it is lost unless that changes while the task lives: see to the disk, {_CURE}"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpoolState:
    """What lies in the spool at *folder*: payloads, and files that are none or cannot be moved.

    `oldest` is when the oldest payload was written, in Unix time.
    """

    folder: Path
    waiting: int
    bad: int
    oldest: float | None


def spool(
    entry: Entry,
    duration_seconds: float,
    reason: str,
    environ: Mapping[str, str] = os.environ,
    *,
    seconds: float = _PATIENCE_SECONDS,
) -> None:
    """Write *entry* to a file within *seconds*, or half a second; raise nothing.

    A disk that takes longer may still write it, for as long as the task's process lives.

    `drain_spool` on the same host moves it into the outbox. With FLOWGAUGE_LOG_PAYLOADS=true it is
    in the log too, for whoever runs tasks in short-lived containers and collects it from there: a
    log has other readers than MLflow, so it is not there unasked.
    """
    is_logged = environ.get(_LOGGED, "").lower() in {"true", "1"}
    text = json.dumps(
        {"duration_seconds": duration_seconds, "reason": reason, "body": entry.to_json()}
    )
    file = spool_folder(environ) / f"{entry.log_id}{_WAITING}"

    def write() -> None:
        make_folder(file.parent)
        unfinished = temporary_file(file.parent)
        unfinished.write_text(text)
        unfinished.replace(file)

    try:
        writing = in_background(write, "flowgauge-spool")
        writing.result(max(seconds, _PATIENCE_SECONDS))
    except OSError as error:
        _log.error(
            "The payload %s cannot be kept in %s either (%s): %s",
            entry.log_id,
            file.parent,
            error.strerror or "the disk does not answer",
            f"it is here alone: {_MARK}{text}"
            if is_logged
            else _FULL
            if error.strerror
            else _HANGS,
        )
        stats.count("mlflow.dag_log.unspooled", entry.dag_id, entry.task_id)
    else:
        _log.warning(
            "The payload is kept in %s until the store is back%s",
            file,
            f", and here: {_MARK}{text}" if is_logged else "",
        )
        stats.count("mlflow.dag_log.spooled", entry.dag_id, entry.task_id)


def spool_state(environ: Mapping[str, str] = os.environ) -> SpoolState:
    """Return what lies in this host's spool; nothing, if it cannot be looked at."""
    folder = spool_folder(environ)
    waiting, bad, oldest = 0, 0, None
    for each in _listed(folder):
        kind = Path(each.name).suffix
        if kind in {_WAITING, _TAKEN}:
            with suppress(OSError):
                written = each.stat().st_mtime
                oldest = written if oldest is None else min(oldest, written)
                waiting += 1
        elif kind == _BAD:
            bad += 1
    return SpoolState(folder, waiting, bad, oldest)


def drain_spool(
    store: Store,
    *,
    seconds: float,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.time,
) -> None:
    """Move spooled entries of this host into *store* for *seconds*; *clock* is that of the files.

    A file that is no payload is set aside, one that cannot be moved is left where it is. Several
    processes may do this at once. Raises `StoreError` if the store is down.
    """
    deadline = Deadline(seconds)
    for file in _waiting(spool_folder(environ), clock):
        if not deadline.left:
            return
        # Whoever renames it has it, and can remove it: what cannot be removed would come again.
        taken = _renamed(file, f"{file.name.partition('.')[0]}.{uuid4().hex}{_TAKEN}")
        if taken is not None:
            _move(taken, store)


def _move(taken: Path, store: Store) -> None:
    log_id = taken.name.partition(".")[0]
    try:
        kept = parse_json(read_text(taken, regular=True))
        # The store may have had it after all, when it did not answer.
        entry = Entry.from_json(kept["body"])._replace(spooled=True)
        reason = Reason(kept["reason"])
        counts = deferred(entry.logged(_seconds(kept["duration_seconds"]), reason))
        kept = entry.to_keep(reason)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        bad = _renamed(taken, f"{log_id}{_BAD}")
        why = quote(str(error), 100)
        _log.warning("%s is no spooled payload (%s): look at it and remove it", bad, why)
        return
    try:
        store.outbox.put(kept, counts)
    except StoreError:
        _renamed(taken, f"{log_id}{_WAITING}")
        raise
    taken.unlink(missing_ok=True)


def _seconds(value: object) -> float:
    if type(value) in {int, float} and 0 <= value <= _LONGEST_CALL_SECONDS:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    raise ValueError("its duration is none")


def _waiting(folder: Path, clock: Callable[[], float]) -> Iterator[Path]:
    for each in _listed(folder):
        kind = Path(each.name).suffix
        if kind == _WAITING or (kind == _TAKEN and _is_left_behind(each, clock())):
            yield Path(each.path)


def _is_left_behind(taken: "os.DirEntry[str]", now: float) -> bool:
    try:
        return now - taken.stat().st_ctime > _TAKEN_SECONDS
    except OSError:
        return False


def _listed(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """Yield what is in *folder*, one after the other: there may be any number of files."""
    try:
        with os.scandir(folder) as listed:
            yield from listed
    except FileNotFoundError:
        return
    except OSError as error:
        _complain(folder, str(error))


def _renamed(file: Path, name: str) -> Path | None:
    """Return *file* under its new name; None if another was faster, or it cannot be renamed."""
    try:
        return file.rename(file.with_name(name))
    except FileNotFoundError:
        return None
    except OSError as error:
        _complain(file, str(error))
        return None


# Once for each: a relay would say it every second.
@lru_cache(maxsize=1000)
def _complain(place: Path, why: str) -> None:
    _log.warning("Payloads in %s cannot be moved into the outbox (%s): see who owns it", place, why)
