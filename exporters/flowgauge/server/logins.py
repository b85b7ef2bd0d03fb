"""Whether somebody configured a login that MLflow would lose."""

from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from flowgauge.errors import UsageError

__all__ = ["keep_login"]

# Where mlflow-oidc-auth finds the rest of its settings, if one of these is true.
_VAULTS = tuple(
    f"CONFIG_{vault}_ENABLED"
    for vault in ("AWS_PARAMETER_STORE", "AWS_SECRETS", "AZURE_KEYVAULT", "K8S_SECRETS")
)
# What people set for a login alone. The community's chart sets MLFLOW_FLASK_SERVER_SECRET_KEY for
# servers without one too. Not by prefix: Kubernetes makes variables such as
# MLFLOW_AUTH_SERVICE_HOST for a service called mlflow-auth. What MLflow's clients log in with
# (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_AUTH) says nothing about the server.
_SETTINGS = {
    "basic-auth": (
        "MLFLOW_AUTH_CONFIG_PATH",
        "MLFLOW_AUTH_ADMIN_USERNAME",
        "MLFLOW_AUTH_ADMIN_PASSWORD",
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED",
        "MLFLOW_RBAC_SEED_DEFAULT_ROLES",
        "MLFLOW_SERVER_ENABLE_GRAPHQL_AUTH",
    ),
    "oidc-auth": (
        "OIDC_DISCOVERY_URL",
        "OIDC_CLIENT_ID",
        "OIDC_CLIENT_SECRET",
        "OIDC_REDIRECT_URI",
        "OIDC_USERS_DB_URI",
        "OIDC_GROUP_NAME",
        "OIDC_ADMIN_GROUP_NAME",
        "AUTH_PROVIDERS",
        "AUTH_PROVIDERS_FILE",
        *_VAULTS,
    ),
    "kubernetes-auth": (
        "MLFLOW_K8S_AUTH_AUTHORIZATION_MODE",
        "MLFLOW_K8S_AUTH_CACHE_TTL_SECONDS",
        "MLFLOW_K8S_AUTH_USERNAME_CLAIM",
        "MLFLOW_K8S_AUTH_REMOTE_USER_HEADER",
        "MLFLOW_K8S_AUTH_REMOTE_GROUPS_HEADER",
        "MLFLOW_K8S_AUTH_REMOTE_GROUPS_SEPARATOR",
    ),
}


def keep_login(app: str | None, environ: Mapping[str, str]) -> None:
    """Raise `UsageError` if *environ* configures a login and *app*, the plain MLflow, has none.

    What mlflow-oidc-auth, where it is installed, would read from a file `.env` counts as well.
    Whoever names an app knows its login: it is served with that, as without flowgauge.
    """
    if app:
        return
    for settings, where in ((environ, ""), _beside_oidc_auth()):
        for login, names in _SETTINGS.items():
            for name in names:
                if _is_set(name, settings):
                    raise _would_be_lost(name, login, where)


def _is_set(name: str, settings: Mapping[str, str | None]) -> bool:
    value = settings.get(name) or ""
    return value.lower() == "true" if name in _VAULTS else bool(value)


def _would_be_lost(name: str, login: str, where: str) -> UsageError:
    return UsageError(
        f"{name} is set{where}, but this MLflow would let in everybody: write "
        f"`--app-name {login} --app-name flowgauge`, or FLOWGAUGE_MLFLOW_APP={login}, "
        f"to measure it with its login, or unset {name} if there is to be none"
    )


def _beside_oidc_auth() -> tuple[Mapping[str, str | None], str]:
    """Return the settings in the `.env` that mlflow-oidc-auth finds, and which file that is."""
    package = find_spec("mlflow_oidc_auth")
    for folder in Path(package.origin).parents if package and package.origin else ():
        file = folder / ".env"
        if file.is_file():
            from dotenv import dotenv_values  # noqa: PLC0415 - comes with mlflow-oidc-auth

            # What cannot be read configures no login: mlflow-oidc-auth would not start.
            with suppress(OSError, UnicodeDecodeError):
                return dotenv_values(file), f" in {file}"
            break
    return {}, ""
