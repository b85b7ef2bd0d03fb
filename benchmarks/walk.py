"""The way of one log call through flowgauge's own code, in numbers.

    python -m benchmarks.walk

The second call of a process, sent to a real MLflow, on SQLite: how many modules it enters, how many
calls it makes, how many of them go from one module to another, and how many of those enter a module
that was entered before.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from stack.mlflow import mlflow_server

_PACKAGE = "flowgauge."


class _Walk:
    """Counts the calls between functions of flowgauge, in all threads that start from now on."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.calls = self.crossings = self.re_entries = 0
        self._counts = False
        # A thread that the first call starts works for the second one, too.
        threading.setprofile(self._event)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count what is called until the block ends."""
        self._counts = True
        sys.setprofile(self._event)
        try:
            yield
        finally:
            sys.setprofile(None)
            self._counts = False

    def _event(self, frame: FrameType, event: str, _argument: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if not self._counts or event != "call" or not module.startswith(_PACKAGE):
            return
        self.calls += 1
        caller = _caller(frame)
        if module == caller:
            return
        self.crossings += 1
        if module in self.entered:
            self.re_entries += 1
        else:
            self.entered.append(module)


def _caller(frame: FrameType) -> str | None:
    """Return the module of ours that called, if only through others' code."""
    outer = frame.f_back
    while outer is not None:
        module: str = outer.f_globals.get("__name__", "")
        if module.startswith(_PACKAGE):
            return module
        outer = outer.f_back
    return None


def main() -> None:
    """Log twice and print what the second call walked through."""
    with tempfile.TemporaryDirectory() as name, mlflow_server(Path(name) / "mlflow") as server:
        os.environ["MLFLOW_TRACKING_URI"] = server.url
        os.environ["FLOWGAUGE_STORE"] = f"sqlite:///{name}/store.db"
        from flowgauge.airflow import log_with_mlflow  # noqa: PLC0415 - reads the environment

        walk = _Walk()
        assert log_with_mlflow({"rows": 442}, "run", "walk", {})
        with walk.counting():
            assert log_with_mlflow({"rows": 442}, "run", "walk", {})
    print(
        f"{len(walk.entered)} modules, {walk.calls} calls, {walk.crossings} from one module to "
        f"another, {walk.re_entries} into one that was entered before"
    )


if __name__ == "__main__":
    main()
