"""Windows: the rate limits."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from flowgauge.metrics import RATE_LIMIT_CALLS, RATE_LIMIT_HITS, RATE_LIMIT_WAIT
from flowgauge.store.counts import Count, changes_json
from flowgauge.store.engine import Step, microseconds, reading
from flowgauge.store.errors import StoreError

__all__ = [
    "GRACE_SECONDS",
    "RECHECK_SECONDS",
    "Grant",
    "WindowState",
    "Windows",
    "gave_up",
    "granted",
    "refused",
]

# A waiting caller comes back at least this often, however long it was told to wait: a reset, a
# raised limit or a dead caller ahead of it takes effect within this time.
RECHECK_SECONDS = 5.0

# Rate limits read in one step: few enough that it holds up nobody else for long.
_PAGE = 100

# Who says more means without end. No engine keeps every number, and a window must not reach back
# beyond 1970, where the clocks begin.
_MOST_CALLS = 10**12
_LONGEST_SECONDS = 1e9

# How late a waiting caller may come back before it is taken for dead and loses its place.
GRACE_SECONDS = 2.0


class Grant(NamedTuple):
    """The answer to one attempt: granted when `wait_seconds` is 0.

    Else the call's turn comes in `wait_seconds`, sooner if somebody ahead of it leaves.
    """

    wait_seconds: float

    @property
    def granted(self) -> bool:
        """Whether the call may go ahead."""
        return self.wait_seconds == 0


class WindowState(NamedTuple):
    """One rate limit as it stands: its size, the calls in it, the callers waiting."""

    key: str
    max_calls: int
    window_seconds: float
    window_calls: int
    waiting: int
    is_set: bool
    """Whether its size was set here, whatever the callers say."""


class Windows:
    """The rate limits of one store; every method but `states` is one atomic step and round trip."""

    def __init__(self, do: Step) -> None:
        self._do = do

    def acquire(
        self,
        key: str,
        ticket: str,
        max_calls: int,
        window_seconds: float,
        waited: float,
        *,
        grace_seconds: float = GRACE_SECONDS,
    ) -> Grant:
        """Try to take one call of the window of *key*, and count what came of it.

        The window is exact and slides on the store's clock: any *window_seconds* long stretch of
        time, its end excluded, holds at most *max_calls* grants. Both numbers may change between
        attempts, and those of `set_limit` go before them. Callers are served in the order of their
        first attempt; *ticket* is the caller's own unique name, the same for all its attempts, and
        *waited* the seconds since the first of them, exactly 0 for the first itself. A refused
        first attempt counts a hit; a grant counts a call and the *waited* seconds. A caller may ask
        again whose answer got lost: a grant that it has in the window is made anew, and neither
        that nor a refusal of one in the queue counts a second time. A refused caller
        must come back after the wait or `RECHECK_SECONDS`, whichever is shorter; one that is
        *grace_seconds* late loses its place, or as late as another caller allows for itself, if
        that is less. Raises `StoreError` where somebody else wrote into the window what is none.
        """
        wait_us = self._do(
            "acquire",
            key,
            ticket,
            *_size(max_calls, window_seconds),
            microseconds(RECHECK_SECONDS),
            microseconds(grace_seconds),
            changes_json(granted(key, waited)),
            changes_json(refused(key, waited)),
        )
        if not isinstance(wait_us, int) or wait_us < 0:
            raise StoreError(
                f"the rate limit {key} in the store is not as flowgauge wrote it: empty it by"
                " `flowgauge rate-limit reset`"
            )
        with reading("acquire"):
            return Grant(wait_us / 1e6)

    def give_up(self, key: str, ticket: str, waited: float) -> None:
        """Leave the queue of *key*, counting the *waited* seconds."""
        self._do("give_up", key, ticket, changes_json(gave_up(key, waited)))

    def reset(self, key: str) -> None:
        """Empty the window of *key*; who waits keeps its place, and counters go on."""
        self._do("reset_window", key)

    def set_limit(self, key: str, max_calls: int, window_seconds: float) -> None:
        """Give the window of *key* this size, whatever its callers say.

        Who waits learns of it within `RECHECK_SECONDS`.
        """
        self._do("set_limit", key, *_size(max_calls, window_seconds))

    def unset_limit(self, key: str) -> None:
        """Let the callers of *key* say its size again, from the next call on."""
        self._do("set_limit", key, 0, 0)

    def take_mirror_turn(self, key: str, interval_seconds: float) -> bool:
        """Return whether the caller is to bring the mirror of *key* up to date.

        Of all callers one gets the turn each *interval_seconds*. The mirror (the Airflow Variable)
        lies outside the store; the store remembers that it was written, so that everybody can
        tell a deleted mirror from one that never was.
        """
        return bool(self._do("take_mirror_turn", key, microseconds(interval_seconds)))

    def mirror_written(self, key: str) -> None:
        """Remember that the mirror of *key* exists."""
        self._do("mirror_written", key)

    def mirror_gone(self, key: str) -> bool:
        """Note that the mirror of *key* does not exist; return whether it had been written.

        If so it was deleted, and the window is emptied: once, however many callers find it gone.
        """
        return bool(self._do("mirror_gone", key))

    def states(self) -> Sequence[WindowState]:
        """Return every rate limit in use, by key; of thousands, not all at the same moment."""
        states: dict[str, WindowState] = {}
        cursor, seen = "", set[str]()
        # It ends where it began; what is no store of ours may go in circles.
        while cursor not in seen:
            seen.add(cursor)
            page = self._do("windows", cursor, _PAGE)
            with reading("windows"):
                following, found = page
                cursor = str(following)
                for key, max_calls, window_us, calls, waiting, is_set in found:
                    # Whoever may write to the store may write what is no text and no number: the
                    # others are shown.
                    if not isinstance(key, str):
                        continue
                    with suppress(ValueError, TypeError, OverflowError):
                        states[key] = WindowState(
                            key, int(max_calls), int(window_us) / 1e6, calls, waiting, bool(is_set)
                        )
        return [states[key] for key in sorted(states)]


def _size(max_calls: int, window_seconds: float) -> tuple[int, int]:
    """Return what an engine keeps of a limit's size: calls, and microseconds."""
    return min(max_calls, _MOST_CALLS), microseconds(min(window_seconds, _LONGEST_SECONDS))


def granted(key: str, waited: float) -> Sequence[Count]:
    """Return what a granted call counts."""
    return (Count(RATE_LIMIT_CALLS, (key,)), *gave_up(key, waited))


def refused(key: str, waited: float) -> Sequence[Count]:
    """Return what a refused attempt counts: the first of a call is a hit."""
    return (Count(RATE_LIMIT_HITS, (key,)),) if waited == 0 else ()


def gave_up(key: str, waited: float) -> Sequence[Count]:
    """Return what counts of a call that no longer waits."""
    return (Count(RATE_LIMIT_WAIT, (key,), waited),)
