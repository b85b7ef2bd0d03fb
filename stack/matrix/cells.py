"""The cells of the matrix: whose version, what is installed for it, which tests run.

Whatever a version needs beside its own name stands here, with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CELLS", "Cell", "Suite", "UnknownCellError", "choose"]


@dataclass(frozen=True)
class Suite:
    """Tests that show one thing, under the name it has in the compatibility table."""

    name: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One version of one program, and the tests that run on it.

    `version` is how the version that runs begins, or `newest`. `packages` are installed into an
    environment of the cell's own, beside flowgauge and the tests' tools: from the checkout, as a
    built `wheel`, or with the `lowest` versions of its dependencies. With a day in `as_of` they and
    what they require are of that day. `programs` are what scripts/newer-programs unpacks, the
    first before the others; what is not there is Debian's. `settings` go into the environment.
    """

    part: str
    version: str
    suites: tuple[Suite, ...]
    packages: tuple[str, ...] = ("mlflow",)
    python: str = "3.11"
    programs: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    selection: tuple[str, ...] = ()
    wheel: bool = False
    lowest: bool = False
    as_of: str = ""

    @property
    def name(self) -> str:
        """What ONLY calls it: `mlflow-3.9`."""
        return f"{self.part}-{self.version}" if self.version else self.part

    def covers(self, version: str) -> bool:
        """Return whether *version* of its part is what this cell is to run on."""
        return self.version in ("", "newest") or f"{version}.".startswith(f"{self.version}.")


class UnknownCellError(Exception):
    """A name that is neither a cell's nor a part's; the message lists both."""


def choose(only: str) -> list[Cell]:
    """Return the cells that *only* names, by cell or by part, separated by commas; all if empty.

    Raises `UnknownCellError` for a name that is neither.
    """
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    parts = dict.fromkeys(cell.part for cell in CELLS)
    for name in sorted(wanted - {cell.name for cell in CELLS} - set(parts)):
        raise UnknownCellError(
            f"no cell {name!r}: there are {', '.join(cell.name for cell in CELLS)}, "
            f"and whole families by {', '.join(parts)}."
        )
    return [cell for cell in CELLS if not wanted or wanted & {cell.name, cell.part}]


_REQUESTS = tuple(
    f"tests/server/test_server_{concern}.py"
    for concern in (
        *("client", "containment", "dags", "health", "host"),
        *("inventory", "page", "requests", "routes"),
    )
)
_PROCESSES = tuple(
    f"tests/server/test_server_{concern}.py"
    for concern in ("access", "apps", "pool", "start", "workers")
)
_SERVER_APP = Suite("server app", (*_REQUESTS, *_PROCESSES))
_BASIC_AUTH = Suite("basic-auth", ("tests/server/test_server_auth.py",))
_STOCK_SERVER = Suite("rules over `--expose-prometheus`", ("tests/rules/test_stock_server.py",))
_EXPORTER = Suite("exporter", ("tests/exporter", "tests/tracking"))
_WORKSPACES = Suite("workspaces", ("tests/exporter/test_workspaces.py",))
_DAG_SIDE = Suite(
    "DAG side",
    (
        "tests/airflow/test_log_call.py",
        "tests/airflow/test_mlflow_limits.py",
        "tests/airflow/test_outbox.py",
        "tests/airflow/test_run_context.py",
        "tests/rate_limit/test_decorator.py",
    ),
)
_AIRFLOW = Suite("DAG side, in every place where DAG code runs", ("tests/airflow_versions",))
_STORE = Suite("store", ("tests/store",))
_RATE_LIMIT = Suite(
    "rate limit",
    (
        "tests/rate_limit/test_decorator.py",
        "tests/rate_limit/test_fail_open.py",
        "tests/rate_limit/test_processes.py",
    ),
)
_POOL = Suite("pool metrics", ("tests/server/test_server_pool.py",))
_RULES = Suite("rules and their tests", ("tests/rules",))
_INCIDENTS = Suite("incidents", ("tests/incidents",))
_NOTIFICATIONS = Suite(
    "notifications", ("tests/rules/test_alertmanager.py", "tests/render/test_notifications.py")
)
_COMMANDS = Suite("commands", ("tests/cli", "tests/grafana", "tests/render"))

# MLflow before 3.10 imports a pool that SQLAlchemy 2.1 no longer has, yet allows it: without the
# pin it does not start, with flowgauge or without.
_OLD_SQLALCHEMY = "sqlalchemy<2.1"
# uvicorn's `--env-file` needs it, which later MLflows bring.
_ENV_FILE = "python-dotenv"
# MLflow's own `--expose-prometheus` needs it.
_EXPOSES = "prometheus-flask-exporter"


def _mlflow(version: str, *packages: str) -> Cell:
    wanted = "mlflow[auth]" if version == "newest" else f"mlflow[auth]=={version}.*"
    suites = (_SERVER_APP, _BASIC_AUTH, _EXPORTER, _DAG_SIDE, _STOCK_SERVER)
    return Cell("mlflow", version, suites, (wanted, _EXPOSES, *packages))


def _workspaces(version: str) -> Cell:
    """Of the versions in between: what no older one has."""
    return Cell("workspaces", version, (_WORKSPACES,), (f"mlflow=={version}.*",))


def _airflow(version: str, *packages: str, mlflow: str = "mlflow", as_of: str = "") -> Cell:
    wanted = (f"apache-airflow=={version}.*", mlflow, *packages)
    return Cell("airflow", version, (_AIRFLOW,), wanted, as_of=as_of)


def _python(version: str) -> Cell:
    server_app = Suite(_SERVER_APP.name, _REQUESTS)
    suites = (server_app, _BASIC_AUTH, _EXPORTER, _AIRFLOW, _STORE, _COMMANDS)
    packages = ("mlflow[auth]", "apache-airflow")
    return Cell("python", version, suites, packages, python=version, wheel=True)


def _postgresql(version: str, *programs: str) -> Cell:
    # What concerns other engines, the cells of Redis run.
    selection = ("-k", "postgres or pool")
    return Cell("postgresql", version, (_POOL, _STORE), programs=programs, selection=selection)


CELLS = (
    # The servers of MLflow 2 are WSGI apps, which the server app does not go around.
    Cell(
        "mlflow",
        "2.22",
        (_EXPORTER, _DAG_SIDE, _STOCK_SERVER),
        ("mlflow[auth]==2.22.*", _EXPOSES, _OLD_SQLALCHEMY),
    ),
    _mlflow("3.3.0", _OLD_SQLALCHEMY, _ENV_FILE),
    _mlflow("3.5", _OLD_SQLALCHEMY),
    _mlflow("3.9", _OLD_SQLALCHEMY),
    _mlflow("3.12"),
    _mlflow("3.15"),
    _mlflow("3.16"),
    _mlflow("3.17"),
    _mlflow("newest"),
    _workspaces("3.10"),
    _workspaces("3.11"),
    _workspaces("3.13"),
    _workspaces("3.14"),
    # Airflow 2 has SQLAlchemy 1.4, on which newer servers of MLflow do not start.
    _airflow("2.11.0", mlflow="mlflow<3.10"),
    # With the packages of today these do not start: they allow what was not there to be tried.
    # Airflow's own constraints are of the day of the release, too.
    # Without the packages of Airflow 2's UI, 3.0 shows no connection type's own form.
    _airflow("3.0", "apache-airflow-providers-fab", as_of="2025-09-30"),
    _airflow("3.1", as_of="2026-04-01"),
    _airflow("3.2", as_of="2026-08-15"),
    _airflow("3.3"),
    _python("3.11"),
    _python("3.12"),
    _python("3.13"),
    _python("3.14"),
    # Debian 12's, and sid's.
    Cell("prometheus", "2.42", (_RULES, _INCIDENTS), ("mlflow", _EXPOSES)),
    Cell("prometheus", "3", (_RULES, _INCIDENTS), ("mlflow", _EXPOSES), programs=("prometheus",)),
    Cell("alertmanager", "0.25", (_NOTIFICATIONS,)),
    Cell("alertmanager", "0.33", (_NOTIFICATIONS,), programs=("prometheus",)),
    Cell("redis", "7", (_STORE, _RATE_LIMIT)),
    Cell("redis", "8", (_STORE, _RATE_LIMIT), programs=("redis",)),
    Cell(
        "valkey",
        "9",
        (_STORE, _RATE_LIMIT),
        programs=("valkey",),
        settings={"STACK_REDIS": "valkey-server"},
    ),
    # 15 is Debian 12's, 18 sid's; npm has servers of the others, without clients.
    _postgresql("13", "postgresql-13", "postgresql"),
    _postgresql("14", "postgresql-14", "postgresql"),
    _postgresql("15"),
    _postgresql("16", "postgresql-16", "postgresql"),
    _postgresql("17", "postgresql-17", "postgresql"),
    _postgresql("18", "postgresql"),
    Cell(
        "mariadb",
        "11",
        (_POOL,),
        programs=("mariadb",),
        settings={"STACK_DATABASE": "mariadb"},
    ),
    # Python packages: the oldest that pyproject.toml allows.
    Cell("floor", "", (_EXPORTER, _DAG_SIDE, _STORE, _COMMANDS), ("mlflow[auth]",), lowest=True),
)
