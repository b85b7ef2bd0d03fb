"""MLflow applications of the tests' own, installed as a package would install them."""

from pathlib import Path

__all__ = ["PASSWORD", "install"]

PASSWORD = "open sesame"

# A login of its own around MLflow's Flask and FastAPI apps, in each of the forms that an entry
# point of `mlflow.app` may have.
_CODE = f"""
import functools

from mlflow.server import app as flask_app

class Asgi:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"] != "/health":
            if dict(scope["headers"]).get(b"password") != b"{PASSWORD}":
                await send({{"type": "http.response.start", "status": 401, "headers": []}})
                await send({{"type": "http.response.body", "body": b"asgi"}})
                return
        await self.app(scope, receive, send)

class Wsgi:
    def __call__(self, environ, start_response):
        wrong = environ.get("HTTP_PASSWORD") != "{PASSWORD}"
        if wrong and environ["PATH_INFO"] != "/health":
            start_response("401 Unauthorized", [])
            return [b"wsgi"]
        return flask_app(environ, start_response)

def asgi_factory():
    from mlflow.server.fastapi_app import app
    return Asgi(app)

def wsgi_factory():
    return Wsgi()

async def asgi_function(scope, receive, send):
    await asgi_factory()(scope, receive, send)

class FactoryClass(Asgi):
    def __init__(self):
        super().__init__(asgi_factory().app)

cached_factory = functools.cache(asgi_factory)

def forgetful_factory():
    asgi_factory()

asgi_object = asgi_factory()
wsgi_object = Wsgi()
"""

_ENTRY_POINTS = """\
[mlflow.app]
asgi-object = own_login:asgi_object
asgi-factory = own_login:asgi_factory
asgi-function = own_login:asgi_function
asgi-class = own_login:FactoryClass
asgi-cached = own_login:cached_factory
forgetful = own_login:forgetful_factory
wsgi-object = own_login:wsgi_object
wsgi-factory = own_login:wsgi_factory
moody = moody_login:app
broken = own_login_that_is_not_there:app
mirror = flowgauge.server:create_app
"""


def install(folder: Path) -> Path:
    """Make *folder* one that, on PYTHONPATH, brings the applications; return it."""
    info = folder / "own_login-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-login\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
    (folder / "own_login.py").write_text(_CODE)
    (folder / "moody_login.py").write_text("raise ConnectionError('the database is away')\n")
    return folder
