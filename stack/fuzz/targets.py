"""What is fuzzed: everything that reads what others wrote.

A target takes one input and raises nothing but what it promises. A further one is a function here,
a line in `TARGETS`, and a file or more in `corpus/`, one input a file.
"""

import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import click
import httpx
from prometheus_client import CollectorRegistry
from starlette.requests import Request

from flowgauge.address import parse_address
from flowgauge.airflow import limit_settings
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.payload import PayloadError, read_payload
from flowgauge.airflow.spool import drain_spool, spool_state
from flowgauge.airflow.spool_folder import spool_folder
from flowgauge.cli.main import COMMAND
from flowgauge.dag_headers import is_name, pair_of
from flowgauge.environment.model import Environment
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.exporter.web_config import WebConfigFile
from flowgauge.exposition import format_for
from flowgauge.foreign import parse_json
from flowgauge.grafana.importing import read_dashboards
from flowgauge.http_client import json_object
from flowgauge.redact import quote, redact_url, spell
from flowgauge.rules import promql
from flowgauge.rules.files import read_rules
from flowgauge.rules.templates import labels_shown
from flowgauge.rules.unit_tests import parse_tests
from flowgauge.rules.vocabulary import of_page
from flowgauge.store import Lease, Store, open_store
from flowgauge.store.rate_limits import rate_limits
from flowgauge.store.redis.connections import Connection, deadline
from flowgauge.store.redis.sentences import refusal
from flowgauge.store.risks import Risk
from flowgauge.strict_yaml import read_model
from flowgauge.tracking import failures
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.headers import parse_headers
from flowgauge.tracking.pages import is_web_address

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], None]

_LONGEST_SENTENCE = 5000
_LONGEST_ANSWER = 60_000
_PATIENCE_SECONDS = 20.0
# For what never comes, which is most of what half a PostgreSQL would say.
_SHORT_SECONDS = 0.1
# Between two answers of a PostgreSQL.
_NEXT = b"||||"


def _said(read: Callable[[], object], *promised: type[Exception]) -> bool:
    """Return whether *read* raises nothing; what is promised must be one sentence."""
    kinds: tuple[type[Exception], ...] = (FlowgaugeError, *promised)
    try:
        read()
    except kinds as error:
        sentence = str(error)
        assert "\n" not in sentence, sentence
        assert len(sentence) < _LONGEST_SENTENCE, sentence
        return False
    return True


def _file(content: bytes, name: str) -> Path:
    file = Path(tempfile.gettempdir()) / f"flowgauge-fuzz-{name}"
    file.write_bytes(content)
    return file


def _environment(content: bytes) -> None:
    file = _file(content, "environment.yaml")
    _said(lambda: read_model(file, Environment))


def _redis(content: bytes) -> None:
    """Read what a server may answer that is taken for a Redis."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # It fits into the socket.
        theirs.sendall(content[:_LONGEST_ANSWER])
        theirs.shutdown(socket.SHUT_WR)
        with deadline(time.monotonic() + _PATIENCE_SECONDS):
            _said(lambda: _asked(Connection(ours)))


def _asked(connection: Connection) -> None:
    try:
        connection.ask(("PING",), ("PING",))
    # The door takes all of it, and says one sentence.
    except Exception as error:
        raise refusal("the store", error) from error


def _spool(content: bytes) -> None:
    """Move a file of the spool into the outbox, and read what is there then."""
    home = _home().name
    environ = {"AIRFLOW_HOME": home}
    folder = spool_folder(environ)
    folder.mkdir(exist_ok=True)
    (folder / "id.json").write_bytes(content)
    url = f"sqlite:///{home}/store.db"
    with closing(open_store(url, timeout_seconds=_PATIENCE_SECONDS)) as store:
        drain_spool(store, seconds=_PATIENCE_SECONDS, environ=environ)
        assert not spool_state(environ).waiting
        for entry in store.outbox.claim(Lease("fuzz", 60), 1):
            Entry.from_json(entry.body)
            store.outbox.settle(entry.entry_id)
        assert not store.outbox.state().entries


@cache
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _settings(content: bytes) -> None:
    """Read what tasks find in variables."""
    text = content.decode(errors="replace").replace("\0", "")
    environ = {"FLOWGAUGE_RATE_LIMITS": text, "FLOWGAUGE_ENVIRONMENTS": "/no/such"}
    assert all(each.max_calls > 0 for each in limit_settings.limit_settings(environ).values())
    # It would keep every input.
    limit_settings._parse.cache_clear()  # noqa: SLF001
    _said(lambda: parse_headers(text, "it"))
    is_web_address(text)


def _names(content: bytes) -> None:
    """Read the headers that say which DAG and task a request is for."""
    dag_id, _, task_id = content.partition(b"\n")
    assert all(map(is_name, filter(None, pair_of(dag_id, task_id))))


def _dashboard(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "dashboard.json").write_bytes(content)
        _said(lambda: read_dashboards(Path(folder)))


def _page(content: bytes) -> None:
    file = _file(content, "page.prom")
    _said(lambda: of_page(file))


def _postgres(content: bytes) -> None:
    """Read what a server may answer that is taken for a PostgreSQL, one part for each question."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/.s.PGSQL.5432")
        listener.listen()
        listener.settimeout(_PATIENCE_SECONDS)
        answering = Thread(target=_answer_in_parts, args=(listener, content.split(_NEXT)))
        answering.start()
        url = f"postgresql://u@/d?host={folder}&sslmode=disable&gssencmode=disable"
        with closing(open_store(url, timeout_seconds=_SHORT_SECONDS)) as store:
            _said(store.outbox.state)
        answering.join()


def _answer_in_parts(listener: socket.socket, parts: Iterable[bytes]) -> None:
    with suppress(OSError):
        came, _ = listener.accept()
        with came:
            for part in parts:
                came.recv(_LONGEST_ANSWER)
                came.sendall(part)


def _store(content: bytes) -> None:
    """Read what a store may answer to any question, whichever engine it has."""
    with suppress(ValueError):
        store = Store(_Answering(parse_json(content)))
        _said(lambda: store.outbox.claim(Lease("fuzz", 60), 5))
        _said(store.outbox.is_due)
        _said(lambda: store.outbox.retry("id"))
        _said(lambda: store.outbox.drop("id"))
        _said(lambda: store.outbox.entries(5))
        _said(store.outbox.state)
        _said(lambda: store.windows.acquire("key", "ticket", 1, 60, 0))
        _said(lambda: rate_limits(store))
        _said(lambda: list(store.counts.totals("dag_id", "task_id")))


class _Answering:
    """An engine that answers everything with *answer*."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def step(self, _name: str, /, *_arguments: str | int) -> Any:
        return self._answer

    def about(self) -> str:
        return ""

    def risks(self) -> Sequence[Risk]:
        return ()

    def init(self, *_roles: str) -> None: ...

    def close(self) -> None: ...


def _web_config(content: bytes) -> None:
    file = _file(content, "web.yaml")
    _said(WebConfigFile(file).read)


def _rules(content: bytes) -> None:
    file = _file(content, "rules.yaml")
    if _said(lambda: read_rules([str(file)])):
        for rule in read_rules([str(file)])[0].file.rules:
            promql.parse_if_known(rule.expr)
            for text in (*rule.labels.values(), *rule.annotations.values()):
                assert all(label in text for label in labels_shown(text))


def _unit_tests(content: bytes) -> None:
    text = content.decode(errors="replace")
    _said(lambda: [test.text() for test in parse_tests(Path("tests.yaml"), text)[1]])


def _expression(content: bytes) -> None:
    node = promql.parse_if_known(content.decode(errors="replace"))
    if node:
        written = str(promql.parse(str(node)))
        assert str(promql.parse(written)) == written


def _payload(content: bytes) -> None:
    with suppress(ValueError):
        payload = parse_json(content)
        _said(lambda: read_payload(payload), PayloadError)


def _entry(content: bytes) -> None:
    with suppress(ValueError):
        entry = Entry.from_json(content.decode(errors="surrogatepass"))
        entry.logged(0.0)
        list(entry.points())
        assert Entry.from_json(entry.to_json()).to_json() == entry.to_json()


def _accept(content: bytes) -> None:
    headers = [(name, content) for name in (b"accept", b"accept-encoding")]
    request = Request({"type": "http", "method": "GET", "headers": headers})
    assert format_for(request).page(CollectorRegistry()).status_code == httpx.codes.OK


def _address(content: bytes) -> None:
    text = content.decode(errors="replace")
    _said(lambda: parse_address(text, "it"))
    _said(lambda: TrackingClient(text, environ={}).close())
    _said(lambda: open_store(text or "x"))
    assert redact_url(text).isprintable()


def _text(content: bytes) -> None:
    text = content.decode(errors="replace")
    assert quote(text, 40).isprintable()
    assert all(line.isprintable() for line in spell(text).split("\n"))


def _answer(content: bytes) -> None:
    """Read a status, headers and a body as a server may send them."""
    head, _, body = content.partition(b"\n\n")
    status, *lines = head.split(b"\n")
    with suppress(ValueError):
        answer = httpx.Response(
            100 + int(status) % 500,
            headers=[(name, value) for name, _, value in (line.partition(b":") for line in lines)],
            content=body,
            request=httpx.Request("GET", "http://mlflow", headers={"Authorization": "Bearer x"}),
        )
        json_object(answer)
        error = failures.refusal("http://mlflow", answer) or failures.not_mlflow("x", answer)
        assert "\n" not in str(error)


def _arguments(content: bytes) -> None:
    """Read arguments of every command, without doing what they say."""
    arguments = content.decode(errors="replace").replace("\0", "").split("\n")
    for command in _commands(COMMAND):
        # Else it would ask whoever sits there.
        sure = ["--yes"] if any(each.name == "yes" for each in command.params) else []
        with suppress(click.ClickException, click.exceptions.Exit, click.Abort, UsageError):
            command.make_context("flowgauge", [*sure, *arguments])


def _commands(group: click.Group) -> Iterator[click.Command]:
    """Yield the commands of *group* and those of the groups in it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command)
        elif command:
            yield command


TARGETS: Mapping[str, Target] = {
    "accept": _accept,
    "address": _address,
    "answer": _answer,
    "arguments": _arguments,
    "dashboard": _dashboard,
    "entry": _entry,
    "environment": _environment,
    "expression": _expression,
    "names": _names,
    "page": _page,
    "payload": _payload,
    "postgres": _postgres,
    "redis": _redis,
    "rules": _rules,
    "settings": _settings,
    "spool": _spool,
    "store": _store,
    "text": _text,
    "unit_tests": _unit_tests,
    "web_config": _web_config,
}
"""By name; the corpus of one is `corpus/NAME.*`."""
