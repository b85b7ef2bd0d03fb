"""YAML files that people write: read strictly, and everything wrong said at once."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import Any, TypeGuard, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from flowgauge.errors import UsageError
from flowgauge.foreign import read_text
from flowgauge.loading import loading
from flowgauge.redact import quote

__all__ = [
    "as_model",
    "read_documents",
    "read_mapping",
    "read_model",
    "read_yaml",
    "require_tame",
    "yaml_problem",
]

# What PyYAML repeats of the file.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# More than anybody writes.
_MOST_NODES = 1_000_000
_DEEPEST = 100
# In C where PyYAML has it.
_Events = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Model = TypeVar("_Model", bound=BaseModel)


def read_model(file: Path, model: type[_Model]) -> _Model:
    """Return *file* as a *model*.

    Raises `UsageError`: one sentence that names the file and every key that is wrong, and says
    what would be right.
    """
    return as_model(file, read_mapping(file), model)


def read_mapping(file: Path) -> dict[Hashable, Any]:
    """Return the mapping that *file* holds, all scalars as text; `UsageError` if it holds none."""
    content = _loaded(file, yaml.load)
    if not isinstance(content, dict):
        raise UsageError(f"{file} must be a mapping of keys to values")
    return content


def as_model(file: Path, content: Any, model: type[_Model]) -> _Model:
    """Return *content*, which *file* holds, as a *model*; `UsageError` as from `read_model`."""
    try:
        # pydantic has locks for what a model does at its first use, as Python has for modules.
        with loading():
            return model.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(_explain(detail, model) for detail in error.errors(include_url=False))
        raise UsageError(f"{file}: {quote(wrong, longest=2000)}") from None


def read_documents(file: Path) -> list[Any]:
    """Return the YAML documents in *file*, all scalars as text; `UsageError` if they are none."""
    documents: list[Any] = _loaded(file, lambda text, loader: list(yaml.load_all(text, loader)))
    return documents


def _loaded(file: Path, load: Callable[[str, type[yaml.BaseLoader]], Any]) -> Any:
    text = read_yaml(file)
    try:
        require_shallow(text)
        return load(text, _StrictLoader)
    except RecursionError:
        raise UsageError(f"{file} is nested too deeply: a few levels are enough") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not valid YAML: {yaml_problem(error)}") from None


def read_yaml(file: Path) -> str:
    """Return the text of *file*; raise `UsageError` if it has none."""
    try:
        return read_text(file)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{file} {error}") from None


def require_shallow(text: str) -> None:
    """Raise `RecursionError` for what is deeper than anybody writes.

    The parser in C would end the process at some depth, and the one in Python take minutes.
    """
    depth = 0
    # What is wrong in it is said by whoever reads it.
    with suppress(yaml.YAMLError):
        for event in yaml.parse(text, _Events):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise RecursionError


def require_tame(node: yaml.Node | None) -> None:
    """Raise `yaml.YAMLError` if *node* grows without measure where its aliases are followed."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            # Until it is known: one that holds itself has no end.
            sizes[id(node)] = _MOST_NODES
            match node:
                case yaml.MappingNode():
                    parts = [part for pair in node.value for part in pair]
                case yaml.SequenceNode():
                    parts = node.value
                case _:
                    parts = []
            sizes[id(node)] = min(1 + sum(map(size, parts)), _MOST_NODES)
        return sizes[id(node)]

    if node is not None and size(node) >= _MOST_NODES:
        raise _OurError(None, None, "its aliases make it grow without measure", node.start_mark)


def yaml_problem(error: yaml.YAMLError) -> str:
    """Return where and what: str(error) quotes the line, which may hold a password."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        said = str(error.problem)
        problem = said if isinstance(error, _OurError) else _QUOTED.sub("…", said)
        return f"line {error.problem_mark.line + 1}, {problem}"
    return "it holds a character that YAML does not allow"


class _OurError(yaml.constructor.ConstructorError):
    """A problem in our own words."""


class _StrictLoader(yaml.BaseLoader):
    """Reads every scalar as text, which pydantic converts, and refuses a key given twice.

    YAML's own conversions turn `no` into False and fail with tracebacks on `2026-13-45`.
    """

    def compose_document(self) -> yaml.Node | None:
        node = super().compose_document()
        require_tame(node)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            keys = [key.value for key, _ in node.value]
            twice = next(key for key in keys if keys.count(key) > 1)
            problem = f"the key {quote(twice)!r} is given twice"
            raise _OurError(None, None, problem, node.start_mark)
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
