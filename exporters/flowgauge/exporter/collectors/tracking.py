"""MLflow as its API shows it: whether it answers, and its version."""

import time
from collections.abc import Callable, Iterator

from flowgauge.complaint import Complaint
from flowgauge.exporter.collector import Context, Family
from flowgauge.exporter.families import family
from flowgauge.exporter.workspaces import probe
from flowgauge.metrics import (
    CERTIFICATE_EXPIRY,
    PROBE_DURATION,
    PROBE_FAILURE,
    SERVER_INFO,
    UP,
)
from flowgauge.tracking.errors import REASONS, TrackingError
from flowgauge.tracking.queries import Queries

__all__ = ["TrackingCollector"]

_PROBE_SECONDS = 4.0
_HEALTH_SECONDS = 0.5
# So many probes in a row have to succeed before every other one is left out.
_WELL = 10
# MLflow asks no database for it.
_VERSION_SECONDS = 1.0
# It changes when MLflow starts anew, which may be faster than a scrape.
_VERSION_EVERY_SECONDS = 300.0


class TrackingCollector:
    """Probes MLflow.

    An MLflow that does not answer is a finding (`mlflow_up` 0), not a failure of this collector;
    then nothing else is shown but why, and when its certificate expires. The probe is a real API
    call, as `/health` is fine even without a database. But it takes MLflow eight times as
    long: while all is well, every other scrape is content with `/health`. A version that is not
    told hides nothing else. It is asked for every few minutes, and when MLflow is back.
    """

    name = "tracking"
    time_limit_seconds = _PROBE_SECONDS + _VERSION_SECONDS + 1

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = context.tracking
        self._clock = clock
        self._complaint = Complaint("The probe of MLflow")
        self._version_complaint = Complaint("Asking for MLflow's version")
        self._probe_seconds = 0.0
        self._in_a_row = 0
        self._rests = False
        self._version: str | None = None
        self._version_due = 0.0

    def collect(self) -> Iterator[Family]:
        """Yield the probe's result, then the version if MLflow answers."""
        started = self._clock()
        failure = None if self._is_healthy() else self._probe()
        yield family(UP, {(): failure is None})
        yield family(PROBE_FAILURE, {(reason,): reason == failure for reason in REASONS})
        if expires := self._client.certificate_expires:
            yield family(CERTIFICATE_EXPIRY, {(): expires})
        if failure:
            self._version = None
            return
        yield family(PROBE_DURATION, {(): self._probe_seconds})
        if self._version is None or started >= self._version_due:
            self._ask_version()
            self._version_due = started + _VERSION_EVERY_SECONDS
        if self._version is not None:
            yield family(SERVER_INFO, {(self._version,): 1})

    def _is_healthy(self) -> bool:
        """Return whether no probe is due, and `/health` is fine."""
        self._rests = self._in_a_row >= _WELL and not self._rests
        if not self._rests:
            return False
        try:
            return self._client.text("/health", timeout_seconds=_HEALTH_SECONDS).strip() == "OK"
        except TrackingError:
            return False

    def _probe(self) -> str | None:
        """Return why the probe failed, None if it did not."""
        started = self._clock()
        try:
            probe(self._client, _PROBE_SECONDS)
        except TrackingError as error:
            self._in_a_row = 0
            self._complaint.raise_(str(error))
            return error.reason
        self._in_a_row += 1
        self._probe_seconds = self._clock() - started
        self._complaint.settle()
        return None

    def _ask_version(self) -> None:
        try:
            self._version = Queries(self._client, seconds_left=lambda: _VERSION_SECONDS).version()
        except TrackingError as error:
            self._version = None
            self._version_complaint.raise_(str(error))
        else:
            self._version_complaint.settle()
