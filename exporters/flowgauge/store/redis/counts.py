"""Counts in Redis."""

import json
from collections.abc import Sequence

from flowgauge.store.counts import Count, Totals, changes_json, read_totals
from flowgauge.store.redis.connection import RedisConnection
from flowgauge.store.redis.from_0_1 import From01
from flowgauge.store.redis.replies import fields

__all__ = ["RedisCounts"]


class RedisCounts:
    """The `Counts` of *redis*; every step is one script, and so atomic."""

    def __init__(self, redis: RedisConnection) -> None:
        self._add = redis.script("counts", "add")
        self._page = redis.script("counts", "page")
        self._from_0_1 = From01(redis)

    def add(self, *counts: Count) -> None:
        """See `Counts.add`."""
        self._add(changes_json(counts))

    def page(self, kind: str, after: int, limit: int) -> Sequence[Totals]:
        """See `Counts.page`."""
        if after < 0:
            self._from_0_1.take_over()
        return [
            read_totals(owner, int(place), fields(values))
            for owner, place, values in json.loads(self._page(kind, after, limit))
        ]
