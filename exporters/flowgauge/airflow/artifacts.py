"""Small files that go with a payload: copied into it, so they outlive the task's own folder."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from flowgauge.airflow.deadline import Deadline
from flowgauge.airflow.values import Unfit, Values, called, guarded
from flowgauge.background import in_background

__all__ = ["MOST_BYTES", "read_artifacts"]

# All files of one payload together: it goes through the store.
MOST_BYTES = 1024 * 1024
# Files may lie on a disk that hangs: all of them together are waited for so long.
_PATIENCE_SECONDS = 2.0


def read_artifacts(given: Any, left_out: list[str]) -> dict[str, str]:
    """Return what is in the files *given*, in base64, by the names that they get in MLflow.

    *given* is one path, several, or paths by name. What cannot be taken is noted in *left_out*.
    """
    read: dict[str, str] = {}
    left = MOST_BYTES
    patience = Deadline(_PATIENCE_SECONDS)
    try:
        files = guarded(lambda: list(_files(given)))
    except Unfit as unfit:
        left_out.append(f"artifacts {unfit}")
        return {}
    for name, path in files:
        try:
            content = guarded(lambda path=path, most=left: _content(path, most, patience))  # type: ignore[misc]
        except Unfit as unfit:
            left_out.append(f"artifacts[{called(name)}] {unfit}")
        else:
            left -= len(content)
            read[name] = b64encode(content).decode()
    return read


def _files(given: Any) -> Iterator[tuple[str, Path]]:
    values = Values()
    if given is None:
        return
    if (named := values.pairs(given)) is not None:
        for name, path in named:
            yield _safe(values.name(name)), Path(values.text(path))
    else:
        for each in given if isinstance(given, list | tuple) else [given]:
            path = Path(values.text(each))
            yield _safe(path.name), path


def _safe(name: str) -> str:
    """Return *name*, a path below the run's artifacts."""
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts or not name.isprintable():
        raise Unfit(f"must have names such as plots/roc.png, not {called(name)}")
    return str(PurePosixPath(*parts))


def _content(path: Path, most: int, patience: Deadline) -> bytes:
    def read() -> bytes:
        if not path.is_file():
            raise Unfit(f"is no file: {called(str(path))}")
        with path.open("rb") as file:
            return file.read(most + 1)

    late = Unfit(f"could not be read within {_PATIENCE_SECONDS:g} s")
    if not patience.left:
        raise late
    try:
        content = in_background(read, "flowgauge-artifact").result(patience.left)
    except TimeoutError:
        raise late from None
    except OSError as error:
        raise Unfit(f"cannot be read ({error.strerror})") from None
    if len(content) > most:
        raise Unfit(
            f"is too large: all files of a payload together may have {MOST_BYTES // 1024} KiB, log "
            "larger ones with MLflow's own functions"
        )
    if not content:
        raise Unfit("is empty, which MLflow does not take")
    return content
