"""YAML files that people write: read strictly, and everything wrong said at once."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, TypeGuard, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from flowgauge.errors import UsageError
from flowgauge.redact import quote

__all__ = ["as_model", "read_documents", "read_model"]

# What PyYAML repeats of the file.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_Model = TypeVar("_Model", bound=BaseModel)


def read_model(file: Path, model: type[_Model]) -> _Model:
    """Return *file* as a *model*.

    Raises `UsageError`: one sentence that names the file and every key that is wrong, and says
    what would be right.
    """
    content = _loaded(file, yaml.load)
    if not isinstance(content, dict):
        raise UsageError(f"{file} must be a mapping of keys to values")
    return as_model(file, content, model)


def as_model(file: Path, content: Any, model: type[_Model]) -> _Model:
    """Return *content*, which *file* holds, as a *model*; `UsageError` as from `read_model`."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(_explain(detail, model) for detail in error.errors(include_url=False))
        raise UsageError(f"{file}: {quote(wrong, longest=2000)}") from None


def read_documents(file: Path) -> list[Any]:
    """Return the YAML documents in *file*, all scalars as text; `UsageError` if they are none."""
    documents: list[Any] = _loaded(file, lambda text, loader: list(yaml.load_all(text, loader)))
    return documents


def _loaded(file: Path, load: Callable[[str, type[yaml.BaseLoader]], Any]) -> Any:
    try:
        return load(file.read_text(encoding="utf-8"), _StrictLoader)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text: save it as UTF-8") from None
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply: a few levels are enough") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not valid YAML: {_where_and_what(error)}") from None


def _where_and_what(error: yaml.YAMLError) -> str:
    # str(error) quotes the line, which may hold a password.
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        said = str(error.problem)
        problem = said if isinstance(error, _TwiceError) else _QUOTED.sub("…", said)
        return f"line {error.problem_mark.line + 1}, {problem}"
    return "it holds a character that YAML does not allow"


class _TwiceError(yaml.constructor.ConstructorError):
    """A key is given twice."""


class _StrictLoader(yaml.BaseLoader):
    """Reads every scalar as text, which pydantic converts, and refuses a key given twice.

    YAML's own conversions turn `no` into False and fail with tracebacks on `2026-13-45`.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            keys = [key.value for key, _ in node.value]
            twice = next(key for key in keys if keys.count(key) > 1)
            problem = f"the key {quote(twice)!r} is given twice"
            raise _TwiceError(None, None, problem, node.start_mark)
        return mapping


def _explain(detail: Mapping[str, Any], model: type[BaseModel]) -> str:
    location = [str(part) for part in detail["loc"]]
    match detail["type"]:
        case "extra_forbidden":
            wrong = _unknown_key(location[-1], _known_keys(model, location[:-1]))
        case "missing":
            wrong = "is missing"
        case "model_type" | "dict_type":
            wrong = "must be a mapping of keys to values"
        case "value_error":
            wrong = str(detail["ctx"]["error"])
        case _:
            wrong = detail["msg"].replace("Input should", "must", 1)
    return f"{'.'.join(location)} {wrong}".lstrip()


def _unknown_key(key: str, known: Sequence[str]) -> str:
    if f"{key}_file" in known:
        return f"must not be written here: put it into a file and name the file in {key}_file"
    return f"is not a key here, the keys are {', '.join(known)}"


def _known_keys(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return the keys that the section at *location* may have."""
    kind: Any = model
    for part in location:
        kind = kind.model_fields[part].annotation if _is_model(kind) else get_args(kind)[-1]
        if NoneType in get_args(kind):
            kind = next(filter(_is_model, get_args(kind)))
    return sorted(field.alias or name for name, field in kind.model_fields.items())


def _is_model(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
