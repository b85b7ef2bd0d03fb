"""The DAGs that use MLflow: who asks how much, what arrives, what fails, what is late."""

from typing import Any

from dashboards import alert_rules, common
from dashboards.grafana import (
    Panel,
    above,
    dashboard,
    heatmap,
    override,
    plain,
    query,
    row,
    stat,
    table,
    timeseries,
    variable,
)
from dashboards.promql import (
    JOB,
    buckets,
    gauge,
    increase,
    label_values,
    minutes,
    part,
    quantile,
    ratio,
    select,
    total,
)
from flowgauge.metrics import (
    BUILD_INFO,
    DAG_ARTIFACT_BYTES,
    DAG_BEST_EFFORT_FAILURES,
    DAG_LAST_LOGGED,
    DAG_LAST_RUN,
    DAG_LAST_RUN_DURATION,
    DAG_LOG_DURATION,
    DAG_LOG_FAILURES,
    DAG_LOGS,
    DAG_LOGS_ALTERED,
    DAG_LOGS_DEFERRED,
    DAG_NULL_RATIO,
    DAG_REQUEST_FAILURES,
    DAG_REQUEST_SECONDS,
    DAG_REQUESTS,
    DAG_ROWS,
    DAG_RUNS,
    DAG_RUNS_STALE,
    DAG_RUNS_STARTED,
    HTTP_DURATION,
    HTTP_REQUESTS,
)

__all__ = ["dags"]

_DAG = 'dag_id=~"$dag_id"'
_TASK = "dag_id, task_id"
_TASK_LEGEND = "{{dag_id}} / {{task_id}}"
# As MLflowDagLoggingFailing: what the rate limit put off is no failure of logging.
_FAILED = 'reason!="rate_limited"'
_TOLD_BY = (BUILD_INFO, DAG_REQUESTS)
_WHO = (DAG_REQUESTS, DAG_RUNS, DAG_LOGS)
_NO_PAYLOADS = "No DAG has called log_with_mlflow"
_AGE = f"time() - {gauge(DAG_LAST_LOGGED, _DAG)}"
_RUN_AGE = f"time() - {gauge(DAG_LAST_RUN, _DAG)}"
_FAILED_RUN = 'status="FAILED"'
_FAILURES = common.shaded("/./", "red")


def dags() -> Any:
    """Return the dashboard of the DAGs."""
    return dashboard(
        common.DAGS,
        "MLflow DAGs",
        "Which of Airflow's DAGs use MLflow, and how much; their runs; and what they log with "
        "log_with_mlflow: payloads, failures, rows, nulls and freshness.",
        variables=[
            # The exporter's and, for who uses MLflow, the server's.
            *common.target_variables(_TOLD_BY, jobs=["flowgauge", "mlflow"]),
            variable("dag_id", "DAG", label_values(_WHO, "dag_id", JOB)),
        ],
        panels=[*_overview(), *_use(), *_runs(), *_logging(), *_data(), *_time()],
        links=common.links(but=common.DAGS),
        annotations=[common.alerts_of(common.DAGS)],
        time="now-24h",
        refresh="1m",
    )


def _overview() -> list[Panel]:
    return [
        stat(
            "Runs in 24 h",
            "MLflow runs that DAGs started in the last 24 hours.",
            "short",
            f"sum({gauge(DAG_RUNS, _DAG)})",
            plain(),
            no_value="none",
        ),
        stat(
            "Failed runs in 24 h",
            "Those of them that failed.",
            "short",
            f"sum({gauge(DAG_RUNS, _DAG, _FAILED_RUN)})",
            above(1, color="orange"),
            no_value="0",
        ),
        stat(
            "Failed in 1 h",
            "Attempts to log by log_with_mlflow that failed in the last hour. The payload is not "
            "lost: it waits in the outbox, unless it was invalid.",
            "short",
            increase(DAG_LOG_FAILURES, "1h", _DAG, _FAILED),
            above(1),
            decimals=0,
            no_value="0",
        ),
        stat(
            "Quietest for",
            "Time since the DAG that has been quiet longest started a run, of those that did so "
            "in the last 24 hours.",
            "s",
            f"max({_RUN_AGE})",
            plain(),
            no_value="none yet",
        ),
        stat(
            "Stale runs",
            "MLflow runs that have been RUNNING for over 24 hours: their task died without closing "
            "them.",
            "short",
            f"sum({gauge(DAG_RUNS_STALE, _DAG)})",
            above(1),
            no_value="0",
        ),
        common.firing_alerts(common.DAGS),
    ]


def _use() -> list[Panel]:
    requests = increase(DAG_REQUESTS, "$__range", _DAG, by=_TASK)
    failures = increase(DAG_REQUEST_FAILURES, "$__range", _DAG, by=_TASK)
    seconds = increase(DAG_REQUEST_SECONDS, "$__range", _DAG, by=_TASK)
    all_seconds = f"sum(increase({select(f'{HTTP_DURATION.name}_sum')}[$__range]))"
    return [
        row("Who uses MLflow"),
        table(
            "Who uses MLflow",
            "Each task's part in the chosen time: of all requests to the server, those of people "
            "and other programs included, and of the time it spent on them. From the server app; "
            "what is beyond its limit of names is other.",
            {
                "Requests": ("percentunit", part(requests, increase(HTTP_REQUESTS, "$__range"))),
                "Server's time": ("percentunit", part(seconds, all_seconds)),
                "Failed": ("percentunit", ratio(failures, requests)),
                "Runs": ("short", increase(DAG_RUNS_STARTED, "$__range", _DAG, by=_TASK)),
                "Artifacts": ("bytes", increase(DAG_ARTIFACT_BYTES, "$__range", _DAG, by=_TASK)),
            },
            {"dag_id": "DAG", "task_id": "Task"},
            sort_by="Server's time",
            no_value="No task has called the server app",
            overrides=[override("byName", "Runs", decimals=0)],
        ),
        timeseries(
            "Requests by DAG",
            "HTTP requests of tasks answered per second, by DAG.",
            "reqps",
            [query(total(DAG_REQUESTS, _DAG, by="dag_id"), "{{dag_id}}")],
            no_value="No requests of tasks",
            stacked=True,
        ),
        timeseries(
            "Server's time by DAG",
            "How many requests of a DAG the server has in hand at a time, on the average: the time "
            "it spends on them, per second.",
            "short",
            [query(total(DAG_REQUEST_SECONDS, _DAG, by="dag_id"), "{{dag_id}}")],
            no_value="No requests of tasks",
            stacked=True,
        ),
        timeseries(
            "Failing requests by DAG",
            "Share of a DAG's requests in 15 minutes answered with 5xx or 429, or that got no "
            "database connection. The line is where MLflowDagRequestsFailing fires.",
            "percentunit",
            [
                query(
                    ratio(
                        increase(DAG_REQUEST_FAILURES, "15m", _DAG, by="dag_id"),
                        increase(DAG_REQUESTS, "15m", _DAG, by="dag_id"),
                    ),
                    "{{dag_id}}",
                )
            ],
            thresholds=above(alert_rules.threshold("MLflowDagRequestsFailing")),
            no_value="No requests of tasks",
            width=8,
            overrides=[_FAILURES],
        ),
        timeseries(
            "Runs started in 1 h",
            "Runs created in the hour before, by DAG.",
            "short",
            [query(increase(DAG_RUNS_STARTED, "1h", _DAG, by="dag_id"), "{{dag_id}}")],
            no_value="No runs",
            stacked=True,
            width=8,
        ),
        timeseries(
            "Artifact traffic by DAG",
            "Bytes of artifacts received per second, by DAG. Uploads straight to a bucket do not "
            "pass the server.",
            "Bps",
            [query(total(DAG_ARTIFACT_BYTES, _DAG, by="dag_id"), "{{dag_id}}")],
            no_value="No artifacts",
            stacked=True,
            width=8,
        ),
    ]


def _logging() -> list[Panel]:
    return [
        row("Logging, by log_with_mlflow"),
        table(
            "DAGs and tasks",
            "What each task logged in the chosen time, and when last. The names or values of an "
            "altered payload were cut, renamed or left out to suit MLflow: the run's tag "
            "flowgauge.altered says which. Given up are blocks of best_effort that a failure of "
            "MLflow's ended.",
            {
                "Logged": ("short", increase(DAG_LOGS, "$__range", _DAG, by=_TASK)),
                "Failed": (
                    "short",
                    increase(DAG_LOG_FAILURES, "$__range", _DAG, _FAILED, by=_TASK),
                ),
                "Deferred": ("short", increase(DAG_LOGS_DEFERRED, "$__range", _DAG, by=_TASK)),
                "Altered": ("short", increase(DAG_LOGS_ALTERED, "$__range", _DAG, by=_TASK)),
                "Given up": (
                    "short",
                    increase(DAG_BEST_EFFORT_FAILURES, "$__range", _DAG, by=_TASK),
                ),
                "Rows": ("short", increase(DAG_ROWS, "$__range", _DAG, by=_TASK)),
                "Nulls": (
                    "percentunit",
                    f"max by ({_TASK}) ({gauge(DAG_NULL_RATIO, _DAG)})",
                ),
                "Last logged": ("s", f"min by ({_TASK}) ({_AGE})"),
            },
            {"dag_id": "DAG", "task_id": "Task"},
            sort_by="Failed",
            no_value=_NO_PAYLOADS,
            overrides=[
                common.graded("Failed", above(1)),
                *[
                    override("byName", name, decimals=0)
                    for name in ("Logged", "Failed", "Deferred", "Altered", "Given up")
                ],
            ],
        ),
        timeseries(
            "Payloads logged in 1 h",
            "Payloads that arrived in MLflow in the hour before, by DAG.",
            "short",
            [query(increase(DAG_LOGS, "1h", _DAG, by="dag_id"), "{{dag_id}}")],
            no_value=_NO_PAYLOADS,
            stacked=True,
        ),
        timeseries(
            "Failures in 1 h, by reason",
            "Attempts to log that failed in the hour before, by reason. What the rate limit put "
            "off is shown, but is no failure.",
            "short",
            [query(increase(DAG_LOG_FAILURES, "1h", _DAG, by="reason"), "{{reason}}")],
            no_value="No failures",
            stacked=True,
            overrides=[_FAILURES, common.colored("rate_limited", "blue")],
        ),
        timeseries(
            "Failures in 1 h, by task",
            "Attempts to log that failed in the hour before, by DAG and task.",
            "short",
            [query(increase(DAG_LOG_FAILURES, "1h", _DAG, _FAILED, by=_TASK), _TASK_LEGEND)],
            no_value="No failures",
            overrides=[_FAILURES],
        ),
        timeseries(
            "Deferred in 1 h",
            "Payloads put into the outbox in the hour before, by DAG.",
            "short",
            [query(increase(DAG_LOGS_DEFERRED, "1h", _DAG, by="dag_id"), "{{dag_id}}")],
            no_value="Nothing deferred",
            stacked=True,
        ),
    ]


def _data() -> list[Panel]:
    return [
        row("Data, by log_with_mlflow"),
        timeseries(
            "Rows in 1 h",
            "Rows that the payloads logged in the hour before reported.",
            "short",
            [query(increase(DAG_ROWS, "1h", _DAG, by=_TASK), _TASK_LEGEND)],
            no_value=_NO_PAYLOADS,
        ),
        timeseries(
            "Nulls",
            "Share of nulls that the last payload reported.",
            "percentunit",
            [query(f"max by ({_TASK}) ({gauge(DAG_NULL_RATIO, _DAG)})", _TASK_LEGEND)],
            no_value=_NO_PAYLOADS,
        ),
        timeseries(
            "Freshness",
            "Time since a payload last arrived in MLflow. A saw-tooth is health; a line that goes "
            "on rising is a DAG that stopped.",
            "m",
            [query(minutes(f"min by ({_TASK}) ({_AGE})"), _TASK_LEGEND)],
            no_value=_NO_PAYLOADS,
            width=24,
            table_legend=True,
        ),
    ]


def _time() -> list[Panel]:
    return [
        row("Time spent in log_with_mlflow"),
        timeseries(
            "Time to log",
            "Time that 95 % of the hour's calls of log_with_mlflow stayed under, by DAG.",
            "s",
            [query(quantile(0.95, DAG_LOG_DURATION, _DAG, by="dag_id", window="1h"), "{{dag_id}}")],
            no_value=_NO_PAYLOADS,
        ),
        heatmap(
            "Time to log, distribution",
            "How many calls of log_with_mlflow took how long.",
            "s",
            buckets(DAG_LOG_DURATION, _DAG),
        ),
    ]


def _runs() -> list[Panel]:
    return [
        row("Runs in MLflow"),
        timeseries(
            "Runs by status",
            "MLflow runs started in the last 24 hours, by status.",
            "short",
            [query(f"sum by (status) ({gauge(DAG_RUNS, _DAG)})", "{{status}}")],
            stacked=True,
            width=8,
            overrides=common.STATUS_COLORS,
        ),
        timeseries(
            "Runs by DAG",
            "MLflow runs started in the last 24 hours, by DAG.",
            "short",
            [query(f"sum by (dag_id) ({gauge(DAG_RUNS, _DAG)})", "{{dag_id}}")],
            width=8,
        ),
        timeseries(
            "Failed runs by DAG",
            "MLflow runs started in the last 24 hours that failed, by DAG.",
            "short",
            [query(f"sum by (dag_id) ({gauge(DAG_RUNS, _DAG, _FAILED_RUN)})", "{{dag_id}}")],
            width=8,
            no_value="No failed runs",
            overrides=[_FAILURES],
        ),
        timeseries(
            "Since the last run",
            "Time since a DAG last started a run. A saw-tooth is health. After 24 hours the line "
            "ends; MLflowDagStoppedLogging remembers the DAG for 14 days.",
            "m",
            [query(minutes(f"min by (dag_id) ({_RUN_AGE})"), "{{dag_id}}")],
            width=8,
        ),
        timeseries(
            "Duration of the last run",
            "How long the newest run of a DAG that has ended took.",
            "m",
            [
                query(
                    minutes(f"max by (dag_id) ({gauge(DAG_LAST_RUN_DURATION, _DAG)})"), "{{dag_id}}"
                )
            ],
            width=8,
        ),
        timeseries(
            "Stale runs",
            "MLflow runs that have been RUNNING for over 24 hours, by DAG. `flowgauge runs "
            "close-stale` closes them.",
            "short",
            [query(f"sum by (dag_id) ({gauge(DAG_RUNS_STALE, _DAG)})", "{{dag_id}}")],
            width=8,
            no_value="No stale runs",
        ),
    ]
