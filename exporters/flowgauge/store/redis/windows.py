"""The rate limits in Redis, on Redis' own clock; times are whole microseconds."""

from collections.abc import Sequence

from flowgauge.store.counts import changes_json
from flowgauge.store.redis.connection import RedisConnection
from flowgauge.store.windows import Grant, WindowState, gave_up, granted, refused

__all__ = ["RedisWindows"]


class RedisWindows:
    """The `Windows` of *redis*; every step is one script, and so atomic."""

    def __init__(self, redis: RedisConnection) -> None:
        self._acquire = redis.script("counts", "window", "acquire")
        self._give_up = redis.script("counts", "window", "give_up")
        self._reset = redis.script("window", "reset_window")
        self._take_mirror_turn = redis.script("window", "take_mirror_turn")
        self._mirror_written = redis.script("window", "mirror_written")
        self._mirror_gone = redis.script("window", "mirror_gone")
        self._states = redis.script("window", "windows")

    def acquire(
        self, key: str, ticket: str, max_calls: int, window_seconds: float, waited: float
    ) -> Grant:
        """See `Windows.acquire`."""
        wait = self._acquire(
            key,
            ticket,
            max_calls,
            _microseconds(window_seconds),
            changes_json(granted(key, waited)),
            changes_json(refused(key, waited)),
        )
        return Grant(wait / 1e6)

    def give_up(self, key: str, ticket: str, waited: float) -> None:
        """See `Windows.give_up`."""
        self._give_up(key, ticket, changes_json(gave_up(key, waited)))

    def reset(self, key: str) -> None:
        """See `Windows.reset`."""
        self._reset(key)

    def take_mirror_turn(self, key: str, interval_seconds: float) -> bool:
        """See `Windows.take_mirror_turn`."""
        return bool(self._take_mirror_turn(key, _microseconds(interval_seconds)))

    def mirror_written(self, key: str) -> None:
        """See `Windows.mirror_written`."""
        self._mirror_written(key)

    def mirror_gone(self, key: str) -> bool:
        """See `Windows.mirror_gone`."""
        return bool(self._mirror_gone(key))

    def states(self) -> Sequence[WindowState]:
        """See `Windows.states`."""
        return [
            WindowState(key, int(max_calls), int(window_us) / 1e6, calls, waiting)
            for key, max_calls, window_us, calls, waiting in sorted(self._states())
        ]


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
