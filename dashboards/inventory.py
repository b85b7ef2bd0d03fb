"""What is in MLflow: experiments, runs, models, traces, users, and how they grow."""

from typing import Any

from dashboards import common
from dashboards.grafana import Panel, dashboard, plain, query, row, stat, timeseries
from dashboards.promql import minutes, select
from flowgauge.metrics import (
    EXPERIMENTS,
    HTTP_REQUESTS,
    INVENTORY_READ,
    MODEL_ALIASES,
    MODEL_VERSIONS,
    REGISTERED_MODELS,
    RUNS,
    TRACES,
    USERS,
    Metric,
)

__all__ = ["inventory"]

_ACTIVE = 'lifecycle_stage="active"'
_DELETED = 'lifecycle_stage="deleted"'


def inventory() -> Any:
    """Return the dashboard of what is in MLflow's database."""
    return dashboard(
        common.INVENTORY,
        "MLflow inventory",
        "What is in the database of an MLflow tracking server that runs with --app-name flowgauge: "
        "counted there, every minute at most.",
        variables=common.target_variables(HTTP_REQUESTS, jobs=["mlflow"]),
        panels=[*_overview(), *_tracking(), *_registry()],
        links=common.links(but=common.INVENTORY),
        annotations=[],
    )


def _counted(metric: Metric, *matchers: str) -> str:
    """Return what there is of *metric*: the servers of one MLflow all count the same database."""
    labels = f" by ({', '.join(metric.labels)}) " if metric.labels else ""
    return f"max{labels}({select(metric.name, *matchers)})"


def _number(title: str, description: str, metric: Metric, *matchers: str) -> Panel:
    return stat(
        title,
        description,
        "short",
        f"sum({_counted(metric, *matchers)})",
        plain(),
        no_value="not counted",
    )


def _overview() -> list[Panel]:
    return [
        _number("Experiments", "Experiments that are not in the trash.", EXPERIMENTS, _ACTIVE),
        _number("Runs", "Runs that are not in the trash.", RUNS, _ACTIVE),
        _number("Models", "Registered models, prompts left out.", REGISTERED_MODELS),
        _number("Model versions", "Versions of registered models.", MODEL_VERSIONS),
        _number("Traces", "Traces in the database.", TRACES),
        _number("Users", "Users of MLflow's own login, basic-auth.", USERS),
    ]


def _tracking() -> list[Panel]:
    return [
        row("Tracking"),
        timeseries(
            "Runs by status",
            "Runs that are not in the trash, by status.",
            "short",
            [query(_counted(RUNS, _ACTIVE), "{{status}}")],
            stacked=True,
            width=8,
            overrides=common.STATUS_COLORS,
        ),
        timeseries(
            "In the trash",
            "What was deleted, until `mlflow gc` removes it from the database.",
            "short",
            [
                query(f"sum({_counted(RUNS, _DELETED)})", "runs"),
                query(f"sum({_counted(EXPERIMENTS, _DELETED)})", "experiments"),
            ],
            width=8,
            no_value="The trash is empty",
        ),
        timeseries(
            "Age of the count",
            "Since the server last counted. It does so every minute, and more rarely where that "
            "takes the database long.",
            "m",
            [query(minutes(f"time() - {select(INVENTORY_READ.name)}"), "{{instance}}")],
            width=8,
        ),
    ]


def _registry() -> list[Panel]:
    return [
        row("Models and traces"),
        timeseries(
            "Model versions by stage",
            "Versions of registered models, by stage; those that were never given one are None.",
            "short",
            [query(_counted(MODEL_VERSIONS), "{{stage}}")],
            width=8,
            no_value="No model is registered",
        ),
        timeseries(
            "Aliases",
            "Versions that an alias leads to, by alias.",
            "short",
            [query(_counted(MODEL_ALIASES), "{{alias}}")],
            width=8,
            no_value="No alias is set",
        ),
        timeseries(
            "Traces over time",
            "Traces in the database.",
            "short",
            [query(_counted(TRACES), "traces")],
            width=8,
        ),
    ]
