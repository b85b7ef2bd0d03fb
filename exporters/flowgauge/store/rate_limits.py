"""The rate limits as operators see them."""

from collections.abc import Sequence
from typing import Any

from flowgauge.metrics import COUNTED_METRICS, Metric
from flowgauge.store.counts import Totals, owner_of
from flowgauge.store.store import Store

__all__ = ["rate_limits"]


def rate_limits(store: Store) -> Sequence[dict[str, Any]]:
    """Return every rate limit: the fields of its `WindowState`, and what was counted for it.

    A counter goes by its metric's name without prefix and `_total`: `calls`, `wait_seconds`.
    """
    counted = [metric for metric in COUNTED_METRICS if owner_of(metric) == ("key",)]
    found = {key: each for each in store.counts.totals("key") for key in each.labels}
    limits = []
    for state in store.windows.states():
        values = found.get(state.key)
        counters = {_short(metric): _value(metric, values) for metric in counted}
        limits.append({**state._asdict(), **counters})
    return limits


def _value(metric: Metric, values: Totals | None) -> float:
    value = (values.of(metric) if values else None) or 0.0
    return int(value) if value.is_integer() else value


def _short(metric: Metric) -> str:
    return metric.name.removeprefix("mlflow_rate_limit_").removesuffix("_total")
