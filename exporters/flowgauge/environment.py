"""One environment: `environments/<name>.yaml`, checked.

`domains.mlflow: mlflow.example.com` alone is a whole file. A later section (alert overrides,
receivers, ...) is one more field of `Environment`.
"""

import os
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from flowgauge.assets import asset
from flowgauge.errors import UsageError
from flowgauge.redact import quote

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
    folder = folder or environments_folder()
    file = _file(name, folder)
    content = _parse(file)
    try:
        return Environment.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(_explain(detail) for detail in error.errors(include_url=False))
        raise UsageError(f"{file}: {quote(wrong, longest=2000)}") from None


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


def _parse(file: Path) -> Any:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - makes nothing but strings, lists and dicts
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text: save it as UTF-8") from None
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply to be an environment") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not valid YAML: {_where_and_what(error)}") from None
    if not isinstance(content, dict):
        raise UsageError(
            f"{file} must be a mapping of keys to values: "
            "`domains: {mlflow: mlflow.example.com}` is enough"
        )
    return content


def _where_and_what(error: yaml.YAMLError) -> str:
    # str(error) quotes the line, which may hold a password.
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}, {quote(str(error.problem))}"
    return "it holds a character that YAML does not allow"


class _StrictLoader(yaml.BaseLoader):
    """Reads every scalar as text, which pydantic converts, and refuses a key given twice.

    YAML's own conversions turn `no` into False and fail with tracebacks on `2026-13-45`.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            keys = [key.value for key, _ in node.value]
            twice = next(key for key in keys if keys.count(key) > 1)
            problem = f"the key {twice!r} is given twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return mapping


def _explain(detail: Mapping[str, Any]) -> str:
    location = [str(part) for part in detail["loc"]]
    match detail["type"]:
        case "extra_forbidden":
            wrong = f"is unknown, known here: {', '.join(_known_keys(location[:-1]))}"
        case "missing":
            wrong = "is missing"
        case "model_type" | "dict_type":
            wrong = "must be a mapping of keys to values"
        case "value_error":
            wrong = str(detail["ctx"]["error"])
        case _:
            wrong = detail["msg"].replace("Input should", "must", 1)
    return f"{'.'.join(location)} {wrong}"


def _known_keys(location: list[str]) -> list[str]:
    kind: Any = Environment
    for part in location:
        of_model = isinstance(kind, type) and issubclass(kind, BaseModel)
        kind = kind.model_fields[part].annotation if of_model else get_args(kind)[-1]
    return sorted(kind.model_fields)
