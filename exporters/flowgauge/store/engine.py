"""What an engine is: the atomic steps of a store, at one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from flowgauge.store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowgauge.store.risks import Risk

__all__ = ["DURABLE_STEPS", "Engine", "Step", "is_first_page", "microseconds", "reading"]

DURABLE_STEPS = {"put"}
"""What these did survives a power failure; others may lose their last moment."""


class Step(Protocol):
    """Does the step of a name."""

    def __call__(self, name: str, /, *arguments: str | int) -> Any:
        """Do it with these arguments and return its answer, as from JSON."""


class Engine(Protocol):
    """Keeps one store, shared by many processes; connects when it is first used.

    A step is atomic, one round trip, and ends within the engine's time-out. It is sent text and
    whole numbers: times and lengths are microseconds, counts the text of `changes_json`. Which
    steps there are, with which arguments and answers, is said by those who call them, `Windows`,
    `Counts` and `Outbox`; what they must do, by the tests of the contract. Whatever a step counts
    is part of it: granted and counted, settled and counted, deferred and counted.
    """

    @property
    def step(self) -> Step:
        """Does a step, or raises `StoreError`."""

    def about(self) -> str:
        """Return the engine and its version, as in `Redis 7.0.15`, and what bars this user, if so.

        Raises `StoreError` for a store that is not there yet, and that this user cannot make.
        """

    def risks(self) -> "Sequence[Risk]":
        """Return every risk that this engine may have, whether the store has it or not."""

    def init(self, *roles: str) -> None:
        """Make what the store needs, as the first step does, and let *roles* use it."""

    def close(self) -> None:
        """Let go of connections; the next step opens a new one."""


@contextmanager
def reading(step: str) -> Iterator[None]:
    """Raise `StoreError` where what is read in the block is no answer of *step*."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise StoreError(
            f"the store's answer to {step} is none that flowgauge's own steps give: see which"
            " server, or what on the way to it, the store's URL names"
        ) from error


def microseconds(seconds: float) -> int:
    """Return *seconds* in whole microseconds, which compare exactly."""
    return round(seconds * 1e6)


def is_first_page(step: str, *arguments: str | int) -> bool:
    """Return whether a step begins to read counts: what 0.1 counted belongs to them."""
    return step == "page" and arguments[1] == -1
