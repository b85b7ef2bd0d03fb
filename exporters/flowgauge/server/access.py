"""Who may read `/metrics`, and where it is."""

import hmac
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

from flowgauge.address import parse_address
from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.server.mlflow_host import BASIC_AUTH, admins_only
from flowgauge.token_file import TokenFile

if TYPE_CHECKING:
    from starlette.requests import Request

    from flowgauge.server.page import Guard

__all__ = ["ADDRESS_VARIABLE", "BearerToken", "check_access", "guard", "own_address"]

ADDRESS_VARIABLE = "FLOWGAUGE_METRICS_ADDRESS"
_TOKEN_VARIABLE = "FLOWGAUGE_METRICS_TOKEN_FILE"  # noqa: S105 - where the token is

_log = logging.getLogger(__name__)


def own_address() -> tuple[str, int] | None:
    """Return where the page has a port of its own: FLOWGAUGE_METRICS_ADDRESS, None if unset.

    Raises `UsageError` for what is no address.
    """
    text = os.environ.get(ADDRESS_VARIABLE)
    if not text:
        return None
    host, port = parse_address(text, ADDRESS_VARIABLE)
    if not port:
        raise UsageError(
            f"{ADDRESS_VARIABLE} is {text!r}, and port 0 is one that nobody knows: choose another"
        )
    return host, port


def guard(app: str | None) -> "Guard | None":
    """Return who may read the page of *app*; None means everybody who reaches it.

    With FLOWGAUGE_METRICS_TOKEN_FILE those who send the token; of basic-auth MLflow's admins too.
    Without it everybody, where the app has no login or the page a port of its own; else nobody.
    """
    admins = admins_only if app == BASIC_AUTH else None
    token = _token_file()
    if token:
        return BearerToken(token, otherwise=admins)
    if app is None or own_address():
        return None
    return admins or _nobody


def check_access(app: str | None) -> str | None:
    """Return what to warn of, None if nothing, before the page of *app* is served.

    Raises `UsageError` if the token's file has no token or the address is none.
    """
    token = _token_file()
    if token:
        token.read()
    if guard(app) is not _nobody:
        return None
    return (
        f"/metrics is refused to everybody, as flowgauge does not know the login of {app!r}: "
        f"set {_TOKEN_VARIABLE} or {ADDRESS_VARIABLE}."
    )


def _token_file() -> "TokenFile | None":
    path = os.environ.get(_TOKEN_VARIABLE)
    return TokenFile(Path(path), _TOKEN_VARIABLE) if path else None


def _nobody(_request: "Request") -> Response:
    return PlainTextResponse(
        f"This MLflow has a login that flowgauge does not know: set {_TOKEN_VARIABLE} to let "
        f"Prometheus in by a token, or {ADDRESS_VARIABLE}.\n",
        403,
    )


class BearerToken:
    """Lets in who sends the token as `Authorization: Bearer …`; others are *otherwise*'s to judge.

    While there is no token to compare with, nobody is let in by it.
    """

    def __init__(self, file: TokenFile, otherwise: "Guard | None" = None) -> None:
        self._file = file
        self._otherwise = otherwise
        self._complained = False

    def __call__(self, request: "Request") -> Response | None:
        """Return the refusal, None for who may read the page."""
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(sent.strip()):
            return None
        if self._otherwise:
            return self._otherwise(request)
        return PlainTextResponse("Send the token.\n", 401, {"WWW-Authenticate": "Bearer"})

    def _is_token(self, sent: str) -> bool:
        try:
            token = self._file.read()
        except FlowgaugeError as error:
            if not self._complained:
                _log.warning("/metrics is refused: %s.", error)
            self._complained = True
            return False
        self._complained = False
        return hmac.compare_digest(sent.encode("latin-1"), token)
