"""What flowgauge asks MLflow: the probe, the version, experiments and runs, page by page.

The same for MLflow 2.22 and 3; what a server may lack is said at each question.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flowgauge.redact import quote
from flowgauge.tracking.client import TrackingClient
from flowgauge.tracking.errors import (
    TrackingNotMlflowError,
    TrackingRejectedError,
    TrackingTooLongError,
    TrackingUnauthorizedError,
)

__all__ = ["Found", "Queries"]

# A page of 1,000 runs takes MLflow half a second and is 2 MB (measured on 3.17).
_PAGE = 1000
# Of what is longer than an answer may be, a tenth is tried.
_SMALLER = 10
# In a row; one that leaves out what the user may not see says a few.
_MOST_EMPTY = 100
# As MLflow keeps it. Python has larger ones, and no float for them.
_LARGEST = 2**63
_VERSION = re.compile(r"\d+\.\d+[\w.+-]{0,40}")


class Found(NamedTuple):
    """What a search found, as MLflow's JSON has it; `limited` if there is more than was read.

    Of runs it holds `info` and the tags alone: figures and facts may be a thousand times as much.
    """

    items: Sequence[Mapping[str, Any]]
    limited: bool


class Queries:
    """Questions to the MLflow of *client*; each raises `TrackingError`.

    Each request carries *headers* and ends within *seconds_left*, by default the client's own
    time-out. A search reads *page* entries at a time, and *limit* at most, by default all.
    """

    def __init__(
        self,
        client: TrackingClient,
        *,
        seconds_left: Callable[[], float | None] = lambda: None,
        page: int = _PAGE,
        limit: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._seconds_left = seconds_left
        self._page = page
        self._limit = limit
        self._headers = headers

    def probe(self) -> bool:
        """Make a real call: `/health` is fine even without a database.

        Return whether an experiment was found. MLflow shows none to who may see none.
        """
        return bool(self._call("GET", "experiments/search", {"max_results": 1}).get("experiments"))

    def answer(self) -> None:
        """Make the cheapest real call there is: one that asks the database, and finds nothing."""
        self._call("GET", "experiments/search", {"max_results": 1, "filter": "name = ''"})

    def version(self) -> str:
        """Return the server's version; a managed MLflow may have no such page, or a login on it."""
        said = self._client.text("/version", timeout_seconds=self._seconds_left()).strip()
        if not _VERSION.fullmatch(said):
            raise TrackingNotMlflowError(
                f"{self._client.address}/version says {quote(said, 60)!r}, which is no version: "
                "see what answers there"
            )
        return said

    def workspaces(self) -> Sequence[str]:
        """Return the names of the workspaces that the user may see; none where there are none.

        MLflow has them from 3.10 on, and only if it is told to.
        """
        try:
            has = self._call("GET", "server-info", {}, api="3.0").get("workspaces_enabled")
        except (TrackingNotMlflowError, TrackingRejectedError, TrackingUnauthorizedError):
            return ()  # an older one, or a managed one, which does not tell
        if not has:
            return ()
        found = self._call("GET", "workspaces", {}, api="3.0").get("workspaces", [])
        try:
            return [str(each["name"]) for each in found]
        except (KeyError, TypeError):
            raise self._odd("workspaces") from None

    def experiment_id(self, name: str) -> str:
        """Return the id of the experiment *name*; `TrackingRejectedError` says there is none."""
        answer = self._call("GET", "experiments/get-by-name", {"experiment_name": name})
        try:
            return str(answer["experiment"]["experiment_id"])
        except (KeyError, TypeError):
            raise TrackingNotMlflowError(
                f"what answers at {self._client.address} is not MLflow (no experiment in what it "
                "says of one): correct the tracking URI"
            ) from None

    def experiments(self) -> Found:
        """Find the active experiments, those that changed last first."""
        return self._experiments({})

    def experiments_changed(self, since_ms: int) -> Found:
        """Find the experiments that were made, renamed, deleted or restored since then."""
        wanted = f"last_update_time >= {since_ms}"
        return self._experiments({"filter": wanted, "view_type": "ALL"})

    def runs(
        self,
        experiment_ids: Sequence[str],
        wanted: str,
        *,
        newest: str = "start_time",
        deleted: bool = False,
    ) -> Found:
        """Find the active runs of experiments that the filter *wanted* lets pass, newest first.

        *newest* is the attribute that says how new a run is. With *deleted*, those in the trash
        instead.
        """
        query: dict[str, Any] = {
            "experiment_ids": list(experiment_ids),
            "filter": wanted,
            "order_by": [f"attributes.{newest} DESC"],
        }
        if deleted:
            query["run_view_type"] = "DELETED_ONLY"
        return self._search(
            "POST",
            "runs/search",
            query,
            lambda page: map(_run, page.get("runs", [])),
        )

    def gateway_budgets(self) -> Sequence[Mapping[str, Any]]:
        """Return the gateway's budgets, none where there is no gateway (before 3.11)."""
        return self._of_gateway("budgets/list", "budget_policies")

    def gateway_spending(self) -> Mapping[str, float]:
        """Return what was spent of each budget in its present period, by the budget's id."""
        return {
            str(window["budget_policy_id"]): float(window.get("current_spend", 0))
            for window in self._of_gateway("budgets/windows", "windows")
        }

    def gateway_endpoints(self) -> Sequence[Mapping[str, Any]]:
        """Return the gateway's endpoints; one whose usage is tracked has an `experiment_id`."""
        return self._of_gateway("endpoints/list", "endpoints")

    def tokens(self, experiment_id: str, kind: str, since_ms: int) -> float | None:
        """Return how many tokens, `input` or `output`, an experiment's traces took since then.

        None if MLflow does not say so to this user.
        """
        query = {
            "experiment_ids": [experiment_id],
            "view_type": "TRACES",
            "metric_name": f"{kind}_tokens",
            "aggregations": [{"aggregation_type": "SUM"}],
            "start_time_ms": since_ms,
        }
        try:
            answer = self._call("POST", "traces/metrics", query, api="3.0")
        except (TrackingRejectedError, TrackingUnauthorizedError):
            return None
        return sum(float(point["values"]["SUM"]) for point in answer.get("data_points", []))

    def _of_gateway(self, endpoint: str, kind: str) -> Sequence[Mapping[str, Any]]:
        try:
            answer = self._call("GET", f"gateway/{endpoint}", {}, api="3.0")
        except (TrackingNotMlflowError, TrackingRejectedError, TrackingUnauthorizedError):
            return ()  # an older one, one that has it switched off, or one that tells others
        found: Sequence[Mapping[str, Any]] = answer.get(kind, ())
        return found

    def _experiments(self, query: Mapping[str, Any]) -> Found:
        return self._search(
            "GET",
            "experiments/search",
            query,
            lambda page: map(_experiment, page.get("experiments", [])),
        )

    def _search(
        self,
        method: str,
        endpoint: str,
        query: Mapping[str, Any],
        items_of: Callable[[Mapping[str, Any]], Iterable[Mapping[str, Any] | None]],
    ) -> Found:
        """Read page after page; what is no item, which MLflow never says, is left out."""
        items: list[Mapping[str, Any]] = []
        token: dict[str, str] = {}
        most = self._page
        empty = 0
        while self._limit is None or len(items) < self._limit:
            try:
                page = self._call(method, endpoint, {**query, "max_results": most, **token})
            except TrackingTooLongError:
                if most == 1:
                    raise
                most = max(most // _SMALLER, 1)
                continue
            following = page.get("next_page_token")
            try:
                found = list(filter(None, items_of(page)))
            except TypeError:
                raise self._odd(endpoint) from None
            items += found
            if not following:
                return Found(items, limited=False)
            empty = 0 if found else empty + 1
            # One that says the same, or nothing, for ever is not MLflow either.
            is_same = following == token.get("page_token")
            if is_same or empty > _MOST_EMPTY or not isinstance(following, str):
                raise self._odd(endpoint)
            token = {"page_token": following}
        return Found(items, limited=True)

    def _odd(self, endpoint: str) -> TrackingNotMlflowError:
        return TrackingNotMlflowError(
            f"what answers at {self._client.address} is not MLflow (no list in what it says to "
            f"{endpoint}): correct the tracking URI"
        )

    def _call(
        self, method: str, endpoint: str, query: Mapping[str, Any], api: str = "2.0"
    ) -> dict[str, Any]:
        return self._client.call(
            method,
            endpoint,
            query,
            timeout_seconds=self._seconds_left(),
            headers=self._headers,
            api=api,
        )


def _experiment(found: Any) -> Mapping[str, Any] | None:
    """Return an experiment of an answer, None for what is none; whole numbers are such."""
    if not isinstance(found, dict) or not _has_texts(found, "experiment_id"):
        return None
    changed = _whole(found.get("last_update_time"))
    return {**found, "name": str(found.get("name", "")), "last_update_time": changed}


def _run(found: Any) -> Mapping[str, Any] | None:
    """Return a run of an answer in the same way."""
    info = found.get("info") if isinstance(found, dict) else None
    if not isinstance(info, dict) or not _has_texts(info, "run_id", "experiment_id", "status"):
        return None
    times = {name: _whole(info.get(name)) for name in ("start_time", "end_time")}
    data = found.get("data")
    tags = data.get("tags") if isinstance(data, dict) else None
    right = [
        tag
        for tag in (tags if isinstance(tags, list) else [])
        if isinstance(tag, dict) and _has_texts(tag, "key", "value")
    ]
    return {"info": {**info, **times}, "data": {"tags": right}}


def _has_texts(found: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(found.get(name), str) for name in names)


def _whole(found: Any) -> int | None:
    """Return a time in milliseconds, which MLflow writes as a number, and some as its digits."""
    try:
        whole = int(found)
    except (TypeError, ValueError, OverflowError):
        return None
    return whole if abs(whole) <= _LARGEST else None
