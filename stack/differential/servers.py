"""Two servers that differ in nothing but flowgauge."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stack.mlflow import MlflowServer, accounts, mlflow_server
from stack.process import LOOPBACK, answers, free_port

__all__ = ["ADMIN", "SETUPS", "Pair", "Route", "Setup", "both"]

ADMIN = ("boss", "correct horse battery")

_MEASURED = ("--app-name", "flowgauge")
# What MLflow's own command tells its workers, so that `routes` sees what they serve.
_PREFIX_VARIABLE = "_MLFLOW_STATIC_PREFIX"
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Setup:
    """How MLflow is started: the name of its login, options, environment."""

    app: str | None = None
    options: tuple[str, ...] = ()
    env: Callable[[Path], Mapping[str, str]] = lambda _: _NOTHING
    prefix: str = ""


@dataclass(frozen=True)
class Route:
    """A path, its parameters filled in, and what it is meant for."""

    path: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """The bare server and the measured one, the routes that both have, and where they begin."""

    bare: MlflowServer
    measured: MlflowServer
    routes: tuple[Route, ...]
    prefix: str
    login: tuple[str, str] | None


SETUPS: dict[str, Setup] = {
    "plain": Setup(),
    "static-prefix": Setup(options=("--static-prefix", "/some/where"), prefix="/some/where"),
    "basic-auth": Setup(app="basic-auth", env=lambda folder: accounts(folder, ADMIN)),
}


@contextmanager
def both(folder: Path, setup: Setup) -> Iterator[Pair]:
    """Run a bare MLflow and a measured one side by side, data and home in folders of their own."""
    app = ("--app-name", setup.app) if setup.app else ()
    with (
        _server(folder / "bare", setup, app) as bare,
        _server(folder / "ours", setup, (*app, *_MEASURED)) as measured,
    ):
        routes = tuple(_routes(folder / "bare", setup))
        login = ADMIN if setup.app == "basic-auth" else None
        yield Pair(bare, measured, routes, setup.prefix, login)


@contextmanager
def _server(folder: Path, setup: Setup, app: tuple[str, ...]) -> Iterator[MlflowServer]:
    folder.mkdir(parents=True, exist_ok=True)
    options = (*setup.options, *app)
    port = free_port()
    health = f"http://{LOOPBACK}:{port}{setup.prefix}/health"
    with mlflow_server(
        folder,
        options=options,
        env=_environment(folder, setup),
        port=port,
        ready=lambda: answers(health),
    ) as server:
        yield server


def _environment(folder: Path, setup: Setup) -> dict[str, str]:
    # MLflow's assistant keeps its settings at home.
    return {"HOME": str(folder), **setup.env(folder)}


def _routes(folder: Path, setup: Setup) -> Iterator[Route]:
    env = _environment(folder, setup) | {"PATH": "/usr/bin:/bin"}
    if setup.prefix:
        env[_PREFIX_VARIABLE] = setup.prefix
    command = [sys.executable, "-m", "stack.differential.routes", setup.app or ""]
    checkout = Path(__file__).parents[2]
    listed = subprocess.run(command, env=env, cwd=checkout, capture_output=True, check=True)
    for path, methods in json.loads(listed.stdout.splitlines()[-1]):
        yield Route(path, tuple(methods))
