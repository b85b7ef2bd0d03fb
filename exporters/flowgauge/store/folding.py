"""Folding: what was not seen for long is counted under other labels, and forgotten."""

import json
from collections.abc import Iterable

from flowgauge.metrics import COUNTED_METRICS
from flowgauge.store.counts import Change, Counts, Row, Totals

__all__ = ["fold_unseen"]

_SUMS = {name for metric in COUNTED_METRICS if metric.kind != "gauge" for name in metric.series}


def fold_unseen(
    counts: Counts, kind: str, found: Iterable[Totals], *, other: str, since: float
) -> None:
    """Add what owners counted that were not seen *since* then to the owner called *other*.

    Each is one step, so that the sum over all owners never goes back; who counts again begins anew.
    """
    for totals in found:
        labels = (other,) * len(totals.labels)
        if totals.seen < since and totals.labels != labels:
            rows: list[Row] = [
                (json.dumps(field), "add", value)
                for field, value in sorted(totals.values.items())
                if field[0] in _SUMS
            ]
            counts.fold(kind, totals, Change(kind, json.dumps(labels), rows))
