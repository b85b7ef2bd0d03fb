"""What can be wrong around a task, each as the environment and the command that it then runs by."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flowgauge.store import open_store
from stack.faults.held import EIGHT_ADDRESSES
from stack.postgres import postgres
from stack.process import LOOPBACK
from stack.proxy import proxy
from stack.redis import redis_server
from stack.unwell import canned_server, flooding_server, raw_server

__all__ = ["TROUBLES", "Parts", "Surroundings"]

_SLOW_SECONDS = 0.2
_STALL_SECONDS = 20
_HUGE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6442450944\r\n\r\n"
# No read of it takes longer than a second.
_DRIP = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b" " * 500
_NAMELESS = (
    'ip link set lo up; mount --bind "$1" /etc/resolv.conf; mount --bind "$2" /etc/hosts;'
    ' shift 2; exec "$@"'
)
_NAME = "away.example.com"


@dataclass(frozen=True)
class Parts:
    """What is there and well: MLflow, and a folder for what else is needed."""

    mlflow_url: str
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a task to which nothing is wrong."""
        return {
            "MLFLOW_TRACKING_URI": self.mlflow_url,
            "FLOWGAUGE_STORE": f"sqlite:///{self.folder}/store.db",
            "AIRFLOW_HOME": str(self.folder),
        }


@dataclass(frozen=True)
class Surroundings:
    """What a trouble changes: variables, what the task runs behind, what goes on within it."""

    environ: Mapping[str, str] = field(default_factory=dict)
    behind: Sequence[str] = ()
    within: Sequence[str] = ()


def _mlflow(url: str) -> Surroundings:
    return Surroundings({"MLFLOW_TRACKING_URI": url})


def _store(url: str) -> Surroundings:
    return Surroundings({"FLOWGAUGE_STORE": url})


@contextmanager
def _nothing(_: Parts) -> Iterator[Surroundings]:
    yield Surroundings()


@contextmanager
def _mlflow_silent(_: Parts) -> Iterator[Surroundings]:
    with raw_server(b"") as url:
        yield _mlflow(url)


@contextmanager
def _mlflow_dripping(_: Parts) -> Iterator[Surroundings]:
    with raw_server(_DRIP, pause=1) as url:
        yield _mlflow(url)


@contextmanager
def _mlflow_redirecting(_: Parts) -> Iterator[Surroundings]:
    with canned_server() as server:
        server.status, server.headers = 307, {"Location": server.url}
        yield _mlflow(server.url)


@contextmanager
def _mlflow_huge(_: Parts) -> Iterator[Surroundings]:
    with flooding_server(_HUGE) as (url, _taken):
        yield _mlflow(url)


@contextmanager
def _no_names(parts: Parts) -> Iterator[Surroundings]:
    """Let the name server of a network of the task's own answer nothing (`unshare`)."""
    yield Surroundings({"MLFLOW_TRACKING_URI": f"http://{_NAME}"}, _apart(parts), ["name server"])


@contextmanager
def _store_without_names(parts: Parts) -> Iterator[Surroundings]:
    yield Surroundings(
        {"FLOWGAUGE_STORE": f"postgresql://{_NAME}/x"}, _apart(parts), ["name server"]
    )


@contextmanager
def _eight_addresses(parts: Parts) -> Iterator[Surroundings]:
    """Let the store have one name and eight addresses, none of which takes a connection."""
    hosts = [f"{address} {_NAME}" for address in EIGHT_ADDRESSES]
    yield Surroundings(
        {"FLOWGAUGE_STORE": f"redis://{_NAME}"}, _apart(parts, hosts), ["eight addresses"]
    )


def _apart(parts: Parts, hosts: Sequence[str] = ()) -> Sequence[str]:
    resolving, names = parts.folder / "resolv.conf", parts.folder / "hosts"
    resolving.write_text("nameserver 127.0.0.1\n")
    names.write_text("".join(f"{line}\n" for line in (f"{LOOPBACK} localhost", *hosts)))
    return ["unshare", "-rmn", "sh", "-c", _NAMELESS, "sh", str(resolving), str(names)]


@contextmanager
def _redis_silent(_: Parts) -> Iterator[Surroundings]:
    with raw_server(b"") as url:
        yield _store(url.replace("http", "redis"))


@contextmanager
def _postgres_silent(_: Parts) -> Iterator[Surroundings]:
    with raw_server(b"") as url:
        yield _store(f"{url.replace('http', 'postgresql')}/x")


@contextmanager
def _redis_slow(parts: Parts) -> Iterator[Surroundings]:
    with redis_server(parts.folder / "redis") as url, _slow(url) as slow:
        yield _store(slow)


@contextmanager
def _postgres_slow(parts: Parts) -> Iterator[Surroundings]:
    with postgres(parts.folder / "postgres") as server:
        with closing(open_store(server.url)) as store:
            store.init()
        with _slow(server.url) as slow:
            yield _store(slow)


@contextmanager
def _slow(url: str) -> Iterator[str]:
    before, _, rest = url.rpartition(":")
    port, _, path = rest.partition("/")
    with proxy(int(port)) as between:
        between.delay = _SLOW_SECONDS
        yield f"{before}:{between.port}/{path}"


@contextmanager
def _sqlite_locked(parts: Parts) -> Iterator[Surroundings]:
    file = parts.folder / "locked.db"
    with closing(open_store(f"sqlite:///{file}")) as store:
        store.init()
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield _store(f"sqlite:///{file}")


def _fsync_takes(seconds: float) -> Sequence[str]:
    calls = "fsync,fdatasync"
    wait = f"inject={calls}:delay_enter={int(seconds * 1e6)}"
    quietly = ["-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"]
    return ["strace", *quietly, "-e", f"trace={calls}", "-e", wait]


@contextmanager
def _disk_slow(_: Parts) -> Iterator[Surroundings]:
    yield Surroundings(behind=_fsync_takes(_SLOW_SECONDS))


@contextmanager
def _disk_stalls(_: Parts) -> Iterator[Surroundings]:
    """Let each fsync take 20 seconds (`strace`)."""
    yield Surroundings(behind=_fsync_takes(_STALL_SECONDS))


@contextmanager
def _airflow_silent(_: Parts) -> Iterator[Surroundings]:
    """Let Airflow not tell where MLflow is, either."""
    yield Surroundings({"MLFLOW_TRACKING_URI": ""}, within=["airflow"])


@contextmanager
def _all_at_once(parts: Parts) -> Iterator[Surroundings]:
    with _redis_silent(parts) as store, _mlflow_dripping(parts) as mlflow:
        yield Surroundings(
            {**store.environ, **mlflow.environ}, _fsync_takes(_STALL_SECONDS), ["airflow"]
        )


@contextmanager
def _disk_and_mlflow(parts: Parts) -> Iterator[Surroundings]:
    with _mlflow_silent(parts) as mlflow, _disk_stalls(parts) as disk:
        yield Surroundings(mlflow.environ, disk.behind)


@contextmanager
def _store_and_mlflow(parts: Parts) -> Iterator[Surroundings]:
    with _redis_silent(parts) as store, _mlflow_silent(parts) as mlflow:
        yield Surroundings({**store.environ, **mlflow.environ})


TROUBLES: Mapping[str, Callable[[Parts], AbstractContextManager[Surroundings]]] = {
    "nothing": _nothing,
    "mlflow_silent": _mlflow_silent,
    "mlflow_dripping": _mlflow_dripping,
    "mlflow_redirecting": _mlflow_redirecting,
    "mlflow_huge": _mlflow_huge,
    "no_names": _no_names,
    "store_without_names": _store_without_names,
    "eight_addresses": _eight_addresses,
    "redis_silent": _redis_silent,
    "postgres_silent": _postgres_silent,
    "redis_slow": _redis_slow,
    "postgres_slow": _postgres_slow,
    "sqlite_locked": _sqlite_locked,
    "disk_slow": _disk_slow,
    "disk_stalls": _disk_stalls,
    "airflow_silent": _airflow_silent,
    "all_at_once": _all_at_once,
    "disk_and_mlflow": _disk_and_mlflow,
    "store_and_mlflow": _store_and_mlflow,
}
