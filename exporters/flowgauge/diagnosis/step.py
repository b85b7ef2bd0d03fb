"""One step of the path."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flowgauge.errors import FlowgaugeError

__all__ = ["Status", "Step", "chain"]


class Status(StrEnum):
    """How a step went."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Step:
    """A step and what was found: a fact, or what is wrong and its cure.

    `exit_code` is the one that the command ends with if this is the first step that failed.
    """

    name: str
    status: Status
    message: str
    exit_code: int = 0


def chain(steps: Mapping[str, Callable[[], str]]) -> Iterator[Step]:
    """Try *steps*, which build on one another: after one that fails, the rest are skipped."""
    broken: str | None = None
    for name, attempt in steps.items():
        if broken:
            yield Step(name, Status.SKIPPED, f"not tried without {broken}")
            continue
        try:
            yield Step(name, Status.OK, attempt())
        except FlowgaugeError as error:
            broken = name
            yield Step(name, Status.FAILED, str(error), error.exit_code)
