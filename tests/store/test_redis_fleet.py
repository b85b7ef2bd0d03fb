"""Redis by Sentinels and in a cluster: what is where moves, or dies."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from flowgauge.metrics import DAG_LOGS
from flowgauge.store import Count, NewEntry, Store, StoreError, StoreUnavailableError, open_store
from stack.fleet import run_fleet
from stack.process import LOOPBACK, stopped, wait_for
from stack.redis import RedisCluster, SentinelSet, client_of, redis_cluster, sentinel_set
from tests.counting import pairs, rate_limit

_PATIENT = 60


@pytest.fixture
def sentinels(folder: Path) -> Iterator[SentinelSet]:
    """Sentinels that the test may have fail over."""
    with sentinel_set(folder / "sentinels") as running:
        yield running


@pytest.fixture
def cluster(folder: Path) -> Iterator[RedisCluster]:
    """A cluster that the test may break."""
    with redis_cluster(folder / "cluster", "{flowgauge}:") as running:
        yield running


@contextmanager
def _silent(number: int) -> Iterator[str]:
    """Yield addresses at which connections are accepted and never answered."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(number)]
        yield ",".join(f"{LOOPBACK}:{each.getsockname()[1]}" for each in servers)


def _add(store: Store) -> None:
    store.counts.add(Count(DAG_LOGS, ("etl", "load")))


def _put(store: Store, entry_id: str) -> None:
    store.outbox.put(NewEntry(entry_id, "etl", "load", "{}"))


def _logs(store: Store) -> float:
    return sum(pair.logs for pair in pairs(store))


@pytest.mark.parametrize("kind", ["redis+sentinel", "redis+cluster"])
def test_who_does_not_answer_leaves_time_for_the_one_who_does(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Two of three Sentinels or nodes hang: the store is found within its time-out."""
    fixture = {"redis+sentinel": "own_sentinels", "redis+cluster": "own_cluster"}[kind]
    url: str = request.getfixturevalue(fixture).url
    with (
        _silent(2) as silent,
        closing(open_store(url.replace("://", f"://{silent},"), timeout_seconds=10)) as store,
    ):
        assert store.about()


@pytest.mark.parametrize("end", ["+sentinel://{}/flowgauge", "+cluster://{}", "://{}"])
def test_a_store_that_nobody_finds_is_given_up_in_time(end: str) -> None:
    """However many there are to ask, a first use costs the time-out."""
    with _silent(1 if end.startswith(":") else 6) as silent:
        store = open_store(f"redis{end.format(silent)}")
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(StoreUnavailableError):
                _add(store)
            # Half a second is promised; a busy machine may schedule the process late.
            assert time.monotonic() - started < 2


def test_an_unknown_master_is_told(own_sentinels: SentinelSet) -> None:
    """The sentence says what to check."""
    url = own_sentinels.url.replace("/flowgauge", "/other")
    with pytest.raises(StoreUnavailableError, match=r"no master that a Sentinel sees up: check"):
        open_store(url).counts.add()


def test_a_sentinels_user_needs_no_more_than_to_ask(own_sentinels: SentinelSet) -> None:
    """What the URL says of connections to the store is not said to a Sentinel."""
    right = "+sentinel|get-master-addr-by-name"
    for port in own_sentinels.sentinels:
        with closing(client_of(port)) as sentinel:
            sentinel.execute_command("ACL", "SETUSER", "asks", "on", ">it", right)
    login = "client_name=ours&sentinel_username=asks&sentinel_password=it"
    with closing(open_store(f"{own_sentinels.url}?{login}", timeout_seconds=10)) as store:
        assert store.about()


@pytest.mark.parametrize("kind", ["hostname", "unknown-endpoint"])
def test_nodes_that_have_no_name_are_found(own_cluster: RedisCluster, kind: str) -> None:
    """A cluster that should go by names, and was given none, or does not know how it is reached."""
    with ExitStack() as stack:
        for port in own_cluster.servers:
            node = stack.enter_context(closing(client_of(port)))
            node.config_set("cluster-preferred-endpoint-type", kind)
            stack.callback(node.config_set, "cluster-preferred-endpoint-type", "ip")
        store = stack.enter_context(closing(open_store(own_cluster.url, timeout_seconds=10)))
        _add(store)


def test_a_node_of_a_cluster_and_a_single_server_are_told_apart(
    own_cluster: RedisCluster, own_redis: str
) -> None:
    """Each sentence names the scheme that is right."""
    other = next(port for port in own_cluster.masters() if port != own_cluster.owner)
    with pytest.raises(StoreError, match=r"a node of a cluster: use redis\+cluster://"):
        _add(open_store(f"redis://{LOOPBACK}:{other}/0", timeout_seconds=10))
    alone = own_redis.replace("redis://", "redis+cluster://")
    with pytest.raises(StoreError, match="is no Redis Cluster: use redis://"):
        _add(open_store(alone, timeout_seconds=10))


def test_a_step_waits_for_a_planned_fail_over(sentinels: SentinelSet) -> None:
    """Who counts while the Sentinels promote the replica goes on where it is now."""
    with closing(open_store(sentinels.url, timeout_seconds=_PATIENT)) as store:
        _add(store)
        sentinels.fail_over()
        _add(store)
        assert _logs(store) == 2


def test_what_a_replica_confirmed_survives_its_master(sentinels: SentinelSet) -> None:
    """With wait_replicas=1, every payload put in while the master is killed is there after it."""
    url = f"{sentinels.url}?wait_replicas=1"
    kept: list[str] = []
    over = Event()

    def put(number: int) -> None:
        with closing(open_store(url, timeout_seconds=1)) as store:
            turn = 0
            while not over.is_set():
                turn += 1
                try:
                    _put(store, f"{number}-{turn}")
                except StoreUnavailableError:
                    continue
                kept.append(f"{number}-{turn}")

    with ThreadPoolExecutor(3) as pool:
        work = [pool.submit(put, number) for number in range(3)]
        wait_for(lambda: len(kept) > 100, "payloads are put in")
        sentinels.kill_master()
        over.set()
    assert [each.exception() for each in work] == [None] * 3
    with closing(open_store(sentinels.url, timeout_seconds=_PATIENT)) as store:
        there = {entry.entry_id for entry in store.outbox.entries(100_000)}
    assert set(kept) <= there


def test_a_payload_that_no_replica_confirms_is_told(sentinels: SentinelSet) -> None:
    """Put in or already there, it is not called safe until a replica has it."""
    replica = sentinels.servers[sentinels.replica].pid
    url = f"{sentinels.url}?wait_replicas=1"
    with closing(open_store(url, timeout_seconds=_PATIENT)) as store:
        _put(store, "a")
        with stopped(replica), closing(open_store(url, timeout_seconds=1)) as hasty:
            for entry_id in ("b", "b", "a"):
                with pytest.raises(StoreUnavailableError, match="only 0 of 1 replicas confirmed"):
                    _put(hasty, entry_id)
        _put(store, "b")
        assert [entry.entry_id for entry in store.outbox.entries(10)] == ["a", "b"]


def test_a_window_is_exact_but_for_what_a_fail_over_lost(sentinels: SentinelSet) -> None:
    """The master is killed in the middle: a window holds its limit, and at most what was lost."""
    limit, seconds = 8, 12
    killer = Thread(target=_kill_once_busy, args=(sentinels,))
    killer.start()
    outcomes = run_fleet(
        sentinels.url,
        processes=4,
        keys=["a", "b"],
        max_calls=limit,
        window_seconds=2,
        seconds=seconds,
    )
    killer.join()
    with closing(open_store(sentinels.url, timeout_seconds=_PATIENT)) as store:
        for key, outcome in outcomes.items():
            counted = rate_limit(store, key)
            called = sum(map(len, outcome.waits))
            lost = called - counted.calls - counted.fail_open
            # What was let through, and reported before its process ended, is counted too.
            assert outcome.most_in_a_window <= limit + max(lost, 0)
            assert outcome.most_in_a_window <= 2 * limit
            assert counted.calls > limit


def _kill_once_busy(sentinels: SentinelSet) -> None:
    with closing(open_store(sentinels.url, timeout_seconds=_PATIENT)) as store:
        wait_for(lambda: len(store.windows.states()) == 2, "both keys are in use")
        wait_for(lambda: rate_limit(store, "a").calls > 8, "a window is over")
    sentinels.kill_master()


def test_a_slot_that_moves_loses_nothing_and_doubles_nothing(cluster: RedisCluster) -> None:
    """Whoever counts while half of the keys are on either node waits, and goes on at the other."""
    with closing(open_store(cluster.url, timeout_seconds=_PATIENT)) as store:
        for number in range(30):
            store.counts.add(Count(DAG_LOGS, (f"dag{number}", "t")))
        _put(store, "before")
        with (
            ThreadPoolExecutor(2) as pool,
            closing(open_store(cluster.url, timeout_seconds=5)) as hasty,
        ):
            with cluster.moving():
                with pytest.raises(StoreUnavailableError, match="between two nodes"):
                    _add(hasty)
                later = [pool.submit(_add, store), pool.submit(_put, store, "meanwhile")]
            assert [each.result() for each in later] == [None, None]
        assert _logs(store) == 31
        assert [entry.entry_id for entry in store.outbox.entries(9)] == ["before", "meanwhile"]
        _add(hasty)
        assert _logs(store) == 32
        hasty.close()


def test_a_node_that_dies_is_replaced(cluster: RedisCluster) -> None:
    """Once its replica has taken over, the store is there, found by any node that lives."""
    url = f"{cluster.url}?wait_replicas=1"
    with (
        closing(open_store(url, timeout_seconds=_PATIENT)) as known,
        closing(open_store(cluster.url, timeout_seconds=_PATIENT)) as new,
    ):
        _put(known, "a")
        cluster.kill_owner()
        assert [entry.entry_id for entry in new.outbox.entries(9)] == ["a"]
        assert [entry.entry_id for entry in known.outbox.entries(9)] == ["a"]
