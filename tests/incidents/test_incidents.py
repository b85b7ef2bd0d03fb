from collections.abc import Iterator

import pytest

from stack.incidents.catalogue import INCIDENTS, SEED
from stack.incidents.incident import attempt
from stack.incidents.site import Site, site

pytestmark = pytest.mark.whole_system(seconds=165)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The whole system, where nothing is wrong yet."""
    with site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", SEED)
def test_a_real_fault_raises_its_alert_alone(running: Site, name: str) -> None:
    """The right alert arrives at the receiver within its bound, no other does, and it resolves."""
    outcome = attempt(running, INCIDENTS[name])
    assert outcome.fired is not None, "it does not fire"
    assert outcome.resolved is not None, "it does not resolve"
    assert outcome.false_alarms == set()
