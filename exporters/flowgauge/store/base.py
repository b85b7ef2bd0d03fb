"""What the store promises: the one interface that SQLite and Redis keep.

Tasks write, the exporter reads. Whatever is counted is counted in the same atomic step as the
thing itself, so a task that is killed leaves both or neither. All times are Unix seconds on the
store's own clock; durations are seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from flowgauge.errors import FlowgaugeError

__all__ = [
    "GRACE_SECONDS",
    "RECHECK_SECONDS",
    "Deferral",
    "Grant",
    "LogTotals",
    "Logged",
    "OutboxEntry",
    "OutboxState",
    "PairTotals",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "WindowState",
]


# A waiting caller comes back at least this often, however long it was told to wait: a reset, a
# raised limit or a dead caller ahead of it takes effect within this time.
RECHECK_SECONDS = 5.0

# How late a waiting caller may come back before it is taken for dead and loses its place.
GRACE_SECONDS = 2.0


class StoreError(FlowgaugeError):
    """The store refused: wrong schema version, wrong URL, no permission."""


class StoreUnavailableError(StoreError):
    """The store did not answer in time, or cannot work now: busy, down, loading, disk full."""


@dataclass(frozen=True)
class Grant:
    """The answer to one attempt: granted when `wait_seconds` is 0.

    Else the call's turn comes in `wait_seconds`, sooner if somebody ahead of it leaves.
    """

    wait_seconds: float

    @property
    def granted(self) -> bool:
        """Whether the call may go ahead."""
        return self.wait_seconds == 0


@dataclass(frozen=True)
class WindowState:
    """One rate limit as it stands: its window, and its counters since the store was made."""

    key: str
    max_calls: int
    window_seconds: float
    window_calls: int
    waiting: int
    calls: int
    hits: int
    wait_seconds: float
    fail_open: int


@dataclass(frozen=True)
class Logged:
    """What one log call counts: a payload that arrived in MLflow, or did not (`reason`).

    `altered` says that names or values of it were changed to suit MLflow.
    """

    dag_id: str
    task_id: str
    duration_seconds: float
    rows: int = 0
    null_ratio: float | None = None
    altered: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class OutboxEntry:
    """One payload waiting to be sent.

    `body` is the caller's own serialised payload, opaque to the store. `created` is when it was
    put in, `attempts` how often sending it from here failed, `poison` why it was set aside, if so.
    """

    entry_id: str
    dag_id: str
    task_id: str
    created: float
    body: str
    attempts: int = 0
    poison: str | None = None


@dataclass(frozen=True)
class Deferral:
    """A payload to keep for later; `entry_id` is chosen by the client and makes it unique."""

    entry_id: str
    body: str


@dataclass(frozen=True)
class OutboxState:
    """How full the outbox is; `oldest` is when its oldest waiting entry was put in."""

    entries: int
    poison: int
    oldest: float | None


@dataclass(frozen=True)
class PairTotals:
    """All that was ever counted for one DAG and task."""

    dag_id: str
    task_id: str
    logs: int
    failures: Mapping[str, int]
    deferred: int
    altered: int
    rows: int
    null_ratio: float | None
    last_logged: float | None


@dataclass(frozen=True)
class LogTotals:
    """All that log calls ever counted.

    `pairs` are in the order in which they first counted anything. `durations` maps a DAG to its
    histogram: cumulative counts in the order of `flowgauge.metrics.DAG_LOG_DURATION.buckets` plus
    +Inf, then the sum in seconds.
    """

    pairs: Sequence[PairTotals]
    durations: Mapping[str, tuple[Sequence[int], float]]


class Store(Protocol):
    """One store, shared by many processes; every method is atomic, and one round trip.

    Every method raises `StoreUnavailableError` when the store does not answer within the time-out
    the store was opened with.
    """

    def acquire(
        self, key: str, ticket: str, max_calls: int, window_seconds: float, waited: float
    ) -> Grant:
        """Try to take one call of the window of *key*.

        The window is exact and slides on the store's clock: any *window_seconds* long stretch of
        time, its end excluded, holds at most *max_calls* grants. Both numbers may change between
        attempts. Callers are served in the order of their first attempt; *ticket* is the caller's
        own unique name, the same for all its attempts, and *waited* the seconds since the first of
        them, exactly 0 for the first itself. A refused first attempt counts a hit; a grant counts
        a call and the *waited* seconds. A refused caller must come back after the wait or
        `RECHECK_SECONDS`, whichever is shorter; one that is `GRACE_SECONDS` late loses its place.
        """

    def give_up(self, key: str, ticket: str, waited: float) -> None:
        """Leave the queue of *key*, counting the *waited* seconds."""

    def count_fail_open(self, key: str, calls: int) -> None:
        """Count *calls* that were let through while the store did not answer."""

    def reset_window(self, key: str) -> None:
        """Empty the window of *key*; counters go on."""

    def take_mirror_turn(self, key: str, interval_seconds: float) -> bool:
        """Return whether the caller is to bring the mirror of *key* up to date.

        Of all callers one gets the turn each *interval_seconds*. The mirror (the Airflow Variable)
        lies outside the store; the store remembers that it was written, so that everybody can
        tell a deleted mirror from one that never was.
        """

    def mirror_written(self, key: str) -> None:
        """Remember that the mirror of *key* exists."""

    def mirror_gone(self, key: str) -> bool:
        """Note that the mirror of *key* does not exist; return whether it had been written.

        If so it was deleted, and the window is emptied: once, however many callers find it gone.
        """

    def windows(self) -> Sequence[WindowState]:
        """Return every rate limit in use."""

    def record(self, logged: Logged) -> None:
        """Count one log call that ended: in MLflow, or refused for good (`reason`)."""

    def defer(self, logged: Logged, deferral: Deferral) -> None:
        """Put a payload into the outbox and count the attempt that failed (`logged.reason`).

        An entry of that id that is already there is left alone, and nothing is counted. When this
        returns, the payload survives a power failure as well as the store does.
        """

    def claim(self, owner: str, limit: int, lease_seconds: float) -> Sequence[OutboxEntry]:
        """Return the first *limit* waiting entries that nobody holds, leased to *owner*.

        They come in the order they were put in, given back or put back. Entries set aside are
        never returned. A lease that runs out frees its entry.
        """

    def settle(self, entry_id: str, logged: Logged) -> None:
        """Remove an entry that arrived and count it; an entry already gone counts nothing.

        `duration_seconds` and `altered` are left out: they were counted when the task put the
        entry in.
        """

    def release(self, entry_id: str, owner: str, reason: str) -> None:
        """Give an entry back to the end of the line, counting the attempt that failed (*reason*).

        Does nothing once *owner*'s lease has gone to another.
        """

    def set_aside(self, entry_id: str, reason: str, detail: str) -> None:
        """Keep an entry that MLflow refused for good out of the others' way.

        *reason* is the label it is counted under, *detail* the sentence the operator reads; an
        entry already set aside or gone counts nothing.
        """

    def retry(self, *entry_ids: str) -> Sequence[str]:
        """Put entries that were set aside back at the end of the line: without ids, all of them.

        Returns the ids of those put back; an id that is unknown or not set aside is left out.
        """

    def drop(self, *entry_ids: str) -> Sequence[str]:
        """Remove entries for good, waiting or set aside, counting nothing; return their ids."""

    def outbox(self, limit: int) -> Sequence[OutboxEntry]:
        """Return up to *limit* entries, oldest first, those set aside included."""

    def outbox_state(self) -> OutboxState:
        """Return how full the outbox is."""

    def log_totals(self) -> LogTotals:
        """Return what log calls counted."""

    def close(self) -> None:
        """Let go of connections."""
