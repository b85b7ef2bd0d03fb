"""A real PostgreSQL, in a folder of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from stack.process import LOOPBACK, StackError, free_port, running

__all__ = ["Postgres", "hand_over", "postgres"]

_USER = "mlflow"


@dataclass(frozen=True)
class Postgres:
    """A running server with an empty database `mlflow`, owned by the user `mlflow`."""

    port: int

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


@contextmanager
def postgres(folder: Path, *settings: str, port: int | None = None) -> Iterator[Postgres]:
    """Run PostgreSQL on loopback until the block ends; its data vanish with *folder*.

    It does not wait for its disk unless *settings*, as in `fsync=on`, say so.
    """
    binaries = _binaries()
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    # PostgreSQL refuses to run as root; Debian's package made this account.
    account = "postgres" if os.geteuid() == 0 else None
    data = folder / "pgdata"
    log = folder / "postgres.log"
    if account:
        hand_over(folder, account)
    if not data.exists():
        initdb = [str(binaries / "initdb"), "-D", str(data), "-U", _USER, "--auth=trust", "-N"]
        subprocess.run(initdb, check=True, capture_output=True, user=account, cwd=folder)
    options = ["-p", str(port), "-h", LOOPBACK, "-k", "", "-c", "fsync=off"]
    options += [word for setting in settings for word in ("-c", setting)]
    server = [str(binaries / "postgres"), "-D", str(data), *options]
    ready = [str(binaries / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(port)]
    with running(
        server,
        log=log,
        user=account,
        cwd=folder,
        ready=lambda: subprocess.run(ready, check=False).returncode == 0,
        # SIGTERM would wait for all clients to go.
        stop_signal=signal.SIGINT,
    ):
        create = [
            str(binaries / "createdb"),
            "-h",
            LOOPBACK,
            "-p",
            str(port),
            "-U",
            _USER,
            "mlflow",
        ]
        subprocess.run(create, check=False, capture_output=True)
        yield Postgres(port)


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
