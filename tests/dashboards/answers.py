"""Asking a Prometheus every query of every dashboard."""

import httpx

from tests.dashboards.boards import Query, all_queries, interpolate

__all__ = ["unanswered"]


def unanswered(
    prometheus_url: str, *, end: float, scrape_seconds: float, minutes: float = 60
) -> list[Query]:
    """Return the queries that had no data at all in the *minutes* before *end*.

    Dashboards are asked as Grafana asks them: over a range, with a rate over four scrapes.
    """
    with httpx.Client(base_url=prometheus_url, timeout=60) as client:
        return [
            query
            for query in all_queries()
            if not _answer(client, query, end, minutes, scrape_seconds)
        ]


def _answer(
    client: httpx.Client, query: Query, end: float, minutes: float, scrape_seconds: float
) -> list[object]:
    expr = interpolate(
        query.expr,
        rate_interval=f"{4 * scrape_seconds * 1000:.0f}ms",
        time_range=f"{minutes * 60:.0f}s",
    )
    begin = end - minutes * 60
    parameters: dict[str, str | float] = {
        "query": expr,
        "start": begin,
        "end": end,
        "step": scrape_seconds,
    }
    answer = client.get("/api/v1/query_range", params=parameters).raise_for_status().json()
    result: list[object] = answer["data"]["result"]
    return result
