"""What an error that kept a payload from MLflow is counted as."""

from flowgauge.airflow.deadline import OutOfTimeError
from flowgauge.airflow.rate_limiter import RateLimitExceeded
from flowgauge.airflow.reasons import Reason
from flowgauge.errors import UsageError
from flowgauge.tracking.errors import (
    TrackingNotMlflowError,
    TrackingRejectedError,
    TrackingUnauthorizedError,
    TrackingUnavailableError,
    TrackingUnreachableError,
)

__all__ = ["reason_for"]

_REASONS = {
    OutOfTimeError: Reason.OUT_OF_TIME,
    RateLimitExceeded: Reason.RATE_LIMITED,
    UsageError: Reason.MISCONFIGURED,
    TrackingUnreachableError: Reason.UNREACHABLE,
    TrackingUnauthorizedError: Reason.UNAUTHORIZED,
    TrackingNotMlflowError: Reason.NOT_MLFLOW,
    TrackingUnavailableError: Reason.UNAVAILABLE,
    TrackingRejectedError: Reason.REJECTED,
}


def reason_for(error: Exception) -> Reason:
    """Return the reason *error* stands for."""
    return next(
        (reason for kind, reason in _REASONS.items() if isinstance(error, kind)), Reason.UNEXPECTED
    )
