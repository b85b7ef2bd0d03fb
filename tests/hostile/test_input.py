"""Whatever a file, a setting or an argument holds: one sentence, the right exit code, in time."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from flowgauge.airflow.log import log_with_mlflow
from flowgauge.background import in_background
from flowgauge.errors import FlowgaugeError
from flowgauge.rules import promql
from flowgauge.rules.templates import labels_shown
from flowgauge.store import NewEntry, StoreError, open_store
from stack.process import python_tool
from stack.tls import certificate

_Run = Callable[..., tuple[int, str]]

_CLIENT_CERTIFICATE = "MLFLOW_TRACKING_CLIENT_CERT_PATH"
_DEEP = [2_000, 100_000]
_LAUGHS = "a: &a [x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 6)}]"
    for before, name in pairwise("abcdefghijklmnop")
)
_FILES = {
    "no UTF-8": b"\xff\xfe",
    "a NUL": b"a: \0",
    "a surrogate": b"a: \xed\xa0\x80",
    "an escaped surrogate": b'{"groups": "\\ud800"}',
    "empty": b"",
    "a list": b"- 1",
    "a number": b"1",
    "a date": b"2026-13-45",
    "twice": b"groups: []\ngroups: []",
    "laughs": _LAUGHS.encode(),
    "itself": b"groups: &a [*a]\ndomains: &b {mlflow: *b}",
    "keys": b"{[a]: b, {c: d}: e}",
    "tags": b"!!python/object:os.system x",
    **{f"{n} lists": b"[" * n for n in _DEEP},
    **{f"{n} closed lists": b"[" * n + b"]" * n for n in _DEEP},
    **{f"{n} mappings": b"{a: " * n for n in _DEEP},
    **{f"{n} dashes": b"- " * n for n in _DEEP},
    **{f"{n} groups": b"groups: " + b"[" * n + b"]" * n for n in _DEEP},
    **{f"{n} of JSON": b'{"uid": ' * n + b"1" + b"}" * n for n in _DEEP},
}
_COMMANDS = {
    "render": ["render", "--env", "dev"],
    "exporter": ["exporter", "--web.config.file", "{file}"],
    "relay": ["relay", "--web.config.file", "{file}"],
    "check-rules": ["check-rules", "--rules", "{file}", "--tests", "{file}"],
    "tests": ["check-rules", "--rules", "{folder}/no.yaml", "--tests", "{file}"],
    "mutate-rules": ["mutate-rules", "--rules", "{file}", "--tests", "{file}"],
    "vocabulary": ["check-rules", "--rules", "{folder}/no.yaml", "--vocabulary", "{file}"],
    "dashboards": ["dashboards", "import", "--from", "{folder}", "--token", "t"],
    "token": ["dashboards", "import", "--token-file", "{file}"],
}


def _no_rules(beside: Path) -> Path:
    """Rules that are quickly read."""
    beside.parent.mkdir(exist_ok=True)
    file = beside.with_name("no.yaml")
    file.write_text("groups: []")
    return file


def _arguments(command: list[str], file: Path) -> list[str]:
    return [part.format(file=file, folder=file.parent) for part in command]


@pytest.mark.parametrize("content", _FILES.values(), ids=_FILES)
def test_of_files(run_here: _Run, folder: Path, content: bytes) -> None:
    """Every command that reads a file says what is wrong with it, and is wrongly used."""
    (folder / "environments").mkdir()
    (folder / "environments" / "dev.yaml").write_bytes(content)
    file = folder / "given" / "file.json"
    _no_rules(file)
    file.write_bytes(content)
    for name, command in _COMMANDS.items():
        code, text = run_here(*_arguments(command, file), GRAFANA_URL="http://127.0.0.1:1")
        assert code in {1, 2} or (name, content) == ("vocabulary", b""), (name, text)


def test_of_folders_in_the_place_of_files(run_here: _Run, folder: Path) -> None:
    """A folder is no file, wherever one is named."""
    (folder / "environments" / "dev.yaml").mkdir(parents=True)
    file = folder / "given" / "file.json"
    _no_rules(file)
    file.mkdir(parents=True)
    for command in _COMMANDS.values():
        code, text = run_here(*_arguments(command, file), GRAFANA_URL="http://127.0.0.1:1")
        assert code == 2, text


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "../dev", "a/b", "é", ".", "-"])
def test_of_names_of_environments(run_here: _Run, folder: Path, name: str) -> None:
    """A name that no file can have is no environment."""
    (folder / "environments").mkdir()
    code, text = run_here("render", "--env", name)
    assert code == 2
    assert len(text) < 500
    code, _ = run_here("check", "--skip", "exporter", ENV=name, MLFLOW_TRACKING_URI="")
    assert code == 2


@pytest.mark.parametrize(
    "text",
    [
        *("9" * 5000 + unit for unit in ("ms", "s", "y")),
        *(
            "1e999",
            "-1s",
            "nan",
            "inf",
            "",
            " ",
            "1.5h",
            "0x10",
            "5m5m",
            "\u0665m",
        ),
    ],
)
def test_of_durations(run_here: _Run, folder: Path, text: str) -> None:
    """What is no duration, or longer than any, is named in files and options."""
    (folder / "environments").mkdir()
    for line in (f"prometheus: {{scrape_interval: '{text}'}}", f"alerts: {{A: {{for: '{text}'}}}}"):
        (folder / "environments" / "dev.yaml").write_text(f"domains: {{mlflow: h.org}}\n{line}\n")
        assert run_here("render", "--env", "dev")[0] == 2
    assert run_here("check-rules", "--retention", text)[0] == 2


@pytest.mark.parametrize(
    "host",
    ["x" * 300, "a..b", "\u2603" * 100, "[::1", "h:99999", "h:-1", "a b", f"xn--{80 * 'a'}"],
)
def test_of_hosts(run_here: _Run, folder: Path, host: str) -> None:
    """A host that no resolver would be asked for is wrong usage, in every address."""
    (folder / "environments").mkdir()
    (folder / "environments" / "dev.yaml").write_text(f"domains: {{mlflow: 'http://{host}'}}")
    for command in (
        ["render", "--env", "dev"],
        ["runs", "close-stale", "--mlflow-uri", f"http://{host}"],
        ["dashboards", "import", "--token", "t", "--grafana-url", f"http://{host}"],
    ):
        code, text = run_here(*command)
        assert code in {1, 2}, text
    code, _ = run_here("runs", "close-stale", HTTP_PROXY=f"http://{host}")
    assert code in {1, 2}


@pytest.mark.parametrize("count", [100, *_DEEP])
@pytest.mark.parametrize(
    "expression",
    [
        lambda n: "(" * n + "1" + ")" * n,
        lambda n: "(" * n,
        lambda n: "-" * n + "1",
        lambda n: "abs(" * n + "a" + ")" * n,
        lambda n: "a" + "+a" * n,
        lambda n: "1" + "^1" * n,
        lambda n: "a" + " or a" * n,
        lambda n: "sum(" * n + "a" + ")" * n,
        lambda n: "max_over_time(" * n + "a" + "[5m:1m])" * n,
        lambda n: "a{" * n,
        lambda n: f'a{{b="{"(" * n}"}}',
        lambda n: '"' + '\\"' * n,
        lambda n: f"a[{'9' * n}y]",
        lambda n: f"a @ {'9' * n}",
    ],
)
def test_of_nested_expressions(expression: Callable[[int], str], count: int) -> None:
    """However deep an expression is, it is read, and written again, or refused in a sentence."""
    try:
        node = promql.parse(expression(count))
    except FlowgaugeError as error:
        assert len(str(error)) < 1000  # noqa: PT017 - either outcome is fine
    else:
        assert promql.parse(str(node)) == node
        assert list(node.walk())


@pytest.mark.parametrize("hostile", ["{{", "{{-", "{{ }", "{", "}", " "])
def test_of_templates(hostile: str) -> None:
    """However many braces nobody closes, or spaces stand in one, a template is read once."""
    assert labels_shown("{{ $labels.job }}{{" + hostile * 100_000) == ["job"]


@pytest.mark.parametrize("scheme", ["postgresql", "redis", "redis+cluster", "sqlite"])
@pytest.mark.parametrize("hostile", ["/", "@", "/@", "u:p@", "?a=", "[", "%", "9"])
def test_of_endless_addresses(scheme: str, hostile: str) -> None:
    """However long an address of a store is, it is read once, and refused in a sentence."""
    for place in ("", "h/", "h/?db="):
        with suppress(StoreError):
            open_store(f"{scheme}://{place}{hostile * 50_000}").close()


@pytest.mark.parametrize(
    "expression",
    [
        "a @ -1",
        "a @ -99999999999999",
        "a @ 253402300800",
        "a @ 1e400",
        "a @ NaN",
        "a offset 9999999y",
        "a[600y]",
        "a[0s]",
        "a @ -.5",
        "a offset inf",
        "a offset -NaN",
        "a offset 1e300",
        "a[9_b]",
        "a[9__9]",
        "a[9_9]",
        *(f"a[{span}]" for span in ("9" * 60, "9" * 60 + ":", "5m:" + "9" * 60, "1e300")),
    ],
)
def test_of_odd_times(expression: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A time that the parser would panic at, or Python cannot tell, is refused in a sentence."""
    try:
        promql.parse(expression)
    except FlowgaugeError as error:
        assert "PromQL" in str(error)  # noqa: PT017 - either outcome is fine
    assert "panicked" not in capfd.readouterr().err


def test_of_waits_that_are_given_up() -> None:
    """Work whose caller went away ends in silence, well or badly."""
    raised: list[object] = []
    before, threading.excepthook = threading.excepthook, raised.append
    go_on = threading.Event()
    done = []

    def fail() -> None:
        go_on.wait(30)
        raise ValueError

    async def wait() -> None:
        for work in (lambda: go_on.wait(30), fail):
            done.append(in_background(work, "given-up"))
            waiting = asyncio.wrap_future(done[-1])
            waiting.cancel()
            done[-1].cancel()

    try:
        asyncio.run(wait())
        go_on.set()
        assert done[0].result(30)
        assert isinstance(done[1].exception(30), ValueError)
    finally:
        threading.excepthook = before
    assert raised == []


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        (["exporter", "--web.config.file", "web.yml"], "IGNORED"),
        (["runs", "close-stale"], _CLIENT_CERTIFICATE),
    ],
)
def test_of_keys_with_a_password(folder: Path, command: list[str], variable: str) -> None:
    """Nobody is asked for it at the terminal: the file is named."""
    pem = certificate(folder)
    key = load_pem_private_key(pem.key.read_bytes(), None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    pem.both.write_bytes(pem.cert.read_bytes() + locked)
    (folder / "web.yml").write_text(
        f"tls_server_config: {{cert_file: '{pem.cert}', key_file: '{pem.both}'}}"
    )
    in_terminal = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = subprocess.run(
        [sys.executable, "-c", in_terminal, python_tool("flowgauge"), *command],
        cwd=folder,
        env={
            **os.environ,
            "AIRFLOW_HOME": str(folder),
            "MLFLOW_TRACKING_URI": "https://127.0.0.1:1",
            variable: str(pem.both),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "cannot be loaded" in done.stdout) == (2, True), done.stdout


def test_of_pipes(run_here: _Run, folder: Path) -> None:
    """A file may come by a pipe, as a shell's `<(...)` does."""
    read, write = os.pipe()
    os.write(write, b"up 1\n")
    os.close(write)
    rules = _no_rules(folder / "given" / "x")
    code, text = run_here("check-rules", "--rules", str(rules), "--vocabulary", f"/dev/fd/{read}")
    os.close(read)
    assert code == 0, text


def test_of_the_database_of_mlflow(run_here: _Run, folder: Path) -> None:
    """A store that is MLflow's own database is refused, and given no tables."""
    file = folder / "mlflow.db"
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY)")
    before = file.read_bytes()
    for command in (["store", "init"], ["outbox", "list"], ["outbox", "retry", "--all"]):
        code, text = run_here(*command, FLOWGAUGE_STORE=f"sqlite:///{file}")
        assert code in {1, 2}
        assert "another program's database" in text
    assert log_with_mlflow({"rows": 1}, delivery="later") is None
    assert file.read_bytes() == before


def test_of_names_on_a_terminal(run_here: _Run, folder: Path) -> None:
    """Nothing that others wrote moves the cursor, sets a title or changes a colour."""
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\u202e"
    with closing(open_store(f"sqlite:///{folder}/store.db")) as store:
        store.outbox.put(NewEntry(f"id{hostile}", f"dag{hostile}", "task", "{}", hostile))
        store.outbox.set_aside(f"id{hostile}", "rejected", f"because{hostile}")
        store.windows.acquire(f"key{hostile}", "ticket", 1, 60.0, 0.0)
    rules = folder / "rules.yaml"
    rules.write_text(
        json.dumps(
            {"groups": [{"name": hostile, "rules": [{"alert": hostile, "expr": "up == 0"}]}]}
        )
    )
    for command in (
        ["outbox", "list"],
        ["outbox", "list", "--output", "json"],
        ["outbox", "drop", "--yes", hostile],
        ["rate-limit", "show"],
        ["rate-limit", "show", hostile],
        ["check", "--skip", hostile],
        ["check-rules", "--rules", str(rules)],
        ["render", "--env", hostile],
    ):
        _, text = run_here(*command)
        assert set("\x1b\x07\x9b\r\u202e").isdisjoint(text), (command, text)


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "1e300", "9" * 5000, "x", ""])
def test_of_numbers(run_here: _Run, number: str) -> None:
    """What is no number, or too large to be meant, is wrong usage, in every option that has one."""
    for command in (
        ["runs", "close-stale", "--older-than-hours"],
        ["outbox", "list", "--limit"],
        ["outbox", "flush", "--max-seconds"],
        ["mutate-rules", "--threshold"],
        ["mutate-rules", "--sample"],
        ["check-rules", "--jobs"],
        ["exporter", "--forget-dag-tasks-after-days"],
        ["exporter", "--max-dag-tasks"],
    ):
        # Those that may be so large go on, to what is wrong besides.
        code, text = run_here(*command, number, FLOWGAUGE_WEB_LISTEN_ADDRESS="x")
        assert code == 2 or (command[0] == "outbox" and number in {"1e300", "9" * 5000}), text


@pytest.mark.parametrize(
    "path", ["/", "", "~nobody-there/x", ".", "x" * 300, "x" * 5000, "/dev/null/x"]
)
def test_of_places_of_stores(run_here: _Run, path: str) -> None:
    """A place where no file can be is named."""
    for command in (["store", "init"], ["store", "recover"], ["outbox", "list"]):
        code, text = run_here(*command, FLOWGAUGE_STORE=f"sqlite:///{path}")
        assert code in {1, 2} or command[0] == "outbox", text


def test_of_places_of_environments(run_here: _Run) -> None:
    """A folder whose name is longer than any is not there."""
    for name in ("x" * 5000, "/dev/null", "/etc/passwd"):
        environ = {"FLOWGAUGE_ENVIRONMENTS": name, "MLFLOW_TRACKING_URI": ""}
        assert run_here("render", "--env", "dev", **environ)[0] == 2
        assert run_here("runs", "close-stale", **environ)[0] == 2
