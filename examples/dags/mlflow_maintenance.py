"""Housekeeping, once a day: send what waits, close what hangs, delete what is old."""

from datetime import timedelta
from typing import Any

from airflow.sdk import Param, dag, task


@dag(
    schedule="@daily",
    catchup=False,
    max_active_runs=1,
    params={
        "delete_after_days": Param(default=90, type="integer", minimum=1),
        "delete_in_experiments": Param(default=["simple_experiment"], type="array"),
        "stale_after_hours": Param(default=24, type="number", exclusiveMinimum=0),
    },
    tags=["example"],
)
def mlflow_maintenance() -> None:
    """Keep MLflow and the outbox tidy."""

    @task
    def flush_outbox() -> int:
        from contextlib import closing

        from flowgauge.airflow.connection import connect
        from flowgauge.airflow.outbox import flush
        from flowgauge.store.opening import open_store

        with closing(open_store()) as store:
            flushed = flush(store, connect(), seconds=300)
        if flushed.problem:
            raise flushed.problem
        return flushed.sent

    @task
    def close_stale(params: dict[str, Any]) -> list[str]:
        from flowgauge.airflow import configure_mlflow, tracking_uri
        from flowgauge.tracking.cleanup import close_stale_runs
        from flowgauge.tracking.client import TrackingClient

        configure_mlflow()
        with TrackingClient(tracking_uri()) as client:
            return close_stale_runs(client, timedelta(hours=params["stale_after_hours"]))

    @task
    def delete_old(params: dict[str, Any]) -> list[str]:
        from flowgauge.airflow import configure_mlflow, tracking_uri
        from flowgauge.tracking.cleanup import delete_old_runs
        from flowgauge.tracking.client import TrackingClient

        configure_mlflow()
        with TrackingClient(tracking_uri()) as client:
            return delete_old_runs(
                client,
                params["delete_in_experiments"],
                timedelta(days=params["delete_after_days"]),
            )

    flush_outbox() >> close_stale() >> delete_old()


mlflow_maintenance()
