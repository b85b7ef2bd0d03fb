"""Tables for people."""

from collections.abc import Sequence

from flowgauge.redact import quote

__all__ = ["as_duration", "as_table"]

_LONGEST_CELL = 2000


def as_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return *header* and *rows* in aligned columns, a line each; a cell holds anybody's text."""
    rows = [[quote(cell, _LONGEST_CELL) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )


def as_duration(seconds: float) -> str:
    """Return *seconds* in one unit: `40s`, `12m`, `3h`, `5d`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"
