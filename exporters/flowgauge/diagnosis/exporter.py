"""What the exporter's metrics page says."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from flowgauge.errors import FlowgaugeError
from flowgauge.metrics import BUILD_INFO, COLLECTOR_SUCCESS, UP
from flowgauge.redact import quote, redact_url

__all__ = ["ask_exporter"]

_SECONDS = 15.0


def ask_exporter(url: str) -> str:
    """Scrape the exporter at *url* and return what it says of itself.

    Raises `FlowgaugeError` if it does not answer, cannot reach MLflow, or a collector fails.
    """
    address = redact_url(url)
    values = _samples(_page(url, address))
    if not any(name == BUILD_INFO.name for name, _ in values):
        raise FlowgaugeError(f"{address} is not flowgauge's: give the exporter's --exporter-url")
    if values.get((UP.name, "")) != 1:
        raise FlowgaugeError(
            f"the exporter at {address} does not reach MLflow: see its log, it may have another "
            "tracking URI or login"
        )
    failing = [label for (name, label), value in values.items() if _has_failed(name, value)]
    if failing:
        raise FlowgaugeError(
            f"the exporter at {address} cannot collect {', '.join(failing)}: see its log"
        )
    return f"{address} reaches MLflow, and every collector succeeds"


def _has_failed(name: str, value: float) -> bool:
    return name == COLLECTOR_SUCCESS.name and value != 1


def _page(url: str, address: str) -> str:
    try:
        answer = httpx.get(f"{url.rstrip('/')}/metrics", timeout=_SECONDS)
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        raise FlowgaugeError(
            f"the exporter at {address} answers {error.response.status_code}: "
            "put its login into --exporter-url, https://USER:PASSWORD@HOST:PORT"
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FlowgaugeError(
            f"the exporter at {address} does not answer ({quote(str(error))}): start "
            "`flowgauge exporter`, or give its --exporter-url"
        ) from None
    return answer.text


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
