"""From the name of an environment to its checked content."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flowgauge.assets import asset
from flowgauge.errors import UsageError
from flowgauge.redact import quote

if TYPE_CHECKING:
    from flowgauge.environment.model import Environment

__all__ = ["environment_file", "environments_folder", "load_environment"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def environments_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder: FLOWGAUGE_ENVIRONMENTS, else ./environments, else the packaged one."""
    if named := environ.get("FLOWGAUGE_ENVIRONMENTS"):
        return Path(named)
    local = Path("environments")
    return local if local.is_dir() else asset("environments")


def load_environment(name: str, folder: Path | None = None) -> "Environment":
    """Return the environment *name* of *folder*, by default `environments_folder()`.

    Raises `UsageError`: one sentence that names the file and every key that is wrong.
    """
    file = environment_file(name, folder)
    # The model takes 20 ms to import, and most tasks read no file.
    from flowgauge.environment.model import Environment  # noqa: PLC0415
    from flowgauge.strict_yaml import read_model  # noqa: PLC0415

    return read_model(file, Environment)


def environment_file(name: str, folder: Path | None = None) -> Path:
    """Return the file of the environment *name*; raises `UsageError` where there is none."""
    folder = folder or environments_folder()
    file = folder / f"{name}.yaml"
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: FLOWGAUGE_ENVIRONMENTS must name one")
    if not _NAME.fullmatch(name) or not file.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml"))) or "none"
        raise UsageError(
            f"the environment {quote(name, longest=80)!r} does not exist: "
            f"{folder} has {known}, choose one with ENV or add a file"
        )
    return file
