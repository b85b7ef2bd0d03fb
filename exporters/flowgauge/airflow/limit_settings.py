"""The rate limits that the environment's file sets, whatever the code says."""

import functools
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flowgauge.environment import (
    chosen_environment,
    environment_file,
    environments_folder,
    load_environment,
)
from flowgauge.errors import UsageError

if TYPE_CHECKING:
    from flowgauge.environment import RateLimitSetting

__all__ = ["limit_settings"]

_log = logging.getLogger(__name__)


def limit_settings(environ: Mapping[str, str] = os.environ) -> "Mapping[str, RateLimitSetting]":
    """Return `rate_limits` of the `chosen_environment`, read once; without one, none.

    A file that is missing or wrong sets nothing: it costs a warning, not the task.
    """
    folder = environments_folder(environ)
    name = chosen_environment(folder, environ)
    return {} if name is None else _read(name, folder)


@functools.cache
def _read(name: str, folder: Path) -> "Mapping[str, RateLimitSetting]":
    try:
        # Most files set no limit: then a task is spared the model that would check them.
        if not _mentions_limits(environment_file(name, folder)):
            return {}
        return load_environment(name, folder).rate_limits
    except UsageError as error:
        _log.warning("The rate limits in the code apply: %s", error)
        return {}


def _mentions_limits(file: Path) -> bool:
    try:
        return b"rate_limits" in file.read_bytes()
    except OSError:
        # Reading it properly says what is wrong.
        return True
