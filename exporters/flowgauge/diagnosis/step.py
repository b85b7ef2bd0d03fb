"""One step of the path."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flowgauge.errors import FlowgaugeError
from flowgauge.redact import spell

__all__ = ["Name", "NotSeen", "Status", "Step", "chain"]


class Name(StrEnum):
    """The steps, in order."""

    INSTALLATION = "installation"
    TRACKING_URI = "tracking URI"
    HOST_NAME = "host name"
    CONNECTION = "connection"
    API = "API"
    LOGIN = "login"
    VERSION = "version"
    SERVER_APP = "server app"
    STORE = "store"
    EXPORTER = "exporter"
    PROMETHEUS = "Prometheus"


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

    name: Name
    status: Status
    message: str
    exit_code: int = 0


class NotSeen(Exception):  # noqa: N818 - nothing is wrong
    """What a step looks for cannot be seen from here, which is no fault; the message says why."""


def chain(steps: Mapping[Name, Callable[[], str]], skip: Collection[Name]) -> Iterator[Step]:
    """Try *steps* but those to *skip*; after one that fails, the rest, which need it, are skipped.

    A step returns what it found, or raises `NotSeen`, or `FlowgaugeError` if it fails.
    """
    broken: Name | None = None
    for name, attempt in steps.items():
        if broken:
            yield Step(name, Status.SKIPPED, f"not tried without {broken}")
        elif name in skip:
            yield Step(name, Status.SKIPPED, "left out by --skip")
        else:
            step = _try(name, attempt)
            broken = name if step.status is Status.FAILED else None
            yield step


def _try(name: Name, attempt: Callable[[], str]) -> Step:
    try:
        return Step(name, Status.OK, spell(attempt()))
    except NotSeen as reason:
        return Step(name, Status.SKIPPED, spell(str(reason)))
    except FlowgaugeError as error:
        return Step(name, Status.FAILED, spell(str(error)), error.exit_code)
