"""What the exporter's metrics page says."""

from prometheus_client.parser import text_string_to_metric_families

from flowgauge.diagnosis.page import RefusedError, Site
from flowgauge.diagnosis.step import NotSeen
from flowgauge.errors import FlowgaugeError
from flowgauge.metrics import BUILD_INFO, COLLECTOR_SUCCESS, UP

__all__ = ["ask_exporter"]

_HERE = "http://127.0.0.1:9877"


def ask_exporter(url: str | None) -> str:
    """Scrape the exporter at *url* and return what it says of itself.

    Without *url*, one on this machine is looked for, and there need be none (`NotSeen`). Raises
    `FlowgaugeError` if it does not answer, cannot reach MLflow, or a collector fails.
    """
    site = Site(
        name="the exporter",
        url=url or _HERE,
        option="--exporter-url",
        cure_down="start `flowgauge exporter`",
        cure_far="leave it out with --skip exporter where a firewall or network policy lets only "
        "Prometheus in",
        near=not url,
    )
    try:
        page = site.get("/metrics").text
    except RefusedError:
        if url:
            raise
        raise NotSeen(
            "none runs on this machine, and no other was named: give --exporter-url "
            "where it can be reached"
        ) from None
    return _read(page, site.address)


def _read(page: str, address: str) -> str:
    values = _samples(page)
    if not any(name in {BUILD_INFO.name, COLLECTOR_SUCCESS.name} for name, _ in values):
        raise FlowgaugeError(f"{address} is not flowgauge's: give the exporter's --exporter-url")
    # Its collector may be left out.
    up = values.get((UP.name, ""))
    if up not in {None, 1}:
        raise FlowgaugeError(
            f"the exporter at {address} does not reach MLflow: see its log, it may have another "
            "tracking URI or login"
        )
    failing = [label for (name, label), value in values.items() if _has_failed(name, value)]
    if failing:
        raise FlowgaugeError(
            f"the exporter at {address} cannot collect {', '.join(failing)}: see its log"
        )
    return f"{address} {'reaches MLflow' if up else 'answers'}, and every collector succeeds"


def _has_failed(name: str, value: float) -> bool:
    return name == COLLECTOR_SUCCESS.name and value != 1


def _samples(page: str) -> dict[tuple[str, str], float]:
    """Return the values of *page* by name and the label `collector`; none if it is no such page."""
    try:
        return {
            (sample.name, sample.labels.get("collector", "")): sample.value
            for found in text_string_to_metric_families(page)
            for sample in found.samples
        }
    except ValueError:
        return {}
