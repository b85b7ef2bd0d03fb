"""The route label: the template that answered a request, from MLflow's own routing tables."""

import re
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException

from flowgauge.server.mlflow_host import fastapi_template

if TYPE_CHECKING:
    from starlette.types import Scope
    from werkzeug.routing import Map

__all__ = ["OTHER", "Routes", "path_of"]

OTHER = "other"

# Werkzeug spells a parameter <name> or <converter:name>.
_WERKZEUG_PARAMETER = re.compile(r"<(?:[^<>:]+:)?(\w+)>")


def path_of(scope: "Scope") -> str:
    """Return the path below where the application is mounted, by `uvicorn --root-path` or so."""
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


class Routes:
    """MLflow's routes: FastAPI's, which come first, and those of the Flask app mounted at `/`.

    *prefix* is `mlflow server --static-prefix`; templates are given without it, so that one
    dashboard reads every server.
    """

    def __init__(self, flask_urls: "Map", prefix: str) -> None:
        self._flask_urls = flask_urls.bind("")
        self._prefix = prefix

    def template(self, scope: "Scope") -> str:
        """Return the template of an answered request, its parameters written `{name}`.

        It is `other` for every path that no route matches, never the path itself. A request that
        MLflow refuses before it looks for a route, say for its Host header, is looked up in the
        Flask app alone, which has all routes but OTLP's, the gateway's and a few of the UI's.
        """
        template = fastapi_template(scope) or self._flask(path_of(scope), scope["method"])
        return template.removeprefix(self._prefix) or "/" if template else OTHER

    def _flask(self, path: str, method: str) -> str | None:
        try:
            rule, _ = self._flask_urls.match(path, method, return_rule=True)
        except HTTPException:  # not found, wrong method, or a redirect to the right spelling
            return None
        return _WERKZEUG_PARAMETER.sub(r"{\1}", rule.rule)
