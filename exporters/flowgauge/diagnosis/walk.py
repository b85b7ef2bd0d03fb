"""The whole walk."""

from collections.abc import Collection, Iterator

from flowgauge.diagnosis.exporter import ask_exporter
from flowgauge.diagnosis.installation import describe_installation
from flowgauge.diagnosis.mlflow import MlflowPath
from flowgauge.diagnosis.prometheus import ask_prometheus
from flowgauge.diagnosis.step import Name, Step, chain
from flowgauge.diagnosis.store import ask_store
from flowgauge.store import store_url
from flowgauge.tracking.uri import TrackingUri

__all__ = ["SKIPPABLE", "walk"]

# Without a tracking URI there is no way to walk, and the installation is only told.
SKIPPABLE = tuple(name for name in Name if name not in {Name.INSTALLATION, Name.TRACKING_URI})


def walk(
    given: TrackingUri | None,
    store: str | None,
    exporter_url: str | None,
    prometheus_url: str | None,
    skip: Collection[Name] = (),
) -> Iterator[Step]:
    """Yield each step as it is done: MLflow's, then the store's, the exporter's, Prometheus'.

    *given* is a tracking URI that spares looking for one, *store* a store's URL; *skip* names
    steps to leave out.
    """
    yield from chain({Name.INSTALLATION: describe_installation}, skip)
    with MlflowPath(given) as mlflow:
        yield from chain(
            {
                Name.TRACKING_URI: mlflow.find,
                Name.HOST_NAME: mlflow.resolve,
                Name.CONNECTION: mlflow.connect,
                Name.API: mlflow.ask,
                Name.LOGIN: mlflow.log_in,
                Name.VERSION: mlflow.version,
                Name.SERVER_APP: mlflow.server_app,
            },
            skip,
        )
    yield from chain({Name.STORE: lambda: ask_store(store or store_url())}, skip)
    yield from chain({Name.EXPORTER: lambda: ask_exporter(exporter_url)}, skip)
    yield from chain({Name.PROMETHEUS: lambda: ask_prometheus(prometheus_url)}, skip)
