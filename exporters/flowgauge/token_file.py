"""A token that a file holds: whoever renews it writes the file."""

from pathlib import Path

from flowgauge.errors import UsageError
from flowgauge.redact import quote

__all__ = ["TokenFile"]


class TokenFile:
    """A file with one token, read anew each time, so that it may be replaced at any time.

    *named_by* is the setting that names the file, for whoever is to correct it.
    """

    def __init__(self, path: Path, named_by: str) -> None:
        self._path = path
        self._named_by = named_by

    def read(self) -> bytes:
        """Return the token; raise `UsageError` if the file cannot be read or has not one."""
        # People write the token itself there, too.
        shown = quote(str(self._path)) if self._path.is_absolute() else "***"
        named = f"{self._named_by} is {shown!r}"
        try:
            token = self._path.read_bytes().strip()
        except OSError as error:
            raise UsageError(
                f"{named}, which cannot be read, {error.strerror}: name a readable file that holds "
                "the token"
            ) from error
        if not token:
            raise UsageError(f"{named}, which is empty: write the token to it")
        if len(token.split()) > 1:
            raise UsageError(
                f"{named}, which holds more than one word: write one token to it and nothing else"
            )
        return token
