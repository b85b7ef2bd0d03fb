"""Log lines about what goes on for long."""

import logging

__all__ = ["Complaint"]

_log = logging.getLogger(__name__)


class Complaint:
    """Logs when *subject* begins to fail, fails differently, and works again.

    The same line at every scrape would bury everything else.
    """

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._known: str | None = None

    def raise_(self, sentence: str, defect: BaseException | None = None) -> None:
        """Log *sentence* if it is news; with the traceback of a *defect*."""
        if sentence != self._known:
            level = logging.ERROR if defect else logging.WARNING
            _log.log(level, "%s failed: %s", self._subject, sentence, exc_info=defect)
        self._known = sentence

    def settle(self) -> None:
        """Log that *subject* works again, if it did not."""
        if self._known is not None:
            _log.info("%s works again.", self._subject)
        self._known = None
