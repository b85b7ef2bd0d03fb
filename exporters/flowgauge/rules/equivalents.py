"""Mutants that mean the same as their rule, as people list them."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from flowgauge.strict_yaml import read_model

__all__ = ["Equivalent", "read_equivalents"]


class Equivalent(BaseModel):
    """A mutant that means the same as its rule, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    change: str
    reason: str


class _Equivalents(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    equivalent: tuple[Equivalent, ...] = ()


def read_equivalents(path: Path) -> Sequence[Equivalent]:
    """Return the equivalent mutants listed in *path*; `UsageError` says what is wrong in it."""
    return read_model(path, _Equivalents).equivalent
