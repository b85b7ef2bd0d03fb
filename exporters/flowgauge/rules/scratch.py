"""Folders with changed copies of rule and test files, for promtool."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["inside", "scratch_folder"]


@contextmanager
def scratch_folder(files: Mapping[Path, str]) -> Iterator[Path]:
    """Make a folder with the same paths below it, so that tests find their rules beside them."""
    with TemporaryDirectory(prefix="flowgauge-rules-") as name:
        folder = Path(name)
        for path, text in files.items():
            inside(folder, path).parent.mkdir(parents=True, exist_ok=True)
            inside(folder, path).write_text(text, encoding="utf-8")
        yield folder


def inside(folder: Path, path: Path) -> Path:
    """Return where the copy of *path* lies in *folder*."""
    return folder / path.relative_to(path.anchor)
