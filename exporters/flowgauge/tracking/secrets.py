"""What MLflow's own client logs in with, so that it can be kept out of what is repeated."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import unquote

from flowgauge.errors import UsageError
from flowgauge.tracking.headers import read_headers

__all__ = ["known_secrets"]

_LOGIN = re.compile(r"(?:[\w.+-]*:)?/*+(?P<login>.*)@", re.DOTALL)
_NAMES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def known_secrets(uri: str, environ: Mapping[str, str]) -> set[str]:
    """Return the passwords and tokens in a tracking URI, however it is written, and *environ*."""
    return {secret for each in _found(uri, environ) for secret in (each, unquote(each)) if secret}


def _found(uri: str, environ: Mapping[str, str]) -> Iterator[str]:
    if match := _LOGIN.match(uri):
        user, colon, password = match["login"].partition(":")
        yield password if colon else user
    for name in _NAMES:
        yield environ.get(name, "").strip()
    # What is no header is not sent.
    with suppress(UsageError):
        for value in read_headers(environ).values():
            yield value
            yield value.rpartition(" ")[2]
