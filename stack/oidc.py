"""mlflow-oidc-auth, a login that is not MLflow's: its provider, and an account of its own.

It needs Python 3.12 or newer; `scripts/oidc-packages` makes an environment that has it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from stack.http_server import serving

__all__ = ["identity_provider", "oidc_account", "oidc_login"]

_MAKE_ACCOUNT = """
import sys
from datetime import datetime, timedelta, timezone
from mlflow_oidc_auth.store import store
store.create_user(sys.argv[1], sys.argv[1], is_admin=True)
end = datetime.now(timezone.utc) + timedelta(days=1)
print("token", store.create_user_token(sys.argv[1], "ours", end, sys.argv[1])[1])
"""


class _Provider(BaseHTTPRequestHandler):
    """Just enough of an OpenID provider for the login to start."""

    def do_GET(self) -> None:
        host = f"http://{self.headers['Host']}"
        keys = self.path.endswith("/keys")
        discovery = {
            "issuer": host,
            "authorization_endpoint": f"{host}/authorize",
            "token_endpoint": f"{host}/token",
            "userinfo_endpoint": f"{host}/userinfo",
            "jwks_uri": f"{host}/keys",
        }
        body = json.dumps({"keys": []} if keys else discovery).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def identity_provider() -> Iterator[str]:
    """Run an OpenID provider on loopback, at which nobody can log in; yield its address."""
    with serving(_Provider) as url:
        yield url


def oidc_login(provider: str, folder: Path) -> dict[str, str]:
    """Return the environment of a MLflow whose login is *provider*, its users in *folder*."""
    return {
        "OIDC_DISCOVERY_URL": f"{provider}/.well-known/openid",
        "OIDC_CLIENT_ID": "mlflow",
        "OIDC_CLIENT_SECRET": "client secret",
        "OIDC_USERS_DB_URI": f"sqlite:///{folder}/users.db",
        "SECRET_KEY": "static",
    }


def oidc_account(environ: Mapping[str, str], name: str) -> str:
    """Make an administrator *name* in the users of *environ*; return the token to log in with."""
    made = subprocess.run(
        [sys.executable, "-c", _MAKE_ACCOUNT, name],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    [token] = [line for line in made.stdout.splitlines() if line.startswith("token ")]
    return token.removeprefix("token ")
