"""Whether somebody configured a login that MLflow would lose."""

from collections.abc import Mapping

from flowgauge.errors import UsageError

__all__ = ["keep_login"]

# What people set for a login alone. Not by prefix: Kubernetes makes variables such as
# MLFLOW_AUTH_SERVICE_HOST for a service called mlflow-auth. What MLflow's clients log in with
# (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_AUTH) says nothing about the server.
_SETTINGS = {
    "basic-auth": (
        "MLFLOW_AUTH_CONFIG_PATH",
        "MLFLOW_AUTH_ADMIN_USERNAME",
        "MLFLOW_AUTH_ADMIN_PASSWORD",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
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

    Whoever names an app knows its login: it is served with that, as without flowgauge.
    """
    if app:
        return
    for login, settings in _SETTINGS.items():
        for setting in settings:
            if environ.get(setting):
                raise UsageError(
                    f"{setting} is set, but this MLflow would let in everybody: write "
                    f"`--app-name {login} --app-name flowgauge`, or FLOWGAUGE_MLFLOW_APP={login}, "
                    f"to measure it with its login, or unset {setting} if there is to be none"
                )
