"""A log call that sends its payload itself: once it is written down, and if there is time.

The HTTP client is loaded last: it takes its time, and a process that is killed meanwhile has lost
nothing.
"""

from flowgauge.airflow.attempt import Attempt
from flowgauge.airflow.context import Task
from flowgauge.airflow.deadline import Deadline, OutOfTimeError
from flowgauge.airflow.entry import Entry
from flowgauge.airflow.keeping import keep, time_to_send
from flowgauge.airflow.reasons import Reason
from flowgauge.airflow.run_link import note_kept_payload
from flowgauge.airflow.shared_store import tell_store
from flowgauge.airflow.write_ahead import LEASE_SECONDS, WriteAhead
from flowgauge.loading import loading

__all__ = ["send_at_once"]


def send_at_once(entry: Entry, task: Task, deadline: Deadline, *, may_be_sent: bool) -> str | None:
    """Make the run of *entry* and return its id; None if it is left to others.

    *may_be_sent* says that others may have sent it, or be about to.
    """
    attempt = Attempt(is_first=not may_be_sent)
    ahead = WriteAhead(entry, deadline.left + LEASE_SECONDS)
    tell_store(ahead.put)
    try:
        time_to_send(deadline)
    except OutOfTimeError as error:
        keep(entry, ahead, attempt, error, reason=Reason.OUT_OF_TIME, deadline=deadline)
        note_kept_payload(task, entry.experiment)
        return None
    with loading():
        from flowgauge.airflow.sending import send_now  # noqa: PLC0415

    return send_now(entry, ahead, attempt, task, deadline)
