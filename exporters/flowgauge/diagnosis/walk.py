"""The whole walk."""

from collections.abc import Iterator
from contextlib import closing

from flowgauge.diagnosis.exporter import ask_exporter
from flowgauge.diagnosis.mlflow import MlflowPath
from flowgauge.diagnosis.step import Step, chain
from flowgauge.redact import redact_url
from flowgauge.store import open_store, store_url
from flowgauge.tracking.uri import TrackingUri

__all__ = ["walk"]

_STORE_SECONDS = 5.0


def walk(given: TrackingUri | None, store: str | None, exporter_url: str) -> Iterator[Step]:
    """Yield each step as it is done: MLflow's, then the store's and the exporter's.

    *given* is a tracking URI that spares looking for one, *store* a store's URL.
    """
    with MlflowPath(given) as mlflow:
        yield from chain(
            {
                "tracking URI": mlflow.find,
                "host name": mlflow.resolve,
                "connection": mlflow.connect,
                "login": mlflow.log_in,
                "version": mlflow.version,
                "server app": mlflow.server_app,
            }
        )
    yield from chain({"store": lambda: _ask_store(store or store_url())})
    yield from chain({"exporter": lambda: ask_exporter(exporter_url)})


def _ask_store(url: str) -> str:
    with closing(open_store(url, timeout_seconds=_STORE_SECONDS)) as store:
        about, outbox = store.about(), store.outbox.state()
    return (
        f"{redact_url(url)} answers, {about}; payloads waiting in the outbox: {outbox.entries}, "
        f"refused for good: {outbox.poison}"
    )
