"""What a fail-over loses of the outbox: known, and nothing where a replica has to confirm."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from stack.fail_over import Replicated, cluster, lose_primary, postgres_pair, sentinels

_Start = Callable[..., AbstractContextManager[Replicated]]
_CONFIRMED = [
    pytest.param(sentinels, "?wait_replicas=1", id="redis+sentinel"),
    pytest.param(cluster, "?wait_replicas=1", id="redis+cluster"),
    pytest.param(postgres_pair, "standby", id="postgresql"),
]


@pytest.mark.whole_system(seconds=10)
@pytest.mark.parametrize(("start", "confirmed"), _CONFIRMED)
def test_what_a_replica_confirmed_is_there_after_its_primary_died(
    start: _Start, confirmed: str, folder: Path
) -> None:
    """While the replica hangs, payloads are refused, not taken and lost."""
    with start(folder, confirmed) as store:
        outcome = lose_primary(store)
    assert outcome.refused > 0
    assert len(outcome.kept) > 0
    assert outcome.lost == 0


@pytest.mark.whole_system(seconds=10)
def test_what_no_replica_had_to_confirm_is_lost_with_its_primary(folder: Path) -> None:
    """That this is seen and counted shows that the test before could see it."""
    with sentinels(folder) as store:
        outcome = lose_primary(store)
    assert outcome.lost > 0
