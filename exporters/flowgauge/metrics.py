"""Every metric flowgauge exports: name, type, labels, help.

This table is the contract: the server app and the collectors build their metrics from it, and the
README's table, the dashboards' and the rules' checks read it.

`COUNTED_METRICS` are kept in the store: a further one is a line there, and a line where it happens
(`flowgauge.store.log_calls`); store, exporter, README and checks follow.
"""

from typing import Literal, NamedTuple

__all__ = [
    "ALL_METRICS",
    "COUNTED_METRICS",
    "EXPORTER_METRICS",
    "MLFLOW_METRICS",
    "RELAY_METRICS",
    "SERVER_METRICS",
    "Metric",
]

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric family; `buckets` are a histogram's upper bounds, in the unit of its name."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names its samples carry in the text format."""
        if self.kind == "histogram":
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)


# OpenTelemetry's advice for HTTP, with 2 s as a bound of its own: the latency alert compares p95
# with exactly 2 s. Extended to 60 s because a proxied artifact upload takes that long.
_HTTP_SECONDS = (
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0
)  # fmt: skip
_POOL_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)
_PROVIDER_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_OVERHEAD_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LOG_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

HTTP_REQUESTS = Metric(
    "mlflow_http_requests_total",
    "counter",
    "HTTP requests MLflow answered, by route template; other is every path no route matches, probe "
    "what the exporter asks.",
    ("method", "route", "status"),
)
HTTP_DURATION = Metric(
    "mlflow_http_request_duration_seconds",
    "histogram",
    "Time from a request's first byte to its response's last; until a route has served somebody, "
    "under other.",
    ("method", "route"),
    _HTTP_SECONDS,
)
HTTP_IN_PROGRESS = Metric(
    "mlflow_http_requests_in_progress", "gauge", "HTTP requests being answered now."
)
EXPERIMENTS_CREATED = Metric("mlflow_experiments_created_total", "counter", "Experiments created.")
RUNS_LOGGED = Metric("mlflow_runs_logged_total", "counter", "Runs created.")
ARTIFACT_UPLOADS = Metric(
    "mlflow_artifact_uploads_total", "counter", "Artifacts uploaded through the server."
)
ARTIFACT_UPLOAD_FAILED = Metric(
    "mlflow_artifact_upload_failed_total", "counter", "Artifact uploads that failed."
)
ARTIFACT_UPLOAD_BYTES = Metric(
    "mlflow_artifact_upload_bytes_total",
    "counter",
    "Bytes of artifacts received by the server, also of uploads that failed.",
)
ARTIFACT_MULTIPART = Metric(
    "mlflow_artifact_multipart_total",
    "counter",
    "Multi-part uploads created, completed and aborted; the parts go past the server.",
    ("state",),
)
ARTIFACT_PRESIGNED = Metric(
    "mlflow_artifact_presigned_total",
    "counter",
    "Addresses given to a client to upload or download an artifact past the server.",
    ("direction",),
)
GATEWAY_REQUESTS = Metric(
    "mlflow_gateway_requests_total",
    "counter",
    "Requests to MLflow's gateway to language models.",
    ("route", "status"),
)
GATEWAY_PROVIDER = Metric(
    "mlflow_gateway_provider_seconds",
    "histogram",
    "Time the provider of a language model took for a request, as MLflow says; not of streams.",
    ("route",),
    _PROVIDER_SECONDS,
)
GATEWAY_OVERHEAD = Metric(
    "mlflow_gateway_overhead_seconds",
    "histogram",
    "Time that MLflow's gateway itself added to it.",
    ("route",),
    _OVERHEAD_SECONDS,
)
GATEWAY_TOKENS = Metric(
    "mlflow_gateway_tokens",
    "gauge",
    "Tokens that the requests of the last 24 hours to an endpoint of MLflow's gateway took, where "
    "MLflow tracks its usage.",
    ("endpoint", "kind", "workspace"),
)
GATEWAY_BUDGET = Metric(
    "mlflow_gateway_budget_usd",
    "gauge",
    "What a budget of MLflow's gateway allows in each of its periods.",
    ("budget", "scope", "period", "action", "workspace"),
)
GATEWAY_BUDGET_SPENT = Metric(
    "mlflow_gateway_budget_spent_usd",
    "gauge",
    "What of it is spent in the present period, as MLflow reckons.",
    ("budget", "scope", "period", "action", "workspace"),
)
GATEWAY_READ = Metric(
    "mlflow_gateway_read_timestamp_seconds",
    "gauge",
    "When the exporter last asked MLflow for tokens and budgets, in Unix time: what it shows is of "
    "then.",
)
WEBHOOK_DELIVERIES = Metric(
    "mlflow_webhook_deliveries_total",
    "counter",
    "Webhooks MLflow sent, tests of them included; one that it tried again counts once.",
    ("event",),
)
WEBHOOK_FAILURES = Metric(
    "mlflow_webhook_delivery_failures_total",
    "counter",
    "Those that got no answer, or one with a status of 400 or more.",
    ("event",),
)
POOL_CONNECTIONS = Metric(
    "mlflow_db_pool_connections",
    "gauge",
    "Database connections a worker has checked out of its pool.",
    ("pool", "pid"),
)
POOL_LIMIT = Metric(
    "mlflow_db_pool_limit",
    "gauge",
    "Database connections a worker's pool may have checked out: size plus overflow.",
    ("pool", "pid"),
)
POOL_WAITING = Metric(
    "mlflow_db_pool_waiting",
    "gauge",
    "Threads of a worker waiting for a database connection.",
    ("pool", "pid"),
)
POOL_WAIT = Metric(
    "mlflow_db_pool_wait_seconds",
    "histogram",
    "Time a thread waited for a database connection.",
    ("pool",),
    _POOL_SECONDS,
)
POOL_TIMEOUTS = Metric(
    "mlflow_db_pool_timeouts_total",
    "counter",
    "Waits for a database connection that timed out; MLflow answers those requests with 400.",
    ("pool",),
)

DAG_REQUESTS = Metric(
    "mlflow_dag_requests_total",
    "counter",
    "HTTP requests that a DAG's task made, by MLflow's client or flowgauge's.",
    ("dag_id", "task_id"),
)
DAG_REQUEST_FAILURES = Metric(
    "mlflow_dag_request_failures_total",
    "counter",
    "Those answered with 5xx or 429, or that got no database connection.",
    ("dag_id", "task_id"),
)
DAG_REQUEST_SECONDS = Metric(
    "mlflow_dag_request_seconds_total",
    "counter",
    "Time the server spent on a task's requests.",
    ("dag_id", "task_id"),
)
DAG_RUNS_STARTED = Metric(
    "mlflow_dag_runs_started_total",
    "counter",
    "Runs that a task created.",
    ("dag_id", "task_id"),
)
DAG_ARTIFACT_BYTES = Metric(
    "mlflow_dag_artifact_bytes_total",
    "counter",
    "Bytes of artifacts the server received from a task, also of uploads that failed.",
    ("dag_id", "task_id"),
)

WORKER_MEMORY = Metric(
    "mlflow_worker_memory_bytes", "gauge", "Memory a worker holds (resident set).", ("pid",)
)
WORKER_CPU = Metric(
    "mlflow_worker_cpu_seconds_total", "counter", "CPU time a worker has taken.", ("pid",)
)
WORKER_START_TIME = Metric(
    "mlflow_worker_start_time_seconds", "gauge", "When a worker started.", ("pid",)
)
WORKER_OPEN_FDS = Metric(
    "mlflow_worker_open_fds", "gauge", "Files and sockets a worker has open.", ("pid",)
)
WORKER_MAX_FDS = Metric(
    "mlflow_worker_max_fds", "gauge", "Files and sockets a worker may have open.", ("pid",)
)
WORKER_STARTS = Metric(
    "mlflow_worker_starts_total",
    "counter",
    "Workers started since the server was, those that died at once included.",
)
EVENT_LOOP_LAG = Metric(
    "mlflow_event_loop_lag_seconds",
    "gauge",
    "Longest time of the last minute for which a worker served nobody, for a call that blocks it.",
    ("pid",),
)
SERVER_MEMORY = Metric(
    "mlflow_server_memory_bytes",
    "gauge",
    "Memory taken in the server's container or unit, where that is limited (the working set).",
)
SERVER_MEMORY_LIMIT = Metric(
    "mlflow_server_memory_limit_bytes",
    "gauge",
    "Memory the server's container or unit may take; at the limit a worker is killed.",
)

EXPERIMENTS = Metric(
    "mlflow_experiments", "gauge", "Experiments in MLflow's database.", ("lifecycle_stage",)
)
RUNS = Metric("mlflow_runs", "gauge", "Runs in MLflow's database.", ("lifecycle_stage", "status"))
TRACES = Metric("mlflow_traces", "gauge", "Traces in MLflow's database.")
JOBS = Metric(
    "mlflow_jobs",
    "gauge",
    "Jobs in MLflow's database (scorers, evaluations, prompt optimizations, ...).",
    ("job_name", "status"),
)
JOBS_OLDEST_PENDING = Metric(
    "mlflow_jobs_oldest_pending_timestamp_seconds",
    "gauge",
    "Since when the job that has been pending the longest is, in Unix time.",
    ("job_name",),
)
REGISTERED_MODELS = Metric("mlflow_registered_models", "gauge", "Registered models.")
MODEL_VERSIONS = Metric(
    "mlflow_model_versions", "gauge", "Versions of registered models.", ("stage",)
)
MODEL_ALIASES = Metric(
    "mlflow_model_aliases",
    "gauge",
    "Versions of registered models that an alias leads to; beyond 20 aliases, other.",
    ("alias",),
)
USERS = Metric("mlflow_users", "gauge", "Users of MLflow's own login.")
INVENTORY_READ = Metric(
    "mlflow_inventory_read_timestamp_seconds",
    "gauge",
    "When the server last counted what is in its database, in Unix time.",
)

MEASURING_FAILED = Metric(
    "flowgauge_server_measuring_failed_total",
    "counter",
    "Measurements that failed inside the MLflow server; the requests themselves went on.",
)

SERVER_METRICS: tuple[Metric, ...] = (
    HTTP_REQUESTS,
    HTTP_DURATION,
    HTTP_IN_PROGRESS,
    EXPERIMENTS_CREATED,
    RUNS_LOGGED,
    ARTIFACT_UPLOADS,
    ARTIFACT_UPLOAD_FAILED,
    ARTIFACT_UPLOAD_BYTES,
    ARTIFACT_MULTIPART,
    ARTIFACT_PRESIGNED,
    GATEWAY_REQUESTS,
    GATEWAY_PROVIDER,
    GATEWAY_OVERHEAD,
    WEBHOOK_DELIVERIES,
    WEBHOOK_FAILURES,
    POOL_CONNECTIONS,
    POOL_LIMIT,
    POOL_WAITING,
    POOL_WAIT,
    POOL_TIMEOUTS,
    DAG_REQUESTS,
    DAG_REQUEST_FAILURES,
    DAG_REQUEST_SECONDS,
    DAG_RUNS_STARTED,
    DAG_ARTIFACT_BYTES,
    WORKER_MEMORY,
    WORKER_CPU,
    WORKER_START_TIME,
    WORKER_OPEN_FDS,
    WORKER_MAX_FDS,
    WORKER_STARTS,
    EVENT_LOOP_LAG,
    SERVER_MEMORY,
    SERVER_MEMORY_LIMIT,
    EXPERIMENTS,
    RUNS,
    TRACES,
    JOBS,
    JOBS_OLDEST_PENDING,
    REGISTERED_MODELS,
    MODEL_VERSIONS,
    MODEL_ALIASES,
    USERS,
    INVENTORY_READ,
    MEASURING_FAILED,
)

RATE_LIMIT_CALLS = Metric(
    "mlflow_rate_limit_calls_total", "counter", "Calls the rate limit granted.", ("key",)
)
RATE_LIMIT_HITS = Metric(
    "mlflow_rate_limit_hits_total",
    "counter",
    "Calls that found the window full: they waited, or were refused.",
    ("key",),
)
RATE_LIMIT_WAIT = Metric(
    "mlflow_rate_limit_wait_seconds_total",
    "counter",
    "Time calls spent waiting for the rate limit.",
    ("key",),
)
RATE_LIMIT_WINDOW_CALLS = Metric(
    "mlflow_rate_limit_window_calls", "gauge", "Calls in the window that ends now.", ("key",)
)
RATE_LIMIT_MAX_CALLS = Metric(
    "mlflow_rate_limit_max_calls", "gauge", "Calls the rate limit allows a window.", ("key",)
)
RATE_LIMIT_WINDOW_SECONDS = Metric(
    "mlflow_rate_limit_window_seconds", "gauge", "Length of the rate limit's window.", ("key",)
)
RATE_LIMIT_FAIL_OPEN = Metric(
    "mlflow_rate_limit_fail_open_total",
    "counter",
    "Calls let through uncounted because the store did not answer in time.",
    ("key",),
)
DAG_LOGS = Metric(
    "mlflow_dag_logs_total",
    "counter",
    "Payloads logged to MLflow, at once or later from the outbox.",
    ("dag_id", "task_id"),
)
DAG_LOG_FAILURES = Metric(
    "mlflow_dag_log_failures_total",
    "counter",
    "Attempts to log a payload that failed, by reason.",
    ("dag_id", "task_id", "reason"),
)
DAG_LOGS_DEFERRED = Metric(
    "mlflow_dag_logs_deferred_total",
    "counter",
    "Payloads put into the outbox because MLflow could not take them.",
    ("dag_id", "task_id"),
)
DAG_LOGS_ALTERED = Metric(
    "mlflow_dag_logs_altered_total",
    "counter",
    "Payloads whose names or values were cut, renamed or left out to suit MLflow.",
    ("dag_id", "task_id"),
)
DAG_BEST_EFFORT_FAILURES = Metric(
    "mlflow_dag_best_effort_failures_total",
    "counter",
    "Blocks of best_effort that MLflow's failure ended; what they were to log is lost.",
    ("dag_id", "task_id"),
)
DAG_LOG_DURATION = Metric(
    "mlflow_dag_log_duration_seconds",
    "histogram",
    "Time a task spent in log_with_mlflow.",
    ("dag_id",),
    _LOG_SECONDS,
)
DAG_ROWS = Metric(
    "mlflow_dag_rows_total", "counter", "Rows the logged payloads reported.", ("dag_id", "task_id")
)
DAG_NULL_RATIO = Metric(
    "mlflow_dag_null_ratio",
    "gauge",
    "Share of nulls the last payload reported, 0 to 1.",
    ("dag_id", "task_id"),
)
DAG_LAST_LOGGED = Metric(
    "mlflow_dag_last_logged_timestamp_seconds",
    "gauge",
    "When a payload last arrived in MLflow, in Unix time.",
    ("dag_id", "task_id"),
)
DAG_PAIRS_DROPPED = Metric(
    "mlflow_dag_pairs_over_limit",
    "gauge",
    "DAG and task pairs beyond the label limit, shown together as other.",
)
OUTBOX_ENTRIES = Metric(
    "mlflow_outbox_entries", "gauge", "Payloads in the outbox waiting to be sent."
)
OUTBOX_OLDEST = Metric(
    "mlflow_outbox_oldest_timestamp_seconds",
    "gauge",
    "When the oldest waiting payload was put into the outbox, in Unix time.",
)
OUTBOX_POISON = Metric(
    "mlflow_outbox_poison_entries",
    "gauge",
    "Payloads set aside because MLflow refused them for good.",
)
STORE_RISK = Metric(
    "flowgauge_store_risk",
    "gauge",
    "1 if the store may lose the outbox in this way, else 0; none where it could not be asked.",
    ("risk",),
)
UP = Metric("mlflow_up", "gauge", "1 if MLflow answered a real API call, else 0.")
PROBE_FAILURE = Metric(
    "mlflow_probe_failure",
    "gauge",
    "1 for the reason why MLflow did not answer that call, else 0.",
    ("reason",),
)
CERTIFICATE_EXPIRY = Metric(
    "mlflow_certificate_expiry_timestamp_seconds",
    "gauge",
    "When the certificate expires that MLflow shows the exporter, in Unix time.",
)
PROBE_DURATION = Metric(
    "mlflow_probe_duration_seconds", "gauge", "Time MLflow took to answer the probe."
)
SERVER_INFO = Metric(
    "mlflow_server_info", "gauge", "The version MLflow reports; the value is 1.", ("version",)
)
DAG_RUNS = Metric(
    "mlflow_dag_runs",
    "gauge",
    "MLflow runs started in the last 24 hours, by the DAG they are tagged with and status.",
    ("dag_id", "status", "workspace"),
)
DAG_LAST_RUN = Metric(
    "mlflow_dag_last_run_timestamp_seconds",
    "gauge",
    "When the newest MLflow run of a DAG started, in Unix time; gone 24 hours later.",
    ("dag_id", "workspace"),
)
DAG_LAST_RUN_DURATION = Metric(
    "mlflow_dag_last_run_duration_seconds",
    "gauge",
    "How long the newest MLflow run of a DAG that has ended took.",
    ("dag_id", "workspace"),
)
DAG_RUNS_STALE = Metric(
    "mlflow_dag_runs_stale",
    "gauge",
    "MLflow runs that have been RUNNING for over 24 hours, by the DAG they are tagged with.",
    ("dag_id", "workspace"),
)
DAG_RUNS_LIMITED = Metric(
    "mlflow_dag_runs_limited",
    "gauge",
    "1 if there are more runs than the exporter has read, and it counts the newest only; of no "
    "workspace, where others have one: if there are more workspaces.",
    ("workspace",),
)
DAG_RUNS_READ = Metric(
    "mlflow_dag_runs_read_timestamp_seconds",
    "gauge",
    "When the exporter last asked MLflow for runs, in Unix time: what it shows of them is of then.",
    ("workspace",),
)
COLLECTOR_SUCCESS = Metric(
    "flowgauge_collector_success", "gauge", "1 if the collector succeeded, else 0.", ("collector",)
)
COLLECTOR_DURATION = Metric(
    "flowgauge_collector_duration_seconds", "gauge", "Time the collector took.", ("collector",)
)
BUILD_INFO = Metric(
    "flowgauge_build_info",
    "gauge",
    "The exporter's version and Python; the value is 1.",
    ("version", "python_version"),
)

RELAY_SENT = Metric(
    "flowgauge_relay_sent_total", "counter", "Payloads that this relay sent to MLflow."
)
RELAY_SET_ASIDE = Metric(
    "flowgauge_relay_set_aside_total",
    "counter",
    "Payloads that MLflow refused for good when this relay sent them.",
)
RELAY_LAG = Metric(
    "flowgauge_relay_lag_seconds",
    "gauge",
    "Age of the oldest payload in the outbox when this relay last looked; 0 if there is none.",
)
RELAY_SPOOL = Metric(
    "flowgauge_relay_spool_files",
    "gauge",
    "Files in the spool of this relay's host: waiting for the store, or bad, so no payloads.",
    ("state",),
)
RELAY_UP = Metric(
    "flowgauge_relay_up",
    "gauge",
    "1 if store and MLflow answered this relay the last time, else 0.",
)

COUNTED_METRICS: tuple[Metric, ...] = (
    RATE_LIMIT_CALLS,
    RATE_LIMIT_HITS,
    RATE_LIMIT_WAIT,
    RATE_LIMIT_FAIL_OPEN,
    DAG_LOGS,
    DAG_LOG_FAILURES,
    DAG_LOGS_DEFERRED,
    DAG_LOGS_ALTERED,
    DAG_BEST_EFFORT_FAILURES,
    DAG_LOG_DURATION,
    DAG_ROWS,
    DAG_NULL_RATIO,
    DAG_LAST_LOGGED,
)

EXPORTER_METRICS: tuple[Metric, ...] = (
    *COUNTED_METRICS,
    RATE_LIMIT_WINDOW_CALLS,
    RATE_LIMIT_MAX_CALLS,
    RATE_LIMIT_WINDOW_SECONDS,
    DAG_PAIRS_DROPPED,
    OUTBOX_ENTRIES,
    OUTBOX_OLDEST,
    OUTBOX_POISON,
    STORE_RISK,
    UP,
    PROBE_FAILURE,
    CERTIFICATE_EXPIRY,
    PROBE_DURATION,
    SERVER_INFO,
    GATEWAY_TOKENS,
    GATEWAY_BUDGET,
    GATEWAY_BUDGET_SPENT,
    GATEWAY_READ,
    DAG_RUNS,
    DAG_LAST_RUN,
    DAG_LAST_RUN_DURATION,
    DAG_RUNS_STALE,
    DAG_RUNS_LIMITED,
    DAG_RUNS_READ,
    COLLECTOR_SUCCESS,
    COLLECTOR_DURATION,
    BUILD_INFO,
)

RELAY_METRICS: tuple[Metric, ...] = (
    RELAY_SENT,
    RELAY_SET_ASIDE,
    RELAY_LAG,
    RELAY_SPOOL,
    RELAY_UP,
)

# MLflow's: https://github.com/mlflow/mlflow/blob/master/mlflow/server/otlp_metrics.py
_BYTES = (
    1_024, 5_120, 20_480, 102_400, 524_288, 1_048_576, 5_242_880, 10_485_760, 33_554_432
)  # fmt: skip
SPANS_INGESTED = Metric(
    "mlflow_spans_ingested_total", "counter", "Spans that arrived in the database.", ("protocol",)
)
TRACE_INGESTION_ERRORS = Metric(
    "mlflow_trace_ingestion_server_errors_total",
    "counter",
    "Requests with spans that failed in the server: their spans are lost.",
    ("protocol",),
)
OTLP_DURATION = Metric(
    "mlflow_otlp_request_duration_seconds",
    "histogram",
    "Time of a request with spans.",
    (),
    (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
OTLP_PAYLOAD = Metric(
    "mlflow_otlp_request_payload_bytes",
    "histogram",
    "Bytes of a request with spans, as they were sent.",
    (),
    _BYTES,
)
OTLP_SPANS = Metric(
    "mlflow_otlp_spans_per_request",
    "histogram",
    "Spans of a request.",
    (),
    (1, 2, 5, 10, 25, 50, 100, 250, 500),
)

MLFLOW_METRICS: tuple[Metric, ...] = (
    SPANS_INGESTED,
    TRACE_INGESTION_ERRORS,
    OTLP_DURATION,
    OTLP_PAYLOAD,
    OTLP_SPANS,
)
"""What MLflow itself counts of traces, from 3.17 on; it is on the page of the server app."""

ALL_METRICS: tuple[Metric, ...] = (*SERVER_METRICS, *EXPORTER_METRICS, *RELAY_METRICS)
