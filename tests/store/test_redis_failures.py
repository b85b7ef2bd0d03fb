"""What can happen to a Redis."""

import os
import random
import re
import signal
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import product
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
import redis
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from flowgauge.store import Lease, Store, StoreError, StoreUnavailableError, open_store
from flowgauge.store.errors import StoreBusyError
from flowgauge.store.log_calls import Logged, ended
from flowgauge.store.redis import connections, servers
from stack.postgres import Postgres
from stack.process import LOOPBACK, free_port, wait_for
from stack.redis import client_at, redis_server
from stack.tls import certificate
from tests.counting import pairs

_COUNTS = ended(Logged("etl", "load", 0.1))


@pytest.fixture
def private(folder: Path) -> Iterator[str]:
    """A Redis that the test may break."""
    with redis_server(folder) as url:
        yield url


def _refusal(store: Store) -> str:
    with pytest.raises(StoreError) as caught:
        store.counts.add(*_COUNTS)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "secret" not in sentence
    return sentence


def test_a_redis_that_hangs_is_given_up_in_time(private: str) -> None:
    """A stopped Redis costs less than the time-out, known or new to the process; then it works."""
    known = open_store(private)
    known.counts.add(*_COUNTS)
    pid = int(redis.Redis.from_url(private).info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    try:
        for store in (known, open_store(private)):
            started = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="does not answer in time"):
                store.counts.add(*_COUNTS)
            # Half a second is promised; a busy machine may schedule the process late.
            assert time.monotonic() - started < 2
    finally:
        os.kill(pid, signal.SIGCONT)
    known.windows.states()


def test_a_redis_that_is_away_is_told() -> None:
    """The sentence names the address and not the password."""
    store = open_store(f"redis://me:secret@{LOOPBACK}:{free_port()}/0")
    assert "redis://me:***@127.0.0.1" in _refusal(store)
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        store.counts.add(*_COUNTS)


def test_a_restarted_redis_is_used_again(folder: Path) -> None:
    """Scripts and schema version come back by themselves after a restart without data."""
    port = free_port()
    with redis_server(folder, port=port) as url:
        store = open_store(url, timeout_seconds=10)
        store.counts.add(*_COUNTS)
    with pytest.raises(StoreUnavailableError):
        store.counts.add(*_COUNTS)
    with redis_server(folder, port=port):
        store.counts.add(*_COUNTS)
        assert pairs(store)[0].logs == 1


def test_a_wrong_password_is_told(private: str) -> None:
    """The login is named as the cure; a login that is missing is told as well."""
    redis.Redis.from_url(private).config_set("requirepass", "right-secret")
    wrong = private.replace("redis://", "redis://:wrong-secret@")
    assert "refuses the login: check user and password" in _refusal(open_store(wrong))
    assert "refuses the login: check user and password" in _refusal(open_store(private))


def test_a_read_only_replica_is_told(private: str) -> None:
    """A replica cannot count; the sentence says to name the primary."""
    client = redis.Redis.from_url(private)
    client.replicaof(LOOPBACK, free_port())
    client.config_set("replica-serve-stale-data", "yes")
    assert "is a read-only replica: name the primary" in _refusal(open_store(private))


def test_a_redis_without_room_for_connections_is_busy(private: str) -> None:
    """It says so and hangs up; a caller of the rate limit asks again, as of any busy store."""
    with closing(redis.Redis.from_url(private)) as client:
        client.config_set("maxclients", "1")
        for _ in range(20):
            with (
                closing(open_store(private, timeout_seconds=10)) as store,
                pytest.raises(StoreBusyError, match="has no room for more: raise its maxclients"),
            ):
                store.counts.add(*_COUNTS)


def test_a_full_redis_is_told(private: str) -> None:
    """Without memory for more the store is unavailable, not broken."""
    store = open_store(private)
    store.counts.add(*_COUNTS)
    redis.Redis.from_url(private).config_set("maxmemory", "1")
    with pytest.raises(StoreUnavailableError, match="is out of memory"):
        store.counts.add(*_COUNTS)


def test_an_unknown_version_is_refused(private: str) -> None:
    """Data written by a later flowgauge are left alone, with a sentence that says what to do."""
    redis.Redis.from_url(private).set("{flowgauge}:version", "99")
    said = _refusal(open_store(private))
    assert "has schema version '99', this flowgauge knows 2: upgrade flowgauge" in said


def test_a_redis_that_still_loads_is_told() -> None:
    """-LOADING, which a real Redis says too briefly to catch, means later, not never."""
    with (
        _answering(b"-LOADING Redis is loading the dataset in memory\r\n") as url,
        pytest.raises(StoreUnavailableError, match="still loading"),
    ):
        open_store(url, timeout_seconds=5).counts.add(*_COUNTS)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"+OK\r\n",
        b"*0\r\n",
        b"$-2\r\n",
        b"$1_0\r\n[0,0,0,0]0\r\n",
        b"$1\r\n00\r\n",
        b">1\r\n:0\r\n",
        pytest.param(b"*1\r\n" * 100_000, id="deep"),
    ],
)
@pytest.mark.parametrize("scheme", ["redis://", "redis+cluster://", "redis+sentinel://"])
def test_a_server_that_is_no_redis_is_told(answer: bytes, scheme: str) -> None:
    """Whatever it answers, or that it hangs up, is one sentence of the store's."""
    end = "/m" if "sentinel" in scheme else ""
    with _answering(answer) as url:
        address = url.removeprefix("redis://").removesuffix("/0")
        assert "the store redis" in _refusal(open_store(f"{scheme}{address}{end}"))


_READING: dict[str, Callable[[Store], object]] = {
    "claim": lambda store: store.outbox.claim(Lease("me", 1), 1),
    "retry": lambda store: store.outbox.retry("a"),
    "drop": lambda store: store.outbox.drop("a"),
    "entries": lambda store: store.outbox.entries(1),
    "state": lambda store: store.outbox.state(),
    "limits": lambda store: store.windows.states(),
    "acquire": lambda store: store.windows.acquire("api", "a", 1, 60, 0),
    "counts": lambda store: list(store.counts.totals("key")),
}


_NO_LISTS = ("$-1", ":-7", "$2\r\n-7")
_OTHER_LISTS = ("$4\r\n[[]]", '$8\r\n["",[7]]')


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        *product(_READING, _NO_LISTS),
        *product(sorted(_READING.keys() - {"retry", "drop"}), _OTHER_LISTS),
    ],
)
def test_an_answer_of_another_form_is_told(step: str, answer: str) -> None:
    """What speaks as Redis does, and has not run our script, is the store's error too."""
    with (
        _answering(f"{answer}\r\n".encode()) as url,
        closing(open_store(url, timeout_seconds=10)) as store,
        pytest.raises(StoreError) as caught,
    ):
        _READING[step](store)
    assert "\n" not in str(caught.value)


def test_an_answer_without_end_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read no further than any answer of ours is long."""
    monkeypatch.setattr(connections, "_LONGEST", 2**20)
    with _answering(b"$9999999999\r\n" + bytes(2**21)) as url:
        said = _refusal(open_store(url, timeout_seconds=10))
    assert "an answer without end" in said


@pytest.mark.parametrize("login", ["me:secret", f":{'secret' * 99}"])
def test_a_password_that_is_repeated_is_not_shown(folder: Path, login: str) -> None:
    """Redis quotes what came with a command that it does not know; nobody else does."""
    with redis_server(folder, "--rename-command", "AUTH", "") as url:
        store = open_store(url.replace("//", f"//{login}@"), timeout_seconds=10)
        assert "refuses: unknown command 'AUTH'" in _refusal(store)
        with pytest.raises(StoreError) as caught:
            store.counts.add(*_COUNTS)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_a_host_that_cannot_be_is_told(host: str) -> None:
    """As one that is not there."""
    with pytest.raises(StoreUnavailableError, match="cannot be reached: that is no host name"):
        open_store(f"redis://{host}/0", timeout_seconds=10).counts.add(*_COUNTS)


def test_a_redis_that_runs_another_script_is_told(private: str) -> None:
    """It answers later, once that has ended."""
    with closing(client_at(private)) as client, ThreadPoolExecutor(1) as pool:
        client.config_set("busy-reply-threshold", 1)
        endless = pool.submit(client.eval, "while true do end", 0)
        try:
            store = open_store(private, timeout_seconds=10)
            wait_for(lambda: "busy with a script" in _refusal(store), "it is busy")
            with pytest.raises(StoreUnavailableError):
                store.counts.add(*_COUNTS)
        finally:
            with closing(client_at(private)) as another:
                another.script_kill()
        assert endless.exception()


@pytest.mark.parametrize("is_cluster", ["no", "yes"])
def test_a_redis_without_room_is_told(folder: Path, is_cluster: str) -> None:
    """In a cluster it says so in other words."""
    options = ("--cluster-enabled", is_cluster, "--cluster-port", str(free_port()))
    with redis_server(folder, *options) as url, closing(client_at(url)) as client:
        client.config_set("maxclients", 1)
        with pytest.raises(StoreBusyError, match="no room for more: raise its maxclients"):
            open_store(url, timeout_seconds=10).counts.add(*_COUNTS)


class _Interruption(BaseException):
    """What Airflow does to a task whose time is over."""


def test_a_call_that_is_interrupted_takes_no_connection_with_it(private: str) -> None:
    """Wherever a signal's exception ends it, the next call has its place, and its own answer."""

    def interrupt(*_: object) -> None:
        raise _Interruption

    chance = random.Random(1)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with closing(open_store(f"{private}?max_connections=1", timeout_seconds=10)) as store:
            for _ in range(1000):
                # A thread that is being started may make something else of it.
                with suppress(_Interruption, StoreError):
                    signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 1e-3))
                    try:
                        store.outbox.state()
                        assert store.windows.states() == []
                    finally:
                        signal.setitimer(signal.ITIMER_REAL, 0)
            assert store.windows.states() == []
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_postgres_is_no_redis(own_postgres: Postgres) -> None:
    """It hangs up, and the sentence asks whether that is a Redis."""
    store = open_store(f"redis://{LOOPBACK}:{own_postgres.port}/0", timeout_seconds=10)
    assert "it hung up, is it a Redis?" in _refusal(store)


def _idle(client: "redis.Redis", name: str) -> dict[str, int]:
    """Return for how many seconds each connection of that name was not used."""
    return {each["id"]: int(each["idle"]) for each in client.client_list() if each["name"] == name}


@pytest.mark.parametrize("said", ["&health_check_interval=1", ""])
def test_connections_are_as_the_url_says(
    private: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They bear its name, there are no more at once, and one unused for long is made anew."""
    monkeypatch.setattr(servers, "_IDLE_SECONDS", 60 if said else 1)
    options = f"client_name=ours&max_connections=2&socket_keepalive=1{said}"
    with (
        closing(redis.Redis.from_url(private, decode_responses=True)) as client,
        closing(open_store(f"{private}?{options}", timeout_seconds=20)) as store,
    ):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: store.counts.add(*_COUNTS), range(200)))
        assert pairs(store)[0].logs == 200
        known = _idle(client, "ours")
        assert 1 <= len(known) <= 2
        wait_for(lambda: min(_idle(client, "ours").values()) > 1, "they are not used")
        store.counts.add(*_COUNTS)
        assert not known.keys() & _idle(client, "ours")


def test_a_name_with_a_dead_address_leads_to_the_one_that_lives(
    private: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the first takes not to answer: the next one has time left."""
    port = urlsplit(private).port
    assert port
    found = socket.getaddrinfo(LOOPBACK, port, type=socket.SOCK_STREAM)
    with socket.create_server((LOOPBACK, 0), backlog=0) as full:
        place = full.getsockname()
        with ExitStack() as stack:
            # What has no room for more leaves a connection waiting, as a host that is gone does.
            for _ in range(4):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(place)
            dead = (*found[0][:4], place)
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead, *found])
            with closing(open_store(private, timeout_seconds=2)) as store:
                store.counts.add(*_COUNTS)
                assert pairs(store)[0].logs == 1


def test_a_store_over_tls(folder: Path) -> None:
    """Alone or as a cluster, with a certificate that is checked."""
    pem = certificate(folder)
    port = free_port()
    with redis_server(
        folder / "redis",
        *("--tls-port", str(port), "--tls-auth-clients", "no", "--tls-cluster", "yes"),
        *("--tls-key-file", str(pem.key), "--tls-cert-file", str(pem.cert)),
        *("--tls-ca-cert-file", str(pem.cert), "--cluster-enabled", "yes"),
        *("--cluster-port", str(free_port())),
    ) as plain:
        with closing(client_at(plain)) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_for(
                lambda: "state:ok" in str(client.execute_command("CLUSTER", "INFO")), "it is whole"
            )
        for number, kind in enumerate(["rediss", "rediss+cluster"]):
            trusted = f"{kind}://localhost:{port}?ssl_ca_certs={pem.cert}"
            with closing(open_store(trusted, timeout_seconds=20)) as store:
                store.counts.add(*_COUNTS)
                assert pairs(store)[0].logs == number + 1
            with (
                closing(open_store(f"{kind}://localhost:{port}", timeout_seconds=4)) as store,
                pytest.raises(StoreUnavailableError, match=r"certificate verify failed|in time"),
            ):
                store.counts.add(*_COUNTS)
            # The same server by a name that its certificate lacks.
            other = trusted.replace("//localhost", "//127.1")
            with (
                closing(open_store(other, timeout_seconds=4)) as store,
                pytest.raises(StoreUnavailableError, match=r"certificate verify failed|in time"),
            ):
                store.counts.add(*_COUNTS)
            with closing(open_store(f"{other}&ssl_check_hostname=no", timeout_seconds=20)) as store:
                assert pairs(store)[0].logs == number + 1


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ("ssl_ca_certs=/no/such", r"check ssl_ca_certs, .*No such file"),
        ("ssl_certfile={0.cert}&ssl_keyfile={1}", "check ssl_certfile, ssl_keyfile, ssl_password"),
    ],
)
def test_a_file_for_tls_that_cannot_be_read_is_told(files: str, named: str, folder: Path) -> None:
    """The sentence names its option; nobody is asked for the password of a key."""
    pem = certificate(folder)
    locked = folder / "locked.key"
    key = load_pem_private_key(pem.key.read_bytes(), None)
    encryption = BestAvailableEncryption(b"secret")
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    with _answering(b"") as url:
        secure = url.replace("redis://", "rediss://")
        said = _refusal(open_store(f"{secure}?{files.format(pem, locked)}", timeout_seconds=10))
    assert re.search(named, said)


def test_a_clock_set_back_costs_at_most_one_window(private: str) -> None:
    """Grants that lie in the future of Redis' clock hold back calls for one window, not longer."""
    store = open_store(private, timeout_seconds=10)
    client = redis.Redis.from_url(private)
    for number in range(3):
        store.windows.acquire("api", str(number), 3, 60, 0)
        client.zincrby("{flowgauge}:grants:api", 1e9 * number, f"n{number + 1}")
    for number in range(3):
        assert 0 < store.windows.acquire("api", f"waiting {number}", 3, 60, 0).wait_seconds <= 60
    assert store.windows.states()[0].window_calls == 3


@contextmanager
def _answering(reply: bytes) -> Iterator[str]:
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    while data := connection.recv(4096):
                        connection.sendall(reply * data.count(b"*"))

        Thread(target=serve, daemon=True).start()
        yield f"redis://{LOOPBACK}:{server.getsockname()[1]}/0"
