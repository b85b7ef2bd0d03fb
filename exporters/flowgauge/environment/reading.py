"""From the name of an environment to its checked content."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flowgauge.errors import UsageError
from flowgauge.loading import loading
from flowgauge.redact import quote

if TYPE_CHECKING:
    from flowgauge.environment.model import Environment
    from flowgauge.environment.rate_limits import RateLimitSetting

__all__ = [
    "chosen_environment",
    "environment_file",
    "environments_folder",
    "load_environment",
    "load_rate_limits",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def environments_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's folder, whether it exists or not: FLOWGAUGE_ENVIRONMENTS or ./environments.

    flowgauge brings no environment of its own: a production is always somebody's.
    """
    return Path(environ.get("FLOWGAUGE_ENVIRONMENTS") or "environments")


def chosen_environment(folder: Path, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the name that ENV gives, else dev if *folder* has it, else None."""
    if name := environ.get("ENV"):
        return name
    # A folder that is named but not there is a mistake: reading dev from it says so.
    missing = bool(environ.get("FLOWGAUGE_ENVIRONMENTS")) and not _is_folder(folder)
    return "dev" if missing or (folder / "dev.yaml").is_file() else None


def load_environment(name: str, folder: Path | None = None) -> "Environment":
    """Return the environment *name* of *folder*, by default `environments_folder()`.

    Raises `UsageError`: one sentence that names the file and every key that is wrong.
    """
    file = environment_file(name, folder)
    # The model takes 20 ms to import, and most tasks read no file.
    with loading():
        from flowgauge.environment.model import Environment  # noqa: PLC0415
        from flowgauge.strict_yaml import read_model  # noqa: PLC0415

    return read_model(file, Environment)


def load_rate_limits(name: str, folder: Path | None = None) -> "Mapping[str, RateLimitSetting]":
    """Return `rate_limits` of the environment *name*, empty if its file sets none.

    For tasks: the rest of the file is not looked at. Raises `UsageError` as `load_environment`
    does.
    """
    file = environment_file(name, folder)
    # Most files set none: then a task is spared all that reads and checks them.
    if not _mentions_rate_limits(file):
        return {}
    with loading():
        from flowgauge.environment.rate_limits import OnlyRateLimits  # noqa: PLC0415
        from flowgauge.strict_yaml import as_model, read_mapping  # noqa: PLC0415

    content = read_mapping(file)
    if "rate_limits" not in content:
        # In the wrong place, or no more than a comment: only all of the file tells.
        return load_environment(name, folder).rate_limits
    return as_model(file, content, OnlyRateLimits).rate_limits


def _mentions_rate_limits(file: Path) -> bool:
    try:
        return b"rate_limits" in file.read_bytes()
    except OSError:
        # Reading it properly says what is wrong.
        return True


def _is_folder(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:  # as for a name that no folder can have
        return False


def environment_file(name: str, folder: Path | None = None) -> Path:
    """Return the file of the environment *name*; raises `UsageError` where there is none."""
    folder = folder or environments_folder()
    file = folder / f"{name}.yaml"
    if not _is_folder(folder):
        raise UsageError(
            f"there is no folder {quote(str(folder), longest=200)}, where "
            f"{quote(name, longest=80)}.yaml would be: go to "
            "where it is, name it in FLOWGAUGE_ENVIRONMENTS, or write that file, for which one "
            "line will do, domains: {mlflow: HOST}"
        )
    if not _NAME.fullmatch(name) or not file.is_file():
        known = sorted(path.stem for path in folder.glob("*.yaml") if path.is_file())
        raise UsageError(
            f"the environment {quote(name, longest=80)!r} does not exist: "
            f"{folder} has {', '.join(known) or 'none'}, choose one with ENV or add a file"
        )
    return file
