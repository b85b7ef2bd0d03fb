"""The rendered folder: replaced as a whole, or left alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.render import difference, replace_folder
from flowgauge.render.folder import MARKER

_OLD = {"a/x.txt": "one\n", "b.txt": "two\n"}
_MARK_OF_0_1 = "This folder was written by `flowgauge render`, which replaces it as a whole.\n"


def _content(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): file.read_text()
        for file in folder.rglob("*")
        if file.is_file() and file.name != MARKER
    }


def test_a_folder_holds_the_files_and_nothing_else(folder: Path) -> None:
    """What an earlier rendering left is gone, and no scratch folder stays behind."""
    out = folder / "build" / "prod"
    replace_folder(out, _OLD)
    replace_folder(out, {"c/d/y.txt": "three\n"})
    assert _content(out) == {"c/d/y.txt": "three\n"}
    assert list(out.parent.iterdir()) == [out]


def test_an_empty_folder_may_be_filled(folder: Path) -> None:
    """A folder that somebody made for the rendering is taken."""
    replace_folder(folder, _OLD)
    assert _content(folder) == _OLD


def test_a_failure_leaves_the_old_folder(folder: Path) -> None:
    """When writing fails half-way the old rendering is all there, and the error is a sentence."""
    out = folder / "out"
    replace_folder(out, _OLD)
    with pytest.raises(FlowgaugeError, match="cannot be written: File exists") as error:
        replace_folder(out, {"a": "a file", "a/x.txt": "cannot be below it"})
    assert "\n" not in str(error.value)
    assert _content(out) == _OLD
    assert list(folder.iterdir()) == [out]


@pytest.mark.parametrize("reason", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_swap_that_fails_brings_the_old_folder_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reason: BaseException
) -> None:
    """Also when the very last step fails, or Ctrl-C comes just then, the old rendering is there."""
    out = folder / "out"
    replace_folder(out, _OLD)
    rename = Path.rename

    def fail_once(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise reason
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises((FlowgaugeError, KeyboardInterrupt)):
        replace_folder(out, {"new.txt": "x\n"})
    assert _content(out) == _OLD
    assert list(folder.iterdir()) == [out]


def test_what_is_not_ours_is_refused(folder: Path) -> None:
    """A folder with files of somebody else, a file and a link are left alone."""
    foreign = folder / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    file = folder / "file"
    file.write_text("x")
    link = folder / "link"
    link.symlink_to(foreign)
    for out, said in ((foreign, "did not write"), (file, "not a folder"), (link, "not a folder")):
        with pytest.raises(UsageError, match=said):
            replace_folder(out, _OLD)
        with pytest.raises(UsageError, match=said):
            difference(out, _OLD)
    assert _content(foreign) == {"thesis.txt": "years of work"}
    assert link.is_symlink()


@pytest.mark.parametrize(
    "change",
    [
        lambda out: (out / "thesis.txt").write_text("years of work"),
        lambda out: (out / "link").symlink_to(out),
        lambda out: (out / "a" / "x.txt").write_text("changed by hand"),
        lambda out: (out / "b.txt").rename(out / "c.txt"),
        lambda out: os.mkfifo(out / "pipe"),
    ],
    ids=["new", "link", "changed", "renamed", "pipe"],
)
def test_what_somebody_else_put_there_is_not_removed(
    folder: Path, change: Callable[[Path], object]
) -> None:
    """However it came into a folder of ours: the folder is refused, and stays as it is."""
    replace_folder(folder, _OLD)
    change(folder)
    before = sorted(folder.rglob("*"))
    for do in (replace_folder, difference):
        with pytest.raises(UsageError, match="did not write, or not so"):
            do(folder, _OLD)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("mark", ["", _MARK_OF_0_1, "\0", "0  thesis.txt\n"])
def test_a_mark_alone_makes_no_file_ours(folder: Path, mark: str) -> None:
    """Of a folder that 0.1 marked, which noted no files, what is rendered now is replaced."""
    replace_folder(folder, _OLD)
    (folder / MARKER).write_text(mark)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds '.*', which"):
        replace_folder(folder, _OLD)
    assert (folder / "thesis.txt").read_text() == "years of work"
    (folder / "thesis.txt").unlink()
    if mark == _MARK_OF_0_1:
        replace_folder(folder, {**_OLD, "a/x.txt": "new\n"})
        assert _content(folder)["a/x.txt"] == "new\n"


def test_the_difference_is_a_diff(folder: Path) -> None:
    """Changed, new and vanished files are shown, and nothing is written."""
    out = folder / "out"
    replace_folder(out, _OLD)
    shown = difference(out, {"a/x.txt": "ONE\n", "new.txt": "three\n"})
    assert "--- a/a/x.txt\n+++ b/a/x.txt\n@@ -1 +1 @@\n-one\n+ONE\n" in shown
    assert "--- a/b.txt\n+++ /dev/null\n" in shown
    assert "--- /dev/null\n+++ b/new.txt\n" in shown
    assert _content(out) == _OLD
    assert not (folder / "missing").exists()
    assert "+++ b/b.txt" in difference(folder / "missing", _OLD)
    assert not (folder / "missing").exists()


_files = st.dictionaries(
    st.sampled_from(["a.txt", "b/c.txt", "b/d/e.txt"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=20),
)


@given(old=_files, new=_files)
def test_no_difference_is_the_same_as_nothing_to_do(
    tmp_path_factory: pytest.TempPathFactory, old: dict[str, str], new: dict[str, str]
) -> None:
    """The diff is empty exactly when the folder already holds the files."""
    out = tmp_path_factory.mktemp("property") / "out"
    replace_folder(out, old)
    assert bool(difference(out, new)) == (old != new)
    replace_folder(out, new)
    assert difference(out, new) == ""
    assert _content(out) == new
