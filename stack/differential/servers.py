"""Two servers that differ in nothing but flowgauge."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from stack.language_model import language_model
from stack.mlflow import MlflowServer, accounts, mlflow_server
from stack.oidc import identity_provider, oidc_account, oidc_login
from stack.process import LOOPBACK, answers, free_port

__all__ = ["SETUPS", "Pair", "Route", "Setup", "Surroundings", "both"]

_ADMIN = ("boss", "correct horse battery")

_MEASURED = ("--app-name", "flowgauge")
# What MLflow's own command tells its workers, so that `routes` sees what they serve.
_PREFIX_VARIABLE = "_MLFLOW_STATIC_PREFIX"


@dataclass(frozen=True)
class Surroundings:
    """What both servers find: *env*, by the folder of each, who may log in, a language model."""

    env: Callable[[Path], Mapping[str, str]] = lambda _: {}
    login: tuple[str, str] | None = None
    provider: str | None = None


@dataclass(frozen=True)
class Setup:
    """How MLflow is started: the name of its login, options, what is around it."""

    app: str | None = None
    options: tuple[str, ...] = ()
    prefix: str = ""
    jobs: bool = False
    surroundings: Callable[[Path], AbstractContextManager[Surroundings]] = field(
        default=lambda _: nullcontext(Surroundings())
    )


@dataclass(frozen=True)
class Route:
    """A path, its parameters filled in, and what it is meant for."""

    path: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Pair:
    """The bare server and the measured one, the routes that both have, and where they begin.

    *login* is an administrator's, *provider* the address of a language model, where there is one.
    """

    bare: MlflowServer
    measured: MlflowServer
    routes: tuple[Route, ...]
    prefix: str
    login: tuple[str, str] | None = None
    provider: str | None = None


def _basic_auth(_: Path) -> AbstractContextManager[Surroundings]:
    return nullcontext(Surroundings(lambda folder: accounts(folder, _ADMIN), _ADMIN))


@contextmanager
def _oidc_auth(folder: Path) -> Iterator[Surroundings]:
    """Make one account, and give both servers a copy of it: its token is random."""
    name = _ADMIN[0]
    with identity_provider() as provider:
        made = oidc_login(provider, folder)
        token = oidc_account(made, name)

        def env(own: Path) -> Mapping[str, str]:
            if not (own / "users.db").exists():
                shutil.copy(folder / "users.db", own / "users.db")
            return oidc_login(provider, own)

        yield Surroundings(env, (name, token))


@contextmanager
def _gateway(_: Path) -> Iterator[Surroundings]:
    env = {
        "MLFLOW_CRYPTO_KEK_PASSPHRASE": "of both",
        "MLFLOW_GATEWAY_API_BASE_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS": "true",
    }
    with language_model() as provider:
        yield Surroundings(lambda _: env, provider=provider.url)


SETUPS: dict[str, Setup] = {
    "plain": Setup(),
    "static-prefix": Setup(options=("--static-prefix", "/some/where"), prefix="/some/where"),
    "basic-auth": Setup(app="basic-auth", surroundings=_basic_auth),
    "oidc-auth": Setup(app="oidc-auth", surroundings=_oidc_auth),
    "gateway": Setup(surroundings=_gateway),
    "jobs": Setup(jobs=True),
}
"""By name; `oidc-auth` needs mlflow-oidc-auth, which `make differential-oidc` brings."""


@contextmanager
def both(folder: Path, setup: Setup) -> Iterator[Pair]:
    """Run a bare MLflow and a measured one side by side, data and home in folders of their own."""
    app = ("--app-name", setup.app) if setup.app else ()
    with setup.surroundings(folder) as found:

        def server(name: str, *options: str) -> AbstractContextManager[MlflowServer]:
            own = folder / name
            own.mkdir(parents=True, exist_ok=True)
            return _server(own, setup, (*app, *options), _environment(own, found))

        with server("bare") as bare, server("ours", *_MEASURED) as measured:
            environ = _environment(folder / "bare", found)
            routes = tuple(_routes(environ, setup))
            yield Pair(bare, measured, routes, setup.prefix, found.login, found.provider)


@contextmanager
def _server(
    folder: Path, setup: Setup, app: tuple[str, ...], env: Mapping[str, str]
) -> Iterator[MlflowServer]:
    port = free_port()
    health = f"http://{LOOPBACK}:{port}{setup.prefix}/health"
    with mlflow_server(
        folder,
        options=(*setup.options, *app),
        env=env,
        port=port,
        jobs=setup.jobs,
        ready=lambda: answers(health),
    ) as server:
        yield server


def _environment(folder: Path, found: Surroundings) -> dict[str, str]:
    # MLflow's assistant keeps its settings at home.
    return {"HOME": str(folder), **found.env(folder)}


def _routes(environ: Mapping[str, str], setup: Setup) -> Iterator[Route]:
    env = {**environ, "PATH": "/usr/bin:/bin"}
    if setup.prefix:
        env[_PREFIX_VARIABLE] = setup.prefix
    command = [sys.executable, "-m", "stack.differential.routes", setup.app or ""]
    checkout = Path(__file__).parents[2]
    listed = subprocess.run(command, env=env, cwd=checkout, capture_output=True, check=True)
    for path, methods in json.loads(listed.stdout.splitlines()[-1]):
        yield Route(path, tuple(methods))
