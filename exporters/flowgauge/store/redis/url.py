"""What a Redis store's URL says."""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote

from flowgauge.redact import redact_url
from flowgauge.store.errors import StoreError

__all__ = ["RedisUrl", "read_url"]

_URL = re.compile(
    r"(?P<scheme>[a-z+]+)://(?:(?P<login>[^@/?#]*)@)?(?P<hosts>[^@/?#]*)"
    r"(?P<path>[^@?#]*)(?:\?(?P<query>[^@#]*))?"
)
_HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.%]+\]|[^:\[\]\s]*)(?::(?P<port>\d{1,5}))?")
# Python makes no number of thousands of digits.
_NUMBER = re.compile(r"[0-9]{1,9}")
_PORTS = {"one": 6379, "sentinel": 26379, "cluster": 6379}
_MAX_PORT = 65535

Kind = Literal["one", "sentinel", "cluster"]


class _UnclearError(Exception):
    """What is wrong with a URL, to go on from the store's name."""


class RedisUrl(NamedTuple):
    """Where a Redis is, and how to log in.

    *addresses* are those of the server, of the Sentinels that know the master called *master*, or
    of some of a cluster's nodes; *path* is a socket's instead. *options* are those of `_OPTIONS`
    that each connection needs to know, *sentinel_login* those that are others for a Sentinel.
    *timeout_seconds* is a time-out shorter than the store's own, if any.
    """

    written: str
    kind: Kind = "one"
    addresses: Sequence[tuple[str, int]] = ()
    path: str = ""
    tls: bool = False
    master: str = ""
    db: int = 0
    wait_replicas: int = 0
    timeout_seconds: float | None = None
    options: Mapping[str, Any] = MappingProxyType({})
    sentinel_login: Mapping[str, Any] = MappingProxyType({})

    @property
    def shown(self) -> str:
        """The store's name, for people."""
        return _shown(self.written)


def read_url(url: str, timeout_seconds: float) -> RedisUrl:
    """Return what *url* says; raise `StoreError` if that is not clear, or more than it may say.

    Options, which version 0.1 handed unread to a client of Redis, are those of `_OPTIONS`.
    """
    try:
        return _read(url, timeout_seconds)
    except _UnclearError as unclear:
        raise StoreError(f"{_shown(url)} {unclear}") from None


def _shown(url: str) -> str:
    return f"the store {redact_url(url)}"


def _read(url: str, timeout_seconds: float) -> RedisUrl:
    found = _URL.fullmatch(url)
    if not found:
        raise _UnclearError(
            "is no Redis URL: use redis://user:password@host:6379/0, and write"
            " / as %2F, ? as %3F, # as %23, @ as %40 in user and password"
        )
    secure, kind = _scheme(found["scheme"])
    options = _options(found["query"] or "", timeout_seconds)
    user, _, password = unquote(found["login"] or "").partition(":")
    if ":" not in (found["login"] or ""):
        user, password = "", user
    login = {"username": user, "password": password}
    timeouts = [options.pop(name) for name in _TIMEOUTS if name in options]
    sentinel_login = {
        name: options.pop(f"sentinel_{name}")
        for name in ("username", "password")
        if f"sentinel_{name}" in options
    }
    if sentinel_login and kind != "sentinel":
        raise _UnclearError("has a login for Sentinels: use redis+sentinel:// with it")
    if not secure and (needless := [name for name in options if name.startswith("ssl_")]):
        raise _UnclearError(f"has {needless[0]}, but no TLS: use rediss")
    wait_replicas = options.pop("wait_replicas", 0)
    db = options.pop("db", None)
    path, master = "", ""
    if found["scheme"] == "unix":
        path = unquote(found["path"])
        if found["hosts"] or not path.strip("/"):
            raise _UnclearError("names no socket: use unix:///path/to/redis.sock?db=0")
    else:
        master, db = _master_and_db(kind, found["path"], db)
    return RedisUrl(
        written=url,
        kind=kind,
        addresses=() if path else _addresses(kind, found["hosts"]),
        path=path,
        tls=secure,
        master=master,
        db=db or 0,
        wait_replicas=wait_replicas,
        timeout_seconds=min(timeouts, default=None),
        options={name: value for name, value in login.items() if value} | options,
        sentinel_login=sentinel_login,
    )


def _scheme(scheme: str) -> tuple[bool, Kind]:
    name, _, kind = scheme.partition("+")
    kinds: dict[str, Kind] = {"": "one", "sentinel": "sentinel", "cluster": "cluster"}
    return name == "rediss", kinds[kind]


def _addresses(kind: Kind, hosts: str) -> Sequence[tuple[str, int]]:
    addresses = []
    for each in hosts.split(","):
        found = _HOST.fullmatch(each)
        port = int((found and found["port"]) or _PORTS[kind])
        if not found or port > _MAX_PORT or (not found["host"] and kind != "one"):
            raise _UnclearError("is no Redis URL: use host:port, several with , between")
        addresses.append((unquote(found["host"]).strip("[]") or "localhost", port))
    if kind == "one" and len(addresses) > 1:
        raise _UnclearError(
            "is no Redis URL, it has several hosts: use redis+sentinel://…/MASTER or"
            " redis+cluster://…"
        )
    return addresses


def _master_and_db(kind: Kind, path: str, db: int | None) -> tuple[str, int]:
    names = [unquote(name) for name in path.split("/")[1:] if name]
    master = names.pop(0) if kind == "sentinel" and names else ""
    if kind == "sentinel" and not master:
        raise _UnclearError("names no master: use redis+sentinel://host:26379,host:26379/MASTER")
    number = names.pop(0) if names else "0"
    if names or not _NUMBER.fullmatch(number):
        raise _UnclearError("has no database's number at its end: use /0, or leave it out")
    db = int(number) if db is None else db
    if kind == "cluster" and db:
        raise _UnclearError(f"names database {db}: use none, a Redis Cluster has only one")
    return master, db


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError("a whole number")
    return int(text)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a number of seconds") from None


def _yes_or_no(text: str) -> bool:
    words = {"true": True, "yes": True, "y": True, "1": True}
    words |= {"false": False, "no": False, "n": False, "0": False, "f": False, "t": True}
    try:
        return words[text.lower()]
    except KeyError:
        raise ValueError("true or false") from None


def _cert_reqs(text: str) -> str:
    if text not in {"none", "optional", "required"}:
        raise ValueError("none, optional or required")
    return text


_TIMEOUTS = ("socket_timeout", "socket_connect_timeout")
_OPTIONS: dict[str, Callable[[str], Any]] = {
    "wait_replicas": _number,
    "db": _number,
    "username": str,
    "password": str,
    "sentinel_username": str,
    "sentinel_password": str,
    "client_name": str,
    "protocol": _number,
    "max_connections": _number,
    "health_check_interval": _number,
    "socket_keepalive": _yes_or_no,
    "socket_timeout": _seconds,
    "socket_connect_timeout": _seconds,
    "ssl_ca_certs": str,
    "ssl_ca_path": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_password": str,
    "ssl_cert_reqs": _cert_reqs,
    "ssl_check_hostname": _yes_or_no,
}


def _options(query: str, timeout_seconds: float) -> dict[str, Any]:
    options = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            # Not its name, which may be the rest of a password.
            raise _UnclearError(f"has an unknown option: use some of {', '.join(_OPTIONS)}")
        try:
            options[name] = value = _OPTIONS[name](text)
        except ValueError as wanted:
            raise _UnclearError(f"has a {name} that cannot be: use {wanted}") from None
        if name in _TIMEOUTS and not 0 < value <= timeout_seconds:
            raise _UnclearError(
                f"has {name}={text}, but is given up after {timeout_seconds:g} s:"
                " use less, or leave it out"
            )
    return options
