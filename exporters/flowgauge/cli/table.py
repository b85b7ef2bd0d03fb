"""Tables for people."""

from collections.abc import Sequence

__all__ = ["as_table"]


def as_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return *header* and *rows* in aligned columns, a line each."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )
