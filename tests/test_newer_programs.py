"""`scripts/newer-programs`: what it refuses. The rules' tests and the matrix run the rest."""

import subprocess
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[1] / "scripts" / "newer-programs"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("prometheus", "No newer prometheus to be had here: it comes from Debian's archive"),
        ("promehteus", f"No newer promehteus to be had here: {_SCRIPT} does not know it."),
    ],
)
def test_what_cannot_be_had_is_one_sentence(folder: Path, name: str, sentence: str) -> None:
    """Where there is no apt, and for a name it does not know, nothing is left behind."""
    done = subprocess.run(
        [_SCRIPT, name],
        cwd=folder,
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_what_is_there_is_left_alone(folder: Path) -> None:
    """A program that was unpacked before costs nothing, not even apt."""
    (folder / ".run" / "programs" / "prometheus").mkdir(parents=True)
    done = subprocess.run(
        [_SCRIPT, "prometheus"],
        cwd=folder,
        env={"PATH": str(folder)},
        capture_output=True,
        check=True,
    )

    assert done.stdout + done.stderr == b""
