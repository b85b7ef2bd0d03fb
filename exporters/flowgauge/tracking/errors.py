"""Why MLflow could not be asked, sorted by what a caller can do about it."""

from typing import ClassVar

from flowgauge.errors import FlowgaugeError

__all__ = [
    "REASONS",
    "TrackingError",
    "TrackingNotMlflowError",
    "TrackingRejectedError",
    "TrackingTimedOutError",
    "TrackingTooLongError",
    "TrackingUnauthorizedError",
    "TrackingUnavailableError",
    "TrackingUnreachableError",
]


# https://mlflow.org/docs/latest/api_reference/rest-api.html, and 413 of a proxy.
_FOR_CONTENT = {
    "BAD_REQUEST",
    "INVALID_PARAMETER_VALUE",
    "INVALID_STATE",
    "MALFORMED_REQUEST",
    "REQUEST_ENTITY_TOO_LARGE",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_CONFLICT",
    "RESOURCE_DOES_NOT_EXIST",
    "RESOURCE_LIMIT_EXCEEDED",
}


REASONS = ("not_mlflow", "rejected", "unauthorized", "unavailable", "unreachable")
"""What `TrackingError.reason` may be."""


class TrackingError(FlowgaugeError):
    """MLflow could not be asked, or said no; `reason` is how a metric's label says why."""

    reason: ClassVar[str]


class TrackingUnreachableError(TrackingError):
    """No answer: name resolution, connection, TLS or time-out. Whether MLflow acted is unknown."""

    reason = "unreachable"


class TrackingTimedOutError(TrackingUnreachableError):
    """No answer within the time there was."""


class TrackingUnauthorizedError(TrackingError):
    """MLflow wants another login or workspace (401), or gives this one no permission (403)."""

    reason = "unauthorized"


class TrackingUnavailableError(TrackingError):
    """MLflow cannot answer now (408, 429, 5xx, or its database has a problem): try later.

    `retry_after_seconds` is how long it asks to be left alone, if it does.
    """

    reason = "unavailable"
    retry_after_seconds: float | None = None


class TrackingNotMlflowError(TrackingUnavailableError):
    """What answered is not MLflow: a proxy's page, a login form, a wrong path in the URI."""

    reason = "not_mlflow"


class TrackingTooLongError(TrackingUnavailableError):
    """The answer is longer than is read: to ask for less may help."""


class TrackingRejectedError(TrackingError):
    """MLflow refused the request for good; asking again will not help.

    `is_for_content` says that it is for what was sent, so another payload may well be taken.

    `status` is the HTTP status, `error_code` MLflow's name for it (`INVALID_PARAMETER_VALUE`, ...),
    `message` MLflow's own words.
    """

    reason = "rejected"

    def __init__(self, sentence: str, *, status: int, error_code: str, message: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.error_code = error_code
        self.message = message

    @property
    def is_for_content(self) -> bool:
        """See the class."""
        return self.error_code in _FOR_CONTENT
