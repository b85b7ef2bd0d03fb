"""A real PgBouncer in transaction mode: sessions are shared between clients."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.postgres import Postgres, hand_over
from stack.process import LOOPBACK, StackError, accepts, free_port, running

__all__ = ["pgbouncer"]


@contextmanager
def pgbouncer(folder: Path, behind: Postgres) -> Iterator[str]:
    """Run PgBouncer before a server until the block ends; yield the URL of the database."""
    binary = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if not binary:
        raise StackError("pgbouncer is missing: install Debian's package pgbouncer")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\nmlflow = host={LOOPBACK} port={behind.port} user=mlflow\n"
        f"[pgbouncer]\nlisten_addr = {LOOPBACK}\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
    )
    # It refuses to run as root.
    account = "postgres" if os.geteuid() == 0 else None
    if account:
        hand_over(folder, account)
    with running(
        [binary, str(config)],
        log=folder / "pgbouncer.log",
        user=account,
        ready=lambda: accepts(port),
    ):
        yield f"postgresql://mlflow@{LOOPBACK}:{port}/mlflow"
