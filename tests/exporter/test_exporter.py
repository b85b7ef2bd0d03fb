"""The exporter as a process, beside a real MLflow."""

import re
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from flowgauge import __version__
from flowgauge.metrics import EXPORTER_METRICS
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.tags import DAG_ID_TAG
from stack.exporter import exporter
from stack.guarded import GuardedMlflow
from stack.mlflow import mlflow_server
from stack.process import LOOPBACK, accepts, free_port, python_tool, running, wait_for
from stack.unwell import raw_server

GOLDEN = Path(__file__).with_name("page.prom")
HOUR = 3600 * 1000


@dataclass(frozen=True)
class Exporter:
    """A running exporter and its log."""

    url: str
    log: Path


@pytest.fixture(scope="module")
def served(guarded: GuardedMlflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter of a MLflow that wants TLS and a login, with runs of two DAGs in it."""
    folder = tmp_path_factory.mktemp("exporter")
    environ = {
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(guarded.certificate.cert),
        "MLFLOW_TRACKING_USERNAME": guarded.user,
        "MLFLOW_TRACKING_PASSWORD": guarded.password,
    }
    with TrackingClient(guarded.url, environ=environ) as client:
        _log_runs(client)
    store = f"sqlite:///{folder}/store.db"
    with exporter(folder, mlflow_uri=guarded.url, store=store, env=environ) as url:
        # The first look at the runs may take several scrapes, and MLflow a second for a password.
        wait_for(
            lambda: _sample(url, "mlflow_dag_runs_limited") == 0,
            "all runs have been read",
            timeout=150,
        )
        yield Exporter(url, folder / "exporter.log")


def _log_runs(client: TrackingClient) -> None:
    for name in ("daily", "weekly"):
        experiment = client.call("POST", "experiments/create", {"name": name})["experiment_id"]
        for dag_id, status, age_hours in (
            ("etl", "FINISHED", 1),
            ("etl", "FINISHED", 23),
            ("etl", "RUNNING", 2),
            ('odd"\n\\', "FAILED", 0),
            ("etl", "FINISHED", 25),
            ("train", "RUNNING", 25),
            (None, "RUNNING", 30),
        ):
            tags = [{"key": DAG_ID_TAG, "value": dag_id}] if dag_id else []
            start = int(time.time() * 1000) - age_hours * HOUR
            new = {"experiment_id": experiment, "start_time": start, "tags": tags}
            run = client.call("POST", "runs/create", new)["run"]["info"]["run_id"]
            if status != "RUNNING":
                client.call("POST", "runs/update", {"run_id": run, "status": status})


def _page(url: str) -> str:
    return httpx.get(f"{url}/metrics", timeout=60).raise_for_status().text


def _sample(url: str, series: str) -> float | None:
    """Return the value of *series*, None if it is not on the page."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", _page(url), re.MULTILINE)
    return float(found[1]) if found else None


def test_the_page_is_exactly_this(served: Exporter) -> None:
    """The whole exposition, with durations, times and versions masked, is the agreed one.

    After a change on purpose, copy what the assertion shows to page.prom.
    """
    page = re.sub(
        r"^(\w+_(?:duration|(?:run|read|expiry)_timestamp)_seconds(?:\{[^}]*\})?) \S+$",
        r"\1 SECONDS",
        _page(served.url),
        flags=re.MULTILINE,
    )
    page = re.sub(r'(python_version|version)="[^"]*"', r'\1="VERSION"', page)
    assert page == GOLDEN.read_text()


def test_it_tells_when_the_certificate_of_mlflow_expires(
    served: Exporter, guarded: GuardedMlflow
) -> None:
    """The time is that of the certificate which MLflow shows."""
    trusted = ssl.create_default_context(cafile=guarded.certificate.cert).get_ca_certs()
    expires = ssl.cert_time_to_seconds(str(trusted[0]["notAfter"]))
    assert _sample(served.url, "mlflow_certificate_expiry_timestamp_seconds") == expires


def test_prometheus_finds_no_fault_with_the_page(served: Exporter) -> None:
    """`promtool check metrics` has no complaint, and every family is in the table of metrics."""
    page = _page(served.url)
    lint = ["promtool", "check", "metrics"]
    done = subprocess.run(lint, input=page, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    names = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
    assert names <= {metric.name for metric in EXPORTER_METRICS}


def test_the_page_comes_as_openmetrics_and_compressed(served: Exporter) -> None:
    """The client chooses text or OpenMetrics by Accept, and gzip by Accept-Encoding."""
    accept = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}
    answer = httpx.get(f"{served.url}/metrics", headers=accept, timeout=60)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.headers["content-encoding"] == "gzip"
    assert "mlflow_up" in {found.name for found in text_string_to_metric_families(answer.text)}
    plain = httpx.get(f"{served.url}/metrics", headers={"Accept-Encoding": ""}, timeout=60)
    assert plain.headers["content-type"].startswith("text/plain")
    assert "content-encoding" not in plain.headers


def test_the_landing_page_leads_to_the_metrics(served: Exporter, guarded: GuardedMlflow) -> None:
    """`/` names the version and links every endpoint, and neither page nor log has a secret."""
    page = httpx.get(served.url, timeout=60).text
    assert __version__ in page
    for link in re.findall(r'href="([^"]+)"', page):
        assert httpx.get(f"{served.url}{link}", timeout=60).is_success
    assert guarded.password not in page + _page(served.url) + served.log.read_text()


def test_mlflow_comes_hangs_and_goes(folder: Path) -> None:
    """The exporter outlives MLflow: up follows what is, and nothing else is shown meanwhile."""
    port = free_port()
    uri = f"http://{LOOPBACK}:{port}"
    store, seldom = f"sqlite:///{folder}/s.db", ["--runs-interval-seconds", "60"]
    with exporter(folder / "exporter", mlflow_uri=uri, store=store, options=seldom) as url:
        assert _sample(url, "mlflow_up") == 0
        assert "mlflow_server_info{" not in _page(url)
        ready = httpx.get(f"{url}/readyz", timeout=60)
        assert (ready.status_code, "refuses the connection" in ready.text) == (503, True)
        assert httpx.get(f"{url}/healthz", timeout=60).is_success
        with mlflow_server(folder / "mlflow", port=port) as server:
            wait_for(lambda: _sample(url, "mlflow_up") == 1, "MLflow is up")
            assert httpx.get(f"{url}/readyz", timeout=60).text == "ok\n"
            processes = [psutil.Process(server.pid)]
            processes += processes[0].children(recursive=True)
            for process in processes:
                process.suspend()
            # A Prometheus that waits less than the probe has the rest of the page.
            impatient = {"X-Prometheus-Scrape-Timeout-Seconds": "0.5"}
            page = httpx.get(f"{url}/metrics", headers=impatient, timeout=60).text
            assert 'flowgauge_collector_success{collector="tracking"} 0.0' in page
            assert 'flowgauge_collector_success{collector="store"} 1.0' in page
            assert _sample(url, "mlflow_up") == 0
            for process in processes:
                process.resume()
            wait_for(lambda: _sample(url, "mlflow_up") == 1, "MLflow is up again")
        assert _sample(url, "mlflow_up") == 0
        assert _sample(url, 'flowgauge_collector_success{collector="tracking"}') == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_even_amid_a_scrape(folder: Path, stop: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end the process with 0 and no traceback, without waiting for MLflow."""
    port = free_port()
    with raw_server(b"") as uri, ThreadPoolExecutor() as scraper:
        command = [
            python_tool("flowgauge"), "exporter",
            "--mlflow-uri", uri,
            "--store", f"sqlite:///{folder}/store.db",
            "--web.listen-address", f"{LOOPBACK}:{port}",
        ]  # fmt: skip
        log = folder / "exporter.log"
        with running(command, log=log, ready=lambda: accepts(port)) as process:
            scrape = scraper.submit(httpx.get, f"http://{LOOPBACK}:{port}/metrics", timeout=60)
            wait_for(lambda: _talks_to(process.pid, uri), "the exporter asks MLflow")
            process.send_signal(stop)
            assert process.wait(60) == 0
            assert scrape.result().status_code == 503
    assert "Traceback" not in log.read_text()
    assert "Stopped." in log.read_text()


def _talks_to(pid: int, uri: str) -> bool:
    port = httpx.URL(uri).port
    connections = psutil.Process(pid).net_connections(kind="tcp")
    return any(connection.raddr and connection.raddr.port == port for connection in connections)


def test_a_wrong_password_is_down_and_says_why(guarded: GuardedMlflow, folder: Path) -> None:
    """A login that MLflow refuses is `mlflow_up` 0, with the reason once in the log."""
    environ = {
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(guarded.certificate.cert),
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": "hunter2",
    }
    store = f"sqlite:///{folder}/store.db"
    with exporter(folder, mlflow_uri=guarded.url, store=store, env=environ) as url:
        assert [_sample(url, "mlflow_up") for _ in range(2)] == [0, 0]
    log = (folder / "exporter.log").read_text()
    assert log.count("does not accept the login") == 1
    assert "hunter2" not in log


@pytest.mark.parametrize(
    ("options", "said", "status"),
    [
        (["--mlflow-uri", "ftp://h"], "give http://HOST:PORT or https://HOST", 2),
        (["--store", "mysql://u:hunter2@h/d"], "use one such as sqlite:///", 1),
        (["--web.listen-address", "9877"], "give HOST:PORT", 2),
        (["--web.listen-address", "192.0.2.1:0"], "does not have that address", 1),
        (["--web.telemetry-path", "metrics"], "give a path such as /metrics", 2),
        (["--web.telemetry-path", "/healthz"], "other than /, /healthz", 2),
        (["--web.config.file", "/missing.yml"], "/missing.yml cannot be read", 2),
        (["--log.level", "loud"], "'loud' is not one of", 2),
        (["--runs-interval-seconds", "nan"], "'nan' is not a number that ends", 2),
    ],
)
def test_bad_input_is_one_sentence(
    run_here: Callable[..., tuple[int, str]], options: list[str], said: str, status: int
) -> None:
    """A wrong option ends the command at once, with what is wrong and an exit code for it."""
    code, shown = run_here("exporter", *options)
    assert code == status
    assert said in shown
    assert "hunter2" not in shown


def test_no_mlflow_configured_is_one_sentence(run_here: Callable[..., tuple[int, str]]) -> None:
    """Without any tracking URI the command says where one may be given."""
    code, shown = run_here("exporter", MLFLOW_TRACKING_URI="", AIRFLOW_HOME="")
    assert code == 2
    assert "no MLflow is named: set MLFLOW_TRACKING_URI" in shown


def test_collectors_are_left_out_one_by_one(folder: Path) -> None:
    """By option or variable; the others are on the page, and what is left out asks nothing."""
    store = f"sqlite:///{folder}/store.db"
    options = ["--no-collector.tracking", "--no-collector.outbox"]
    environ = {"FLOWGAUGE_COLLECTOR_RUNS": "false"}
    uri = f"http://{LOOPBACK}:1"
    with exporter(folder, mlflow_uri=uri, store=store, options=options, env=environ) as url:
        page = _page(url)
    succeeded = re.findall(
        r'^flowgauge_collector_success\{collector="(\w+)"\} 1', page, re.MULTILINE
    )
    assert succeeded == ["build", "dag_logging", "gateway", "rate_limit", "store"]
    assert "mlflow_up" not in page


def test_environment_variables_stand_for_options(folder: Path) -> None:
    """Each option has a variable; an option given wins over it."""
    port = free_port()
    environ = {
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
        "FLOWGAUGE_STORE": f"sqlite:///{folder}/store.db",
        "FLOWGAUGE_WEB_LISTEN_ADDRESS": f"{LOOPBACK}:{port}",
        "FLOWGAUGE_WEB_TELEMETRY_PATH": "/other",
        "FLOWGAUGE_LOG_LEVEL": "error",
    }
    command = [python_tool("flowgauge"), "exporter", "--web.telemetry-path", "/probe"]
    log = folder / "exporter.log"
    with running(command, log=log, env=environ, ready=lambda: accepts(port)):
        answer = httpx.get(f"http://{LOOPBACK}:{port}/probe", timeout=60)
        assert "mlflow_up 0.0" in answer.text
    assert log.read_text() == ""
