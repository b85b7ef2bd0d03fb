"""Prints every route of the MLflow app that is named, as JSON: what workers of it would serve."""

import json
import os
import re
import sys
from collections.abc import Iterator

__all__: list[str] = []

_PARAMETER = re.compile(r"<[^>]*>|\{[^}]*\}")


def _routes(name: str) -> Iterator[tuple[str, list[str]]]:
    os.environ["_MLFLOW_SGI_NAME"] = "uvicorn"
    from mlflow.server import app as flask_app  # noqa: PLC0415 - building MLflow reads the above
    from mlflow.server.fastapi_app import app as fastapi_app  # noqa: PLC0415

    if name == "basic-auth":
        from mlflow.server.auth import create_app  # noqa: PLC0415

        create_app()
    apps = [fastapi_app]
    if name == "oidc-auth":
        from mlflow_oidc_auth.app import app as oidc_app  # noqa: PLC0415

        apps.append(oidc_app)
    for rule in flask_app.url_map.iter_rules():
        yield str(rule), sorted(rule.methods or ())
    for route in (route for app in apps for route in app.routes):
        if hasattr(route, "methods"):
            yield route.path, sorted(route.methods)


if __name__ == "__main__":
    found = {(_PARAMETER.sub("7", path), *methods) for path, methods in _routes(sys.argv[1])}
    sys.stdout.write(json.dumps([(path, methods) for path, *methods in sorted(found)]))
