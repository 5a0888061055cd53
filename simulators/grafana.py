"""A small stand-in for Grafana's HTTP API, for tests only: just the addresses that pushing dashboards needs.

It keeps folders and dashboards in memory and answers as the API's documentation says: 401 without the token, 404 for
what is not there, 400 for a dashboard without a title or into an unknown folder, 412 for one that is there already and
must not be overwritten. It draws nothing, runs no query, and does not check a dashboard's panels: that a real Grafana
shows them is not proved here.
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back. `body` is text or what becomes JSON."""

    status: int
    body: Any
    kind: str = "application/json"


@dataclass
class FakeGrafana:
    """`with FakeGrafana(token="t", sources={"uid"}) as grafana:` serves on 127.0.0.1 at `grafana.url`.

    `path` is what the server stands under, as "/grafana". A `broken` reply is given to every question.
    """

    token: str
    sources: set[str] = field(default_factory=set)
    path: str = ""
    sources_hidden: bool = False
    broken: Reply | None = None
    folders: dict[str, str] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        grafana = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._serve(None)

            def do_POST(self) -> None:
                self._serve(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Nothing on stderr: `asked` tells what was asked."""

            def _serve(self, body: bytes | None) -> None:
                grafana.asked.append(f"{self.command} {self.path}")
                reply = grafana.answer(self.path, self.headers.get("Authorization", ""), body)
                data = (reply.body if isinstance(reply.body, str) else json.dumps(reply.body)).encode()
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="fake-grafana")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.path}"

    def answer(self, path: str, authorization: str, body: bytes | None) -> Reply:
        """The reply to a GET (`body` is None) or a POST."""
        if self.broken is not None:
            return self.broken
        if authorization != f"Bearer {self.token}":
            return Reply(401, {"message": "Invalid API key"})
        match path.removeprefix(f"{self.path}/api/").split("/"):
            case ["datasources", "uid", uid] if body is None:
                return self._source(uid)
            case ["folders", uid] if body is None:
                known = uid in self.folders
                return Reply(200, {"uid": uid, "title": self.folders[uid]}) if known else _absent("folder not found")
            case ["folders"] if body is not None:
                return self._make_folder(json.loads(body))
            case ["dashboards", "db"] if body is not None:
                return self._save(json.loads(body))
            case _:
                return _absent("Not found")

    def _source(self, uid: str) -> Reply:
        if self.sources_hidden:
            return Reply(403, {"message": "You'll need additional permissions to perform this action."})
        return Reply(200, {"uid": uid, "type": "influxdb"}) if uid in self.sources else _absent("Data source not found")

    def _make_folder(self, wanted: dict[str, Any]) -> Reply:
        if wanted["uid"] in self.folders:
            return Reply(412, {"message": "a folder with that uid already exists"})
        self.folders[wanted["uid"]] = wanted["title"]
        return Reply(200, wanted)

    def _save(self, wanted: dict[str, Any]) -> Reply:
        dashboard = wanted["dashboard"]
        if not dashboard.get("title"):
            return Reply(400, {"message": "Dashboard title cannot be empty"})
        if wanted.get("folderUid", "") not in {"", *self.folders}:
            return Reply(400, {"message": "folder not found"})
        uid = dashboard["uid"]
        if uid in self.dashboards and not wanted.get("overwrite"):
            return Reply(412, {"message": "changed by someone else", "status": "version-mismatch"})
        self.dashboards[uid] = wanted
        return Reply(200, {"uid": uid, "status": "success", "url": f"{self.path}/d/{uid}", "version": 1})


def _absent(message: str) -> Reply:
    return Reply(404, {"message": message})
