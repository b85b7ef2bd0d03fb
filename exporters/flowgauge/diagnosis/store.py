"""What the store says."""

from contextlib import closing

from flowgauge.airflow.spool import spool_state
from flowgauge.compatibility import remark
from flowgauge.errors import FlowgaugeError
from flowgauge.redact import redact_url
from flowgauge.store import open_store

__all__ = ["ask_store"]

_SECONDS = 5.0


def ask_store(url: str) -> str:
    """Read the store at *url* and return what it is and holds.

    Raises `StoreError`, and `FlowgaugeError` if it works but may lose the outbox.
    """
    with closing(open_store(url, timeout_seconds=_SECONDS)) as store:
        about, outbox, risks = store.about(), store.outbox.state(), store.risks()
    if present := [risk.sentence for risk in risks if risk.present]:
        raise FlowgaugeError(
            f"{redact_url(url)} answers, but may lose payloads: it {'; it '.join(present)}"
        )
    name, _, version = about.partition(" ")
    unknown = ", ".join(risk.name for risk in risks if risk.present is None)
    return (
        f"{redact_url(url)} answers, {about}{remark(name.lower(), version)}; "
        f"payloads waiting in the outbox: {outbox.entries}, set aside: {outbox.poison}"
        f"{_spooled()}{f'; could not be asked about: {unknown}' if unknown else ''}"
    )


def _spooled() -> str:
    spool = spool_state()
    found = [f"{spool.waiting} payloads"] if spool.waiting else []
    found += [f"{spool.bad} files that are none"] if spool.bad else []
    return f"; in the spool {spool.folder}: {' and '.join(found)}" if found else ""
