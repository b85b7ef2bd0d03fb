"""Every environment variable that flowgauge reads, and what holds where it is not set."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import click

from flowgauge.cli.main import COMMAND

__all__ = ["Setting", "settings"]


@dataclass(frozen=True)
class Setting:
    """One variable: who reads it, what for, and its default, in words or as it would be written."""

    name: str
    read_by: str
    meaning: str
    default: str = ""
    is_secret: bool = False


_ALL = "tasks, commands"
_TASKS = "tasks"
_SERVER = "server app"
_EVERYTHING = "everything that asks MLflow"

# What no option of a command stands for; those say it themselves.
_NO_OPTION = (
    Setting(
        "ENV", _ALL, "The environment: the name of a file in the folder.", "dev, if it is there"
    ),
    Setting("FLOWGAUGE_ENVIRONMENTS", _ALL, "The folder of environments.", "environments"),
    Setting(
        "FLOWGAUGE_STORE", _ALL,
        "What tasks write and the exporter reads: sqlite:///FILE, redis://... or postgresql://...",
        "a SQLite file",
    ),
    Setting("FLOWGAUGE_DELIVERY", _TASKS, "When a payload is sent: now or later.", "now"),
    Setting(
        "FLOWGAUGE_RATE_LIMITS", _TASKS,
        "Rate limits that replace those in the code, as a JSON object.", "the environment's file",
    ),
    Setting(
        "FLOWGAUGE_LOG_PAYLOADS", _TASKS,
        "true: a payload that can be kept nowhere is written into the log.", "false",
    ),
    Setting(
        "FLOWGAUGE_MLFLOW_CONN_ID", _TASKS,
        "The Airflow Connection that says where MLflow is.", "mlflow_default",
    ),
    Setting(
        "FLOWGAUGE_MLFLOW_ENABLE", _TASKS,
        "false: log calls of a program outside Airflow do nothing.", "true",
    ),
    Setting(
        "FLOWGAUGE_MAP_INDEX", _TASKS,
        "Which mapped task a program outside Airflow runs for.",
    ),
    Setting(
        "FLOWGAUGE_MLFLOW_PUBLIC_URI", _TASKS,
        "Where people reach MLflow: what links begin with.", "the tracking URI",
    ),
    Setting(
        "FLOWGAUGE_MLFLOW_APP", _SERVER,
        "The MLflow app to measure.", "the --app-name before ours",
    ),
    Setting(
        "FLOWGAUGE_INVENTORY_SECONDS", _SERVER,
        "How often at most MLflow's database is counted; 0: never.", "60",
    ),
    Setting(
        "FLOWGAUGE_METRICS_ADDRESS", _SERVER,
        "HOST:PORT where /metrics is served instead.", "MLflow's own port",
    ),
    Setting(
        "FLOWGAUGE_METRICS_TOKEN_FILE", _SERVER,
        "A file with the token that opens /metrics.",
    ),
    Setting(
        "MLFLOW_TRACKING_URI", _EVERYTHING,
        "Where MLflow is; else Airflow's Connection or Variable, else the environment's file.",
    ),
    Setting(
        "FLOWGAUGE_MLFLOW_HEADERS", _EVERYTHING,
        "Headers of every request, as a JSON object.", is_secret=True,
    ),
    Setting("MLFLOW_TRACKING_USERNAME", _EVERYTHING, "MLflow's login."),
    Setting("MLFLOW_TRACKING_PASSWORD", _EVERYTHING, "Its password.", is_secret=True),
    Setting("MLFLOW_TRACKING_TOKEN", _EVERYTHING, "A token in its place.", is_secret=True),
    Setting(
        "FLOWGAUGE_MLFLOW_TOKEN_FILE", _EVERYTHING,
        "A file with a token in their place, read at each request.",
    ),
    Setting(
        "MLFLOW_TRACKING_AUTH", _EVERYTHING,
        "A plugin of MLflow's client, or kubernetes, kubernetes-namespaced.",
    ),
    Setting("MLFLOW_TRACKING_AWS_SIGV4", _EVERYTHING, "true: sign requests for AWS.", "false"),
    Setting("MLFLOW_WORKSPACE", _EVERYTHING, "The workspace to ask."),
    Setting("MLFLOW_TRACKING_SERVER_CERT_PATH", _EVERYTHING, "Certificates to trust."),
    Setting("MLFLOW_TRACKING_CLIENT_CERT_PATH", _EVERYTHING, "A certificate to show."),
    Setting("MLFLOW_TRACKING_INSECURE_TLS", _EVERYTHING, "true: check no certificate.", "false"),
)  # fmt: skip

_ALSO_READ_BY = {"FLOWGAUGE_MAX_DAG_TASKS": [_SERVER]}


class _Option(NamedTuple):
    command: str
    option: click.Option


def settings() -> list[Setting]:
    """Return all settings, by name."""
    found: dict[str, list[_Option]] = defaultdict(list)
    for command, option in _options(COMMAND, ""):
        found[str(option.envvar)].append(_Option(command, option))
    stated = {setting.name for setting in _NO_OPTION}
    derived = [_of_options(name, options) for name, options in found.items() if name not in stated]
    return sorted([*derived, *_NO_OPTION], key=lambda setting: setting.name)


def _options(command: click.Command, name: str) -> Iterator[_Option]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                yield from _options(found, f"{name} {inner}".strip())
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar:
            yield _Option(name, option)


def _of_options(name: str, options: list[_Option]) -> Setting:
    first = options[0].option
    # What has no default has a marker of click's.
    default = str(first.default) if isinstance(first.default, str | int | float) else ""
    readers = [f"flowgauge {command}" for command, _ in options]
    return Setting(
        name,
        ", ".join([*_ALSO_READ_BY.get(name, ()), *readers]),
        first.help or "",
        default,
        is_secret=name.endswith(("TOKEN", "PASSWORD")),
    )
