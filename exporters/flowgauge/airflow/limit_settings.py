"""The rate limits that are set outside the code."""

import functools
import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from flowgauge.environment import chosen_environment, environments_folder, load_rate_limits
from flowgauge.errors import UsageError
from flowgauge.redact import quote

__all__ = ["LimitSetting", "limit_settings"]

_VARIABLE = "FLOWGAUGE_RATE_LIMITS"
_FORM = '{"mlflow_api": {"max_calls": 20, "window_seconds": 60}}'
_log = logging.getLogger(__name__)


class LimitSetting(NamedTuple):
    """The size that replaces a rate limit's; without *window_seconds* the code's length stays."""

    max_calls: int
    window_seconds: float | None = None


def limit_settings(environ: Mapping[str, str] = os.environ) -> Mapping[str, LimitSetting]:
    """Return `rate_limits` of the `chosen_environment`, and over them FLOWGAUGE_RATE_LIMITS.

    A file or a variable that is missing or wrong sets nothing: it costs a warning, not the task.
    Each is read once.
    """
    folder = environments_folder(environ)
    name = chosen_environment(folder, environ)
    of_the_file = {} if name is None else _read(name, folder)
    text = environ.get(_VARIABLE)
    return {**of_the_file, **_parse(text)} if text else of_the_file


@functools.cache
def _parse(text: str) -> Mapping[str, LimitSetting]:
    """Read what the file's model would check, without making every task load it."""
    try:
        return {key: _setting(key, fields) for key, fields in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        _log.warning("%s is ignored, it must have the form %s", _VARIABLE, _FORM)
    except UsageError as error:
        _log.warning("%s is ignored: %s", _VARIABLE, error)
    return {}


def _setting(key: str, fields: Mapping[str, object]) -> LimitSetting:
    unknown = sorted(set(fields) - {"max_calls", "window_seconds"})
    calls, seconds = fields.get("max_calls"), fields.get("window_seconds")
    if unknown:
        raise UsageError(
            f"{quote(key)} has max_calls and window_seconds, and no {quote(unknown[0])}"
        )
    if not isinstance(calls, int) or isinstance(calls, bool) or calls < 1:
        raise UsageError(f"max_calls of {quote(key)} must be a whole number from 1")
    if seconds is None:
        return LimitSetting(calls)
    if not isinstance(seconds, int | float) or not 0 < seconds < math.inf or seconds is True:
        raise UsageError(f"window_seconds of {quote(key)} must be a number above 0")
    return LimitSetting(calls, seconds)


@functools.cache
def _read(name: str, folder: Path) -> Mapping[str, LimitSetting]:
    try:
        limits = load_rate_limits(name, folder)
    except UsageError as error:
        _log.warning("The rate limits in the code apply: %s", error)
        return {}
    # A package that is missing, or a half upgrade, fails as it likes; the task must not.
    except Exception as error:  # noqa: BLE001
        why = f"{type(error).__name__}: {quote(str(error))}"
        _log.warning("The rate limits in the code apply: the environment cannot be read (%s)", why)
        return {}
    return {key: LimitSetting(each.max_calls, each.window_seconds) for key, each in limits.items()}
