"""Addresses that were copied from an example and never became anybody's."""

import re
from collections.abc import Iterator
from typing import Any

from flowgauge.environment.model import Environment

__all__ = ["example_addresses"]

# https://www.rfc-editor.org/rfc/rfc2606: names that no one can own.
_EXAMPLE = re.compile(r"(?:(?:^|[./@])example\.(?:com|net|org)|\.example)(?![\w.-])", re.IGNORECASE)


def example_addresses(environment: Environment) -> list[str]:
    """Return the keys of *environment* whose value names a host of RFC 2606."""
    given = environment.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return [key for key, text in _texts(given) if _EXAMPLE.search(text)]


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield key.removeprefix("."), value
        case dict():
            for name, inner in value.items():
                yield from _texts(inner, f"{key}.{name}")
        case list():
            for place, inner in enumerate(value):
                yield from _texts(inner, f"{key}.{place}")
