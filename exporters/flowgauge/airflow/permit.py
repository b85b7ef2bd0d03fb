"""The rate limit that every delivery to MLflow keeps."""

from flowgauge.airflow.rate_limiter import RateLimit

__all__ = ["wait_for_permit"]

_MAX_CALLS = 20
_WINDOW_SECONDS = 60


def wait_for_permit(seconds: float) -> None:
    """Return once a payload may be sent; raise `RateLimitExceeded` if none may within *seconds*."""
    RateLimit("mlflow_api", _MAX_CALLS, _WINDOW_SECONDS, max_wait_seconds=seconds).wait()
