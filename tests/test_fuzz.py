"""A short form of `make fuzz`."""

import pytest

from stack.fuzz import TARGETS, fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_what_is_promised(name: str) -> None:
    """Whatever is read, it is understood, or refused in one sentence."""
    fuzz(name, TARGETS[name], examples=60, number=0)
