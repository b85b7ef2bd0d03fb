"""Applications around MLflow's that do what workers die of, or stand still for.

They are installed as a package's would be, by entry points of `mlflow.app`.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["BLOCKING", "BLOCKING_PATH", "LEAKING", "LEAKING_PATH", "TOKEN", "install"]

LEAKING, LEAKING_PATH = "leaking", "/api/2.0/mlflow/runs/get"
BLOCKING, BLOCKING_PATH = "blocking", "/api/2.0/mlflow/metrics/get-history"

_LEAK_BYTES = 2 * 2**20
_BLOCKED_SECONDS = 1.5

TOKEN = "of-the-incidents"


class _Leaking:
    """Keeps something of each request for a run, as a cache without a bound does."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app
        self._kept: list[bytes] = []

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope.get("path") == LEAKING_PATH:
            self._kept.append(b"x" * _LEAK_BYTES)
        await self._app(scope, receive, send)


class _Blocking:
    """Waits in the event loop, as an `async` function does that asks a store without `await`."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope.get("path") == BLOCKING_PATH:
            time.sleep(_BLOCKED_SECONDS)  # noqa: ASYNC251 - the fault
        await self._app(scope, receive, send)


def leaking() -> "ASGIApp":
    """Return MLflow's app, which leaks."""
    return _Leaking(_mlflow())


def blocking() -> "ASGIApp":
    """Return MLflow's app, which blocks."""
    return _Blocking(_mlflow())


def _mlflow() -> "ASGIApp":
    from mlflow.server.fastapi_app import app  # noqa: PLC0415 - takes seconds, in a server alone

    served: ASGIApp = app
    return served


def install(folder: Path) -> dict[str, str]:
    """Make *folder* know the entry points; return the environment of a server that has them.

    An app that might be a login shows its metrics to who knows the token alone.
    """
    info = folder / "faulty_apps-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-apps\nVersion: 1.0\n")
    entries = (f"{name} = {__name__}:{name}\n" for name in (LEAKING, BLOCKING))
    (info / "entry_points.txt").write_text("".join(["[mlflow.app]\n", *entries]))
    token = folder / "token"
    token.write_text(TOKEN)
    return {
        "PYTHONPATH": f"{folder}:{Path(__file__).parents[2]}",
        "FLOWGAUGE_METRICS_TOKEN_FILE": str(token),
    }
