"""Basic auth against bcrypt hashes."""

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from functools import lru_cache

import bcrypt
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from flowgauge.background import in_background
from flowgauge.errors import FlowgaugeError

__all__ = ["BasicAuth"]

_log = logging.getLogger(__name__)
# bcrypt looks at no more of a password; the library refuses a longer one.
_BCRYPT_BYTES = 72


class BasicAuth:
    """Lets a request through to *app* if it carries the login of one of *users*.

    *users* returns names and bcrypt hashes and is asked at every request; without users everyone
    may pass. An unknown name costs as much time as a wrong password. Hashing is done for one
    request at a time, as it takes a processor for tens of milliseconds; results are remembered.
    """

    def __init__(self, app: ASGIApp, users: Callable[[], Mapping[str, str]]) -> None:
        self._app = app
        self._users = users
        self._one_at_a_time = asyncio.Lock()

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
        if not users or await self._may_pass(users, request.headers.get("authorization", "")):
            return None
        challenge = {"WWW-Authenticate": 'Basic realm="flowgauge", charset="UTF-8"'}
        return PlainTextResponse("Unauthorized\n", 401, challenge)

    async def _may_pass(self, users: Mapping[str, str], header: str) -> bool:
        login = _login(header)
        if login is None:
            return False
        user, password = login
        decoy = next(iter(users.values()))
        hashed = users.get(user, decoy)
        async with self._one_at_a_time:
            matching = in_background(lambda: _matches(password, hashed), "bcrypt")
            return await asyncio.wrap_future(matching) and user in users


def _login(header: str) -> tuple[str, bytes] | None:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None


@lru_cache(maxsize=128)
def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed.encode())
    except ValueError:  # a NUL in the password
        return False
