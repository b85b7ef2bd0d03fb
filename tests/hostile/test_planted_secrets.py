"""Secrets are planted in all places where they may be; nothing that is shown may hold one.

A table: every place crossed with all that may repeat it. Secrets are written rightly and wrongly:
people forget the scheme, type one slash, and encode nothing.
"""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import httpx
import pytest

from flowgauge.airflow.limit_settings import limit_settings
from flowgauge.airflow.log import log_with_mlflow
from flowgauge.airflow.run_link import web_link
from flowgauge.cli.settings import settings
from stack.process import LOOPBACK, accepts, free_port, python_tool, running
from tests.airflow.faulty_mlflow import answering

# What is looked for; each password holds it on both sides of what ends a login in an address.
_SECRET = "s3cr3t"
_PASSWORDS = [f"{_SECRET}{mark}{_SECRET}" for mark in ("", "/", "#", "?", "@", ":", "%", "[", " ")]
_NOWHERE = "127.0.0.1:1"

_Show = Callable[..., str]


def _addresses(scheme: str, place: str = _NOWHERE) -> Iterator[str]:
    for password in [*_PASSWORDS, f"1234/{_SECRET}"]:
        yield f"{scheme}://u:{password}@{place}"
        yield f"{scheme}://:{password}@{place}"
    for password in (_SECRET, f"{_SECRET}/{_SECRET}"):
        yield f"{scheme}:/u:{password}@{place}"
        yield f"{scheme}:///u:{password}@{place}"
        yield f"u:{password}@{place}"
        yield f"{scheme}://{password}@{place}"
        yield f"{scheme}://[u:{password}@{place}"
        yield f"{scheme}://u:{password}@host:port"
        yield f"{scheme}://u:{password}@{'x' * 300}.example"
        yield f"{scheme}://u:{password}@ex\u00e4mple..com"
        yield f" {scheme}://u:{password}@{place}"
        yield f"{scheme.upper()}://u:{password}@{place}"
    yield f"{scheme}://{place}/?token={_SECRET}"
    yield f"{scheme}://{place}/?password={_SECRET}#access_token={_SECRET}"


_ASKS_MLFLOW = (
    ["runs", "close-stale"],
    ["check", "--skip", "exporter"],
    ["outbox", "flush"],
    ["config", "--output", "json"],
)
_ASKS_STORE = (
    ["outbox", "list", "--output", "json"],
    ["outbox", "retry", "--all"],
    ["outbox", "drop", "--yes", "x"],
    ["rate-limit", "show"],
    ["rate-limit", "set", "api", "--max-calls", "1", "--window-seconds", "1"],
    ["rate-limit", "reset", "api"],
    ["rate-limit", "unset", "api"],
    ["config"],
    ["store", "init"],
    ["store", "recover"],
    ["check", "--skip", "exporter"],
)


@pytest.mark.parametrize("address", [*_addresses("http")])
def test_of_the_tracking_uri(shown: _Show, address: str) -> None:
    """However it is written, a login in the tracking URI is shown by no command."""
    for command in _ASKS_MLFLOW:
        assert _SECRET not in shown(*command, MLFLOW_TRACKING_URI=address)
    assert _SECRET not in shown("runs", "close-stale", "--mlflow-uri", address)


@pytest.mark.parametrize("address", [*_addresses("databricks"), *_addresses("postgresql")])
def test_of_a_tracking_uri_that_is_no_server(shown: _Show, address: str) -> None:
    """Nor one that only MLflow's own client understands."""
    for command in (["runs", "close-stale"], ["check", "--skip", "exporter"]):
        assert _SECRET not in shown(*command, MLFLOW_TRACKING_URI=address)


@pytest.mark.parametrize("address", [*_addresses("http")])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_of_a_proxy(shown: _Show, name: str, address: str) -> None:
    """A proxy's login is not shown, whether or not it can be understood."""
    uri = "http://mlflow.example:5000"
    for command in _ASKS_MLFLOW[:2]:
        assert _SECRET not in shown(*command, MLFLOW_TRACKING_URI=uri, **{name: address})
    grafana = ["dashboards", "import", "--grafana-url", "http://grafana.example:3000"]
    assert _SECRET not in shown(*grafana, "--token", "t", **{name: address})


@pytest.mark.parametrize(
    "address",
    [
        *_addresses("redis"),
        *_addresses("unix", "/tmp/no.sock"),
        f"redis+sentinel://u:{_SECRET}/{_SECRET}@{_NOWHERE}/m",
        *_addresses("postgresql", f"{_NOWHERE}/d"),
        *(each for each in _addresses("sqlite") if "///" not in each),
        f"redis://{_NOWHERE}/0?password={_SECRET}&db=x",
        f"redis://{_NOWHERE}/0?ssl_password={_SECRET}",
        f"postgresql://{_NOWHERE}/d?password={_SECRET}&sslmode=x",
        f"postgresql://u:{_SECRET}%zz@{_NOWHERE}/d",
        f"host=127.0.0.1 password={_SECRET} dbname=d",
    ],
)
def test_of_the_store(shown: _Show, address: str) -> None:
    """A login of the store, and a secret among its options, is shown by no command."""
    for command in _ASKS_STORE:
        assert _SECRET not in shown(*command, FLOWGAUGE_STORE=address)


@pytest.mark.parametrize("address", [*_addresses("https")])
def test_of_a_setting_in_the_place_of_another(shown: _Show, address: str) -> None:
    """What is set is shown without a login, whichever variable it is in, and read by nobody."""
    names = [setting.name for setting in settings()]
    everywhere = dict.fromkeys((*names, "FLOWGAUGE_NO_SETTING"), address)
    for output in ("text", "json"):
        assert _SECRET not in shown("config", "--output", output, **everywhere)


@pytest.mark.parametrize("address", [*_addresses("https")])
def test_of_other_servers(shown: _Show, address: str) -> None:
    """A login of Grafana, of Prometheus, of the exporter's page."""
    grafana = ["dashboards", "import", "--grafana-url", address]
    assert _SECRET not in shown(*grafana, "--token", _SECRET)
    check = ["check", "--skip", "store", "--exporter-url", address, "--prometheus-url", address]
    assert _SECRET not in shown(*check, "--output", "json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_TRACKING_TOKEN", f"{_SECRET}\u00e4"),
        ("MLFLOW_TRACKING_TOKEN", f"{_SECRET}\nx"),
        ("MLFLOW_TRACKING_INSECURE_TLS", _SECRET),
        ("FLOWGAUGE_MLFLOW_HEADERS", f'{{"Authorization": "{_SECRET}'),
        ("FLOWGAUGE_MLFLOW_HEADERS", f'{{"Authorization": ["{_SECRET}"]}}'),
        ("FLOWGAUGE_MLFLOW_HEADERS", _SECRET),
        ("GRAFANA_TOKEN", f"{_SECRET} x"),
        ("FLOWGAUGE_WEB_LISTEN_ADDRESS", f"http://u:{_SECRET}@h:80"),
        ("FLOWGAUGE_WEB_TELEMETRY_PATH", f"http://u:{_SECRET}@h:80/"),
    ],
)
def test_of_other_settings(shown: _Show, name: str, value: str) -> None:
    """What cannot be used is not repeated where it may be a secret."""
    environ = {name: value}
    for command in (
        ["runs", "close-stale"],
        ["check", "--skip", "exporter"],
        ["dashboards", "import", "--grafana-url", f"http://{_NOWHERE}"],
    ):
        assert _SECRET not in shown(*command, **environ)
    if "_WEB_" in name:
        assert _SECRET not in shown("exporter", **environ)


_DSN = f"(psycopg2) host=db user=u password={_SECRET} failed, postgresql://u:{_SECRET}@db"
_ANSWERS: list[tuple[int, str, dict[str, str]]] = [
    (302, "", {"Location": f"https://login.example/?code={_SECRET}&state={_SECRET}"}),
    (302, "", {"Location": f"https://u:{_SECRET}@login.example/#access_token={_SECRET}"}),
    (302, "", {"Location": f"//u:{_SECRET}/{_SECRET}@login.example/"}),
    (302, "", {"Location": f"http://login.example:{_SECRET}/"}),
    (302, "", {"Location": f"/login;token={_SECRET}"}),
    *((status, f'{{"error_code": "X", "message": "{_DSN}"}}', {}) for status in (400, 403, 500)),
    *((status, _DSN, {}) for status in (200, 400, 401, 404, 413, 502)),
    (400, f'{{"error_code": "token={_SECRET}", "message": "unknown token given-{_SECRET}"}}', {}),
    (503, f"no such user: Basic dTpnaXZlbi1zM2NyM3Q= given-{_SECRET}", {}),
    (200, f'{{"version": "token={_SECRET}"}}', {}),
    (200, "x", {"Content-Encoding": f"token={_SECRET}"}),
    (200, "[" * 100_000, {}),
]


@pytest.mark.parametrize(("status", "content", "headers"), _ANSWERS)
def test_of_answers(shown: _Show, status: int, content: str, headers: dict[str, str]) -> None:
    """What a server says of its database, its login or ours is repeated without the secrets."""
    with answering(status, content, headers) as (url, _):
        own = {
            "MLFLOW_TRACKING_URI": url.replace("//", f"//u:given-{_SECRET}@"),
        }
        token = {"MLFLOW_TRACKING_URI": url, "MLFLOW_TRACKING_TOKEN": f"given-{_SECRET}"}
        for environ in (own, token):
            for command in _ASKS_MLFLOW[:2]:
                assert _SECRET not in shown(*command, **environ)
        grafana = ["dashboards", "import", "--grafana-url", url, "--token", f"given-{_SECRET}"]
        assert _SECRET not in shown(*grafana)
        check = ["check", "--exporter-url", url, "--prometheus-url", url]
        assert _SECRET not in shown(*check)


@contextmanager
def _repeating(answer: str) -> Iterator[str]:
    """Answer whatever comes with *answer*, in it what came, on one line; yield where."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            while came := self.request.recv(65536):
                said = " ".join(came.decode(errors="replace").split())
                self.request.sendall(f"{answer.format(said)}\r\n".encode())

    with ThreadingTCPServer((LOOPBACK, 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            yield f"{LOOPBACK}:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("answer", ["-ERR no {}", "-NOPERM {}", "-FLOWGAUGE {}", "500 {}?", "+{}"])
@pytest.mark.parametrize(
    "address",
    [
        "redis://u:{0}@{1}/0",
        "redis+cluster://:{0}@{1}",
        "redis+sentinel://u:{0}@{1}/m",
        "redis+sentinel://{1}/m?sentinel_password={0}",
    ],
)
def test_of_a_server_that_repeats_its_login(shown: _Show, address: str, answer: str) -> None:
    """What is taken for a Redis may be a server of another kind that says what it did not know."""
    with _repeating(answer) as place:
        for command in _ASKS_STORE:
            assert _SECRET not in shown(*command, FLOWGAUGE_STORE=address.format(_SECRET, place))


_FILES = [
    f"domains: {{mlflow: 'http://u:{_SECRET}/{_SECRET}@h'}}",
    f"domains: {{mlflow: 'u:{_SECRET}@h'}}",
    f"domains: {{mlflow: h, password: {_SECRET}}}",
    f"domains: {{mlflow: h, 'password={_SECRET}': x}}",
    f"domains: {{mlflow: h}}\nstore: redis://:{_SECRET}@h",
    f"domains: {{mlflow: h}}\nstore: redis://h?password={_SECRET}",
    f"domains: {{mlflow: h}}\nstore: '{_SECRET}'",
    f"domains: {{mlflow: h}}\nprometheus: {{mlflow: {{credentials: {_SECRET}}}}}",
    f"domains: {{mlflow: h}}\nprometheus: {{remote_write: [{{credentials: {_SECRET}}}]}}",
    f"domains: {{mlflow: h}}\nreceivers: {{page: {{slack: {{api_url: 'https://h/{_SECRET}'}}}}}}",
    f"domains: {{mlflow: h}}\nreceivers: {{page: {{webhook: {{url: 'https://u:{_SECRET}@h'}}}}}}",
    f"domains: {{mlflow: h}}\nalerts: {{MLflowDown: {{threshold: 'password={_SECRET}'}}}}",
    f"domains: {{mlflow: h}}\npassword: !{_SECRET} x",
    f"domains: {{mlflow: h}}\npassword: *{_SECRET}",
    f"domains: {{mlflow: h}}\ntoken={_SECRET}: 1\ntoken={_SECRET}: 2",
    f"domains: {{mlflow: h}}\npassword: {_SECRET}: x",
    f"domains: {{mlflow: h}}\npassword: '{_SECRET}",
    f'domains: {{mlflow: h}}\npassword: "\\{_SECRET}"',
    f"password: @{_SECRET}",
    f"password: %{_SECRET}",
    f"%{_SECRET}\n---\nx: 1",
    f"- {_SECRET}",
    _SECRET,
]


@pytest.mark.parametrize("text", _FILES, ids=range(len(_FILES)))
def test_of_files(shown: _Show, folder: Path, text: str) -> None:
    """A file that is wrong is not quoted; one that is right is rendered without any secret."""
    (folder / "environments").mkdir()
    (folder / "environments" / "dev.yaml").write_text(text)
    web = folder / "web.yml"
    web.write_text(text.replace("domains: {mlflow: h}\n", "basic_auth_users: {u: x}\n"))
    rules = folder / "rules.yaml"
    rules.write_text(text)
    for command in (
        ["render", "--env", "dev"],
        ["check", "--skip", "exporter"],
        ["exporter", "--web.config.file", str(web)],
        ["relay", "--web.config.file", str(web)],
        ["check-rules", "--rules", str(rules), "--tests", str(rules)],
    ):
        assert _SECRET not in shown(*command), command
    for rendered in (folder / "build").rglob("*"):
        assert not rendered.is_file() or _SECRET.encode() not in rendered.read_bytes()


_PAYLOADS: list[dict[str, object]] = [
    {"rows": _SECRET, "null_rate": _SECRET, "path": 3, "checksum": [_SECRET]},
    {"metrics": {"password": _SECRET, "b": [_SECRET], "c": {"d": _SECRET}}},
    {"metrics": _SECRET, "params": _SECRET},
    {"rowz": f"postgresql://u:{_SECRET}@h", f"row_token={_SECRET}": 1},
    {"params": {"a": object(), "b": {_SECRET: {_SECRET}}}},
]


@pytest.mark.parametrize("payload", [*_PAYLOADS, _SECRET], ids=range(len(_PAYLOADS) + 1))
def test_of_payloads(
    shown: _Show, folder: Path, payload: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    """What is wrong with a payload is said without its values, which are shown on request alone."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FLOWGAUGE_STORE", f"sqlite:///{folder}/store.db")
        options = {"status": _SECRET, "start_time": _SECRET, "once": _SECRET, "step": _SECRET}
        log_with_mlflow(payload, tags=_SECRET, **options)  # type: ignore[arg-type]
        assert caplog.text
        assert _SECRET not in caplog.text
        # Neither the store nor the spool can be written.
        (folder / "flowgauge-spool").write_text("no folder")
        patched.setenv("FLOWGAUGE_STORE", f"sqlite:///{folder}/flowgauge-spool/store.db")
        log_with_mlflow(payload)
        assert _SECRET not in caplog.text
    for command in (["outbox", "list"], ["outbox", "list", "--output", "json"]):
        assert _SECRET not in shown(*command)
    entries = json.loads(_json_in(shown("outbox", "list", "--output", "json", "--bodies")))
    for entry in entries:
        written = json.loads(entry["body"])
        assert _SECRET not in str(written.get("tags", {}).get("flowgauge.altered", ""))


def test_of_defects(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A defect of ours is told with its traceback, and without what the exceptions in it repeat."""

    def fail(_: object) -> None:
        raise RuntimeError(_DSN) from ValueError(f"postgresql://u:{_SECRET}@h")

    monkeypatch.setattr("flowgauge.airflow.log_call.read_payload", fail)
    assert log_with_mlflow({"rows": 1}) is None
    assert "RuntimeError" in caplog.text
    assert "ValueError" in caplog.text
    assert _SECRET not in caplog.text


@pytest.mark.parametrize("name", ["planted", f"redis://u:{_SECRET}@h", f"token={_SECRET}"])
@pytest.mark.parametrize("fields", ["{}", "1", f'{{"token={_SECRET}": 1}}', f'"{_SECRET}"'])
def test_of_rate_limits(name: str, fields: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the name of a limit nor its fields are repeated as they stand."""
    assert limit_settings({"FLOWGAUGE_RATE_LIMITS": f'{{"{name}": {fields}}}'}) == {}
    assert "FLOWGAUGE_RATE_LIMITS is ignored" in caplog.text
    assert _SECRET not in caplog.text


def test_of_links(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What keeps a link from being found is told at level DEBUG without the login."""
    caplog.set_level(logging.DEBUG)
    promise = 'mlflow-runs:{"experiments": ["e"], "tags": {"airflow.dag_id": "d"}}'
    for address in _addresses("http"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert web_link(promise) == ""
    assert "No link to a run in MLflow" in caplog.text
    assert _SECRET not in caplog.text


def _json_in(text: str) -> str:
    """Return the list in what was shown."""
    return text[text.index("[\n") : text.rindex("]") + 1]


# What each question finds in it that the exporter asks of MLflow and its gateway.
_TELLING = {
    "password": _SECRET,
    "experiments": [{"experiment_id": "1", "name": "e", "artifact_location": _DSN}],
    "endpoints": [{"name": "chat", "experiment_id": "1", "model_configs": [{"api_key": _SECRET}]}],
    "data_points": [{"values": {"SUM": 7}, "dimensions": {"token": _SECRET}}],
    "windows": [{"budget_policy_id": "b", "current_spend": 1, "created_by": _SECRET}],
    "budget_policies": [
        {
            "budget_policy_id": "b",
            "budget_amount": 2,
            "budget_action": "ALERT",
            "target_scope": "GLOBAL",
            "duration": {"value": 1, "unit": "MONTHS"},
            "created_by": _SECRET,
        }
    ],
}


@pytest.mark.parametrize(
    ("command", "status", "content", "shown"),
    [
        ("exporter", 500, _DSN, "mlflow_up 0.0"),
        ("exporter", 200, json.dumps(_TELLING), 'mlflow_gateway_tokens{endpoint="chat"'),
        ("relay", 500, _DSN, "flowgauge_relay_"),
    ],
)
def test_of_pages(folder: Path, command: str, status: int, content: str, shown: str) -> None:
    """No page of the exporter or the relay, no metric and no line of their logs at any level."""
    with answering(status, content, {"Location": f"/?token={_SECRET}"}) as (url, _):
        port = free_port()
        options = ["--web.listen-address", f"{LOOPBACK}:{port}", "--log.level", "debug"]
        environ = {
            "MLFLOW_TRACKING_URI": url.replace("//", f"//u:{_SECRET}@"),
            "FLOWGAUGE_STORE": f"redis://u:{_SECRET}@{_NOWHERE}/0",
            "AIRFLOW_HOME": str(folder),
        }
        log = folder / "log"
        with running(
            [python_tool("flowgauge"), command, *options],
            log=log,
            ready=lambda: accepts(port),
            env=environ,
        ):
            for path in ("/", "/metrics", "/readyz", "/healthz", f"/{_SECRET[:3]}"):
                answer = httpx.get(f"http://{LOOPBACK}:{port}{path}", timeout=60)
                assert _SECRET not in f"{answer.headers}{answer.text}"
                assert path != "/metrics" or shown in answer.text
        assert "Listening" in log.read_text()
        assert _SECRET not in log.read_text()
