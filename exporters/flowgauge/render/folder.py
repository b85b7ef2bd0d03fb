"""The rendered folder: replaced as a whole, or left alone."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.foreign import read_text
from flowgauge.redact import quote
from flowgauge.render.files import Files

__all__ = ["MARKER", "difference", "replace_folder"]

MARKER = ".flowgauge"
"""The file that says what in the folder is ours to replace: paths, and what was written there."""

_MARK = "This folder was written by `flowgauge render`, which replaces it as a whole.\n"
_BETWEEN = "  "  # as sha256sum has it


def replace_folder(folder: Path, files: Files) -> None:
    """Make *folder* hold *files* and nothing else.

    They are written beside it and swapped in: whatever fails, *folder* is as it was. Raises
    `UsageError` for a folder that holds something else than an earlier rendering, as it was.
    """
    _require_ours(folder, files)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            new = Path(scratch, "new")
            _write(new, {**files, MARKER: _marked(files)})
            _swap(new, folder, aside=Path(scratch, "old"))
    except OSError as error:
        raise FlowgaugeError(f"{folder} cannot be written: {error.strerror}") from None


def difference(folder: Path, files: Files) -> str:
    """Return what `replace_folder` would change, as a unified diff; empty where it changes nothing.

    Raises `UsageError` where it would refuse.
    """
    _require_ours(folder, files)
    old = dict(_read(folder))
    diffs = [
        "".join(_diff(path, old.get(path), files.get(path)))
        for path in sorted(old.keys() | files.keys())
    ]
    return "".join(diffs)


def _require_ours(folder: Path, files: Files) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is not a folder: name one that may be replaced with --out")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    # 0.1 noted no files: in its folders, those that are rendered now are taken for its own.
    written = _written(folder) or dict.fromkeys(files if (folder / MARKER).is_file() else ())
    for entry in folder.rglob("*"):
        path = entry.relative_to(folder).as_posix()
        is_folder = entry.is_dir() and not entry.is_symlink()
        if path != MARKER and not is_folder and not _is_as_written(entry, written, path):
            raise UsageError(
                f"{folder} holds {quote(path)!r}, which `flowgauge render` did not write, or not "
                "so: name another folder with --out, or remove what is not to be kept"
            )


def _marked(files: Files) -> str:
    lines = (f"{_digest(files[path].encode())}{_BETWEEN}{path}\n" for path in sorted(files))
    return "".join((_MARK, *lines))


def _written(folder: Path) -> Mapping[str, str]:
    """Return the digests of the files that were written, by their paths."""
    found = {}
    with suppress(OSError, ValueError):
        for line in read_text(folder / MARKER, regular=True).splitlines():
            digest, between, path = line.partition(_BETWEEN)
            if between:
                found[path] = digest
    return found


def _is_as_written(file: Path, written: Mapping[str, str | None], path: str) -> bool:
    with suppress(OSError):
        is_plain = path in written and file.is_file() and not file.is_symlink()
        return is_plain and written[path] in (None, _digest(file.read_bytes()))
    return False


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
        if file.is_file() and file != folder / MARKER:
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
