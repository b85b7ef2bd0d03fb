"""MLflow as companies run it: TLS, a path of its own, a login."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from stack.mlflow import mlflow_server
from stack.process import LOOPBACK, free_port
from stack.tls import Certificate, certificate

__all__ = ["GuardedMlflow", "guarded_mlflow"]


@dataclass(frozen=True)
class GuardedMlflow:
    """A running server, its certificate, and its only user."""

    url: str
    certificate: Certificate
    user: str
    password: str


@contextmanager
def guarded_mlflow(folder: Path) -> Iterator[GuardedMlflow]:
    """Run MLflow with TLS, `--static-prefix` and basic auth on loopback until the block ends."""
    certificate_ = certificate(folder / "tls")
    port = free_port()
    url = f"https://{LOOPBACK}:{port}/ml"
    password = "correct horse battery staple"
    trust = ssl.create_default_context(cafile=certificate_.cert)

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/health", verify=trust, timeout=2).is_success
        except httpx.HTTPError:
            return False

    tls = f"--ssl-certfile {certificate_.cert} --ssl-keyfile {certificate_.key}"
    options = ["--static-prefix", "/ml", "--app-name", "basic-auth", "--uvicorn-opts", tls]
    config = folder / "auth.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = READ\nadmin_username = admin\nadmin_password = {password}\n"
        # Without it every request costs the hash of a password.
        "auth_cache_ttl_seconds = 600\n"
        f"database_uri = sqlite:///{folder}/auth.db\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    env = {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "for the tests",
    }
    with mlflow_server(folder, options=options, env=env, port=port, ready=ready):
        yield GuardedMlflow(url, certificate_, "admin", password)
