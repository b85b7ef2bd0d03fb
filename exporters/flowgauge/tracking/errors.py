"""Why MLflow could not be asked, sorted by what a caller can do about it."""

from flowgauge.errors import FlowgaugeError

__all__ = [
    "TrackingError",
    "TrackingNotMlflowError",
    "TrackingRejectedError",
    "TrackingTooLongError",
    "TrackingUnauthorizedError",
    "TrackingUnavailableError",
    "TrackingUnreachableError",
]


class TrackingError(FlowgaugeError):
    """MLflow could not be asked, or said no."""


class TrackingUnreachableError(TrackingError):
    """No answer: name resolution, connection, TLS or time-out. Whether MLflow acted is unknown."""


class TrackingUnauthorizedError(TrackingError):
    """MLflow wants another login (401), or gives this one no permission (403)."""


class TrackingUnavailableError(TrackingError):
    """MLflow cannot answer now (408, 429, 5xx, or its connection pool is drained): try later."""


class TrackingNotMlflowError(TrackingUnavailableError):
    """What answered is not MLflow: a proxy's page, a login form, a wrong path in the URI."""


class TrackingTooLongError(TrackingUnavailableError):
    """The answer is longer than is read: to ask for less may help."""


class TrackingRejectedError(TrackingError):
    """MLflow refused the request for good; asking again will not help.

    `status` is the HTTP status, `error_code` MLflow's name for it (`INVALID_PARAMETER_VALUE`, ...),
    `message` MLflow's own words.
    """

    def __init__(self, sentence: str, *, status: int, error_code: str, message: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.error_code = error_code
        self.message = message
