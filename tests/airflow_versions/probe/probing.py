"""What every place of the DAG `places` does: on sys.path of all of Airflow's processes."""

import os

from flowgauge.airflow import log_with_mlflow, rate_limit, validate_payload_schema
from flowgauge.airflow.request_headers import AirflowRequestHeaders
from flowgauge.airflow.run_context import AirflowRunContext

__all__ = ["probe"]


def probe(place: str) -> None:
    """Take a call of the rate limit, and log with what MLflow's own client would send.

    That is the tags of a run, and the headers of a request. The call is taken before the log, so
    that a log which is turned off leaves a trace too.
    """
    _limited()
    log_with_mlflow(
        validate_payload_schema({"rows": 1, "params": {"place": place}}),
        experiment=os.environ["PROBE_EXPERIMENT"],
        tags={
            **{f"provider.{name}": tag for name, tag in AirflowRunContext().tags().items()},
            **{f"request.{name}": sent for name, sent in _request_headers().items()},
        },
    )


def _request_headers() -> dict[str, str]:
    """Return what MLflow's client would send."""
    provider = AirflowRequestHeaders()
    return provider.request_headers() if provider.in_context() else {}


@rate_limit(max_calls=1000, window_seconds=3600, variable_key="places")
def _limited() -> None:
    """Take a call."""
