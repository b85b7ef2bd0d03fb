"""Files as they were at a revision that git knows."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from flowgauge.errors import FlowgaugeError, UsageError

__all__ = ["Revision"]


@dataclass(frozen=True)
class Revision:
    """A revision by its name: a commit, a branch, `HEAD~3`, `origin/main`."""

    name: str

    def text(self, path: Path) -> str | None:
        """Return what *path* held then, None if it was not there.

        Raises `UsageError` if *path* is in no repository that has the revision.
        """
        named = f"{self.name}^{{commit}}"
        commit = _git(path.parent, "rev-parse", "--verify", "--quiet", "--end-of-options", named)
        if commit is None:
            raise UsageError(
                f"git knows no revision {self.name!r} of {path}: fetch it, or name another"
            )
        return _git(path.parent, "show", f"{commit.strip()}:./{path.name}")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, check=False
        )
    except FileNotFoundError:
        raise FlowgaugeError("git is not on PATH: install it, or leave out --since") from None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
