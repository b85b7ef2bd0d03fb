"""The last resort: a file beside the store's default place, for when the store is down as well."""

import json
import logging
import os
from collections.abc import Mapping

from flowgauge.airflow.entry import Entry
from flowgauge.store.log_calls import deferred
from flowgauge.store.opening import state_folder
from flowgauge.store.private import make_folder, temporary_file
from flowgauge.store.store import Store

__all__ = ["drain_spool", "spool"]

_FOLDER = "flowgauge-spool"
_log = logging.getLogger(__name__)


def spool(
    entry: Entry, duration_seconds: float, reason: str, environ: Mapping[str, str] = os.environ
) -> None:
    """Write *entry* to a file, or to the log if that fails too; raise nothing.

    `drain_spool` on the same host moves it into the outbox. Whoever runs tasks in short-lived
    containers collects it from the log.
    """
    text = json.dumps(
        {"duration_seconds": duration_seconds, "reason": reason, "body": entry.to_json()}
    )
    file = state_folder(environ) / _FOLDER / f"{entry.log_id}.json"
    try:
        make_folder(file.parent)
        unfinished = temporary_file(file.parent)
        unfinished.write_text(text)
        unfinished.replace(file)
    except OSError as error:
        _log.error("The payload %s cannot be kept in %s either (%s)", text, file, error)
    else:
        _log.warning("The payload is kept in %s until the store is back", file)


def drain_spool(store: Store, environ: Mapping[str, str] = os.environ) -> None:
    """Move every spooled entry of this host into *store*; raise `StoreError` if it is down."""
    for file in sorted((state_folder(environ) / _FOLDER).glob("*.json")):
        try:
            kept = json.loads(file.read_text())
            entry = Entry.from_json(kept["body"])
            reason = kept["reason"]
            logged = entry.logged(kept["duration_seconds"], reason)
        except FileNotFoundError:
            continue  # Another process was faster.
        except (OSError, ValueError, LookupError, TypeError) as error:
            _log.warning("%s is no spooled payload (%s): look at it and remove it", file, error)
            continue
        store.outbox.put(entry.to_keep(reason), deferred(logged))
        file.unlink(missing_ok=True)
