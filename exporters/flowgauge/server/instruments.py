"""The server's metrics as prometheus_client objects, built from `flowgauge.metrics`."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from flowgauge import metrics

__all__ = ["Instruments"]


class Instruments:
    """One worker's metrics; making them makes the worker's files in the multi-process folder."""

    def __init__(self) -> None:
        # By their labels, at each request: prometheus_client takes ten times as long to find them.
        self.http_requests = cache(_counter(metrics.HTTP_REQUESTS).labels)
        self.http_duration = cache(_histogram(metrics.HTTP_DURATION).labels)
        self.http_in_progress = _gauge(metrics.HTTP_IN_PROGRESS)
        self.experiments_created = _counter(metrics.EXPERIMENTS_CREATED)
        self.runs_logged = _counter(metrics.RUNS_LOGGED)
        self.artifact_uploads = _counter(metrics.ARTIFACT_UPLOADS)
        self.artifact_upload_failed = _counter(metrics.ARTIFACT_UPLOAD_FAILED)
        self.artifact_upload_bytes = _counter(metrics.ARTIFACT_UPLOAD_BYTES)
        self.artifact_multipart = _counter(metrics.ARTIFACT_MULTIPART)
        self.artifact_presigned = _counter(metrics.ARTIFACT_PRESIGNED)
        self.gateway_requests = _counter(metrics.GATEWAY_REQUESTS)
        self.gateway_provider = _histogram(metrics.GATEWAY_PROVIDER)
        self.gateway_overhead = _histogram(metrics.GATEWAY_OVERHEAD)
        self.webhook_deliveries = _counter(metrics.WEBHOOK_DELIVERIES)
        self.webhook_failures = _counter(metrics.WEBHOOK_FAILURES)
        self.pool_connections = _gauge(metrics.POOL_CONNECTIONS)
        self.pool_limit = _gauge(metrics.POOL_LIMIT)
        self.pool_waiting = _gauge(metrics.POOL_WAITING)
        self.pool_wait = _histogram(metrics.POOL_WAIT)
        self.pool_timeouts = _counter(metrics.POOL_TIMEOUTS)
        self.worker_starts = _counter(metrics.WORKER_STARTS)
        self.event_loop_lag = _gauge(metrics.EVENT_LOOP_LAG)
        self.measuring_failed = _counter(metrics.MEASURING_FAILED)


def _counter(spec: metrics.Metric) -> Counter:
    return Counter(spec.name, spec.help, spec.labels)


def _histogram(spec: metrics.Metric) -> Histogram:
    return Histogram(spec.name, spec.help, spec.labels, buckets=spec.buckets)


def _gauge(spec: metrics.Metric) -> Gauge:
    # "live": only of living workers. With "liveall" prometheus_client adds the label pid itself.
    if "pid" in spec.labels:
        labels = [label for label in spec.labels if label != "pid"]
        return Gauge(spec.name, spec.help, labels, multiprocess_mode="liveall")
    return Gauge(spec.name, spec.help, spec.labels, multiprocess_mode="livesum")
