"""A made-up day of MLflow and its DAGs, with an outage in it, for looking at dashboards.

The metrics are real `prometheus_client` metrics built from `flowgauge.metrics`; only the clock and
the traffic are made up. promtool writes them into a Prometheus as if it had scraped all day, and
works out the rules over them, alerts included.
"""

import math
import random
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from flowgauge import metrics
from flowgauge.assets import asset
from flowgauge.metrics import Metric
from flowgauge.tracking.errors import REASONS
from stack.evaluated import INTERVAL, evaluate, make_blocks
from stack.prometheus import prometheus

__all__ = ["RULES", "SCRAPE_SECONDS", "History", "history"]

SCRAPE_SECONDS = INTERVAL
# Minutes before the end: the database gets slow, the server falls over, and comes back.
_SLOW, _DOWN, _BACK = 52, 32, 24

_ROUTES = {
    # (method, route): requests per second, typical seconds
    ("POST", "/api/2.0/mlflow/runs/create"): (0.5, 0.03),
    ("POST", "/api/2.0/mlflow/runs/log-batch"): (1.4, 0.04),
    ("POST", "/api/2.0/mlflow/runs/update"): (0.5, 0.02),
    ("POST", "/api/2.0/mlflow/runs/search"): (0.3, 0.25),
    ("GET", "/api/2.0/mlflow/experiments/get-by-name"): (0.5, 0.01),
    ("GET", "/api/2.0/mlflow/runs/get"): (0.8, 0.015),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{artifact_path}"): (0.2, 1.1),
    ("POST", "/v1/traces"): (0.4, 0.05),
    ("POST", "/api/3.0/mlflow/traces"): (0.3, 0.03),
    ("GET", "/"): (0.1, 0.005),
    ("GET", "other"): (0.05, 0.004),
}
_TASKS = {
    # (dag_id, task_id): minutes between runs, rows, share of nulls
    ("sales_daily", "extract"): (15, 42_000, 0.011),
    ("sales_daily", "clean"): (15, 41_500, 0.002),
    ("clickstream", "sessions"): (5, 8_000, 0.034),
    ("weather", "load"): (30, 1_700, 0.06),
    ("churn_model", "train"): (60, 120_000, 0.0),
}
_WORKERS = ("4711", "4712", "4713", "4714")
_UP_SECONDS = 26 * 3600


_SERVER = {"job": "mlflow", "instance": "mlflow:5000"}
_EXPORTER = {"job": "flowgauge", "instance": "flowgauge:9877"}


RULES = sorted({path.stem for path in asset("alerts").glob("*.yaml")} - {"dag_silence"})
"""All but those that judge the habits of weeks."""


@dataclass(frozen=True)
class History:
    """A Prometheus whose last scrape was at *end*, in Unix time.

    Before it was an outage: soon after it began, at *fall*, requests are still in the rates, and at
    *outage*, a little before it was over, every alert has had its time.
    """

    url: str
    end: float
    fall: float
    outage: float


@contextmanager
def history(
    folder: Path, *, hours: float = 24, rules: Collection[str] = RULES
) -> Iterator[History]:
    """Run a Prometheus that holds the *hours* up to now until the block ends.

    And what *rules*, by the names of their files, make of them: all that a day is enough for, which
    takes some minutes.
    """
    # In step with the subqueries of rules.
    end = time.time() // INTERVAL * INTERVAL
    scraped, samples = folder / "scraped", folder / "samples.txt"
    folder.mkdir(parents=True, exist_ok=True)
    with samples.open("w") as file:
        file.writelines(_Day(end).samples(hours))
        file.write("# EOF\n")
    make_blocks(samples, scraped)
    files = [asset("alerts") / f"{name}.yaml" for name in rules]
    evaluate(files, scraped, folder / "tsdb", (end - hours * 3600, end), lambda: _serve(folder))
    with _serve(folder) as url:
        yield History(url, end, end - (_DOWN - 1) * 60, end - (_BACK + 2) * 60)


@contextmanager
def _serve(folder: Path) -> Iterator[str]:
    # No series here has an end but that nothing is written any more.
    with prometheus(folder, {}, lookback=f"{SCRAPE_SECONDS + 5}s") as running:
        yield running.url


class _Target:
    """One scrape target: its metrics, and the labels Prometheus gives it."""

    def __init__(self, families: Sequence[Metric], labels: dict[str, str]) -> None:
        self.labels = labels
        self._registry = CollectorRegistry()
        self._metrics = {family.name: self._build(family) for family in families}

    def _build(self, family: Metric) -> Any:
        common = (family.name, family.help, family.labels)
        if family.kind == "histogram":
            return Histogram(*common, registry=self._registry, buckets=family.buckets)
        kind = Counter if family.kind == "counter" else Gauge
        return kind(*common, registry=self._registry)

    def __call__(self, family: Metric, *values: str) -> Any:
        metric = self._metrics[family.name]
        return metric.labels(*values) if values else metric

    def scrape(self, at: float, *, up: bool) -> Iterator[str]:
        """Yield the lines of a scrape: all series, or `up` alone when the target is down."""
        yield _line("up", self.labels, float(up), at)
        if not up:
            return
        for family in self._registry.collect():
            for sample in family.samples:
                # NaN stands for what the exporter leaves out, such as the age of nothing.
                if not sample.name.endswith("_created") and not math.isnan(sample.value):
                    yield _line(sample.name, {**sample.labels, **self.labels}, sample.value, at)


def _line(name: str, labels: dict[str, str], value: float, at: float) -> str:
    pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"{name}{{{pairs}}} {value!r} {at:.3f}\n"


class _Day:
    """The traffic, minute by minute; minutes count down to the end of the history."""

    def __init__(self, end: float) -> None:
        self._end = end
        self._random = random.Random(7)
        self._server = _Target((*metrics.SERVER_METRICS, *metrics.MLFLOW_METRICS), _SERVER)
        self._server(metrics.WORKER_STARTS).inc(len(_WORKERS))
        self._exporter = _Target(metrics.EXPORTER_METRICS, _EXPORTER)
        self._outbox: list[tuple[str, str, float]] = []
        self._due: dict[tuple[str, str], float] = {}

    def samples(self, hours: float) -> Iterator[str]:
        steps = round(hours * 3600 / SCRAPE_SECONDS)
        # Schedules are not in step with each other.
        for pair, (every, _, _) in _TASKS.items():
            self._due[pair] = hours * 60 - self._random.uniform(0, every)
        for step in range(steps + 1):
            at = self._end - (steps - step) * SCRAPE_SECONDS
            left = (steps - step) * SCRAPE_SECONDS / 60
            slow, down = _DOWN < left <= _SLOW, _BACK < left <= _DOWN
            if not down:
                self._serve(left, slow=slow)
                self._pools(slow=slow)
                self._work(slow=slow, restarted=left <= _DOWN)
                self._traces(slow=slow)
                self._reach_out(slow=slow)
            self._log(left, at, reachable=not (slow or down))
            self._limit(left)
            self._count(left, at)
            self._watch(at, left, slow=slow, down=down, upgraded=left <= _DOWN)
            yield from self._server.scrape(at, up=not down)
            yield from self._exporter.scrape(at, up=True)

    def _serve(self, left: float, *, slow: bool) -> None:
        server = self._server
        # Busier by day than by night.
        load = 1 + 0.6 * math.sin(left / 1440 * 2 * math.pi) + self._random.gauss(0, 0.08)
        for (method, route), (per_second, seconds) in _ROUTES.items():
            for _ in range(self._times(per_second * load * SCRAPE_SECONDS)):
                took = self._random.lognormvariate(math.log(seconds), 0.6) * (40 if slow else 1)
                status = self._status(route, slow=slow)
                server(metrics.HTTP_REQUESTS, method, route, status).inc()
                server(metrics.HTTP_DURATION, method, route).observe(took)
                if method == "PUT":
                    self._upload(status)
                elif route.endswith("runs/create") and status == "200":
                    server(metrics.RUNS_LOGGED).inc()
        for dag, task in _TASKS:
            requests = self._times(0.3 * load * SCRAPE_SECONDS)
            server(metrics.DAG_REQUESTS, dag, task).inc(requests)
            server(metrics.DAG_REQUEST_FAILURES, dag, task).inc(requests // 5 if slow else 0)
            seconds = requests * (2.0 if slow else 0.05)
            server(metrics.DAG_REQUEST_SECONDS, dag, task).inc(seconds)
            server(metrics.DAG_RUNS_STARTED, dag, task).inc(requests // 9)
            server(metrics.DAG_ARTIFACT_BYTES, dag, task).inc(requests * 20_000)
        server(metrics.EXPERIMENTS_CREATED).inc(self._times(0.01))
        server(metrics.HTTP_IN_PROGRESS).set(self._times(40 if slow else 2))

    def _status(self, route: str, *, slow: bool) -> str:
        if route == "other":
            return "404"
        draw = self._random.random()
        if slow:
            return "503" if draw < 0.2 else "400" if draw < 0.3 else "200"
        return "500" if draw < 0.0006 else "400" if draw < 0.006 else "200"

    def _upload(self, status: str) -> None:
        self._server(metrics.ARTIFACT_UPLOAD_BYTES).inc(self._random.lognormvariate(14, 1.2))
        done = metrics.ARTIFACT_UPLOADS if status == "200" else metrics.ARTIFACT_UPLOAD_FAILED
        self._server(done).inc()

    def _pools(self, *, slow: bool) -> None:
        for number, worker in enumerate(_WORKERS):
            full = slow and number != 2
            used = 15 if full else min(15, self._times(2 + number))
            self._server(metrics.POOL_CONNECTIONS, "tracking", worker).set(used)
            self._server(metrics.POOL_LIMIT, "tracking", worker).set(15)
            self._server(metrics.POOL_WAITING, "tracking", worker).set(
                self._times(6) if full else 0
            )
        for _ in range(40):
            waited = self._random.lognormvariate(2 if slow else -7, 1)
            self._server(metrics.POOL_WAIT, "tracking").observe(min(waited, 30))
        self._server(metrics.POOL_TIMEOUTS, "tracking").inc(self._times(4) if slow else 0)

    def _work(self, *, slow: bool, restarted: bool) -> None:
        server = self._server
        up_seconds = _BACK * 60 if restarted else _UP_SECONDS
        for number, worker in enumerate(_WORKERS):
            lag = self._random.uniform(0.1, 0.6) if slow else self._random.lognormvariate(-5, 1)
            server(metrics.EVENT_LOOP_LAG, worker).set(lag)
            server(metrics.WORKER_CPU, worker).inc((0.6 if slow else 0.1) * SCRAPE_SECONDS)
            server(metrics.WORKER_MEMORY, worker).set((320 + 9 * number + self._times(20)) * 2**20)
            server(metrics.WORKER_OPEN_FDS, worker).set(40 + self._times(30))
            server(metrics.WORKER_MAX_FDS, worker).set(1024)
            server(metrics.WORKER_START_TIME, worker).set(self._end - up_seconds)
        server(metrics.SERVER_MEMORY).set((1500 + self._times(80)) * 2**20)
        server(metrics.SERVER_MEMORY_LIMIT).set(2**31)

    def _traces(self, *, slow: bool) -> None:
        server = self._server
        for _ in range(self._times(0.4 * SCRAPE_SECONDS)):
            spans = self._times(12)
            failed = slow and self._random.random() < 0.3
            server(metrics.SPANS_INGESTED, "http").inc(0 if failed else spans)
            server(metrics.TRACE_INGESTION_ERRORS, "http").inc(int(failed))
            server(metrics.OTLP_DURATION).observe(self._random.lognormvariate(-3, 0.6))
            server(metrics.OTLP_PAYLOAD).observe(spans * self._random.uniform(800, 3000))
            server(metrics.OTLP_SPANS).observe(spans)

    def _reach_out(self, *, slow: bool) -> None:
        server, route = self._server, "/gateway/mlflow/v1/chat/completions"
        for _ in range(self._times(0.2 * SCRAPE_SECONDS)):
            status = "503" if self._random.random() < 0.03 else "200"
            server(metrics.GATEWAY_REQUESTS, route, status).inc()
            server(metrics.GATEWAY_PROVIDER, route).observe(self._random.lognormvariate(0.3, 0.6))
            typical = -1.2 if slow else -4.2
            server(metrics.GATEWAY_OVERHEAD, route).observe(
                self._random.lognormvariate(typical, 0.6)
            )
        for state in ("created", "completed"):
            server(metrics.ARTIFACT_MULTIPART, state).inc(self._times(0.02 * SCRAPE_SECONDS))
        server(metrics.ARTIFACT_PRESIGNED, "download").inc(self._times(0.02 * SCRAPE_SECONDS))
        for event in ("model_version.created", "model_version_alias.created"):
            sent = self._times(0.01 * SCRAPE_SECONDS)
            server(metrics.WEBHOOK_DELIVERIES, event).inc(sent)
            server(metrics.WEBHOOK_FAILURES, event).inc(sent if slow else 0)

    def _count(self, left: float, at: float) -> None:
        server = self._server
        runs = 1e5 - 4 * left
        server(metrics.EXPERIMENTS, "active").set(84)
        server(metrics.EXPERIMENTS, "deleted").set(3)
        server(metrics.RUNS, "active", "FINISHED").set(round(0.96 * runs))
        server(metrics.RUNS, "active", "FAILED").set(round(0.04 * runs))
        server(metrics.RUNS, "active", "RUNNING").set(self._times(9))
        server(metrics.RUNS, "deleted", "FINISHED").set(1270)
        server(metrics.TRACES).set(round(3e6 - 200 * left))
        scored = round(1440 - left)
        for status, jobs in (("SUCCEEDED", scored - scored // 40), ("FAILED", scored // 40)):
            server(metrics.JOBS, "run_online_trace_scorer", status).set(jobs)
        server(metrics.JOBS, "run_online_trace_scorer", "RUNNING").set(1)
        server(metrics.JOBS, "run_online_trace_scorer", "PENDING").set(1)
        server(metrics.JOBS_OLDEST_PENDING, "run_online_trace_scorer").set(at - 20 - left % 40)
        server(metrics.REGISTERED_MODELS).set(31)
        for stage, versions in (("None", 410), ("Staging", 6), ("Production", 19)):
            server(metrics.MODEL_VERSIONS, stage).set(versions)
        for alias, versions in (("champion", 24), ("challenger", 7)):
            server(metrics.MODEL_ALIASES, alias).set(versions)
        server(metrics.USERS).set(46)
        server(metrics.INVENTORY_READ).set(at - 20)

    def _log(self, left: float, at: float, *, reachable: bool) -> None:
        exporter = self._exporter
        for (dag, task), (every, rows, nulls) in _TASKS.items():
            if left > self._due[dag, task]:
                continue
            self._due[dag, task] = left - every + self._random.uniform(0, 0.4)
            if reachable:
                self._arrive(dag, task, at)
                exporter(metrics.DAG_LOG_DURATION, dag).observe(
                    self._random.lognormvariate(-2, 0.5)
                )
            else:
                self._outbox.append((dag, task, at))
                exporter(metrics.DAG_LOG_FAILURES, dag, task, "unreachable").inc()
                exporter(metrics.DAG_LOGS_DEFERRED, dag, task).inc()
                exporter(metrics.DAG_LOG_DURATION, dag).observe(10)
            # The sessions' names are longer than MLflow takes.
            exporter(metrics.DAG_LOGS_ALTERED, dag, task).inc(int(task == "sessions"))
            # Training uses functions of MLflow's own, too.
            given_up = task == "train" and not reachable
            exporter(metrics.DAG_BEST_EFFORT_FAILURES, dag, task).inc(int(given_up))
            exporter(metrics.DAG_ROWS, dag, task).inc(rows * self._random.uniform(0.9, 1.1))
            share = nulls * self._random.uniform(0.7, 1.5)
            exporter(metrics.DAG_NULL_RATIO, dag, task).set(share)
        if reachable and self._outbox:
            dag, task, _ = self._outbox.pop(0)
            self._arrive(dag, task, at)

    def _arrive(self, dag: str, task: str, at: float) -> None:
        self._exporter(metrics.DAG_LOGS, dag, task).inc()
        self._exporter(metrics.DAG_LAST_LOGGED, dag, task).set(at)
        self._exporter(metrics.DAG_LAST_RUN, dag, "").set(at)
        self._exporter(metrics.DAG_LAST_RUN_DURATION, dag, "").set(
            self._random.lognormvariate(2, 1)
        )

    def _limit(self, left: float) -> None:
        exporter = self._exporter
        busy = left < 14
        for key, most, usual in (("mlflow_api", 20, 9), ("artifacts", 10, 2)):
            calls = most if busy and key == "mlflow_api" else min(most, self._times(usual))
            exporter(metrics.RATE_LIMIT_WINDOW_CALLS, key).set(calls)
            exporter(metrics.RATE_LIMIT_MAX_CALLS, key).set(most)
            exporter(metrics.RATE_LIMIT_WINDOW_SECONDS, key).set(60)
            exporter(metrics.RATE_LIMIT_CALLS, key).inc(calls / 2)
            hits = self._times(2.5) if calls == most else 0
            exporter(metrics.RATE_LIMIT_HITS, key).inc(hits)
            exporter(metrics.RATE_LIMIT_WAIT, key).inc(hits * self._random.uniform(5, 25))
            exporter(metrics.RATE_LIMIT_FAIL_OPEN, key).inc(0)

    def _watch(self, at: float, left: float, *, slow: bool, down: bool, upgraded: bool) -> None:
        exporter = self._exporter
        exporter(metrics.OUTBOX_ENTRIES).set(len(self._outbox))
        oldest = self._outbox[0][2] if self._outbox else math.nan
        exporter(metrics.OUTBOX_OLDEST).set(oldest)
        exporter(metrics.OUTBOX_POISON).set(0)
        exporter(metrics.STORE_RISK, "eviction").set(0)
        exporter(metrics.UP).set(not down)
        for reason in REASONS:
            exporter(metrics.PROBE_FAILURE, reason).set(down and reason == "unreachable")
        exporter(metrics.CERTIFICATE_EXPIRY).set(self._end + 60 * 24 * 3600)
        exporter(metrics.PROBE_DURATION).set(5 if down else 2 if slow else 0.02)
        for version, is_new in (("3.17.1", False), ("3.17.2", True)):
            exporter(metrics.SERVER_INFO, version).set(1 if upgraded == is_new else math.nan)
        exporter(metrics.BUILD_INFO, "0.1.0", "3.11").set(1)
        exporter(metrics.DAG_PAIRS_DROPPED).set(0)
        exporter(metrics.DAG_RUNS_LIMITED, "").set(0)
        if not down:
            exporter(metrics.DAG_RUNS_READ, "").set(at)
        for kind, tokens in (("input", 2_400_000), ("output", 610_000)):
            exporter(metrics.GATEWAY_TOKENS, "chat", kind, "").set(tokens * (1 + left / 14_400))
        budget = ("bp-4f1c", "GLOBAL", "1 MONTHS", "ALERT", "")
        exporter(metrics.GATEWAY_BUDGET, *budget).set(500)
        exporter(metrics.GATEWAY_BUDGET_SPENT, *budget).set(310 - left / 100)
        exporter(metrics.GATEWAY_READ).set(at - 20)
        for collector in ("dag_logging", "gateway", "outbox", "rate_limit", "runs", "tracking"):
            exporter(metrics.COLLECTOR_SUCCESS, collector).set(1)
            waits = down and collector == "tracking"
            seconds = 4 if waits else self._random.uniform(0.005, 0.04)
            exporter(metrics.COLLECTOR_DURATION, collector).set(seconds)
        for dag, task in _TASKS:
            runs = 1440 / _TASKS[dag, task][0]
            exporter(metrics.DAG_RUNS, dag, "FINISHED", "").set(round(runs * 0.97))
            exporter(metrics.DAG_RUNS, dag, "FAILED", "").set(round(runs * 0.02))
            exporter(metrics.DAG_RUNS, dag, "RUNNING", "").set(1)
            exporter(metrics.DAG_RUNS_STALE, dag, "").set(2 if dag == "weather" else 0)

    def _times(self, expected: float) -> int:
        """Return how often something happened that happens *expected* times on average."""
        happened, product = 0, self._random.random()
        limit = math.exp(-expected)
        while product > limit:
            happened += 1
            product *= self._random.random()
        return happened
