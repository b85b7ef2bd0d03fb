"""What the environment and the URI say about reaching MLflow, and what they must not say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.settings import read_settings, speaks_rest
from flowgauge.tracking.uri import TrackingUri
from stack.tls import certificate


def _refusal(uri: str, **environ: str) -> str:
    with pytest.raises(UsageError) as error:
        TrackingClient(uri, environ=environ)
    assert "hunter2" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "mlflow.example.com",
        "ftp://mlflow.example.com",
        "sqlite:///mlflow.db",
        "http://",
        "http://h:99999",
        "http://u:hunter2@h:port",
        "http://[::1",
        "http://h/?token=hunter2",
        "http://h/#experiments",
    ],
)
def test_what_is_not_the_address_of_a_server_is_refused(uri: str) -> None:
    """Anything but http(s)://HOST[:PORT][/PATH] is refused with what to give instead."""
    assert "give http://HOST:PORT or https://HOST" in _refusal(uri)


@given(st.text(max_size=40) | st.text(max_size=30).map(lambda rest: f"http://{rest}"))
def test_no_uri_gives_a_traceback(uri: str) -> None:
    """Whatever stands in the URI, it is accepted or answered with one sentence."""
    try:
        TrackingClient(uri, environ={}).close()
    except FlowgaugeError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is fine


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"MLFLOW_TRACKING_INSECURE_TLS": "maybe"}, "set it to true or false"),
        (
            {"MLFLOW_TRACKING_INSECURE_TLS": "1", "MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca.pem"},
            "contradict",
        ),
        ({"MLFLOW_TRACKING_TOKEN": "hunter2\nx"}, "MLFLOW_TRACKING_TOKEN holds characters"),
        ({"MLFLOW_WORKSPACE": "größe"}, "MLFLOW_WORKSPACE holds characters"),
        ({"FLOWGAUGE_MLFLOW_HEADERS": "X-Key: hunter2"}, "FLOWGAUGE_MLFLOW_HEADERS must be a JSON"),
        ({"FLOWGAUGE_MLFLOW_HEADERS": '["hunter2"]'}, "FLOWGAUGE_MLFLOW_HEADERS must be a JSON"),
        ({"FLOWGAUGE_MLFLOW_HEADERS": '{"X-Key": 2}'}, "FLOWGAUGE_MLFLOW_HEADERS must be a JSON"),
        ({"FLOWGAUGE_MLFLOW_HEADERS": '{"X: Y": ""}'}, "FLOWGAUGE_MLFLOW_HEADERS must be a JSON"),
        ({"FLOWGAUGE_MLFLOW_HEADERS": '{"X": "a\\nb"}'}, "FLOWGAUGE_MLFLOW_HEADERS must be a JSON"),
        ({"MLFLOW_TRACKING_AUTH": "kubernetes"}, "MLFLOW_TRACKING_AUTH asks for a plugin"),
        ({"MLFLOW_TRACKING_AWS_SIGV4": "true"}, "MLFLOW_TRACKING_AWS_SIGV4 asks for a plugin"),
        ({"MLFLOW_TRACKING_SERVER_CERT_PATH": "/missing.pem"}, "/missing.pem cannot be loaded"),
        ({"REQUESTS_CA_BUNDLE": "/missing.pem"}, "/missing.pem cannot be loaded"),
        ({"MLFLOW_TRACKING_CLIENT_CERT_PATH": "/missing.pem"}, "client certificate in /missing"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(environ: dict[str, str], said: str) -> None:
    """A setting that is wrong, or that only MLflow's own client can follow, is named."""
    assert said in _refusal("https://mlflow.example.com", **environ)


def test_certificates_may_be_a_file_a_folder_and_a_pair(folder: Path) -> None:
    """A CA file, a folder of CAs and a client certificate with its key are loaded."""
    files = certificate(folder)
    for trusted in (files.cert, folder):
        environ = {
            "MLFLOW_TRACKING_SERVER_CERT_PATH": str(trusted),
            "MLFLOW_TRACKING_CLIENT_CERT_PATH": str(files.both),
        }
        TrackingClient("https://mlflow.example.com", environ=environ).close()


def test_a_malformed_file_of_logins_is_named(folder: Path) -> None:
    """A ~/.mlflow/credentials that is no INI file is named, without what it holds."""
    (folder / ".mlflow").mkdir()
    (folder / ".mlflow" / "credentials").write_text("password hunter2")
    assert ".mlflow/credentials cannot be read" in _refusal("http://h", HOME=str(folder))


def test_rest_is_spoken_to_http_without_plugins() -> None:
    """Only http(s) without one of MLflow's plugins for logins can be reached over REST."""
    assert speaks_rest("HTTPS://h", {})
    assert speaks_rest("http://h", {"MLFLOW_TRACKING_AWS_SIGV4": "false"})
    assert not speaks_rest("http://h", {"MLFLOW_TRACKING_AUTH": "kubernetes"})
    assert not speaks_rest("sqlite:///x.db", {})


def test_what_is_shown_of_them_has_no_login() -> None:
    """A traceback may show them: neither the URI's login nor the headers' is in it."""
    settings = read_settings("http://me:hunter2@mlflow", {"MLFLOW_TRACKING_TOKEN": ""})
    uri = TrackingUri("http://me:hunter2@mlflow", "the caller", '{"Authorization": "hunter2"}')
    assert "hunter2" not in repr((settings, uri))
    assert "mlflow" in repr(settings)
    assert "the caller" in repr(uri)
