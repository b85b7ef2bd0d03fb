"""Why a payload did not reach MLflow, as the `reason` label of a metric: few, and fixed."""

from enum import StrEnum

__all__ = ["Reason"]


class Reason(StrEnum):
    """The values of the label.

    `INVALID_VALUE` is a value that was left out of a payload which did reach MLflow, or will.
    `KILLED` is the task's own end, in the middle of its log call.
    """

    INVALID_PAYLOAD = "invalid_payload"
    INVALID_VALUE = "invalid_value"
    OUT_OF_TIME = "out_of_time"
    RATE_LIMITED = "rate_limited"
    MISCONFIGURED = "misconfigured"
    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    UNAVAILABLE = "unavailable"
    NOT_MLFLOW = "not_mlflow"
    REJECTED = "rejected"
    UNREADABLE = "unreadable"
    UNEXPECTED = "unexpected"
    KILLED = "killed"
