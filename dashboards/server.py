"""The MLflow server: is it up, is it slow, which route is to blame, what is about to break."""

from typing import Any

from dashboards import alert_rules, budget, common, gateway, jobs
from dashboards.grafana import (
    Panel,
    above,
    below,
    dashboard,
    failing,
    heatmap,
    override,
    panel_link,
    plain,
    query,
    row,
    stat,
    state_timeline,
    table,
    timeseries,
    value_names,
)
from dashboards.promql import RATE_INTERVAL, buckets, gauge, quantile, ratio, select, total
from flowgauge.metrics import (
    ARTIFACT_MULTIPART,
    ARTIFACT_PRESIGNED,
    ARTIFACT_UPLOAD_BYTES,
    ARTIFACT_UPLOAD_FAILED,
    ARTIFACT_UPLOADS,
    EVENT_LOOP_LAG,
    EXPERIMENTS_CREATED,
    HTTP_DURATION,
    HTTP_IN_PROGRESS,
    HTTP_REQUESTS,
    MEASURING_FAILED,
    OTLP_DURATION,
    OTLP_PAYLOAD,
    OTLP_SPANS,
    POOL_CONNECTIONS,
    POOL_LIMIT,
    POOL_TIMEOUTS,
    POOL_WAIT,
    POOL_WAITING,
    RUNS_LOGGED,
    SERVER_MEMORY,
    SERVER_MEMORY_LIMIT,
    SPANS_INGESTED,
    TRACE_INGESTION_ERRORS,
    WEBHOOK_DELIVERIES,
    WEBHOOK_FAILURES,
    WORKER_CPU,
    WORKER_MAX_FDS,
    WORKER_MEMORY,
    WORKER_OPEN_FDS,
    WORKER_START_TIME,
    WORKER_STARTS,
)

__all__ = ["server"]

_FAILED = 'status=~"5.."'
_REFUSED = 'status=~"4.."'
_HOUR = 3600
_STATUS_COLORS = [
    override("byRegexp", f"/^{digit}/", color={"mode": "fixed", "fixedColor": color})
    for digit, color in {"2": "green", "3": "blue", "4": "orange", "5": "red"}.items()
]

# As MLflowHighLatency: how long an artifact or a language model takes is not the server's doing.
_INTERACTIVE = (
    'route!~".*artifact.*|/health|/version|probe|/gateway/.*|.*/gateway-proxy|.*/assistant/.*"'
)

_UP_OR_DOWN = value_names({0: ("DOWN", "red"), 1: ("UP", "green")})
_WHO = panel_link("Which DAGs use MLflow", common.DAGS)

_POOL_USE = f"{gauge(POOL_CONNECTIONS)} / {gauge(POOL_LIMIT)}"


def server() -> Any:
    """Return the dashboard of the MLflow server."""
    return dashboard(
        common.SERVER,
        "MLflow server",
        "Requests, latency, artifacts and database pools of an MLflow tracking server that runs "
        "with --app-name flowgauge.",
        variables=common.target_variables(HTTP_REQUESTS, jobs=["mlflow"]),
        panels=[
            *_overview(),
            *_requests(),
            *_latency(),
            *_pool(),
            *_workers(),
            *_work(),
            *_traces(),
            *jobs.panels(),
            *gateway.panels(_STATUS_COLORS),
            *_budget(),
        ],
        links=common.links(but=common.SERVER),
        annotations=[common.alerts_of(common.SERVER), common.versions()],
    )


def _overview() -> list[Panel]:
    return [
        stat(
            "Server",
            "DOWN if Prometheus cannot scrape one of the chosen servers.",
            "none",
            f"min({select('up')})",
            below(1),
            mappings=_UP_OR_DOWN,
            no_value="no target",
        ),
        stat(
            "Requests",
            "HTTP requests answered per second.",
            "reqps",
            total(HTTP_REQUESTS),
            plain(),
            no_value="no data",
        ),
        stat(
            "Error ratio",
            "Share of requests answered with 5xx. A drained database pool answers 400: see "
            "Pool time-outs. Red where MLflowHighErrorRate fires.",
            "percentunit",
            ratio(total(HTTP_REQUESTS, _FAILED), total(HTTP_REQUESTS)),
            failing(alert_rules.threshold("MLflowHighErrorRate")),
            decimals=1,
            no_value="no traffic",
        ),
        stat(
            "Latency, p95",
            "95 % of requests are answered faster than this, artifacts and gateway left out. Red "
            "where MLflowHighLatency fires.",
            "s",
            quantile(0.95, HTTP_DURATION, _INTERACTIVE),
            above(alert_rules.threshold("MLflowHighLatency")),
            no_value="no traffic",
        ),
        stat(
            "Pool use, fullest worker",
            "Database connections checked out, of those the worker may have. At 100 % requests "
            "wait, and after 30 s MLflow answers them with 400. Red where "
            "MLflowPostgresConnectionPoolExhausted fires.",
            "percentunit",
            f"max({_POOL_USE})",
            above(alert_rules.threshold("MLflowPostgresConnectionPoolExhausted")),
            decimals=0,
            no_value="no pool",
        ),
        common.firing_alerts(common.SERVER),
        state_timeline(
            "Up and down",
            "Whether Prometheus could scrape each server: an outage is a red band here, and a gap "
            "in all that follows.",
            [query(select("up"), "{{instance}}")],
            _UP_OR_DOWN,
            width=24,
            height=4,
            no_value="no target",
        ),
    ]


def _requests() -> list[Panel]:
    by = "method, route"
    return [
        row("Requests"),
        timeseries(
            "Requests by status",
            "HTTP requests answered per second, by status code.",
            "reqps",
            [query(total(HTTP_REQUESTS, by="status"), "{{status}}")],
            stacked=True,
            overrides=_STATUS_COLORS,
        ),
        timeseries(
            "Error ratio",
            "Share of requests that the server failed (5xx) and that it refused (4xx). The line is "
            "where MLflowHighErrorRate fires.",
            "percentunit",
            [
                query(ratio(total(HTTP_REQUESTS, _FAILED), total(HTTP_REQUESTS)), "failed, 5xx"),
                query(ratio(total(HTTP_REQUESTS, _REFUSED), total(HTTP_REQUESTS)), "refused, 4xx"),
            ],
            thresholds=above(alert_rules.threshold("MLflowHighErrorRate")),
            overrides=[
                common.colored("failed, 5xx", "red"),
                common.colored("refused, 4xx", "orange"),
            ],
        ),
        table(
            "Routes",
            "Each route's traffic now: who is busy, who fails, who is slow. Red as in "
            "MLflowHighErrorRate and MLflowHighLatency.",
            {
                "Requests": ("reqps", total(HTTP_REQUESTS, by=by)),
                "Failed": (
                    "percentunit",
                    ratio(total(HTTP_REQUESTS, _FAILED, by=by), total(HTTP_REQUESTS, by=by)),
                ),
                "p50": ("s", quantile(0.5, HTTP_DURATION, by=by)),
                "p95": ("s", quantile(0.95, HTTP_DURATION, by=by)),
            },
            {"method": "Method", "route": "Route"},
            sort_by="Requests",
            overrides=[
                override("byName", "Route", custom_width=420),
                common.graded("Failed", failing(alert_rules.threshold("MLflowHighErrorRate"))),
                common.graded("p95", above(alert_rules.threshold("MLflowHighLatency"))),
            ],
        ),
        timeseries(
            "Requests by route",
            "HTTP requests answered per second, by route.",
            "reqps",
            [query(total(HTTP_REQUESTS, by=by), "{{method}} {{route}}")],
            table_legend=True,
            width=24,
        ),
        timeseries(
            "Failures by route",
            "Requests answered with 4xx or 5xx per second, by route and status code.",
            "reqps",
            [
                query(
                    # Of what never failed there are zeros.
                    total(HTTP_REQUESTS, 'status=~"[45].."', by="method, route, status") + " > 0",
                    "{{status}} {{method}} {{route}}",
                )
            ],
            no_value="No failures",
            table_legend=True,
            width=24,
            overrides=[common.shaded("/^5/", "red"), common.shaded("/^4/", "orange")],
        ),
    ]


def _latency() -> list[Panel]:
    return [
        row("Latency"),
        timeseries(
            "Latency",
            "Time from a request's first byte to its answer's last, artifacts and gateway left "
            "out. The line is where MLflowHighLatency fires on p95.",
            "s",
            [
                query(quantile(0.99, HTTP_DURATION, _INTERACTIVE), "p99"),
                query(quantile(0.95, HTTP_DURATION, _INTERACTIVE), "p95"),
                query(quantile(0.5, HTTP_DURATION, _INTERACTIVE), "p50"),
            ],
            thresholds=above(alert_rules.threshold("MLflowHighLatency")),
            links=[_WHO],
        ),
        heatmap(
            "Latency distribution",
            "How many requests took how long: a second band is a second kind of request.",
            "s",
            buckets(HTTP_DURATION),
        ),
        timeseries(
            "p95 by route",
            "95 % of a route's requests are answered faster than this.",
            "s",
            [
                query(
                    quantile(0.95, HTTP_DURATION, by="method, route"),
                    "{{method}} {{route}}",
                )
            ],
            table_legend=True,
            width=24,
            links=[_WHO],
        ),
    ]


def _pool() -> list[Panel]:
    return [
        row("Database pool"),
        timeseries(
            "Pool use by worker",
            "Each worker has a pool of its own: one may be drained while the others idle. The line "
            "is where MLflowPostgresConnectionPoolExhausted fires.",
            "percentunit",
            [query(_POOL_USE, "{{pool}} of {{pid}} on {{instance}}")],
            thresholds=above(alert_rules.threshold("MLflowPostgresConnectionPoolExhausted")),
            maximum=1,
        ),
        timeseries(
            "Connections",
            "Database connections checked out, and how many may be, over all workers. The database "
            "must allow at least the limit.",
            "short",
            [
                query(f"sum by (pool) ({gauge(POOL_CONNECTIONS)})", "{{pool}} checked out"),
                query(f"sum by (pool) ({gauge(POOL_LIMIT)})", "{{pool}} limit"),
            ],
            overrides=[common.dashed("/limit$/")],
        ),
        timeseries(
            "Waiting for a connection",
            "Threads that wait for a database connection now.",
            "short",
            [query(gauge(POOL_WAITING), "{{pool}} of {{pid}} on {{instance}}")],
            width=8,
        ),
        timeseries(
            "Time to a connection",
            "How long threads waited for a database connection.",
            "s",
            [
                query(quantile(0.99, POOL_WAIT, by="pool"), "{{pool}} p99"),
                query(quantile(0.95, POOL_WAIT, by="pool"), "{{pool}} p95"),
            ],
            width=8,
        ),
        timeseries(
            "Pool time-outs",
            "Requests per minute that waited in vain. MLflow answers them with 400, so no error "
            "ratio shows them.",
            "opm",
            [query(f"60 * {total(POOL_TIMEOUTS, by='pool')}", "{{pool}}")],
            width=8,
            overrides=[common.shaded("/./", "red")],
        ),
    ]


def _workers() -> list[Panel]:
    worker = "{{pid}} on {{instance}}"
    return [
        row("Workers"),
        timeseries(
            "Memory by worker",
            "What each worker holds. One that only ever grows will be killed at the limit.",
            "bytes",
            [query(gauge(WORKER_MEMORY), worker)],
            width=8,
        ),
        timeseries(
            "Memory of the limit",
            "Of the memory that the server's container or systemd unit may take. The line is where "
            "MLflowMemoryNearLimit fires.",
            "percentunit",
            [query(f"{gauge(SERVER_MEMORY)} / {gauge(SERVER_MEMORY_LIMIT)}", "{{instance}}")],
            thresholds=above(alert_rules.threshold("MLflowMemoryNearLimit")),
            maximum=1,
            no_value="No limit",
            width=8,
        ),
        timeseries(
            "CPU by worker",
            "Processors each worker keeps busy.",
            "short",
            [query(total(WORKER_CPU, by="instance, pid"), worker)],
            width=8,
        ),
        timeseries(
            "Event loop blocked",
            "Longest time of the last minute for which a worker served nobody. The line is where "
            "MLflowEventLoopBlocked fires, if it is never below.",
            "s",
            [query(gauge(EVENT_LOOP_LAG), worker)],
            thresholds=above(alert_rules.threshold("MLflowEventLoopBlocked")),
            width=8,
        ),
        timeseries(
            "Files and sockets",
            "Of those that a worker may have open. The line is where MLflowFilesNearLimit fires.",
            "percentunit",
            [query(f"{gauge(WORKER_OPEN_FDS)} / {gauge(WORKER_MAX_FDS)}", worker)],
            thresholds=above(alert_rules.threshold("MLflowFilesNearLimit")),
            maximum=1,
            width=8,
        ),
        timeseries(
            "Workers started",
            "Per minute. After the start of a server there should be none: each takes the place of "
            "one that died.",
            "opm",
            [query(f"60 * {total(WORKER_STARTS, by='instance')}", "{{instance}}")],
            width=4,
        ),
        timeseries(
            "Age of the youngest worker",
            "For how many hours the youngest worker of a server has lived.",
            "short",
            [
                query(
                    f"(time() - max by (instance) ({gauge(WORKER_START_TIME)})) / {_HOUR}",
                    "{{instance}}",
                )
            ],
            width=4,
        ),
    ]


def _work() -> list[Panel]:
    return [
        row("Work"),
        timeseries(
            "Runs and experiments",
            "Runs and experiments created per minute.",
            "opm",
            [
                query(f"60 * {total(RUNS_LOGGED)}", "runs"),
                query(f"60 * {total(EXPERIMENTS_CREATED)}", "experiments"),
            ],
            width=6,
        ),
        timeseries(
            "Artifact uploads",
            "Artifacts uploaded through the server per minute, and uploads that failed. Uploads "
            "straight to a bucket do not pass here.",
            "opm",
            [
                query(f"60 * {total(ARTIFACT_UPLOADS)}", "uploaded"),
                query(f"60 * {total(ARTIFACT_UPLOAD_FAILED)}", "failed"),
            ],
            width=6,
            overrides=[common.colored("failed", "red")],
        ),
        timeseries(
            "Artifact traffic",
            "Bytes of artifacts received per second, also of uploads that failed.",
            "Bps",
            [query(total(ARTIFACT_UPLOAD_BYTES), "received")],
            width=6,
        ),
        timeseries(
            "In progress",
            "HTTP requests being answered now. A rising floor means that requests hang.",
            "short",
            [query(f"sum by (instance) ({gauge(HTTP_IN_PROGRESS)})", "{{instance}}")],
            width=6,
        ),
        timeseries(
            "Artifacts past the server",
            "Multi-part uploads per minute, by what becomes of them, and addresses that were given "
            "away to move an artifact. More created than ended were abandoned.",
            "opm",
            [
                query(f"60 * {total(ARTIFACT_MULTIPART, by='state')}", "upload {{state}}"),
                query(f"60 * {total(ARTIFACT_PRESIGNED, by='direction')}", "{{direction}} granted"),
            ],
            no_value="None",
            width=8,
        ),
        timeseries(
            "Webhooks",
            "Webhooks that MLflow sent per minute, by event, and those that did not arrive: they "
            "are lost.",
            "opm",
            [
                query(f"60 * {total(WEBHOOK_DELIVERIES, by='event')}", "{{event}}"),
                query(f"60 * {total(WEBHOOK_FAILURES, by='event')}", "{{event}} failed"),
            ],
            no_value="Not counted",
            width=8,
            overrides=[
                override("byRegexp", "/failed$/", color={"mode": "fixed", "fixedColor": "red"})
            ],
        ),
        timeseries(
            "Faults of measuring",
            "Measurements per minute that failed inside the server, whose log names the first. "
            "MLflow answers all the same, but this page misses something.",
            "opm",
            [query(f"60 * {total(MEASURING_FAILED, by='instance')}", "{{instance}}")],
            no_value="No faults",
            width=8,
        ),
    ]


def _traces() -> list[Panel]:
    by_kind = {
        "OpenTelemetry": 'route="/v1/traces"',
        "MLflow's API": 'route=~"/(ajax-)?api/.*/traces.*"',
    }
    requests = f"sum(rate({select(f'{OTLP_DURATION.name}_count')}[{RATE_INTERVAL}]))"
    nothing = "No traces"
    return [
        row("Traces"),
        timeseries(
            "Requests for traces",
            "Requests per second to the routes of traces, by protocol, and those that failed in "
            "the server.",
            "reqps",
            [
                *(query(total(HTTP_REQUESTS, where), kind) for kind, where in by_kind.items()),
                *(
                    query(total(HTTP_REQUESTS, where, _FAILED), f"{kind} failed")
                    for kind, where in by_kind.items()
                ),
            ],
            no_value=nothing,
            width=8,
            overrides=[
                override("byRegexp", "/failed$/", color={"mode": "fixed", "fixedColor": "red"})
            ],
        ),
        timeseries(
            "Spans",
            "Spans per second that arrived in the database by OpenTelemetry's protocol; MLflow "
            "3.17 and newer count them.",
            "ops",
            [query(total(SPANS_INGESTED), "spans")],
            no_value=nothing,
            width=8,
        ),
        timeseries(
            "Requests with spans that failed",
            "Their spans are lost. The line is where MLflowTraceIngestionFailing fires, over 15 "
            "minutes.",
            "percentunit",
            [query(ratio(total(TRACE_INGESTION_ERRORS), requests), "failed")],
            thresholds=above(alert_rules.threshold("MLflowTraceIngestionFailing")),
            overrides=[common.colored("failed", "red")],
            no_value=nothing,
            width=8,
        ),
        timeseries(
            "Time of spans, p95",
            "95 % of requests with spans take less.",
            "s",
            [query(quantile(0.95, OTLP_DURATION), "p95")],
            no_value=nothing,
            width=8,
        ),
        timeseries(
            "Spans a request, p95",
            "95 % of requests bring fewer.",
            "short",
            [query(quantile(0.95, OTLP_SPANS), "p95")],
            no_value=nothing,
            width=8,
        ),
        timeseries(
            "Bytes a request, p95",
            "95 % of requests with spans are smaller, as they are sent.",
            "bytes",
            [query(quantile(0.95, OTLP_PAYLOAD), "p95")],
            no_value=nothing,
            width=8,
        ),
    ]


def _budget() -> list[Panel]:
    return [row("Error budget"), *budget.burns(severity="critical", width=12)]
