"""From a URL to a store."""

import os
from collections.abc import Mapping
from pathlib import Path

from flowgauge.redact import redact_url
from flowgauge.store.engines import ENGINES
from flowgauge.store.errors import StoreError
from flowgauge.store.store import Store

__all__ = ["open_store", "state_folder", "store_url"]

_FILE = "flowgauge.db"


def store_url(environ: Mapping[str, str] = os.environ) -> str:
    """Return the URL of the store this process shares with the others.

    `FLOWGAUGE_STORE`, else a file in `AIRFLOW_HOME`, else in the user's state folder.
    """
    if url := environ.get("FLOWGAUGE_STORE"):
        return url
    return f"sqlite:///{state_folder(environ) / _FILE}"


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return this host's folder for what flowgauge keeps: `AIRFLOW_HOME`, else the user's own."""
    if home := environ.get("AIRFLOW_HOME"):
        return _expanded(home)
    # https://specifications.freedesktop.org/basedir-spec/latest/
    return _expanded(environ.get("XDG_STATE_HOME") or "~/.local/state") / "flowgauge"


def _expanded(path: str) -> Path:
    """Return *path* as Airflow reads that of its home, where no shell has expanded it."""
    expanded = os.path.expandvars(path)
    try:
        return Path(expanded).expanduser()
    except RuntimeError:
        # The user has no home, which container runtimes say is the root.
        return Path("/", expanded.removeprefix("~/"))


def open_store(
    url: str | None = None,
    *,
    timeout_seconds: float = 0.5,
    environ: Mapping[str, str] = os.environ,
) -> Store:
    """Return the store at *url*, by default `store_url()`; connects when it is first used.

    `sqlite:///relative.db`, `sqlite:////absolute.db`, `redis://[[user]:password@]host[:port][/db]`,
    `rediss://…` (TLS), `unix://[[user]:password@]/path/to.sock[?db=n]`,
    `redis+sentinel://[[user]:password@]host[:port],…/MASTER[/db]`,
    `redis+cluster://[[user]:password@]host[:port],…`, or
    `postgresql://[user[:password]@][host][:port][,…][/database]`. Raises `StoreError` for
    any other URL. Each of the store's steps ends within *timeout_seconds*.
    """
    url = url or store_url(environ)
    engine = ENGINES.get(url.partition("://")[0])
    if engine is None or "://" not in url:
        examples = ", ".join(dict.fromkeys(each.example for each in ENGINES.values()))
        raise StoreError(f"{redact_url(url)} is no store: use one such as {examples}")
    return Store(engine.load()(url, timeout_seconds=timeout_seconds))
