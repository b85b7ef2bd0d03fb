"""A short form of `make differential`."""

from collections.abc import Iterator

import pytest

from stack.differential.answers import compare, compare_odd, compare_scenario
from stack.differential.requests import odd_requests, requests, scenario
from stack.differential.servers import SETUPS, Pair, both

pytestmark = pytest.mark.whole_system(seconds=15)

# The routes are some hundred, and each takes a request or three.
_EVERY = 9


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """MLflow's basic-auth with the server app, and without."""
    with both(tmp_path_factory.mktemp("differential"), SETUPS["basic-auth"]) as servers:
        yield servers


def test_a_user_sees_no_difference(pair: Pair) -> None:
    """What a user does, odd requests, and a sample of all routes are answered alike."""
    host = pair.bare.url.removeprefix("http://")
    sample = [
        each for number, each in enumerate(requests(pair, thorough=False)) if not number % _EVERY
    ]
    for asked, different in (
        compare_scenario(pair, scenario()),
        compare_odd(pair, odd_requests(host)),
        compare(pair, sample),
    ):
        assert asked
        assert different == []
