"""What every place of the DAG `places` does: on sys.path of all of Airflow's processes."""

import os

from flowgauge.airflow import log_with_mlflow, rate_limit, validate_payload_schema
from flowgauge.airflow.run_context import AirflowRunContext

__all__ = ["probe"]


def probe(place: str) -> None:
    """Take a call of the rate limit, and log with the tags that MLflow's own functions would add.

    The call is taken before the log, so that a log which is turned off leaves a trace too.
    """
    _limited()
    log_with_mlflow(
        validate_payload_schema({"rows": 1, "params": {"place": place}}),
        experiment=os.environ["PROBE_EXPERIMENT"],
        tags={f"provider.{name}": tag for name, tag in AirflowRunContext().tags().items()},
    )


@rate_limit(max_calls=1000, window_seconds=3600, variable_key="places")
def _limited() -> None:
    """Take a call."""
