"""A real PostgreSQL, in a folder of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2

from stack.process import LOOPBACK, StackError, free_port, running

__all__ = ["Postgres", "hand_over", "postgres", "standby"]

_USER = "mlflow"


@dataclass(frozen=True)
class Postgres:
    """A running server with an empty database `mlflow`, owned by the user `mlflow`."""

    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The SQLAlchemy URI of the database."""
        return f"postgresql+psycopg2://{_USER}@{LOOPBACK}:{self.port}/mlflow"

    @property
    def url(self) -> str:
        """The URL of the database as libpq knows it."""
        return f"postgresql://{_USER}@{LOOPBACK}:{self.port}/mlflow"

    @property
    def dsn(self) -> str:
        """The same for psycopg2."""
        return f"host={LOOPBACK} port={self.port} user={_USER} dbname=mlflow"

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Let every query of *table* wait until the block ends."""
        with psycopg2.connect(self.dsn) as connection:
            connection.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()

    @property
    def pids(self) -> Sequence[int]:
        """Its processes, the first of which starts the others."""
        assert self.process
        first = psutil.Process(self.process.pid)
        return [first.pid, *(child.pid for child in first.children())]

    def crash(self) -> None:
        """End it in the midst of what it does: nothing more is written, or sent to a standby."""
        assert self.process
        # https://www.postgresql.org/docs/current/server-shutdown.html: as SIGKILL would, but it
        # leaves no shared memory behind.
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def promote(self) -> None:
        """Make a standby the primary, and return once it is."""
        with closing(psycopg2.connect(self.dsn)) as connection:
            connection.cursor().execute("SELECT pg_promote()")


@contextmanager
def postgres(folder: Path, *settings: str, port: int | None = None) -> Iterator[Postgres]:
    """Run PostgreSQL on loopback until the block ends; its data vanish with *folder*.

    It does not wait for its disk unless *settings*, as in `fsync=on`, say so.
    """
    new = ["initdb", "-U", _USER, "--auth=trust", "-N", "-D"]
    with _server(folder, new, settings, port or free_port()) as server:
        create = ["createdb", "-h", LOOPBACK, "-p", str(server.port), "-U", _USER, "mlflow"]
        subprocess.run([_binaries() / create[0], *create[1:]], check=False, capture_output=True)
        yield server


@contextmanager
def standby(folder: Path, primary: Postgres, name: str = "standby") -> Iterator[Postgres]:
    """Run a server that follows *primary*, which knows it by its *name*, until the block ends."""
    way = f"host={LOOPBACK} port={primary.port} user={_USER} application_name={name}"
    copy = ["pg_basebackup", "--no-sync", "--checkpoint=fast", "-R", "-d", way, "-D"]
    # What a newer pg_basebackup writes down of the way, an older server may not know.
    with _server(folder, copy, (f"primary_conninfo={way}",), free_port()) as server:
        yield server


@contextmanager
def _server(
    folder: Path, make: Sequence[str], settings: Sequence[str], port: int
) -> Iterator[Postgres]:
    """Run what is in *folder*, where the command *make* puts it first."""
    binaries = _binaries()
    folder.mkdir(parents=True, exist_ok=True)
    # PostgreSQL refuses to run as root; Debian's package made this account.
    account = "postgres" if os.geteuid() == 0 else None
    data = folder / "pgdata"
    if account:
        hand_over(folder, account)
    if not data.exists():
        command = [str(binaries / make[0]), *make[1:], str(data)]
        made = subprocess.run(
            command, check=False, capture_output=True, text=True, user=account, cwd=folder
        )
        if made.returncode:
            raise StackError(f"{make[0]}: {made.stderr}")
    options = ["-p", str(port), "-h", LOOPBACK, "-k", "", "-c", "fsync=off"]
    options += [word for setting in settings for word in ("-c", setting)]
    ready = [str(binaries / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(port)]
    with running(
        [str(binaries / "postgres"), "-D", str(data), *options],
        log=folder / "postgres.log",
        user=account,
        cwd=folder,
        ready=lambda: subprocess.run(ready, check=False).returncode == 0,
        # SIGTERM would wait for all clients to go.
        stop_signal=signal.SIGINT,
    ) as process:
        yield Postgres(port, process)


def hand_over(folder: Path, account: str) -> None:
    """Give a temporary *folder* to another *account*, which may then reach it."""
    uid = pwd.getpwnam(account).pw_uid
    os.chown(folder, uid, -1)
    # Temporary folders are often 0700: let the account through to its own.
    temporary = Path(tempfile.gettempdir())
    for parent in folder.parents:
        if temporary in parent.parents:
            parent.chmod(parent.stat().st_mode | 0o011)


def _binaries() -> Path:
    # Debian keeps it off PATH.
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = shutil.which("postgres") or (installed and installed[-1])
    if not found:
        raise StackError("postgres is missing: install Debian's package postgresql")
    return Path(found).resolve().parent
