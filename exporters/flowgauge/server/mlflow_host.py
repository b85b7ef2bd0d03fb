"""The door to MLflow's server: all that is not public of it and of what it rests on, once.

`NAMES` is the list; the rest of this room names none of them. A name that is gone in a new version
is said in one sentence by `supported`, before anything is patched or measured.
"""

import importlib
import inspect
import math
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce, wraps
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import click

from flowgauge.errors import FlowgaugeError, UsageError
from flowgauge.redact import quote, redact_text

if TYPE_CHECKING:
    from requests import Response as Answer
    from sqlalchemy.pool import QueuePool
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Scope
    from werkzeug.routing import Map

__all__ = [
    "BASIC_AUTH",
    "EXPOSE_VARIABLE",
    "GATEWAY",
    "GATEWAY_OVERHEAD",
    "GATEWAY_TOTAL",
    "JOB_NAMES",
    "JOB_STATUSES",
    "NAMES",
    "Name",
    "admins_only",
    "bootstrap_basic_auth",
    "check_basic_auth",
    "connection_limit",
    "databases",
    "fastapi_template",
    "flask_routes",
    "from_wsgi",
    "observe_webhooks",
    "plain_app",
    "serve_by_uvicorn",
    "server_options",
    "static_prefix",
    "store_of",
    "supported",
]

BASIC_AUTH = "basic-auth"
"""MLflow's own login, by its name in the entry points `mlflow.app`."""

EXPOSE_VARIABLE = "prometheus_multiproc_dir"
"""How `mlflow server --expose-prometheus` tells its workers to collect, and where to."""

GATEWAY = "/gateway/"
"""How the routes of its gateway to language models begin."""

GATEWAY_TOTAL = b"x-mlflow-gateway-duration-ms"
GATEWAY_OVERHEAD = b"x-mlflow-gateway-overhead-duration-ms"
"""The headers of the gateway's answers that say how long all took, and of it MLflow itself."""

JOB_STATUSES = (
    "PENDING", "RUNNING", "SUCCEEDED", "FAILED", "TIMEOUT", "CANCELED", "NEEDS_RECOVERY"
)  # fmt: skip
"""What the column `status` of its table `jobs` means, 0 first."""

JOB_NAMES = ("job_name", "function_fullname")
"""What that table calls a job's name: in the first versions it is the name of a function."""

Version = tuple[int, int]

_OLDEST: Version = (3, 3)  # the first with a FastAPI server
_NEWEST: Version = (3, 17)  # the newest all of this was tried on


@dataclass(frozen=True)
class Name:
    """A name that its owner does not promise, known from MLflow *since* to 3.17.

    *where* is its module, and *attribute* the name in it; one that is not *asked* for in advance
    only shows in use. With *app*, it matters for that app alone.
    """

    where: str
    attribute: str
    use: str
    since: Version = _OLDEST
    app: str | None = None
    asked: bool = True

    def missing(self) -> bool:
        """Return whether it is gone; raise `UsageError` if its module does not load at all."""
        if not self.asked:
            return False
        try:
            reduce(getattr, self.attribute.split("."), importlib.import_module(self.where))
        except AttributeError:
            return True
        except ImportError as error:
            if f"{self.where}.".startswith(f"{error.name}."):
                return True
            raise UsageError(
                f"MLflow's {self.where} does not load ({type(error).__name__}: "
                f"{quote(str(error))}): install what it lacks beside MLflow"
            ) from None
        except Exception as error:  # noqa: BLE001 - a login's configuration fails as it likes
            raise UsageError(
                f"MLflow's {self.where} does not load ({type(error).__name__}: "
                f"{quote(str(error))}): correct its configuration, which "
                "MLFLOW_AUTH_CONFIG_PATH names for basic-auth"
            ) from None
        return False


_AUTH = "mlflow.server.auth"
_VARIABLES = "mlflow.environment_variables"

NAMES: tuple[Name, ...] = (
    Name("click: mlflow server", "app_name, expose_prometheus, gunicorn_opts, waitress_opts",
         "the options of the command that is starting", asked=False),
    Name("mlflow.server", "PROMETHEUS_EXPORTER_ENV_VAR", "turns MLflow's own collector on"),
    Name("mlflow.server.handlers", "STATIC_PREFIX_ENV_VAR", "tells workers --static-prefix"),
    Name("mlflow.server.fastapi_app", "app", "MLflow without a login"),
    Name("mlflow.server", "app.url_map", "the routes of MLflow's Flask app"),
    Name("mlflow.server", "app.test_request_context", "the request MLflow's login reads",
         app=BASIC_AUTH),
    Name(_AUTH, "authenticate_request", "who asks for /metrics", app=BASIC_AUTH),
    Name(_AUTH, "sender_is_admin", "whether that is an admin", app=BASIC_AUTH),
    Name(_AUTH, "make_forbidden_response", "what others are answered", app=BASIC_AUTH),
    Name(_AUTH, "bootstrap_admin_user", "makes the admin, once", (3, 16), BASIC_AUTH),
    Name(_VARIABLES, "_MLFLOW_AUTH_ADMIN_BOOTSTRAPPED", "tells workers that there is one",
         (3, 16), BASIC_AUTH),
    Name(_VARIABLES, "_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN", "the secret workers and jobs share",
         (3, 11), BASIC_AUTH),
    Name(_VARIABLES, "_MLFLOW_SGI_NAME", "tells MLflow's login to be an ASGI app", (3, 4)),
    Name("mlflow.server", "ARTIFACTS_ONLY_ENV_VAR, BACKEND_STORE_URI_ENV_VAR, "
         "REGISTRY_STORE_URI_ENV_VAR", "tells workers where the databases are", asked=False),
    Name(_AUTH, "auth_config.database_uri", "the database of users", app=BASIC_AUTH, asked=False),
    Name("mlflow.gateway.constants", "MLFLOW_GATEWAY_DURATION_HEADER, "
         "MLFLOW_GATEWAY_OVERHEAD_HEADER", "headers that are read off answers", (3, 12),
         asked=False),
    Name("mlflow.webhooks.delivery", "_send_webhook_request(webhook, payload, event, session)",
         "sends a webhook, again if need be; returns the answer", asked=False),
    Name("mlflow.entities.webhook", "VALID_ENTITY_ACTIONS", "the events that have webhooks",
         asked=False),
    Name("MLflow's databases", "experiments, runs, trace_info, jobs, registered_models, "
         "registered_model_tags, registered_model_aliases, model_versions, users",
         "the tables that are counted", asked=False),
    Name("mlflow.store", "*_store", "modules a pool is named after", asked=False),
    Name("fastapi", 'scope["route"].path_format', "the template of a route", asked=False),
    Name("fastapi", 'scope["fastapi"]["effective_route_context"]',
         "the same with the prefix of its router, since FastAPI 0.137", asked=False),
    Name("starlette.middleware.wsgi", "WSGIMiddleware", "serves WSGI apps; its import warns",
         asked=False),
    Name("sqlalchemy.pool", "QueuePool()._max_overflow", "the limit of a pool", asked=False),
)  # fmt: skip


def supported(app: str | None) -> None:
    """Return if this MLflow has every name that measuring *app* leans on; None is the plain app.

    Raises `UsageError` with what would work.
    """
    try:
        installed = version("mlflow")
    except PackageNotFoundError:
        raise UsageError("MLflow is not installed here: pip install 'flowgauge[server]'") from None
    ways_out = "run it with --expose-prometheus beside `flowgauge exporter`"
    this = _version(installed)
    if this < _OLDEST:
        raise UsageError(
            f"flowgauge's server app needs MLflow {_spelled(_OLDEST)} or newer and this is "
            f"{installed}: upgrade MLflow, or {ways_out}"
        )
    for name in NAMES:
        if this >= name.since and name.app in (None, app) and name.missing():
            raise UsageError(
                f"MLflow {installed} lacks {name.where}.{name.attribute} ({name.use}), which "
                f"flowgauge's server app needs: upgrade flowgauge, use MLflow "
                f"{_spelled(_NEWEST)}, or {ways_out}"
            )


def _version(text: str) -> Version:
    major, minor = re.findall(r"\d+", f"{text}.0")[:2]
    return int(major), int(minor)


def _spelled(release: Version) -> str:
    return "{}.{}".format(*release)


def server_options() -> Mapping[str, Any] | None:
    """Return the options of `mlflow server` if this process is that command, else None."""
    context = click.get_current_context(silent=True)
    if context is None or "app_name" not in context.params:
        return None
    return context.params


def static_prefix() -> str:
    """Return `mlflow server --static-prefix`, without a slash at its end."""
    from mlflow.server.handlers import STATIC_PREFIX_ENV_VAR  # noqa: PLC0415 - builds MLflow

    return os.environ.get(STATIC_PREFIX_ENV_VAR, "").rstrip("/")


def plain_app() -> "ASGIApp":
    """Return MLflow without a login."""
    from mlflow.server.fastapi_app import app  # noqa: PLC0415 - importing it builds MLflow

    mlflow_app: ASGIApp = app
    return mlflow_app


def flask_routes() -> "Map":
    """Return the routes of MLflow's Flask app, which every app mounts or is."""
    from mlflow.server import app  # noqa: PLC0415 - importing it builds MLflow

    routes: Map = app.url_map
    return routes


def databases(app: str | None) -> dict[str, str]:
    """Return the URIs of `tracking`, `registry` and, of basic-auth, `auth`: some may be folders.

    A server of artifacts alone has none.
    """
    from mlflow import server  # noqa: PLC0415 - importing it builds MLflow

    if os.environ.get(server.ARTIFACTS_ONLY_ENV_VAR):
        return {}
    tracking = os.environ.get(server.BACKEND_STORE_URI_ENV_VAR, "")
    found = {
        "tracking": tracking,
        "registry": os.environ.get(server.REGISTRY_STORE_URI_ENV_VAR) or tracking,
    }
    if app == BASIC_AUTH:
        from mlflow.server import auth  # noqa: PLC0415 - as above

        found["auth"] = auth.auth_config.database_uri
    return found


def observe_webhooks(observe: "Callable[[object, Answer | None], None]") -> Sequence[str]:
    """Have *observe* told the event and the answer, None without one, of each webhook sent.

    Returns the events there are; none if this MLflow sends webhooks in another way, or none at all.
    *observe* raises nothing.
    """
    try:
        from mlflow.entities.webhook import VALID_ENTITY_ACTIONS  # noqa: PLC0415 - builds MLflow
        from mlflow.webhooks import delivery  # noqa: PLC0415 - as above

        send = delivery._send_webhook_request  # noqa: SLF001 - its caller keeps the answer
    except (ImportError, AttributeError):
        return ()
    if tuple(inspect.signature(send).parameters) != ("webhook", "payload", "event", "session"):
        return ()

    @wraps(send)
    def observed(webhook: Any, payload: Any, event: Any, session: Any) -> Any:
        answer = None
        try:
            answer = send(webhook, payload, event, session)
        finally:
            observe(event, answer)
        return answer

    delivery._send_webhook_request = observed  # noqa: SLF001 - as above
    return [f"{of}.{action}" for of, actions in VALID_ENTITY_ACTIONS.items() for action in actions]


def serve_by_uvicorn() -> None:
    """Tell MLflow, as `mlflow server` does, that uvicorn serves it, unless somebody did already."""
    os.environ.setdefault("_MLFLOW_SGI_NAME", "uvicorn")


def from_wsgi(app: Any) -> "ASGIApp":
    """Return the WSGI application *app* as an ASGI application, as MLflow mounts its own."""
    from starlette.applications import Starlette  # noqa: PLC0415 - not in `mlflow server`
    from starlette.middleware.wsgi import WSGIMiddleware  # noqa: PLC0415
    from starlette.routing import Mount  # noqa: PLC0415

    return Starlette(routes=[Mount("/", WSGIMiddleware(app))])


def fastapi_template(scope: "Scope") -> str | None:
    """Return the template of the FastAPI route that answered a request, None if none did."""
    # Since 0.137 FastAPI's scope["route"] lacks the prefix its router was included with.
    included = scope.get("fastapi", {}).get("effective_route_context")
    route = included or scope.get("route")
    if route is None or isinstance(route, _mount()):
        return None
    template: str = route.path_format
    return template


@cache
def _mount() -> type:
    from starlette.routing import Mount  # noqa: PLC0415 - not in `mlflow server`

    return Mount


def check_basic_auth() -> None:
    """Raise `UsageError` if basic-auth could not start for want of its secret."""
    if not os.environ.get("MLFLOW_FLASK_SERVER_SECRET_KEY"):
        raise UsageError(
            "basic-auth protects its forms with a secret that all workers share: set "
            "MLFLOW_FLASK_SERVER_SECRET_KEY to a long random text, the same on every server"
        )


def bootstrap_basic_auth() -> None:
    """Do for basic-auth what `mlflow server` does for that one name, before any worker starts.

    Up to 3.15 it leaves the admin to the workers. Raises `FlowgaugeError` with MLflow's sentence.
    """
    from mlflow import environment_variables  # noqa: PLC0415 - not in workers
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from mlflow.server import auth  # noqa: PLC0415

    if hasattr(auth, "bootstrap_admin_user"):
        try:
            auth.bootstrap_admin_user()
        except MlflowException as error:
            raise FlowgaugeError(redact_text(error.message)) from error
        os.environ[environment_variables._MLFLOW_AUTH_ADMIN_BOOTSTRAPPED.name] = "true"  # noqa: SLF001
    if hasattr(environment_variables, "_MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN"):
        token = environment_variables._MLFLOW_INTERNAL_GATEWAY_AUTH_TOKEN  # noqa: SLF001
        os.environ[token.name] = secrets.token_hex(32)


def admins_only(request: "Request") -> "Response | None":
    """Return what basic-auth answers to everybody but MLflow's admins: 401, or 403 for a user."""
    from flask import Response as FlaskResponse  # noqa: PLC0415 - comes with MLflow
    from mlflow.server import app, auth  # noqa: PLC0415 - importing it builds MLflow
    from starlette.responses import Response  # noqa: PLC0415 - not in `mlflow server`

    # MLflow's login, which may be a plug-in, reads Flask's request.
    with app.test_request_context(request.url.path, headers=dict(request.headers)):
        login = auth.authenticate_request()
        if isinstance(login, FlaskResponse):
            refusal = login
        elif auth.sender_is_admin():
            return None
        else:
            refusal = auth.make_forbidden_response()
        return Response(refusal.get_data(), refusal.status_code, dict(refusal.headers))


def connection_limit(pool: "QueuePool") -> float:
    """Return how many connections *pool* may hand out at a time: size plus overflow.

    It is infinite for a pool without a limit. `_max_overflow` has no public counterpart.
    """
    max_overflow: int = pool._max_overflow  # noqa: SLF001 - no public counterpart
    return math.inf if max_overflow < 0 else pool.size() + max_overflow


# mlflow.store.tracking.sqlalchemy_store -> tracking; mlflow.store.db makes every store's engine.
_STORE = re.compile(r"mlflow\.(?:store\.(?!db\b)|server\.)(\w+)")


def store_of(module: str) -> str | None:
    """Return the MLflow store (tracking, model_registry, jobs, auth, …) that *module* is of."""
    match = _STORE.match(module)
    return match[1] if match else None
