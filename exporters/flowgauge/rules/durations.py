"""Durations as Prometheus writes them: `1h30m`, `90s`, `0`."""

import re
from datetime import timedelta

__all__ = ["parse_duration", "write_duration"]

_MILLISECONDS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_DURATION = re.compile("".join(rf"(?:(\d+){unit})?" for unit in _MILLISECONDS), re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Return the duration that *text* means, none at all for `0`; `ValueError` if it is none."""
    match = _DURATION.fullmatch(text)
    if text == "0":
        return timedelta()
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration: write one like 5m, 1h30m or 0s")
    counts = zip(match.groups(default="0"), _MILLISECONDS.values(), strict=True)
    try:
        return timedelta(milliseconds=sum(int(count) * size for count, size in counts))
    except OverflowError:
        raise ValueError(f"{text!r} is longer than any duration can be") from None


def write_duration(duration: timedelta) -> str:
    """Return *duration*, which may be negative, to the millisecond."""
    rest = abs(duration) // timedelta(milliseconds=1)
    if not rest:
        return "0s"
    sign = "-" if duration < timedelta() else ""
    if rest % _MILLISECONDS["y"] == 0:
        return f"{sign}{rest // _MILLISECONDS['y']}y"
    parts = []
    for unit, size in _MILLISECONDS.items():
        # Years and weeks would hide what a window is about: 30d, not 4w2d.
        if (unit == "y") or (unit == "w" and rest % size):
            continue
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + "".join(parts)
