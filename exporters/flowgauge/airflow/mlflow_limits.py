"""What MLflow takes, and the rule by which the rest is cut or renamed.

Limits of MLflow 3.17: `mlflow/utils/validation.py`, and for the names of runs and experiments the
columns in `mlflow/store/tracking/dbmodels/models.py`, which PostgreSQL enforces.
"""

import re
from collections.abc import Mapping
from itertools import count
from typing import TypeVar

from flowgauge.redact import quote, redact_text

__all__ = [
    "LONGEST_EXPERIMENT_NAME",
    "LONGEST_PARAM",
    "LONGEST_RUN_NAME",
    "LONGEST_TAG",
    "METRICS_PER_BATCH",
    "PARAMS_PER_BATCH",
    "TAGS_PER_BATCH",
    "Fitting",
]

# Together they stay within the 1000 entities a batch may hold.
METRICS_PER_BATCH = 900
PARAMS_PER_BATCH = 100
TAGS_PER_BATCH = 100
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
LONGEST_RUN_NAME = 250
LONGEST_EXPERIMENT_NAME = 256
_LONGEST_NAME = 250
_LONGEST_TOLD = 80

# A name is refused for a character, and for being a path that means another (`a//b`, `/a`, `../a`).
_BAD_CHARACTER = re.compile(r"[^/\w.\- :]|^/|/(?=/|$)")
_BAD_DOTS = re.compile(r"^\.\.|(?<![^/])\.{1,2}(?![^/])")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_T = TypeVar("_T")


class Fitting:
    """Fits names and texts to MLflow's limits; `notes` says what was changed.

    Names are cut to 250 characters; what MLflow refuses in them becomes `_`: any character but
    letters, digits and `/_.-: `, and what makes the name a path that means another (`a//b`,
    `../a`). A name already taken gets `_2`, `_3`, ... Texts are cut; NUL and lone surrogates, which
    no database stores, become U+FFFD.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def names(self, kind: str, values: Mapping[str, _T]) -> dict[str, _T]:
        """Return *values* under names MLflow takes; *kind* says what they name, for the notes."""
        # Names that are right keep them: another that is renamed to one of them gives way.
        fitted = {name: value for name, value in values.items() if _fit_name(name) == name}
        for name, value in values.items():
            if name not in fitted:
                new = _free(_fit_name(name), fitted)
                self.notes.append(f"{kind} {_renamed(name, new)}")
                fitted[new] = value
        return fitted

    def text(self, what: str, value: str, longest: int) -> str:
        """Return *value*, of at most *longest* characters; *what* names it in the notes."""
        stored = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        stored = stored.replace("\0", _REPLACEMENT)
        if stored != value:
            self.notes.append(f"{what} held characters that cannot be stored")
        if len(stored) > longest:
            self.notes.append(f"{what} cut from {len(stored)} to {longest} characters")
        return stored[:longest]


def _fit_name(name: str) -> str:
    clean = _BAD_CHARACTER.sub("_", name[:_LONGEST_NAME])
    return _BAD_DOTS.sub(lambda dots: "_" * len(dots[0]), clean) or "_"


def _free(name: str, taken: Mapping[str, object]) -> str:
    if name not in taken:
        return name
    endings = (f"_{number}" for number in count(2))
    candidates = (name[: _LONGEST_NAME - len(ending)] + ending for ending in endings)
    return next(candidate for candidate in candidates if candidate not in taken)


def _renamed(name: str, new: str) -> str:
    told = quote(name, _LONGEST_TOLD)
    if redact_text(name) != name:
        return f"{told!r} renamed"
    return f"{told!r} renamed to {quote(new, _LONGEST_TOLD)!r}"
