"""MLflow's gateway on the server's dashboard: the language models' time, and its own."""

from dashboards import alert_rules, common
from dashboards.grafana import Json, Panel, above, query, row, timeseries
from dashboards.promql import SYSTEM, quantile, ratio, total
from flowgauge.metrics import (
    GATEWAY_BUDGET,
    GATEWAY_BUDGET_SPENT,
    GATEWAY_OVERHEAD,
    GATEWAY_PROVIDER,
    GATEWAY_REQUESTS,
    GATEWAY_TOKENS,
    Metric,
)

__all__ = ["panels"]

# As MLflowGatewayFailing: a provider refuses a key that was revoked, and limits who asks too often.
_FAILED = 'status=~"5..|401|403|429"'
_NOTHING = "No requests"
_NEARLY_SPENT = 0.9


def panels(status_colors: list[Json]) -> list[Panel]:
    """Return the row about the gateway; *status_colors* are those of status codes."""
    return [
        row("Gateway to language models"),
        timeseries(
            "Requests to the gateway",
            "Requests answered per second, by status code.",
            "reqps",
            [query(total(GATEWAY_REQUESTS, by="status"), "{{status}}")],
            stacked=True,
            overrides=status_colors,
            no_value=_NOTHING,
            width=6,
        ),
        timeseries(
            "Gateway requests that failed",
            "Share answered with 5xx, 401, 403 or 429, mostly the provider's doing. The line is "
            "where MLflowGatewayFailing fires.",
            "percentunit",
            [
                query(
                    ratio(
                        total(GATEWAY_REQUESTS, _FAILED, by="route"),
                        total(GATEWAY_REQUESTS, by="route"),
                    ),
                    "{{route}}",
                )
            ],
            thresholds=above(alert_rules.threshold("MLflowGatewayFailing")),
            overrides=[common.shaded("/./", "red")],
            no_value=_NOTHING,
            width=6,
        ),
        timeseries(
            "Time of the provider",
            "How long the provider of the language model took, as MLflow 3.12 and newer measure "
            "it; of answers that do not stream.",
            "s",
            [
                query(quantile(0.95, GATEWAY_PROVIDER), "p95"),
                query(quantile(0.5, GATEWAY_PROVIDER), "p50"),
            ],
            no_value=_NOTHING,
            width=6,
        ),
        timeseries(
            "Time that MLflow adds",
            "What the gateway itself adds to the provider's time. The line is where "
            "MLflowGatewaySlow fires on p95.",
            "s",
            [
                query(quantile(0.95, GATEWAY_OVERHEAD), "p95"),
                query(quantile(0.5, GATEWAY_OVERHEAD), "p50"),
            ],
            thresholds=above(alert_rules.threshold("MLflowGatewaySlow")),
            no_value=_NOTHING,
            width=6,
        ),
        timeseries(
            "Tokens of a day",
            "Tokens that the requests of the last 24 hours took, of the endpoints whose usage "
            "MLflow tracks.",
            "short",
            [query(f"sum by (endpoint, kind) ({_told(GATEWAY_TOKENS)})", "{{endpoint}}, {{kind}}")],
            no_value="None tracked",
            width=12,
        ),
        timeseries(
            "Budgets spent",
            "Share of each budget of the gateway that is spent in its present period, as MLflow "
            "reckons. At 100 % it warns, or refuses requests.",
            "percentunit",
            [
                query(
                    f"{_told(GATEWAY_BUDGET_SPENT)} / {_told(GATEWAY_BUDGET)}",
                    "{{scope}} {{period}} {{action}} {{workspace}} {{budget}}",
                )
            ],
            thresholds=above(_NEARLY_SPENT),
            no_value="No budgets",
            width=12,
        ),
    ]


def _told(metric: Metric) -> str:
    """Return what the exporter shows, which is another job than the server, and may be several."""
    return f"max without (job, instance, pod) ({metric.name}{{{SYSTEM}}})"
