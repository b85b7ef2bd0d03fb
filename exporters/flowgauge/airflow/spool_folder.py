"""Where payloads lie that neither MLflow nor the store took."""

import os
from collections.abc import Mapping
from pathlib import Path

from flowgauge.store.opening import state_folder

__all__ = ["is_spool_empty", "spool_folder"]

_NAME = "flowgauge-spool"


def spool_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return this host's folder of such payloads, which is made for the first."""
    return state_folder(environ) / _NAME


def is_spool_empty() -> bool:
    """Return whether it has no file; one that cannot be looked at may have some."""
    try:
        with os.scandir(spool_folder()) as files:
            return next(files, None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False
