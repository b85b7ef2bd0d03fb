import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

import flowgauge
from stack.mlflow import MlflowServer, mlflow_server
from stack.process import LOOPBACK, answers, free_port, python_tool, wait_for
from tests.server.conftest import APP
from tests.server.refusals import RefusedServer, failure, mlflow_command
from tests.server.scrape import scrape, settled

pytestmark = pytest.mark.whole_system(seconds=40)

API = "/api/2.0/mlflow"
REQUESTS = "mlflow_http_requests_total"
JOB = """
import time

from mlflow.server.jobs import job

@job(name="chore", max_workers=1)
def chore(what: str) -> str:
    if what == "break":
        raise ValueError(what)
    time.sleep(600 if what == "wait" else 0)
    return what
"""
FACTORY = ("--factory", "flowgauge.server:create_app", "--host", LOOPBACK)


@pytest.mark.long
@pytest.mark.since(mlflow="3.12")  # before, there is no API below the prefix
@pytest.mark.timeout(600)  # MLflow's job consumers are eight processes to start and to stop
def test_one_worker_below_a_prefix_with_jobs(folder: Path) -> None:
    """One worker with --static-prefix counts the same routes, counts MLflow's jobs, stops clean."""
    (folder / "chores.py").write_text(JOB)
    port = free_port()
    url = f"http://{LOOPBACK}:{port}/ml"
    temporary = folder / "tmp"
    temporary.mkdir()
    with mlflow_server(
        folder,
        options=(*APP, "--static-prefix", "/ml"),
        env={
            "TMPDIR": str(temporary),
            "PYTHONPATH": str(folder),
            "_MLFLOW_SUPPORTED_JOB_FUNCTION_LIST": "chores.chore",
            "_MLFLOW_ALLOWED_JOB_NAME_LIST": "chore",
            "FLOWGAUGE_INVENTORY_SECONDS": "1",
        },
        port=port,
        jobs=True,
        ready=lambda: answers(f"{url}/health"),
    ) as server:
        httpx.get(f"{url}{API}/experiments/get?experiment_id=0").raise_for_status()
        artifact = f"{url}/ajax-api/2.0/mlflow-artifacts/artifacts/x"
        httpx.put(artifact, content=b"1").raise_for_status()
        httpx.get(f"{url}/").raise_for_status()
        page = settled(server.url)
        assert page.counters() == scrape(url).counters()
        assert page.value(REQUESTS, route=f"{API}/experiments/get") == 1
        assert page.value(REQUESTS, route="/") == 1
        assert page.value("mlflow_artifact_uploads_total") == 1
        assert list(temporary.glob("flowgauge-*"))
        _one_job_of_each_kind_is_counted(url)
        _stop_and_expect_nothing_left(server, temporary)


def _one_job_of_each_kind_is_counted(url: str) -> None:
    """One that succeeds, one that fails, one that runs, and one that waits for it."""
    for what in ("work", "break", "wait", "wait"):
        job = {"job_name": "chore", "params": {"what": what}}
        httpx.post(f"{url}/ajax-api/3.0/jobs/", json=job, timeout=30).raise_for_status()
    wanted = dict.fromkeys(("CANCELED", "NEEDS_RECOVERY", "TIMEOUT"), 0.0)
    wanted |= dict.fromkeys(("SUCCEEDED", "FAILED", "RUNNING", "PENDING"), 1.0)

    def all_are_counted() -> bool:
        jobs = scrape(url).series("mlflow_jobs", job_name="chore")
        return {labels["status"]: value for labels, value in jobs} == wanted

    wait_for(all_are_counted, "each job has come to where it stays", timeout=120)
    since = scrape(url).value("mlflow_jobs_oldest_pending_timestamp_seconds", job_name="chore")
    assert time.time() - 120 < since < time.time()


def _stop_and_expect_nothing_left(server: MlflowServer, temporary: Path) -> None:
    command = psutil.Process(server.pid)
    tree = [command, *command.children(recursive=True)]
    command.terminate()
    _, alive = psutil.wait_procs(tree, timeout=120)
    assert alive == []
    assert list(temporary.glob("flowgauge-*")) == []


@pytest.mark.parametrize(
    ("options", "env", "sentence"),
    [
        (("--gunicorn-opts", "--log-level info"), {}, "--gunicorn-opts cannot be combined"),
        (
            (),
            {"MLFLOW_AUTH_CONFIG_PATH": "auth.ini"},
            "is set, but this MLflow would let in everybody: write `--app-name basic-auth --app",
        ),
        ((), {"FLOWGAUGE_MLFLOW_APP": "nowhere"}, "there is no MLflow app 'nowhere'"),
        (
            (),
            {"FLOWGAUGE_METRICS_TOKEN_FILE": "nowhere"},
            "FLOWGAUGE_METRICS_TOKEN_FILE is '***', which cannot be read, No such file",
        ),
        ((), {"FLOWGAUGE_METRICS_ADDRESS": "9100"}, "FLOWGAUGE_METRICS_ADDRESS is '9100': give"),
        (
            (),
            {"FLOWGAUGE_MAX_DAG_TASKS": "many"},
            "FLOWGAUGE_MAX_DAG_TASKS is 'many': give a whole number",
        ),
        (
            ("--app-name", "flowgauge-basic-auth"),
            {"MLFLOW_FLASK_SERVER_SECRET_KEY": ""},
            "set MLFLOW_FLASK_SERVER_SECRET_KEY to a long random text",
        ),
        ((), {"FLOWGAUGE_METRICS_ADDRESS": ":0"}, "port 0 is one that nobody knows: choose"),
        (
            ("--port", "6543"),
            {"FLOWGAUGE_METRICS_ADDRESS": "127.0.0.1:6543"},
            "is '127.0.0.1:6543', which is MLflow's own port: choose another one",
        ),
    ],
    ids=[
        *("gunicorn", "login", "unknown-app", "no-token", "no-address", "cap", "no-secret"),
        *("port-0", "own-port"),
    ],
)
def test_what_cannot_work_is_refused(
    refused: RefusedServer,
    folder: Path,
    options: tuple[str, ...],
    env: dict[str, str],
    sentence: str,
) -> None:
    """A setting that cannot work ends `mlflow server` with one sentence, before any worker."""
    code, said = refused(folder, *options, **env)
    assert code == 2
    assert said.count("Error: ") == 1
    assert sentence in said


def test_a_folder_that_cannot_be_written_is_refused(refused: RefusedServer, folder: Path) -> None:
    """The folder is named, and what to set."""
    code, said = refused(folder, PROMETHEUS_MULTIPROC_DIR="/proc/metrics")
    assert code == 1
    assert "cannot be written to '/proc/metrics': No such file or directory: set PROM" in said


def test_a_read_only_root_is_one_sentence(refused: RefusedServer, folder: Path) -> None:
    """Where no temporary folder can be made, the command says what to set."""
    code, said = refused(folder, first="import tempfile; tempfile.tempdir = '/proc/nowhere'")
    assert code == 1
    assert "temporary folder, and none can be made" in said
    assert "set PROMETHEUS_MULTIPROC_DIR to a folder that the server may write" in said


def test_a_program_that_calls_mlflows_command_loses_no_login(folder: Path) -> None:
    """Its arguments are not those of the process: a login named there is not dropped in silence."""
    options = ["server", "--app-name", "basic-auth", *mlflow_command(folder)[2:]]
    program = f"from mlflow.cli import cli; cli({options})"
    code, said = failure([sys.executable, "-c", program], folder)
    assert code == 2
    assert "set FLOWGAUGE_MLFLOW_APP to the MLflow app that is to be measured" in said


def test_a_login_that_only_uvicorn_is_told_of_is_not_dropped(folder: Path) -> None:
    """A worker reads that file after the command, which is not started here, found all well."""
    (folder / "login.env").write_text("MLFLOW_AUTH_CONFIG_PATH=auth.ini\n")
    uvicorn = [sys.executable, "-m", "uvicorn", *FACTORY, "--port", str(free_port())]
    prepared = {
        "_FLOWGAUGE_SERVER_PREPARED": "true",
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
    }
    _, said = failure([*uvicorn, "--env-file", "login.env"], folder, **prepared)
    assert "MLFLOW_AUTH_CONFIG_PATH is set, but this MLflow would let in everybody" in said


def test_metrics_that_would_be_kept_in_memory_are_refused(folder: Path) -> None:
    """A page that could never show a number does not come up as if all were well."""
    site = folder / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import prometheus_client")
    uvicorn = [sys.executable, "-m", "uvicorn", *FACTORY, "--port", str(free_port())]
    code, said = failure(uvicorn, folder, PYTHONPATH=str(site))
    assert code == 3
    assert "prometheus_client was imported before flowgauge's app was made" in said


def test_a_taken_address_of_the_page_is_refused(folder: Path) -> None:
    """A port of its own that something else listens on is named, with the variable to change."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        code, said = failure(mlflow_command(folder), folder, FLOWGAUGE_METRICS_ADDRESS=address)
    assert code == 1
    assert f"cannot listen on {address}, something else listens there" in said
    assert "with FLOWGAUGE_METRICS_ADDRESS" in said


def test_a_version_that_is_not_supported_is_one_sentence(
    refused: RefusedServer, folder: Path
) -> None:
    """Below MLflow 3.3 the command ends and says what would work."""
    # Nothing but its own record says which version is installed.
    old = folder / "site" / "mlflow-3.1.4.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: mlflow\nVersion: 3.1.4\n")
    code, said = refused(folder, first=f"sys.path.insert(0, {str(old.parent)!r})")
    assert code == 2
    assert "needs MLflow 3.3 or newer and this is 3.1.4: upgrade MLflow, or run it with" in said


def test_a_prometheus_client_that_lacks_a_name_is_one_sentence(
    refused: RefusedServer, folder: Path
) -> None:
    """The command ends and says what would work, before any worker starts."""
    lacking = "from prometheus_client import values; del values.MutexValue"
    code, said = refused(folder, first=lacking)
    assert code == 2
    assert "lacks prometheus_client.values.MutexValue, which flowgauge's server app needs" in said
    assert said.count("Error: ") == 1


def test_the_command_pays_nothing_for_finding_the_app() -> None:
    """Importing the package, as `mlflow server` does first, loads no metrics and no MLflow."""
    heavy = {"prometheus_client", "starlette", "fastapi", "mlflow", "sqlalchemy"}
    code = f"import flowgauge.server, sys; print({heavy} & set(sys.modules))"
    imported = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert imported.stdout.strip() == "set()"


def test_several_workers_of_uvicorn_alone_are_refused(folder: Path) -> None:
    """Workers with no folder to share end with a sentence that names the command to use."""
    command = [sys.executable, "-m", "uvicorn", *FACTORY, "--workers", "2"]
    _, said = failure([*command, "--port", str(free_port())], folder)  # uvicorn's code is 0
    assert "start them with `mlflow server --app-name flowgauge`" in said


def test_several_workers_of_gunicorn_are_refused(folder: Path) -> None:
    """Nor could they know of each other: each scrape would show another one's numbers."""
    options = ("--workers", "2", "--worker-class", "uvicorn.workers.UvicornWorker")
    command = [python_tool("gunicorn"), *options, "--bind", f"{LOOPBACK}:{free_port()}"]
    command.append("flowgauge.server:create_app()")
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert "several workers need a folder to share their metrics in" in ended.stderr
    # Where both workers end in the same moment, gunicorn's own end breaks with a traceback.
    assert ended.returncode == 3 or (ended.returncode and "HaltServer" in ended.stderr)
    assert str(Path(flowgauge.__file__).parent) not in ended.stderr
