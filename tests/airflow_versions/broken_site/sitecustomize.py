"""A flowgauge that lacks packages: those that BROKEN_PACKAGES names, found by everybody else."""

import builtins
import os
from collections.abc import Mapping, Sequence
from typing import Any

_lacking = tuple(os.environ.get("BROKEN_PACKAGES", "").split())
_import = builtins.__import__


def _import_some(
    name: str,
    globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names that __import__ has
    locals: Mapping[str, Any] | None = None,  # noqa: A002
    fromlist: Sequence[str] = (),
    level: int = 0,
) -> Any:
    importer = str((globals or {}).get("__name__", ""))
    if importer.partition(".")[0] == "flowgauge" and (name in _lacking or _top(name) in _lacking):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _import(name, globals, locals, fromlist, level)


def _top(name: str) -> str:
    return name.partition(".")[0]


builtins.__import__ = _import_some  # type: ignore[assignment]
