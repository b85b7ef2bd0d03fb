"""MLflow as companies run it: TLS, a path of its own, a login."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx
from packaging.version import Version

from stack.mlflow import mlflow_server
from stack.process import LOOPBACK, free_port
from stack.tls import Certificate, certificate

__all__ = ["GuardedMlflow", "guarded_mlflow"]

_USER = "admin"
_version = Version(version("mlflow"))


@dataclass(frozen=True)
class GuardedMlflow:
    """A running server, its certificate, and its only user."""

    url: str
    certificate: Certificate
    user: str
    password: str


@contextmanager
def guarded_mlflow(folder: Path, app_name: str = "basic-auth") -> Iterator[GuardedMlflow]:
    """Run MLflow with TLS, basic auth and `--static-prefix` on loopback until the block ends.

    Before MLflow 3.12 without the prefix, below which that has no API. *app_name* is the app with
    that login: MLflow's own, or ours around it.
    """
    certificate_ = certificate(folder / "tls")
    port = free_port()
    prefix = "/ml" if _version >= Version("3.12") else ""
    url = f"https://{LOOPBACK}:{port}{prefix}"
    password = "correct horse battery staple"
    trust = ssl.create_default_context(cafile=certificate_.cert)

    def ready() -> bool:
        try:
            # Below a prefix, MLflow 3.12 wants a login for that, too.
            login = (_USER, password)
            return httpx.get(f"{url}/health", verify=trust, auth=login, timeout=2).is_success
        except httpx.HTTPError:
            return False

    options = ["--app-name", app_name, *_tls(certificate_, app_name)]
    if prefix:
        options += ["--static-prefix", prefix]
    config = folder / "auth.ini"
    config.write_text(
        f"[mlflow]\ndefault_permission = READ\nadmin_username = {_USER}\n"
        f"admin_password = {password}\n"  # before MLflow 3.16 there is no variable for it
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
        yield GuardedMlflow(url, certificate_, _USER, password)


def _tls(files: Certificate, app_name: str) -> list[str]:
    # MLflow's logins are a WSGI app before 3.5, which gunicorn serves; ours serves it by uvicorn.
    if app_name == "basic-auth" and _version < Version("3.5"):
        return ["--gunicorn-opts", f"--certfile {files.cert} --keyfile {files.key}"]
    return ["--uvicorn-opts", f"--ssl-certfile {files.cert} --ssl-keyfile {files.key}"]
