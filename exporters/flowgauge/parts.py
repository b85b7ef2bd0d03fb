"""A few modules of a large package, loaded without the rest of it.

`import psycopg` loads cursors, and what each of PostgreSQL's types becomes in Python. A task waits
longer for that than for all that it does with the one connection it needs.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import get_ident
from types import ModuleType
from typing import Any

from flowgauge.loading import loading

__all__ = ["import_parts"]


def import_parts(package: str, *parts: str) -> None:
    """Import modules of *package*; its own `__init__` runs once somebody asks for a name in it.

    To all others the package is what it always is. Where one of the modules does without the rest
    of it no longer, as in a later version, all of it is imported. Raises what an import raises.
    """
    names = [f"{package}.{part}" for part in parts]
    if package not in sys.modules:
        before = set(sys.modules)
        try:
            _put_off(package)
            _import(names)
        except ModuleNotFoundError:
            _forget(package, before)
            raise
        # Whatever it is that it misses.
        except Exception:  # noqa: BLE001
            _forget(package, before)
        else:
            return
    import_module(package)
    _import(names)


def _import(names: list[str]) -> None:
    for name in names:
        import_module(name)


def _put_off(package: str) -> None:
    spec = find_spec(package)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    module = module_from_spec(spec)
    module.__class__ = _PutOff
    sys.modules[package] = module


def _forget(package: str, before: set[str]) -> None:
    for name in set(sys.modules) - before:
        if f"{name}.".startswith(f"{package}."):
            del sys.modules[name]


class _PutOff(ModuleType):
    """A package whose `__init__` has not run yet.

    `importlib.util.LazyLoader` is of no use here: it runs it for the package's path already.
    """

    _runs_in: int | None = None

    def __getattr__(self, name: str) -> Any:
        with loading():
            # Another thread may have been faster, and while it runs it asks for what is to come.
            if type(self) is _PutOff and self._runs_in != get_ident():
                if find_spec(f"{self.__name__}.{name}"):
                    return import_module(f"{self.__name__}.{name}")
                self._run()
        return object.__getattribute__(self, name)

    def _run(self) -> None:
        spec: Any = self.__spec__
        self._runs_in = get_ident()
        try:
            spec.loader.exec_module(self)
        finally:
            del self._runs_in
        self.__class__ = ModuleType  # type: ignore[assignment]
