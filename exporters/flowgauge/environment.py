"""One environment: `environments/<name>.yaml`, checked.

`domains.mlflow: mlflow.example.com` alone is a whole file. A later section (alert overrides,
receivers, ...) is one more field of `Environment`.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flowgauge.assets import asset
from flowgauge.errors import UsageError
from flowgauge.redact import quote
from flowgauge.strict_yaml import read_model

__all__ = [
    "Domains",
    "Environment",
    "RateLimitSetting",
    "environments_folder",
    "load_environment",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_url(value: str) -> str:
    """Return *value* as a URL: a bare host, with or without port and path, is an https one."""
    url = value if "://" in value else f"https://{value}"
    advice = "must be a host such as mlflow.example.com, or a URL"
    try:
        parts = urlsplit(url)
        usable = parts.hostname or parts.scheme not in {"http", "https"}
        _ = parts.port
    except ValueError:
        raise ValueError(advice) from None
    if not usable or re.search(r"\s", url):
        raise ValueError(advice)
    return url


def _non_empty(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


_Url = Annotated[str, AfterValidator(_as_url)]


class Domains(_Section):
    """Where the services of the environment are, as URLs."""

    mlflow: _Url


class RateLimitSetting(_Section):
    """A rate limit that replaces the one in the code: *max_calls* in any *window_seconds*."""

    max_calls: Annotated[int, Field(gt=0)]
    window_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Environment(_Section):
    """What one deployment differs in from another.

    Every section that is itself optional has an empty default, so that readers need no `None`.
    """

    domains: Domains
    store: Annotated[str, AfterValidator(_non_empty)] | None = None
    rate_limits: dict[str, RateLimitSetting] = Field(default_factory=dict)


def environments_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder: FLOWGAUGE_ENVIRONMENTS, else ./environments, else the packaged one."""
    if named := environ.get("FLOWGAUGE_ENVIRONMENTS"):
        return Path(named)
    local = Path("environments")
    return local if local.is_dir() else asset("environments")


def load_environment(name: str, folder: Path | None = None) -> Environment:
    """Return the environment *name* of *folder*, by default `environments_folder()`.

    Raises `UsageError`: one sentence that names the file and every key that is wrong.
    """
    return read_model(_file(name, folder or environments_folder()), Environment)


def _file(name: str, folder: Path) -> Path:
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
