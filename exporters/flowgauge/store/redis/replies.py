"""From what Redis returns to Python's."""

from collections.abc import Sequence

__all__ = ["fields"]


def fields(reply: Sequence[str]) -> dict[str, str]:
    """Return the hash of a HGETALL inside a script, which is a list of names and values."""
    # As JSON, an empty one is an object: Lua does not tell the two apart.
    return dict(zip(reply[::2], reply[1::2], strict=True)) if reply else {}
