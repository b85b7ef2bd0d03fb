"""The rendered folder: replaced as a whole, or left alone."""

import tempfile
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.render.files import Files

__all__ = ["MARKER", "difference", "replace_folder"]

MARKER = ".flowgauge"
"""The file by which a folder is known to be ours to replace."""

_MARK = "This folder was written by `flowgauge render`, which replaces it as a whole.\n"


def replace_folder(folder: Path, files: Files) -> None:
    """Make *folder* hold *files* and nothing else.

    They are written beside it and swapped in: whatever fails, *folder* is as it was. Raises
    `UsageError` for a folder that holds something else than an earlier rendering.
    """
    _require_ours(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            new = Path(scratch, "new")
            _write(new, {**files, MARKER: _MARK})
            _swap(new, folder, aside=Path(scratch, "old"))
    except OSError as error:
        raise FlowgaugeError(f"{folder} cannot be written: {error.strerror}") from None


def difference(folder: Path, files: Files) -> str:
    """Return what `replace_folder` would change, as a unified diff; empty where it changes nothing.

    Raises `UsageError` where it would refuse.
    """
    _require_ours(folder)
    old = dict(_read(folder))
    new = {**files, MARKER: _MARK}
    diffs = [
        "".join(_diff(path, old.get(path), new.get(path)))
        for path in sorted(old.keys() | new.keys())
    ]
    return "".join(diffs)


def _require_ours(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is not a folder: name one that may be replaced with --out")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise UsageError(
            f"{folder} holds files that `flowgauge render` did not write: "
            "name another folder with --out, or remove it"
        )


def _write(folder: Path, files: Files) -> None:
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def _swap(new: Path, folder: Path, aside: Path) -> None:
    if folder.exists():
        folder.rename(aside)
    try:
        new.rename(folder)
    finally:
        if aside.exists() and not folder.exists():
            aside.rename(folder)


def _read(folder: Path) -> Iterator[tuple[str, str]]:
    for file in folder.rglob("*"):
        if file.is_file():
            yield (
                file.relative_to(folder).as_posix(),
                file.read_text(encoding="utf-8", errors="replace"),
            )


def _diff(path: str, old: str | None, new: str | None) -> Iterator[str]:
    names = (f"a/{path}" if old is not None else "/dev/null",
             f"b/{path}" if new is not None else "/dev/null")  # fmt: skip
    return unified_diff(
        (old or "").splitlines(keepends=True), (new or "").splitlines(keepends=True), *names
    )
