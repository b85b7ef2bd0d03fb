"""Secrets planted wherever a DAG may find them: nothing that Airflow or MLflow keeps holds one."""

import json
import os
import re
import sqlite3
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from flowgauge.store import open_store
from stack import dag_test
from stack.airflow import AIRFLOW_PYTHON, airflow_home
from stack.mlflow import MlflowServer, mlflow_server
from stack.process import wait_for
from stack.relay import relay
from tests.airflow.faulty_mlflow import answering
from tests.airflow_versions.gate import gated

pytestmark = [pytest.mark.timeout(600), pytest.mark.whole_system(seconds=70)]

_UNLIMITED = {"FLOWGAUGE_RATE_LIMITS": '{"mlflow_api": {"max_calls": 100000}}'}
_DAGS = Path(__file__).parent / "planted_dags"
_NOWHERE = "127.0.0.1:1"
_URI, _STORE, _PROXY = "MLFLOW_TRACKING_URI", "FLOWGAUGE_STORE", "HTTP_PROXY"
_CONNECTION = "AIRFLOW_CONN_MLFLOW_DEFAULT"
# What the author of the DAG has MLflow keep, and what nothing can be made of.
_RIGHT, _WRONG = "s3cr3t-right", "s3cr3t-wrong"


def _places(gate: str, refusing: str) -> Mapping[str, Mapping[str, str]]:
    """Return what is set in each place: logins that are right and wrong, and slips of the pen.

    *gate* lets nobody in without its headers and repeats what it was sent, *refusing* refuses all.
    """
    host, _, port = gate.removeprefix("http://").partition(":")
    right = {"host": host, "port": int(port), "extra": {"token": "s3cr3t-token"}}
    login = {"host": host, "port": int(port), "login": "me", "password": "s3cr3t-password"}
    headers = {"extra": {"secret_headers": '{"X Key": "s3cr3t-headers"}'}}
    redirect = f"{refusing}/?token=s3cr3t-query"
    return {
        "connection": {_CONNECTION: json.dumps({"conn_type": "mlflow", **right})},
        "wrong_login": {_CONNECTION: json.dumps({"conn_type": "mlflow", **login})},
        "wrong_headers": {_CONNECTION: json.dumps({"conn_type": "http", **login, **headers})},
        "variable": {"AIRFLOW_VAR_MLFLOW_TRACKING_URI": f"http://u:s3cr3t-variable@{_NOWHERE}"},
        "slash": {_URI: f"http://u:s3cr3t-slash/s3cr3t-slashed@{_NOWHERE}"},
        "port": {_URI: "http://u:s3cr3t-port@host:port"},
        "bare": {_URI: f"u:s3cr3t-bare@{_NOWHERE}"},
        "one_slash": {_URI: f"http:/u:s3cr3t-one@{_NOWHERE}"},
        "databricks": {_URI: "databricks://u:s3cr3t-bricks@host"},
        "answer": {_URI: redirect, "MLFLOW_TRACKING_TOKEN": "s3cr3t-given"},
        "environment": {
            _URI: gate,
            "MLFLOW_TRACKING_USERNAME": "u",
            "MLFLOW_TRACKING_PASSWORD": "s3cr3t-environment",
            "FLOWGAUGE_MLFLOW_HEADERS": '{"Authorization: s3cr3t-header": 1}',
        },
        "proxy": {_URI: "http://mlflow.example", _PROXY: f"http://u:s3cr3t-proxy@{_NOWHERE}"},
        "odd_proxy": {_URI: "http://mlflow.example", _PROXY: "http://u:s3cr3t-odd/s3cr3t@h"},
        "redis": {_STORE: f"redis://u:s3cr3t-redis@{_NOWHERE}/0"},
        "redis_slash": {_STORE: f"redis://:s3cr3t/s3cr3t-file@{_NOWHERE}/0"},
        "postgres": {_STORE: f"postgresql://u:s3cr3t-postgres@{_NOWHERE}/d"},
        "dsn": {_STORE: "host=127.0.0.1 password=s3cr3t-dsn dbname=d"},
        "limits": {"FLOWGAUGE_RATE_LIMITS": '{"planted": {"token=s3cr3t-limit": 1}}'},
        "limits_key": {"FLOWGAUGE_RATE_LIMITS": '{"redis://u:s3cr3t-limits@h": {}}'},
        "delivery": {"FLOWGAUGE_DELIVERY": "password=s3cr3t-delivery"},
    }


_ANSWER = "(psycopg2) host=db password=s3cr3t-answer failed, postgresql://u:s3cr3t-answered@db"


_SECRET = re.compile(r"s3cr3t-[a-z]+")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}){4,}")


def _secrets_in(text: str) -> set[str]:
    """Return the secrets in *text*, as they are or in base64."""
    decoded = (b64decode(match[0]).decode("latin-1") for match in _BASE64.finditer(text))
    return {secret for each in (text, *decoded) for secret in _SECRET.findall(each)}


@dataclass(frozen=True)
class Left:
    """What a run of the DAG left, and the relay that sent what was kept."""

    output: str
    home: Path
    store: Path
    mlflow: MlflowServer
    relayed: str


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    """The DAG was run to its end, and the relay has sent some of what was kept."""
    folder = tmp_path_factory.mktemp("planted")
    home, store = folder / "airflow", folder / "store.db"
    with (
        mlflow_server(folder / "mlflow") as server,
        gated(server.url, {"Authorization": "Bearer s3cr3t-token"}) as gate,
        answering(400, _ANSWER, {"Location": "/?token=s3cr3t-location"}) as (refusing, _),
    ):
        env = {
            "AIRFLOW__CORE__HIDE_SENSITIVE_VAR_CONN_FIELDS": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "FLOWGAUGE_ENVIRONMENTS": str(folder),
            **_UNLIMITED,
            "FLOWGAUGE_STORE": f"sqlite:///{store}",
            "PLANTED": json.dumps(_places(gate, refusing)),
            "PLANTED_PAYLOADS": json.dumps({"right": _RIGHT, "wrong": _WRONG}),
        }
        output = _run(airflow_home(home, _DAGS, env=env, python=AIRFLOW_PYTHON))
        relayed = _relayed(folder, server.url, f"sqlite:///{store}", home)
        yield Left(output, home, store, server, relayed)


def _run(env: Mapping[str, str]) -> str:
    """Run the DAG; return what its tasks and Airflow wrote."""
    result = Path(env["AIRFLOW_HOME"], "runs.json")
    arguments = [dag_test.__file__, str(_DAGS), json.dumps([("planted", {})]), str(result)]
    done = subprocess.run(
        [AIRFLOW_PYTHON, *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
    return f"{done.stdout}\n{done.stderr}"


def _relayed(folder: Path, url: str, store: str, home: Path) -> str:
    """Have the relay send what was kept; return its log and its page."""
    login = url.replace("//", "//u:s3cr3t-relay@")
    env = {**_UNLIMITED, "AIRFLOW_HOME": str(home)}
    with closing(open_store(store, timeout_seconds=60)) as opened:
        kept = opened.outbox.state().entries
    with (
        relay(folder / "relay", mlflow_uri=login, store=store, env=env) as sending,
        closing(open_store(store, timeout_seconds=60)) as opened,
    ):
        wait_for(lambda: opened.outbox.state().entries < kept, "the relay has sent some")
        page = httpx.get(f"{sending.url}/metrics").raise_for_status().text
        return page + sending.log.read_text()


def _rows(database: Path) -> Mapping[str, str]:
    """Return all that the tables of a SQLite file hold, as text."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.text_factory = lambda text: text.decode(errors="replace")
        named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: "\n".join(map(str, connection.execute(f'SELECT * FROM "{name}"')))
            for (name,) in named
        }


def test_no_log_holds_one(left: Left) -> None:
    """Neither what tasks log at level DEBUG, nor what Airflow writes beside it, nor the relay's."""
    assert "MLflow did not take the payload" in left.output
    assert "lets calls through uncounted" in left.output
    assert "the task goes on without" in left.output
    logs = {str(log): log.read_text() for log in left.home.rglob("*.log")}
    logs |= {"output": _without_airflows_own(left.output), "relay": left.relayed}
    assert _leaks(logs) == {}


def _without_airflows_own(output: str) -> str:
    """Leave out what, at level DEBUG, Airflow says it masks, and urllib3 that it asks."""
    own = ("MaskSecret(", '"GET /?token=')
    return "\n".join(line for line in output.splitlines() if not any(each in line for each in own))


def test_airflows_database_holds_none(left: Left) -> None:
    """No XCom, rendered template, Variable or other row, whoever may see them."""
    rows = _rows(left.home / "airflow.db")
    assert "mlflow_run_url" in rows["xcom"]
    assert "AIRFLOW_CTX_DAG_ID" in rows["rendered_task_instance_fields"]
    assert "rate_limit:planted" in rows["variable"]
    assert _leaks(rows) == {}


def test_mlflow_holds_none_but_what_was_logged(left: Left) -> None:
    """No tag, parameter, name or other row, but the parameter that is a secret by its author."""
    rows = _rows(left.mlflow.log.parent / "mlflow.db")
    assert "flowgauge.altered" in rows["tags"]
    assert _leaks(rows) == {"params": {_RIGHT}}
    assert _leaks({"log": left.mlflow.log.read_text()}) == {}


def test_the_store_holds_none_but_what_waits(left: Left) -> None:
    """Payloads wait there as they are; logins and answers do not."""
    rows = _rows(left.store)
    assert set().union(*_leaks(rows).values()) <= {_RIGHT, _WRONG}


def _leaks(texts: Mapping[str, str]) -> Mapping[str, set[str]]:
    return {where: found for where, text in texts.items() if (found := _secrets_in(text))}
