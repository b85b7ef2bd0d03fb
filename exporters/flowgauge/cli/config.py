"""`flowgauge config`: what is set, and where."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches

import click

from flowgauge.airflow.command import ask_airflow_command
from flowgauge.cli.options import output_option
from flowgauge.cli.settings import Setting, settings
from flowgauge.cli.table import as_table
from flowgauge.errors import FlowgaugeError
from flowgauge.redact import quote, redact_url
from flowgauge.store import store_url
from flowgauge.tracking.uri import MLFLOW_TRACKING_URI, resolve_tracking_uri

__all__ = ["config"]

_MASK = "***"
_LONGEST = 100
# What Kubernetes sets for every Service, such as FLOWGAUGE_EXPORTER_SERVICE_HOST.
_OF_A_SERVICE = re.compile(r".*_(SERVICE_(HOST|PORT)|PORT)(_.*)?")
# What flowgauge tells itself.
_INTERNAL = {"FLOWGAUGE_SERVER_PREPARED", "FLOWGAUGE_COMPLETE"}


@dataclass(frozen=True)
class _Row:
    setting: str
    value: str | None
    source: str


@click.command("config")
@click.option("--all", "everything", is_flag=True, help="Also what has nothing but its default.")
@output_option
def config(*, everything: bool, output: str) -> None:
    """Show every setting here: its value, without secrets, and where it comes from.

    Run it where the program runs whose settings you want to know. Exits with 1 if a variable is set
    that nothing reads, or a setting cannot be told.
    """
    known = settings()
    rows = [row for setting in known for row in _rows(setting, os.environ, everything=everything)]
    unread = list(_unread(known, os.environ))
    if output == "json":
        click.echo(json.dumps([asdict(row) for row in [*rows, *unread]], indent=2))
    else:
        cells = [(row.setting, row.value or "", row.source) for row in [*rows, *unread]]
        click.echo(as_table(("SETTING", "VALUE", "FROM"), cells))
    if unread or any(row.value is None for row in rows):
        sys.exit(1)


def _rows(setting: Setting, environ: Mapping[str, str], *, everything: bool) -> Iterator[_Row]:
    value = environ.get(setting.name)
    # An empty variable is as good as none.
    if value:
        yield _Row(setting.name, _shown(setting, value), "environment")
    elif setting.name == MLFLOW_TRACKING_URI:
        yield _found_uri(environ)
    elif setting.name == "FLOWGAUGE_STORE":
        yield _Row(setting.name, redact_url(store_url(environ)), "default")
    elif everything:
        yield _Row(setting.name, setting.default, "default")


def _shown(setting: Setting, value: str) -> str:
    if setting.is_secret:
        return _MASK
    # An address may lack its scheme.
    is_address = "://" in value or "@" in value
    return quote(redact_url(value) if is_address else value, _LONGEST)


def _found_uri(environ: Mapping[str, str]) -> _Row:
    try:
        found = resolve_tracking_uri(environ, ask_airflow=lambda: ask_airflow_command(environ))
    except FlowgaugeError as error:
        return _Row(MLFLOW_TRACKING_URI, None, quote(str(error)))
    if found is None:
        return _Row(MLFLOW_TRACKING_URI, "", "nowhere: no MLflow is named")
    return _Row(MLFLOW_TRACKING_URI, redact_url(found.value), found.source)


def _unread(known: list[Setting], environ: Mapping[str, str]) -> Iterator[_Row]:
    names = [setting.name for setting in known]
    for name in sorted(environ.keys() - set(names) - _INTERNAL):
        if name.startswith("FLOWGAUGE_") and not _OF_A_SERVICE.fullmatch(name):
            near = get_close_matches(name, names, n=1)
            meant = f", did you mean {near[0]}?" if near else ""
            # Whatever it was meant to be, its value may be a secret.
            yield _Row(name, _MASK, f"environment, but nothing reads it{meant}")
