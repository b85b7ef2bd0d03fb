"""How far a payload has come on its way, and what the next attempt is told of it."""

import re
from dataclasses import dataclass

__all__ = ["SENDING", "Attempt"]

SENDING = "sending"
"""The note of a payload that its own call is about to send."""

_NOTE = re.compile(r" \(run ([^\s,]+), (\d+) batches sent\)$")
_DOUBT = " (a run may come late)"


@dataclass
class Attempt:
    """How far a payload has come on its way, kept up to date while it is sent.

    `is_first` says that nobody has tried before. `run_id` is its run once MLflow has named it,
    `batches` how much of the payload is there. `was_complete` says that all of it was found there,
    `is_in_doubt` that a request for a run was given up, which may yet make one, beside `run_id`.
    """

    is_first: bool = False
    run_id: str | None = None
    batches: int = 0
    was_complete: bool = False
    is_in_doubt: bool = False

    @classmethod
    def after(cls, note: str | None) -> "Attempt":
        """Return where an attempt stopped that left *note*."""
        text = note or ""
        # A call that wrote its payload down and did not come back may have asked for a run.
        attempt = cls(is_in_doubt=text == SENDING or _DOUBT in text)
        if match := _NOTE.search(text):
            attempt.run_id, attempt.batches = match[1], int(match[2])
        return attempt

    def note(self, reason: str) -> str:
        """Return *reason*, with what the next attempt should know."""
        doubt = _DOUBT if self.is_in_doubt else ""
        where = f" (run {self.run_id}, {self.batches} batches sent)" if self.run_id else ""
        return f"{reason}{doubt}{where}"
