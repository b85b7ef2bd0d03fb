"""Basic auth against bcrypt hashes."""

import asyncio
import base64
import binascii
import hmac
import logging
import os
from collections.abc import Callable, Mapping

import bcrypt
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flowgauge.background import in_background
from flowgauge.errors import FlowgaugeError
from flowgauge.waiting import Waiting

__all__ = ["BasicAuth"]

_log = logging.getLogger(__name__)
# bcrypt looks at no more of a password; the library refuses a longer one.
_BCRYPT_BYTES = 72


class BasicAuth:
    """Lets a request through to *app* if it carries the login of one of *users*.

    *users* returns names and bcrypt hashes and is asked at every request; without users everyone
    may pass. An unknown name costs as much time as a wrong password. Hashing is done for one
    request at a time, as it takes a processor for tens of milliseconds, and few may wait for it,
    fewer still of one host: others are told to come later (429). Who was let in is remembered, and
    waits for nobody.
    """

    def __init__(self, app: ASGIApp, users: Callable[[], Mapping[str, str]]) -> None:
        self._app = app
        self._users = users
        self._one_at_a_time = asyncio.Lock()
        self._waiting = Waiting()
        self._key = os.urandom(32)
        self._let_in: dict[tuple[str, str], bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        answer = await self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (answer or self._app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        try:
            users = self._users()
        except FlowgaugeError as error:
            _log.error("%s", error)
            return PlainTextResponse("The web configuration is broken, see the log.\n", 500)
        login = _login(request.headers.get("authorization", ""))
        if not users or (login and self._is_known(users, *login)):
            return None
        if login and (later := self._waiting.refusal(request)):
            return later
        if login and await self._may_pass(request, users, *login):
            return None
        challenge = {"WWW-Authenticate": 'Basic realm="flowgauge", charset="UTF-8"'}
        return PlainTextResponse("Unauthorized\n", 401, challenge)

    def _is_known(self, users: Mapping[str, str], user: str, password: bytes) -> bool:
        known = self._let_in.get((user, users.get(user, "")))
        return known is not None and hmac.compare_digest(known, self._digest(password))

    async def _may_pass(
        self, request: Request, users: Mapping[str, str], user: str, password: bytes
    ) -> bool:
        decoy = next(iter(users.values()))
        hashed = users.get(user, decoy)
        with self._waiting.place(request):
            async with self._one_at_a_time:
                matching = in_background(lambda: _matches(password, hashed), "bcrypt")
                if not await asyncio.wrap_future(matching) or user not in users:
                    return False
        # Of those that the file has now.
        self._let_in = {each: self._let_in[each] for each in self._let_in if each in users.items()}
        self._let_in[user, hashed] = self._digest(password)
        return True

    def _digest(self, password: bytes) -> bytes:
        return hmac.digest(self._key, password, "sha256")


def _login(header: str) -> tuple[str, bytes] | None:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed.encode())
    except ValueError:  # a NUL in the password
        return False
