import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

import flowgauge.airflow
from stack.postgres import postgres
from stack.redis import redis_server
from tests.airflow.loading import modules_after

_PACKAGE = Path(flowgauge.__file__).parent
_DOOR = _PACKAGE / "airflow" / "host"
_HEAVY = {"mlflow", "airflow", "pandas", "numpy", "redis", "sqlite3", "httpx", "pydantic"}

# All of flowgauge that a first log call for later loads, beside the engine of its store: each
# module more is time that every such task waits.
_FOR_LATER = {
    *("airflow", "background", "errors", "loading", "metrics", "parts", "redact", "store"),
    *(
        f"airflow.{name}"
        for name in (
            *("artifacts", "context", "deadline", "entry", "log", "log_call", "mlflow_limits"),
            *("payload", "reasons", "run_link", "run_options", "shared_store", "values"),
            *("host", "host.asking", "host.names", "host.running", "host.services", "host.stats"),
        )
    ),
    *(
        f"store.{name}"
        for name in (
            *("counts", "engine", "engines", "errors", "log_calls", "opening", "outbox"),
            *("private", "risks", "store", "windows"),
        )
    ),
    *("tracking", "tracking.tags"),
}
# The same of each engine.
_ENGINES: Mapping[str, set[str]] = {
    "sqlite": {
        *("at_fork", "counts", "engine", "file", "outbox", "place"),
        *("schema", "sentences", "windows"),
    },
    "redis": {"connections", "engine", "sentences", "servers", "url"},
    "postgres": {"client", "conninfo", "engine", "sentences"},
}
# What takes its time to load, of their clients too, and no task needs.
_PARTS = {
    "difflib",
    "redis",
    *("psycopg.adapt", "psycopg.connection", "psycopg.conninfo", "psycopg.cursor", "psycopg.types"),
}


def _loaded_after(statement: str) -> set[str]:
    """Return the top-level packages among them."""
    return {name.partition(".")[0] for name in modules_after(statement)}


@contextmanager
def _store(engine: str, folder: Path) -> Iterator[str]:
    match engine:
        case "redis":
            with redis_server(folder / "redis") as url:
                yield url
        case "postgres":
            with postgres(folder / "postgres") as server:
                yield server.url
        case _:
            yield f"sqlite:///{folder}/store.db"


@pytest.mark.parametrize(
    "statement",
    [
        "import flowgauge.airflow",
        "from flowgauge.airflow import log_with_mlflow",
        "from flowgauge.airflow import best_effort; best_effort()(print)",
        "from flowgauge.airflow.provider import get_provider_info; get_provider_info()",
        "from flowgauge.airflow import ExtractPayload, PayloadError, validate_payload_schema",
    ],
)
def test_a_dag_file_pays_next_to_nothing(statement: str) -> None:
    """What a DAG file imports of flowgauge loads no MLflow, Airflow, pandas, HTTP client, store."""
    assert not _loaded_after(statement) & _HEAVY


def test_importing_is_cheaper_than_an_http_client() -> None:
    """The import adds fewer modules to the parser's process than httpx alone would."""

    def modules(statement: str) -> int:
        program = f"{statement}\nimport sys\nprint(len(sys.modules))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        return int(done.stdout)

    base = modules("import importlib.metadata")
    ours = modules("from flowgauge.airflow import log_with_mlflow, validate_payload_schema") - base
    assert ours < (modules("import httpx") - base) / 3


def test_a_log_call_loads_no_mlflow(folder: Path) -> None:
    """Also the call itself gets by without MLflow, pandas, httpx' command line and Airflow."""
    call = (
        "import os\n"
        "os.environ['MLFLOW_TRACKING_URI'] = 'http://127.0.0.1:9'\n"
        f"os.environ['AIRFLOW_HOME'] = {str(folder)!r}\n"
        "from flowgauge.airflow import log_with_mlflow\n"
        "assert log_with_mlflow({'rows': 1}) is None"
    )
    heavy = {"mlflow", "airflow", "pandas", "numpy", "redis", "pydantic", "click", "rich"}
    assert not _loaded_after(call) & heavy


def test_a_log_call_for_later_loads_no_http_client(folder: Path) -> None:
    """What only writes its payload down is spared the HTTP client, TLS and all that they load."""
    call = (
        "import os\n"
        f"os.environ['AIRFLOW_HOME'] = {str(folder)!r}\n"
        "from flowgauge.airflow import log_with_mlflow\n"
        "assert log_with_mlflow({'rows': 1}, delivery='later') is None"
    )
    assert not _loaded_after(call) & {"httpx", "ssl", "asyncio", "pydantic", "yaml", "click"}


@pytest.mark.parametrize("part", ["redact", "airflow.log_call", "store", "airflow.context"])
def test_where_a_part_of_it_is_missing_a_task_goes_on(part: str, folder: Path) -> None:
    """A log call of an installation that went wrong logs an error, and returns None."""
    call = (
        "import os, sys\n"
        f"os.environ['AIRFLOW_HOME'] = {str(folder)!r}\n"
        f"sys.modules['flowgauge.{part}'] = None\n"
        "from flowgauge.airflow import log_with_mlflow\n"
        "print(log_with_mlflow({'rows': 1}))"
    )
    command = [sys.executable, "-c", call]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "None\n", done.stderr
    assert "by a defect of flowgauge's" in done.stderr


@pytest.mark.parametrize("engine", _ENGINES)
def test_a_log_call_for_later_loads_no_more_than_it_needs(engine: str, folder: Path) -> None:
    """Of flowgauge so many modules, of the store's client a part: a first call takes its time."""
    call = (
        "from flowgauge.airflow import log_with_mlflow\n"
        "assert log_with_mlflow({'rows': 1}, delivery='later') is None\n"
        "from flowgauge.store import open_store\n"
        "assert open_store().outbox.state().entries == 1"
    )
    with _store(engine, folder) as url:
        loaded = modules_after(call, FLOWGAUGE_STORE=url, AIRFLOW_HOME=str(folder))
    of_engine = {f"store.{engine}", *(f"store.{engine}.{name}" for name in _ENGINES[engine])}
    ours = {name.removeprefix("flowgauge.") for name in loaded if name.startswith("flowgauge.")}
    assert ours <= _FOR_LATER | of_engine
    assert not loaded & _PARTS


def test_unknown_names_are_unknown() -> None:
    """A name the package does not have is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'log_to_mlflow'"):
        _ = flowgauge.airflow.log_to_mlflow


def test_only_the_door_knows_airflow() -> None:
    """No module outside `flowgauge.airflow.host` imports Airflow, nor names a module of it."""
    culprits = {
        str(file.relative_to(_PACKAGE))
        for file in _PACKAGE.rglob("*.py")
        if _DOOR not in file.parents and any(map(_is_of_airflow, _names(file)))
    }
    assert culprits == set()
    assert any(_is_of_airflow(name) for file in _DOOR.glob("*.py") for name in _names(file))


def _names(file: Path) -> set[str]:
    """Return what *file* imports, and every word it could hand to `import_module`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import():
                names.update(f"{alias.name}." for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                names.add(f"{module}.")
            case ast.Call(args=elements) | ast.Tuple(elts=elements):
                constants = (each.value for each in elements if isinstance(each, ast.Constant))
                names.update(text for text in constants if isinstance(text, str))
    return names


def _is_of_airflow(name: str) -> bool:
    return name.startswith("airflow.")


# What no task calls: the pages of Airflow's server, and commands.
_NOT_IN_TASKS = {"web_link", "about", "risks"}


def test_what_a_task_loads_late_waits_for_forks() -> None:
    """What a log call loads in a function, it loads where no other thread can fork meanwhile."""
    unguarded = [
        f"{path.relative_to(_PACKAGE)}: {each.name}"
        for folder in ("airflow", "store")
        for path in (_PACKAGE / folder).rglob("*.py")
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.FunctionDef) and each.name not in _NOT_IN_TASKS
        for node in _outside_loading(each)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("flowgauge.")
    ]
    assert not unguarded


def _outside_loading(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.With) and "loading()" in map(ast.unparse, child.items):
            continue
        yield child
        yield from _outside_loading(child)
