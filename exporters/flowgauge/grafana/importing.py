"""Bringing one dashboard up to date, without losing what somebody changed by hand.

Grafana keeps a message with every version of a dashboard. Ours carries a fingerprint of what was
imported: the last version's message therefore says whether anything is new, and whether the last
hand on the dashboard was ours.
"""

import hashlib
import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

from flowgauge.errors import UsageError
from flowgauge.foreign import parse_json, read_text
from flowgauge.grafana.client import GrafanaClient

__all__ = ["Outcome", "import_dashboard", "read_dashboards"]

Json = dict[str, Any]

_MESSAGE = "Imported by flowgauge, {fingerprint}"
# Grafana's own rule for them; it becomes part of an address.
_UID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
_OURS = re.compile(r"Imported by flowgauge, [0-9a-f]{16}")


class Outcome(StrEnum):
    """What an import did."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    EDITED = "left alone: edited by hand"
    PROVISIONED = "left alone: provisioned from a file, which this would not outlive"


def read_dashboards(folder: Path) -> list[Json]:
    """Return the dashboards in *folder*; raise `UsageError` if there are none or one has no uid."""
    dashboards = []
    for path in sorted(folder.glob("*.json")):
        try:
            dashboard = parse_json(read_text(path))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise UsageError(f"{path} is not JSON: {error}") from None
        if not isinstance(dashboard, dict) or not _is_uid(dashboard.get("uid")):
            raise UsageError(f"{path} is no dashboard with a uid")
        dashboards.append(dashboard)
    if not dashboards:
        raise UsageError(f"no dashboards in {folder}")
    return dashboards


def _is_uid(uid: object) -> bool:
    return isinstance(uid, str) and _UID.fullmatch(uid) is not None


def import_dashboard(
    grafana: GrafanaClient, dashboard: Json, *, folder: str, overwrite: bool
) -> Outcome:
    """Put *dashboard* into *folder*, unless Grafana has it already or somebody has edited it there.

    With *overwrite*, edits are replaced; they stay in Grafana's version history.
    """
    message = _MESSAGE.format(fingerprint=_fingerprint(dashboard))
    there = grafana.dashboard(dashboard["uid"])
    if there is None:
        grafana.save(dashboard, folder=folder, message=message, overwrite=False)
        return Outcome.CREATED
    if there["meta"].get("provisioned"):
        return Outcome.PROVISIONED
    last = grafana.last_message(dashboard["uid"])
    if last == message and there["meta"].get("folderUid") == folder:
        return Outcome.UNCHANGED
    if not overwrite and not _OURS.fullmatch(last):
        return Outcome.EDITED
    # The version it replaces: if somebody saves in between, Grafana refuses.
    replacing = {**dashboard, "version": there["dashboard"]["version"]}
    grafana.save(replacing, folder=folder, message=message, overwrite=overwrite)
    return Outcome.UPDATED


def _fingerprint(dashboard: Json) -> str:
    return hashlib.sha256(json.dumps(dashboard, sort_keys=True).encode()).hexdigest()[:16]
