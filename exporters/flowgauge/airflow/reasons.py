"""Why a payload did not reach MLflow, as the `reason` label of a metric: few, and fixed."""

from enum import StrEnum

from flowgauge.airflow.rate_limiter import RateLimitExceeded
from flowgauge.errors import UsageError
from flowgauge.tracking.errors import (
    TrackingRejectedError,
    TrackingUnauthorizedError,
    TrackingUnavailableError,
    TrackingUnreachableError,
)

__all__ = ["Reason", "reason_for"]


class Reason(StrEnum):
    """The values of the label."""

    INVALID_PAYLOAD = "invalid_payload"
    RATE_LIMITED = "rate_limited"
    MISCONFIGURED = "misconfigured"
    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    UNREADABLE = "unreadable"
    UNEXPECTED = "unexpected"


_REASONS = {
    RateLimitExceeded: Reason.RATE_LIMITED,
    UsageError: Reason.MISCONFIGURED,
    TrackingUnreachableError: Reason.UNREACHABLE,
    TrackingUnauthorizedError: Reason.UNAUTHORIZED,
    TrackingUnavailableError: Reason.UNAVAILABLE,
    TrackingRejectedError: Reason.REJECTED,
}


def reason_for(error: Exception) -> Reason:
    """Return the reason *error* stands for."""
    return next(
        (reason for kind, reason in _REASONS.items() if isinstance(error, kind)), Reason.UNEXPECTED
    )
