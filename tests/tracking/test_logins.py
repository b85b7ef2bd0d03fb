"""Logins that each request works out anew, and workspaces, as MLflow's own client knows them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import TrackingUnauthorizedError
from flowgauge.tracking.logins import plugin_login
from stack.mlflow import MlflowServer
from stack.unwell import CannedServer, canned_server

SEARCH = ("GET", "experiments/search", {"max_results": 1})


@pytest.fixture
def server() -> Iterator[CannedServer]:
    """One that answers whatever it is asked, and remembers the headers."""
    with canned_server() as running:
        yield running


@pytest.fixture
def token(folder: Path) -> Path:
    """A file with a token."""
    file = folder / "token"
    file.write_text("first\n")
    return file


def test_a_token_file_is_read_at_each_request(server: CannedServer, token: Path) -> None:
    """Whoever renews the token writes the file, and nothing is restarted."""
    environ = {"FLOWGAUGE_MLFLOW_TOKEN_FILE": str(token), "MLFLOW_TRACKING_TOKEN": "old"}
    with TrackingClient(server.url, environ=environ) as client:
        client.call(*SEARCH)
        assert server.seen["authorization"] == "Bearer first"
        token.write_text("second")
        client.call(*SEARCH)
        assert server.seen["authorization"] == "Bearer second"


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), ("", "is empty"), ("a b", "more than one word")],
)
def test_a_token_file_without_a_token_is_a_login_that_is_wrong(
    server: CannedServer, token: Path, content: str | None, said: str
) -> None:
    """One sentence that names the file; MLflow is not asked, and not called down."""
    if content is None:
        token.unlink()
    else:
        token.write_text(content)
    environ = {"FLOWGAUGE_MLFLOW_TOKEN_FILE": str(token)}
    with (
        TrackingClient(server.url, environ=environ) as client,
        pytest.raises(TrackingUnauthorizedError, match=said) as error,
    ):
        client.call(*SEARCH)
    assert f"FLOWGAUGE_MLFLOW_TOKEN_FILE is '{token}'" in str(error.value)
    assert server.seen == {}


def test_a_login_in_the_uri_wins_over_the_file(server: CannedServer, token: Path) -> None:
    """As it does over MLflow's variables."""
    uri = server.url.replace("://", "://me:secret@")
    with TrackingClient(uri, environ={"FLOWGAUGE_MLFLOW_TOKEN_FILE": str(token)}) as client:
        client.call(*SEARCH)
    assert server.seen["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("plugin", "workspace"), [("kubernetes", None), ("kubernetes-namespaced", "team-a")]
)
def test_a_pods_service_account_is_a_login(
    folder: Path, plugin: str, workspace: str | None
) -> None:
    """Its token, renewed by Kubernetes, and its namespace as the workspace; without MLflow."""
    (folder / "token").write_text("first")
    (folder / "namespace").write_text("team-a")
    login, headers = plugin_login({"MLFLOW_TRACKING_AUTH": plugin}, account=folder)
    assert headers.get("X-MLFLOW-WORKSPACE") == workspace
    for words in ("first", "second"):
        (folder / "token").write_text(words)
        request = next(login.sync_auth_flow(httpx.Request("GET", "http://mlflow")))
        assert request.headers["authorization"] == f"Bearer {words}"


_PLUGIN = """
import warnings
warnings.warn("something else")
from mlflow.tracking.request_auth.abstract_request_auth_provider import RequestAuthProvider

class Provider(RequestAuthProvider):
    def get_name(self):
        return "stamp"

    def get_auth(self):
        def sign(request):
            body = len(request.body or b"")
            request.headers["X-Stamp"] = f"{request.method} {request.path_url} {body}"
            return request
        return sign
"""


def test_a_plugin_of_mlflows_client_signs_each_request(server: CannedServer, folder: Path) -> None:
    """It sees method, path and body as they are sent, as a signature for AWS has to.

    It may warn, as packages do while they are loaded, and another one be broken.
    """
    info = folder / "stamp-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stamp\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[mlflow.request_auth_provider]\nbroken = no_such:Provider\nstamp = stamp_login:Provider\n"
    )
    (folder / "stamp_login.py").write_text(_PLUGIN)
    code = (
        "import sys; from flowgauge.tracking.client import TrackingClient;"
        "TrackingClient(sys.argv[1]).call('POST', 'runs/search', {'a': 1})"
    )
    subprocess.run(
        [sys.executable, "-c", code, server.url],
        env={**os.environ, "PYTHONPATH": str(folder), "MLFLOW_TRACKING_AUTH": "stamp"},
        check=True,
        timeout=120,
    )
    sent = server.seen["content-length"]
    assert server.seen["x-stamp"] == f"POST /api/2.0/mlflow/runs/search {sent}"


@pytest.mark.since(mlflow="3.10")
def test_a_workspace_where_there_are_none_is_no_outage(mlflow: MlflowServer) -> None:
    """MLflow answers 500 then: it is told from a server that fails, with the cure."""
    with (
        TrackingClient(mlflow.url, environ={"MLFLOW_WORKSPACE": "team-a"}) as client,
        pytest.raises(TrackingUnauthorizedError, match="unset MLFLOW_WORKSPACE"),
    ):
        client.call(*SEARCH)


@pytest.mark.parametrize(
    ("status", "code", "message", "said"),
    [
        (
            400,
            "INVALID_PARAMETER_VALUE",
            "Active workspace is required. Configure a default workspace or call",
            "wants a workspace and was given none: set MLFLOW_WORKSPACE",
        ),
        (
            404,
            "RESOURCE_DOES_NOT_EXIST",
            "Workspace 'team-b' not found",
            "has no such workspace: correct MLFLOW_WORKSPACE",
        ),
    ],
)
def test_a_workspace_that_is_wanted_is_no_outage(
    server: CannedServer, status: int, code: str, message: str, said: str
) -> None:
    """Where MLflow wants one and gets none, or another, it is up: the sentence says what to set."""
    server.status = status
    server.body = json.dumps({"error_code": code, "message": message})
    with (
        TrackingClient(server.url, environ={}) as client,
        pytest.raises(TrackingUnauthorizedError, match=said),
    ):
        client.call(*SEARCH)
