"""Asking both servers, and comparing what they answer: status, headers in their order, body."""

import json
import re
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from stack.differential.requests import Request, Step
from stack.differential.servers import Pair
from stack.mlflow import MlflowServer

__all__ = ["Difference", "compare", "compare_odd", "compare_scenario"]

# MLflow's own demonstration data take a busy machine more than a minute.
_TIMEOUT_SECONDS = 300
_GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
# What differs between two servers that are alike.
_PASSING = [
    (re.compile(rb"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"), b"UUID"),
    (re.compile(rb"[0-9a-f]{32}"), b"ID"),
    (re.compile(rb"\b1[78]\d{11}\b"), b"MILLISECONDS"),
    (re.compile(rb"\b\d{18}\b"), b"NUMBER"),
    (re.compile(rb"'[a-z]+-[a-z]+-\d{1,3}'"), b"NAME"),
    # What Flask signs: sessions, and tokens of forms.
    (re.compile(rb"[\w-]{20,}\.[\w-]{6}\.[\w-]{27}\b"), b"SIGNED"),
    # Of the demonstration data: their ids and times are in it.
    (re.compile(rb'(?<="digest": ")[0-9a-f]{8}\b'), b"DIGEST"),
]
# Times, and what is made of them.
_PASSING_HEADERS = {
    *("date", "etag", "last-modified"),
    *("x-mlflow-gateway-duration-ms", "x-mlflow-gateway-overhead-duration-ms"),
}


@dataclass(frozen=True)
class Answer:
    """What a server said, without what passes."""

    status: int | str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Difference:
    """A request that the two servers answered differently."""

    request: str
    bare: Answer
    measured: Answer


def compare(pair: Pair, requests: Iterable[Request]) -> tuple[int, list[Difference]]:
    """Send *requests* to both, one by one; return how many, and what was answered differently."""
    with (
        httpx.Client(base_url=pair.bare.url, timeout=_TIMEOUT_SECONDS) as to_bare,
        httpx.Client(base_url=pair.measured.url, timeout=_TIMEOUT_SECONDS) as to_measured,
        ThreadPoolExecutor(2) as together,
    ):

        def both(request: Request) -> tuple[str, Answer, Answer]:
            bare = together.submit(_ask, to_bare, pair.bare, request)
            measured = together.submit(_ask, to_measured, pair.measured, request)
            return str(request), bare.result(), measured.result()

        return _different(map(both, requests))


def compare_odd(pair: Pair, requests: Iterable[bytes]) -> tuple[int, list[Difference]]:
    """Send the bytes of *requests*, written for the bare server, each over a connection."""

    def both(request: bytes) -> tuple[str, Answer, Answer]:
        ours = request.replace(_host(pair.bare).encode(), _host(pair.measured).encode())
        return (
            repr(request[:80]),
            _exchange(pair.bare, request),
            _exchange(pair.measured, ours),
        )

    return _different(map(both, requests))


def compare_scenario(pair: Pair, steps: Iterable[Step]) -> tuple[int, list[Difference]]:
    """Do *steps* on both, with the ids that each gave."""
    kept: dict[str, dict[str, str]] = {pair.bare.url: {}, pair.measured.url: {}}

    def do(server: MlflowServer, step: Step) -> Answer:
        names = kept[server.url]
        content = step.content or (_filled(json.dumps(step.json), names).encode())
        headers = {"Content-Type": "application/json"} if step.json is not None else {}
        body = content if step.method != "GET" else None
        request = Request(step.method, _filled(step.path, names), body, headers, pair.login)
        base = server.url + pair.prefix
        with httpx.Client(base_url=base, timeout=_TIMEOUT_SECONDS) as client:
            answer = _sent(client, request)
        if step.keeps and isinstance(answer, httpx.Response):
            found: Any = answer.json()
            for key in step.keeps:
                found = found[key]
            names[step.keeps[-1]] = found
        return _answer(server, answer)

    return _different(
        (f"{step.method} {step.path}", do(pair.bare, step), do(pair.measured, step))
        for step in steps
    )


def _different(asked: Iterable[tuple[str, Answer, Answer]]) -> tuple[int, list[Difference]]:
    number, found = 0, []
    for request, bare, measured in asked:
        number += 1
        if bare != measured:
            found.append(Difference(request, bare, measured))
    return number, found


def _filled(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _ask(client: httpx.Client, server: MlflowServer, request: Request) -> Answer:
    return _answer(server, _sent(client, request))


def _sent(client: httpx.Client, request: Request) -> httpx.Response | str:
    try:
        return client.request(
            request.method,
            request.path,
            content=request.body,
            headers=request.headers,
            auth=request.login,
        )
    except httpx.HTTPError as error:
        return type(error).__name__
    finally:
        client.cookies.clear()


def _answer(server: MlflowServer, answer: httpx.Response | str) -> Answer:
    if isinstance(answer, str):
        return Answer(answer, (), b"")
    headers = _headers(server, answer.headers.multi_items(), answer.content)
    return Answer(answer.status_code, headers, _lasting(server, answer.content))


def _headers(
    server: MlflowServer, sent: Iterable[tuple[str, str]], body: bytes
) -> tuple[tuple[str, str], ...]:
    kept = []
    for name, value in sent:
        if name in _PASSING_HEADERS or (name, value) == ("content-length", str(len(body))):
            kept.append((name, "..."))
        elif name == "allow":  # from a set
            kept.append((name, ", ".join(sorted(value.split(", ")))))
        else:
            kept.append((name, _lasting(server, value.encode()).decode()))
    return tuple(kept)


def _exchange(server: MlflowServer, request: bytes) -> Answer:
    address = urlsplit(server.url)
    received = b""
    with socket.create_connection((str(address.hostname), int(address.port or 0)), 5) as client:
        with suppress(OSError):
            client.sendall(request)
        with suppress(OSError):
            while part := client.recv(65536):
                received += part
    head, _, body = received.removeprefix(_GO_ON).partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
    return Answer(status, _headers(server, headers, body), _lasting(server, body))


def _host(server: MlflowServer) -> str:
    return urlsplit(server.url).netloc


def _lasting(server: MlflowServer, text: bytes) -> bytes:
    for passing in (_host(server).encode(), str(server.log.parent).encode()):
        text = text.replace(passing, b"...")
    for pattern, name in _PASSING:
        text = pattern.sub(name, text)
    return text
