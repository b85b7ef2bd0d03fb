"""Headers that every request to MLflow bears, as a proxy or a gateway before it may want them."""

import re
from collections.abc import Mapping

from flowgauge.errors import UsageError
from flowgauge.foreign import parse_json

__all__ = ["MLFLOW_HEADERS", "parse_headers", "read_headers"]

MLFLOW_HEADERS = "FLOWGAUGE_MLFLOW_HEADERS"
# https://www.rfc-editor.org/rfc/rfc9110#name-tokens
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def read_headers(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the headers that FLOWGAUGE_MLFLOW_HEADERS, a JSON object, names; raise `UsageError`.

    An `Authorization` among them is the login, whatever other variables say.
    """
    return parse_headers(environ.get(MLFLOW_HEADERS, ""), MLFLOW_HEADERS)


def parse_headers(text: object, where: str) -> Mapping[str, str]:
    """Return the headers of a JSON object, read already or not; *where* is what errors name."""
    try:
        headers = parse_json(text) if isinstance(text, str) and text.strip() else text or {}
    except ValueError:
        headers = None
    if not isinstance(headers, dict) or not all(map(_is_header, headers.items())):
        raise UsageError(
            f'{where} must be a JSON object of header names and texts, such as {{"X-Team": "data"}}'
        )
    return {name: value.strip() for name, value in headers.items()}


def _is_header(item: tuple[object, object]) -> bool:
    name, value = item
    return (
        isinstance(name, str)
        and _NAME.fullmatch(name) is not None
        and isinstance(value, str)
        and value.isascii()
        and value.strip().isprintable()
    )
