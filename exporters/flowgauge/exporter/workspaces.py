"""The workspaces of an MLflow, each of which has experiments and runs of its own."""

import time
from collections.abc import Callable, Mapping, Sequence

from flowgauge.tracking.client import WORKSPACE_HEADER, TrackingClient
from flowgauge.tracking.errors import TrackingError, TrackingUnauthorizedError
from flowgauge.tracking.queries import Queries

__all__ = ["Workspaces", "in_workspace", "is_up", "probe"]

_EVERY_SECONDS = 300


class Workspaces:
    """The names of the workspaces to ask, the first *most* of them: `limited` if there are more.

    The one that the client's settings name, or else all that its user may see, which MLflow is
    asked for every five minutes. Of an MLflow without workspaces the one name is empty.
    """

    def __init__(
        self, client: TrackingClient, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limited = False
        self._client = client
        self._most = most
        self._clock = clock
        self._names: Sequence[str] = (client.workspace,) if client.workspace else ()
        self._due = clock()

    def names(self, seconds: float) -> Sequence[str]:
        """Return them; if it is time, ask MLflow, for *seconds* each of two questions at most.

        Raises `TrackingError`.
        """
        if not self._client.workspace and (now := self._clock()) >= self._due:
            found = sorted(Queries(self._client, seconds_left=lambda: seconds).workspaces())
            self.limited = len(found) > self._most
            self._names = found[: self._most] or ("",)
            self._due = now + _EVERY_SECONDS
        return self._names


def in_workspace(name: str) -> Mapping[str, str]:
    """Return the headers of a request in the workspace *name*, none if it is empty."""
    return {WORKSPACE_HEADER: name} if name else {}


def probe(client: TrackingClient, seconds: float) -> None:
    """Make a real call, in *seconds* at most; raises `TrackingError`.

    Where MLflow has no default workspace, and the settings name none, it is one in the first that
    the user may see.
    """
    until = time.monotonic() + seconds

    def left() -> float:
        return max(until - time.monotonic(), 0)

    queries = Queries(client, seconds_left=left)
    try:
        queries.answer()
    except TrackingUnauthorizedError:
        seen = () if client.workspace else queries.workspaces()
        if not seen:
            raise
        Queries(client, seconds_left=left, headers=in_workspace(min(seen))).answer()


def is_up(client: TrackingClient, seconds: float) -> bool:
    """Return whether the probe gets its answer in *seconds*."""
    try:
        probe(client, seconds)
    except TrackingError:
        return False
    return True
