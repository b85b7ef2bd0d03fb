"""Files and JSON that others wrote: read up to a size, and never deeper than Python can go."""

import json
import os
import stat
from pathlib import Path
from typing import Any

__all__ = ["LONGEST_FILE", "parse_json", "read_text"]

LONGEST_FILE = 32 * 2**20
"""In bytes."""


def read_text(file: Path, *, regular: bool = False) -> str:
    """Return what *file* holds; with *regular*, if it is neither a pipe nor a device.

    Raises `OSError` if it cannot be read, and `ValueError`, which says what it is instead, if it is
    no UTF-8 text of up to `LONGEST_FILE`.
    """
    # A pipe that nobody writes to would be waited for.
    with os.fdopen(os.open(file, os.O_RDONLY | (os.O_NONBLOCK if regular else 0)), "rb") as opened:
        if regular and not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ValueError("is no regular file")
        content = opened.read(LONGEST_FILE + 1)
    if len(content) > LONGEST_FILE:
        raise ValueError(f"is longer than {LONGEST_FILE // 2**20} MiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text: save it as UTF-8") from None


def parse_json(text: str | bytes) -> Any:
    """Return what *text* says in JSON; raise `ValueError` if it is none, or nested too deep."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
