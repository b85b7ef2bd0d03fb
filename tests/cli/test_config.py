"""`flowgauge config`, and how the log is written."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import flowgauge
from flowgauge.cli.settings import settings
from flowgauge.exporter.collectors import COLLECTORS
from tests.cli.checking import run_flowgauge

_PACKAGE = Path(flowgauge.__file__).parent
_CHECKOUT = Path(__file__).parents[2]


def _config(
    folder: Path, *options: str, **variables: str
) -> tuple[int, dict[str, tuple[str | None, str]]]:
    """Run it; gives the exit code, and value and source by setting."""
    environ = {"HOME": str(folder), "PATH": "/usr/bin:/bin", **variables}
    done = run_flowgauge(folder, environ, "config", "--output", "json", *options)
    assert done.stderr == ""
    rows = json.loads(done.stdout)
    return done.returncode, {row["setting"]: (row["value"], row["source"]) for row in rows}


def test_every_variable_of_the_code_is_a_setting() -> None:
    """What the code reads is listed, and nothing else is."""
    internal = {"FLOWGAUGE_COMPLETE", "FLOWGAUGE_SERVER_PREPARED"}
    files = [path for path in _PACKAGE.rglob("*.py") if "_assets" not in path.parts]
    read = {
        name
        for path in files
        if path.name not in {"settings.py", "config.py"} or path.parent.name != "cli"
        for name in re.findall(r"\bFLOWGAUGE_[A-Z_]*[A-Z]\b", path.read_text())
    }
    read |= {f"FLOWGAUGE_COLLECTOR_{name.upper()}" for name in COLLECTORS}
    listed = {setting.name for setting in settings() if setting.name.startswith("FLOWGAUGE_")}
    assert listed == read - internal


def test_the_reference_is_current() -> None:
    """docs/settings.md lists them as the code has them."""
    check = [sys.executable, "scripts/settings_table.py", "--check"]
    done = subprocess.run(check, cwd=_CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_says_what_is_set_and_where(folder: Path) -> None:
    """A variable, the environment's file and the default are told apart."""
    (folder / "environments").mkdir()
    (folder / "environments" / "prod.yaml").write_text("domains: {mlflow: mlflow.corp.internal}\n")

    code, rows = _config(folder, ENV="prod", FLOWGAUGE_DELIVERY="later")

    assert code == 0
    assert rows == {
        "ENV": ("prod", "environment"),
        "FLOWGAUGE_DELIVERY": ("later", "environment"),
        "FLOWGAUGE_STORE": (f"sqlite:///{folder}/.local/state/flowgauge/flowgauge.db", "default"),
        "MLFLOW_TRACKING_URI": ("https://mlflow.corp.internal", "environments/prod.yaml"),
    }
    _, everything = _config(folder, "--all")
    assert everything.keys() == {setting.name for setting in settings()}
    assert everything["FLOWGAUGE_WEB_LISTEN_ADDRESS"] == (":9877", "default")
    assert everything["MLFLOW_TRACKING_URI"] == ("", "nowhere: no MLflow is named")


def test_no_secret_is_shown(folder: Path) -> None:
    """Passwords, tokens and headers are hidden, and logins within addresses."""
    secret = {setting.name: "hunter2" for setting in settings() if setting.is_secret}
    addresses = {
        "MLFLOW_TRACKING_URI": "https://user:hunter2@mlflow.corp.internal",
        "FLOWGAUGE_STORE": "redis://:hunter2@redis:6379/0",
        "FLOWGAUGE_STOER": "redis://:hunter2@redis:6379/0",
    }

    code, rows = _config(folder, **secret, **addresses)

    assert "hunter2" not in str(rows)
    assert rows["MLFLOW_TRACKING_PASSWORD"] == ("***", "environment")
    assert rows["MLFLOW_TRACKING_URI"][0] == "https://user:***@mlflow.corp.internal"
    assert {"FLOWGAUGE_MLFLOW_HEADERS", "MLFLOW_TRACKING_TOKEN", "GRAFANA_TOKEN"} <= secret.keys()
    assert code == 1


def test_a_variable_that_nothing_reads_is_told(folder: Path) -> None:
    """A slip is named with what was meant; what Kubernetes sets for a Service is no slip."""
    of_kubernetes = {
        "FLOWGAUGE_EXPORTER_SERVICE_HOST": "10.0.0.7",
        "FLOWGAUGE_EXPORTER_PORT_9877_TCP_ADDR": "10.0.0.7",
        "FLOWGAUGE_RELAY_PORT": "tcp://10.0.0.7:9878",
    }
    assert _config(folder, **of_kubernetes)[0] == 0
    code, rows = _config(folder, FLOWGAUGE_DELIVREY="later")
    assert code == 1
    assert rows["FLOWGAUGE_DELIVREY"] == (
        "***", "environment, but nothing reads it, did you mean FLOWGAUGE_DELIVERY?",
    )  # fmt: skip


def test_a_wrong_environment_is_told_in_its_place(folder: Path) -> None:
    """What cannot be told is one sentence in its row, and exit code 1."""
    (folder / "environments").mkdir()
    code, rows = _config(folder, ENV="prod")
    assert code == 1
    value, sentence = rows["MLFLOW_TRACKING_URI"]
    assert value is None
    assert sentence.startswith("the environment 'prod' does not exist")


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("text", r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING say \"x=1\" twice"),
        (
            "logfmt",
            r"time=\S+\+00:00 level=warn source=flowgauge.test msg=\"say \\\"x=1\\\" twice\"",
        ),
    ],
)
def test_the_log_is_written_as_asked(form: str, line: str) -> None:
    """For people, and in pairs that a collector tells apart whatever is in a message."""
    first, *_ = _logged(form)
    assert re.fullmatch(line, first), first


def test_json_is_an_object_a_line() -> None:
    """Time, level, source and message are fields, and a traceback is one of the same record."""
    first, second = map(json.loads, _logged("json"))
    assert first.keys() == {"time", "level", "source", "msg"}
    assert (first["level"], first["source"]) == ("warn", "flowgauge.test")
    assert first["msg"] == 'say "x=1" twice'
    assert second["level"] == "error"
    assert second["error"].endswith("ValueError: of many\nlines")


def _logged(form: str) -> list[str]:
    program = (
        "import logging; from flowgauge.cli.options import set_up_logging\n"
        f"set_up_logging('info', {form!r}); log = logging.getLogger('flowgauge.test')\n"
        "log.debug('not this'); log.warning('say \"x=%d\" twice', 1)\n"
        "try:\n  raise ValueError('of many\\nlines')\n"
        "except ValueError:\n  log.exception('failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stderr.splitlines()
