"""MLflow's webhooks: how many were delivered, and how many were not, which a log alone says."""

from typing import TYPE_CHECKING

from flowgauge.server.mlflow_host import observe_webhooks

if TYPE_CHECKING:
    from requests import Response

    from flowgauge.server.containment import Containment
    from flowgauge.server.instruments import Instruments

__all__ = ["count_webhooks"]

_FIRST_ERROR = 400


def count_webhooks(instruments: "Instruments", contained: "Containment") -> None:
    """Count deliveries from now on, by event: each event is shown from the start, with 0.

    Of an MLflow that delivers in another way than is known, nothing is counted or shown. What goes
    wrong in counting is *contained*.
    """

    def count(event: object, answer: "Response | None") -> None:
        with contained:
            instruments.webhook_deliveries.labels(str(event)).inc()
            # MLflow itself takes whatever answer for a success.
            if answer is None or answer.status_code >= _FIRST_ERROR:
                instruments.webhook_failures.labels(str(event)).inc()

    with contained:
        for event in observe_webhooks(count):
            instruments.webhook_deliveries.labels(event)
            instruments.webhook_failures.labels(event)
