"""The rate limit that every delivery to MLflow keeps."""

from flowgauge.airflow.rate_limit import rate_limit

__all__ = ["wait_for_permit"]

_MAX_CALLS = 20
_WINDOW_SECONDS = 60


def wait_for_permit(seconds: float) -> None:
    """Return once a payload may be sent; raise `RateLimitExceeded` if none may within *seconds*."""

    @rate_limit(
        max_calls=_MAX_CALLS,
        window_seconds=_WINDOW_SECONDS,
        variable_key="mlflow_api",
        max_wait_seconds=max(seconds, 0.0),
    )
    def permitted() -> None:
        """Do nothing: being called is the permit."""

    permitted()
