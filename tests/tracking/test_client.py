"""The client against a real MLflow, and against what stands in its way."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import pytest

from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import (
    TrackingError,
    TrackingNotMlflowError,
    TrackingRejectedError,
    TrackingUnauthorizedError,
    TrackingUnavailableError,
    TrackingUnreachableError,
)
from flowgauge.tracking.queries import Queries
from stack.guarded import GuardedMlflow
from stack.mlflow import MlflowServer
from stack.process import wait_for
from stack.unwell import canned_server, raw_server

SEARCH = ("GET", "experiments/search", {"max_results": 1})


def _trusted(guarded: GuardedMlflow, **more: str) -> dict[str, str]:
    return {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(guarded.certificate.cert), **more}


def _failure(url: str, environ: Mapping[str, str] | None = None, seconds: float = 10) -> str:
    """Return the sentence a search on *url* ends with; it names the address and no secret."""
    with (
        TrackingClient(url, environ=environ or {}, timeout_seconds=seconds) as client,
        pytest.raises(TrackingError) as error,
    ):
        client.call(*SEARCH)
    assert client.address in str(error.value)
    assert "\n" not in str(error.value)
    assert "hunter2" not in str(error.value)
    return f"{type(error.value).__name__}: {error.value}"


def test_a_run_is_created_and_found(mlflow: MlflowServer) -> None:
    """POST sends JSON, GET sends parameters, and both return MLflow's object."""
    with TrackingClient(mlflow.url, environ={}) as client:
        experiment = client.call("POST", "experiments/create", {"name": "client ✓"})
        run = client.call("POST", "runs/create", experiment)["run"]
        found = client.call("GET", "runs/get", {"run_id": run["info"]["run_id"]})
    assert found["run"]["info"]["experiment_id"] == experiment["experiment_id"]


def test_pages_beside_the_api_are_read(mlflow: MlflowServer) -> None:
    """`text` returns what MLflow says at /version and /health."""
    with TrackingClient(f"{mlflow.url}/", environ={}) as client:
        assert client.text("/version") == version("mlflow")
        assert client.text("/health") == "OK"


def test_what_mlflow_refuses_says_why(mlflow: MlflowServer) -> None:
    """A refusal for good carries status, error code and MLflow's own words."""
    with (
        TrackingClient(mlflow.url, environ={}) as client,
        pytest.raises(TrackingRejectedError, match="0123456789") as error,
    ):
        client.call("GET", "runs/get", {"run_id": "0123456789" * 3})
    assert (error.value.status, error.value.error_code) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert "0123456789" in error.value.message


def test_tls_prefix_and_login_are_honoured(guarded: GuardedMlflow) -> None:
    """The certificate and login from the environment, and the path of the URI, lead in."""
    environ = _trusted(
        guarded,
        MLFLOW_TRACKING_USERNAME=guarded.user,
        MLFLOW_TRACKING_PASSWORD=guarded.password,
    )
    with TrackingClient(guarded.url, environ=environ) as client:
        assert client.call(*SEARCH)["experiments"]


def test_a_login_in_the_uri_wins_and_stays_hidden(guarded: GuardedMlflow) -> None:
    """A percent-encoded login in the URI wins over the environment; the address has none."""
    login = f"{guarded.user}:{guarded.password.replace(' ', '%20')}@"
    environ = _trusted(guarded, MLFLOW_TRACKING_USERNAME="x", MLFLOW_TRACKING_PASSWORD="y")
    with TrackingClient(guarded.url.replace("://", f"://{login}"), environ=environ) as client:
        assert client.call(*SEARCH)["experiments"]
        assert client.address == guarded.url


def test_a_wrong_password_says_what_to_set(guarded: GuardedMlflow) -> None:
    """A login MLflow does not accept names the variables to set, and not the password."""
    environ = _trusted(guarded, MLFLOW_TRACKING_USERNAME="a", MLFLOW_TRACKING_PASSWORD="hunter2")
    sentence = _failure(guarded.url, environ)
    assert sentence.startswith(TrackingUnauthorizedError.__name__)
    assert "MLFLOW_TRACKING_USERNAME" in sentence


def test_an_untrusted_certificate_says_what_to_set(guarded: GuardedMlflow) -> None:
    """A self-signed certificate is refused, unless TLS is declared insecure."""
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in _failure(guarded.url)
    insecure = {"MLFLOW_TRACKING_INSECURE_TLS": "true"}
    assert _failure(guarded.url, insecure).startswith(TrackingUnauthorizedError.__name__)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://mlflow.invalid:5000", "its host name does not resolve"),
        ("http://user:hunter2@127.0.0.1:1", "refuses the connection"),
    ],
)
def test_an_unreachable_server_says_which_step_failed(url: str, said: str) -> None:
    """Name resolution and a refused connection have their own wording."""
    sentence = _failure(url)
    assert sentence.startswith(TrackingUnreachableError.__name__)
    assert said in sentence


@pytest.mark.since(mlflow="3.3")  # gunicorn, which serves older ones, waits for more of it
def test_the_wrong_scheme_is_recognised(mlflow: MlflowServer, guarded: GuardedMlflow) -> None:
    """The answer to https for http, and to http for https, names the other scheme."""
    assert "use http://" in _failure(mlflow.url.replace("http:", "https:"))
    assert "want https://" in _failure(guarded.url.replace("https:", "http:"))


def test_a_foreign_server_is_recognised(mlflow: MlflowServer) -> None:
    """A path that MLflow does not serve, a login page and a redirect are not taken for MLflow."""
    assert "is not MLflow (404" in _failure(f"{mlflow.url}/elsewhere")
    with canned_server() as server:
        server.body = "<html>Sign in</html>"
        assert "is not MLflow (200" in _failure(server.url)
        server.body = "[" * 100_000
        assert "is not MLflow (200" in _failure(server.url)
        server.headers = {"Content-Encoding": "gzip"}
        assert "cannot be reached" in _failure(server.url)
        sso = "https://u:hunter2@sso.example.com/?state=hunter2"
        server.status, server.headers = 302, {"Location": sso}
        sentence = _failure(server.url)
    assert sentence.startswith(TrackingNotMlflowError.__name__)
    assert "sso.example.com" in sentence


def test_who_repeats_what_it_was_sent_is_quoted_without() -> None:
    """A login or a gateway's key is known, so it need not look like one; a DAG's name is none."""
    environ = {
        "FLOWGAUGE_MLFLOW_HEADERS": '{"X-Api-Key": "my hunter2"}',
        "MLFLOW_TRACKING_TOKEN": "hunter22",
    }
    headers = {"Flowgauge-Dag-Id": "etl"}
    with canned_server() as server, TrackingClient(server.url, environ=environ) as client:
        for said in ("my hunter2", "hunter22"):
            server.body = json.dumps({"error_code": said, "message": f"etl has no key {said}"})
            queries = Queries(client, headers=headers)
            for status in (400, 401, 403, 500, 302):
                server.status, server.headers = status, {"Location": f"/{said}"}
                with pytest.raises(TrackingError) as error:
                    queries.probe()
                assert said not in str(error.value)
                if status in {400, 403, 500}:
                    assert "etl has no key ***" in str(error.value)
            server.status = 200
            with pytest.raises(TrackingError) as error:
                queries.version()
            assert said not in str(error.value)


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


_DRAINED = (
    "(sqlalchemy.exc.TimeoutError) QueuePool limit of size 2 overflow 1 reached, "
    "connection timed out, timeout 30.00"
)


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, _DRAINED, TrackingUnavailableError),
        (408, "slow", TrackingUnavailableError),
        (429, "too many", TrackingUnavailableError),
        (500, "oops", TrackingUnavailableError),
        (503, "database gone", TrackingUnavailableError),
        (400, "bad", TrackingRejectedError),
        (401, "who", TrackingUnauthorizedError),
        (403, "Invalid Host header", TrackingUnauthorizedError),
        (413, "big", TrackingRejectedError),
    ],
)
def test_refusals_are_sorted_by_what_a_caller_can_do(
    status: int, message: str, expected: type[TrackingError]
) -> None:
    """Later, never, or with another login: the class says; a drained pool's 400 means later."""
    with canned_server() as server:
        server.status = status
        server.body = json.dumps({"error_code": "BAD_REQUEST", "message": message})
        assert _failure(server.url).startswith(f"{expected.__name__}: ")


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b" " * 9000],
    ids=["no answer", "a byte now and then"],
)
def test_the_time_out_bounds_the_whole_call(answer: bytes) -> None:
    """A server that never answers, or drips its answer, holds a call no longer than its time."""
    with raw_server(answer, pause=0.05) as url:
        started = time.monotonic()
        assert "did not answer within 0.5 s" in _failure(url, seconds=0.5)
        # The drip alone would take 450 s.
        assert time.monotonic() - started < 20
        wait_for(lambda: "mlflow-call" not in _threads(), "the thread of the call ends")


def test_a_call_may_have_its_own_time(mlflow: MlflowServer) -> None:
    """A time-out given to one call leaves the client as good as before."""
    with TrackingClient(mlflow.url, environ={}) as client:
        with pytest.raises(TrackingUnreachableError, match="within 1e-06 s"):
            client.call(*SEARCH, timeout_seconds=1e-6)
        assert client.call(*SEARCH)["experiments"]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_broken_connection_is_one_sentence(answer: bytes) -> None:
    """A server that hangs up before or within its answer is unreachable, not a traceback."""
    with raw_server(answer, hang_up=True) as url:
        assert "broke off without an answer" in _failure(url)


_THEIR_CLIENT = """
import json, os, sys
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
for line in sys.stdin:
    url, environ = json.loads(line)
    os.environ.clear()
    os.environ.update(environ)
    answer = http_request(
        get_default_host_creds(url), "/api/2.0/mlflow/experiments/search", "GET", max_retries=0
    )
    print(answer.status_code, flush=True)
"""


@pytest.fixture(scope="module")
def their_request() -> Iterator[Callable[[str, Mapping[str, str]], None]]:
    """Sends one request with MLflow's own client, to an address, in an environment."""
    with subprocess.Popen(
        [sys.executable, "-c", _THEIR_CLIENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        requests, answers = process.stdin, process.stdout

        def send(url: str, environ: Mapping[str, str]) -> None:
            requests.write(json.dumps([url, dict(environ)]) + "\n")
            requests.flush()
            assert answers.readline() == "200\n"

        yield send
        requests.close()


@pytest.mark.parametrize(
    ("environ", "saved"),
    [
        ({"MLFLOW_TRACKING_USERNAME": "ü", "MLFLOW_TRACKING_PASSWORD": "p:w"}, True),
        ({"MLFLOW_TRACKING_PASSWORD": "p"}, True),
        ({"MLFLOW_TRACKING_USERNAME": "u"}, True),
        ({"MLFLOW_TRACKING_USERNAME": "u", "MLFLOW_TRACKING_TOKEN": "t"}, False),
        ({"FLOWGAUGE_MLFLOW_HEADERS": '{"Authorization": "Bearer b"}'}, False),
        ({"FLOWGAUGE_MLFLOW_HEADERS": '{"X-MLFLOW-WORKSPACE": " w"}'}, False),
        pytest.param({"MLFLOW_WORKSPACE": "w "}, False, marks=pytest.mark.since(mlflow="3.10")),
    ],
)
def test_the_login_is_the_one_mlflow_would_send(
    their_request: Callable[[str, Mapping[str, str]], None],
    environ: dict[str, str],
    saved: bool,
    tmp_path: Path,
) -> None:
    """Variables and ~/.mlflow/credentials give the headers that MLflow's own client sends."""
    if saved:
        (tmp_path / ".mlflow").mkdir()
        (tmp_path / ".mlflow" / "credentials").write_text(
            "[mlflow]\nmlflow_tracking_username = saved\nmlflow_tracking_password = 100%%\n"
        )
    environ = {**environ, "HOME": str(tmp_path)}
    with canned_server() as server:
        their_request(server.url, environ)
        theirs = server.seen
        with TrackingClient(server.url, environ=environ) as client:
            client.call(*SEARCH)
        ours = server.seen
    for header in ("authorization", "x-mlflow-workspace"):
        assert ours.get(header) == theirs.get(header)


def test_neither_mlflow_nor_airflow_is_imported() -> None:
    """Importing the client costs a task no import of mlflow or airflow."""
    code = (
        "import sys, flowgauge.tracking.client, flowgauge.tracking.uri;"
        "print({'mlflow', 'airflow'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert out.stdout.strip() == "set()"
