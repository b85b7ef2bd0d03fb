"""What goes wrong in measuring stays in measuring."""

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from flowgauge.redact import spell_error

if TYPE_CHECKING:
    from types import TracebackType

    from prometheus_client import Counter

__all__ = ["Containment"]

_log = logging.getLogger(__name__)


class Containment:
    """Surrounds what measures, and nothing of MLflow: `with containment:` no exception gets out.

    Each is counted by *failed*, and a worker's first is logged. What is no `Exception`, such as
    the cancelling of a task, passes. It may be entered again, and by several threads.
    """

    def __init__(self, failed: "Counter") -> None:
        self._failed = failed
        self._logged = False

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: "TracebackType | None",
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if not self._logged:
            self._logged = True
            _log.error(
                "flowgauge failed to measure; MLflow goes on. Further faults of this worker are "
                "only counted, by flowgauge_server_measuring_failed_total.\n%s",
                # Not as exc_info: what an exception says may hold the address of a database.
                spell_error(error),
            )
        with suppress(Exception):
            self._failed.inc()
        return True
