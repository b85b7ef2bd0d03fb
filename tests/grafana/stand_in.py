"""A stand-in that keeps folders and dashboards as Grafana's documented HTTP API does.

No Grafana server can be installed from a package registry. This follows
https://grafana.com/docs/grafana/latest/developer-resources/api-reference/http-api/
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stack.process import LOOPBACK

Json = dict[str, Any]
TOKEN = "glsa_stand_in"


@dataclass
class Stored:
    """A dashboard with all its versions, the newest last."""

    folder: str
    versions: list[Json] = field(default_factory=list)
    provisioned: bool = False


class Grafana(ThreadingHTTPServer):
    """The stand-in; `role` is what its one token may do."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.url = f"http://{LOOPBACK}:{self.server_port}/grafana"
        self.role = "Editor"
        self.folders: dict[str, str] = {}
        self.dashboards: dict[str, Stored] = {}

    def edit(self, uid: str, title: str) -> None:
        """Save a dashboard as a person does in the browser."""
        stored = self.dashboards[uid]
        dashboard = {**stored.versions[-1]["data"], "title": title}
        self.keep(dashboard, stored.folder, "")

    def keep(self, dashboard: Json, folder: str, message: str) -> Json:
        """Store one more version of *dashboard*."""
        stored = self.dashboards.setdefault(dashboard["uid"], Stored(folder))
        stored.folder = folder
        version = len(stored.versions) + 1
        data = {**dashboard, "id": 1, "version": version}
        stored.versions.append({"version": version, "message": message, "data": data})
        return {"uid": dashboard["uid"], "version": version, "status": "success"}


class _Handler(BaseHTTPRequestHandler):
    server: Grafana

    def do_GET(self) -> None:
        self._answer(*self._get(self.path.partition("?")[0]))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(*self._post(self.path, body))

    def _get(self, path: str) -> tuple[int, Json]:
        if refusal := self._refusal("Viewer"):
            return refusal
        if found := re.fullmatch(r"/grafana/api/folders/([\w-]+)", path):
            return self._folder(found[1])
        if found := re.fullmatch(r"/grafana/api/dashboards/uid/([\w-]+)(/versions)?", path):
            return self._dashboard(found[1], versions=bool(found[2]))
        return 404, {"message": "Not found"}

    def _folder(self, uid: str) -> tuple[int, Json]:
        if uid in self.server.folders:
            return 200, {"uid": uid, "title": self.server.folders[uid]}
        return 404, {"message": "folder not found", "status": "not-found"}

    def _dashboard(self, uid: str, *, versions: bool) -> tuple[int, Json]:
        stored = self.server.dashboards.get(uid)
        if stored is None:
            return 404, {"message": "Dashboard not found"}
        if versions:
            return 200, {"continueToken": "", "versions": stored.versions[::-1]}
        meta = {"folderUid": stored.folder, "provisioned": stored.provisioned}
        return 200, {"dashboard": stored.versions[-1]["data"], "meta": meta}

    def _post(self, path: str, body: Json) -> tuple[int, Json]:
        if refusal := self._refusal("Editor"):
            return refusal
        if path == "/grafana/api/folders":
            self.server.folders[body["uid"]] = body["title"]
            return 200, body
        if path == "/grafana/api/dashboards/db":
            return self._save(body)
        return 404, {"message": "Not found"}

    def _save(self, body: Json) -> tuple[int, Json]:
        dashboard = body["dashboard"]
        stored = self.server.dashboards.get(dashboard["uid"])
        newest = stored.versions[-1]["version"] if stored else 0
        if stored and not body["overwrite"] and dashboard.get("version") != newest:
            message = "The dashboard has been changed by someone else"
            return 412, {"message": message, "status": "version-mismatch"}
        if body["folderUid"] not in self.server.folders:
            return 400, {"message": "folder not found"}
        return 200, self.server.keep(dashboard, body["folderUid"], body["message"])

    def _refusal(self, needed: str) -> tuple[int, Json] | None:
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        if needed == "Editor" and self.server.role != "Editor":
            return 403, {"message": "You'll need additional permissions to perform this action"}
        return None

    def _answer(self, status: int, body: Json) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def grafana() -> Iterator[Grafana]:
    """Run the stand-in on loopback until the block ends."""
    with Grafana() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
