"""A real MariaDB, in a folder of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql

from stack.process import LOOPBACK, StackError, accepts, free_port, running

__all__ = ["MariaDb", "mariadb"]


@dataclass(frozen=True)
class MariaDb:
    """A running server with an empty database `mlflow`."""

    port: int

    @property
    def uri(self) -> str:
        """The SQLAlchemy URI of the database."""
        return f"mysql+pymysql://root@{LOOPBACK}:{self.port}/mlflow"

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Let every query of *table* wait until the block ends."""
        with closing(self._connect("mlflow")) as connection, connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {table} WRITE")
            yield
            cursor.execute("UNLOCK TABLES")

    def create_database(self) -> None:
        """Make the database, as MLflow wants it there."""
        with closing(self._connect(None)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE mlflow")

    def _connect(self, database: str | None) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(host=LOOPBACK, port=self.port, user="root", database=database)


@contextmanager
def mariadb(folder: Path) -> Iterator[MariaDb]:
    """Run MariaDB on loopback until the block ends; its data vanish with *folder*."""
    found = shutil.which("mariadbd")
    if not found:
        raise StackError("mariadbd is missing: install Debian's package mariadb-server")
    folder.mkdir(parents=True, exist_ok=True)
    installed = Path(found).resolve().parents[1]
    options = ["--no-defaults", f"--basedir={installed}", f"--datadir={folder / 'data'}"]
    if os.geteuid() == 0:
        options.append("--user=root")
    _install(options, folder)
    server = MariaDb(free_port())
    command = [found, *options, f"--port={server.port}", f"--bind-address={LOOPBACK}",
               f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}",
               "--innodb-flush-log-at-trx-commit=0"]  # fmt: skip
    log = folder / "mariadb.log"
    with running(command, log=log, cwd=folder, ready=lambda: accepts(server.port)):
        server.create_database()
        yield server


def _install(options: list[str], folder: Path) -> None:
    # Its other way to log in as root goes by the name of the system's account.
    command = ["mariadb-install-db", *options, "--auth-root-authentication-method=normal"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StackError(f"mariadb-install-db failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
