"""InfluxDB 2 and 3 as far as tocsin speaks to them, for want of the servers: an HTTP server that holds requests to the
published API (paths, parameters, headers, JSON bodies) and answers in its words. It parses lines by itself, knows the
types of fields, retention and buckets; of InfluxQL it knows nothing but that it was asked.

Sources: API references of InfluxData for OSS v2 (/api/v2/ with write, buckets, dbrps, tasks, orgs; /query) and
InfluxDB 3 Core (/api/v3/ with write_lp, configure/database; /query). No server of either has seen tocsin yet.
"""

import gzip
import json
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from simulators.influx_lines import LINE, Bucket, put

TOKEN = "a-token-of-the-simulator"
Reply = tuple[int, Any]                     # status, body


class RequestError(Exception):
    """A request that the published API does not know."""


class FakeInflux:
    """InfluxDB `version` 2 or 3 on 127.0.0.1, while the block lasts.

    `answers` queries: InfluxQL in, the series of one result out. `faults` are what clients did that the API forbids.
    """

    def __init__(self, version: int, buckets: Mapping[str, Bucket] | None = None, org: str = "county") -> None:
        self.version = version
        self.buckets = dict(buckets or {})
        self.orgs = [org] if org else []
        self.dbrps: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.answers: Callable[[str], list[dict[str, Any]]] = lambda _: []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Raises RequestError."""
        parts = urlsplit(target)
        given = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.requests.append(f"{method} {parts.path}")
        wanted = f"Token {TOKEN}" if self.version == 2 else f"Bearer {TOKEN}"
        if headers.get("Authorization") != wanted:
            return 401, {"code": "unauthorized", "message": "unauthorized access"}
        if parts.path == "/query":
            return self._query(method, given)
        if parts.path == ("/api/v2/write" if self.version == 2 else "/api/v3/write_lp") and method == "POST":
            return self._write(given, gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body)
        document = json.loads(body) if body else {}
        if self.version == 2:
            return self._manage2(method, parts.path, given, document)
        return self._manage3(method, parts.path, given, document)

    # --- writing --------------------------------------------------------------------------------------------------

    def _write(self, given: dict[str, str], body: bytes) -> Reply:
        if self.version == 2:
            _only(given, {"org", "bucket", "precision"}, needed={"org", "bucket"}, precisions={"ns", "us", "ms", "s"})
            if given["org"] not in self.orgs or given["bucket"] not in self.buckets:
                return 404, {"code": "not found", "message": f'bucket "{given["bucket"]}" not found'}
            bucket = self.buckets[given["bucket"]]
        else:
            _only(given, {"db", "precision", "accept_partial", "no_sync"}, needed={"db"},
                  precisions={"auto", "nanosecond", "microsecond", "millisecond", "second"})
            bucket = self.buckets.setdefault(given["db"], Bucket())
        lines = body.decode().split("\n")
        return self._keep2(bucket, lines) if self.version == 2 else _keep3(bucket, lines)

    def _keep2(self, bucket: Bucket, lines: list[str]) -> Reply:
        found = [LINE.fullmatch(line) for line in lines]
        for line, match in zip(lines, found, strict=True):
            if match is None:  # then nothing is kept
                return 400, {"code": "invalid", "message": f"unable to parse '{line}': invalid field format"}
        conflicts, expired = 0, 0
        words = ""
        for match in found:
            assert match
            if bucket.oldest_ms is not None and int(match[4]) < bucket.oldest_ms:
                expired += 1
            elif conflict := put(bucket, match):
                conflicts += 1
                words = words or conflict
        start = "failure writing points to database: partial write: "
        if conflicts:
            return 422, {"code": "unprocessable entity", "message": f"{start}field type conflict: {words} "
                                                                    f"dropped={conflicts}"}
        if expired:
            return 422, {"code": "unprocessable entity", "message": f"{start}points beyond retention policy "
                                                                    f"dropped={expired}"}
        return 204, None

    # --- asking and managing --------------------------------------------------------------------------------------

    def _query(self, method: str, given: dict[str, str]) -> Reply:
        if method not in {"GET", "POST"}:
            raise RequestError(f"{method} /query")
        _only(given, {"db", "rp", "q", "epoch", "chunked", "chunk_size", "pretty", "u", "p"}, needed={"db", "q"})
        if self.version == 2 and given["db"] not in {one["database"] for one in self.dbrps}:
            return 200, {"results": [{"statement_id": 0, "error": f"database not found: {given['db']}"}]}
        self.asked.append(given["q"])
        return 200, {"results": [{"statement_id": 0, "series": self.answers(given["q"])}]}

    def _manage2(self, method: str, path: str, given: dict[str, str], document: dict[str, Any]) -> Reply:
        match method, path.removeprefix("/api/v2/"):
            case "GET", "orgs" if given.get("org", "") not in {"", *self.orgs}:
                return 404, {"code": "not found", "message": "organization name not found"}
            case "GET", "orgs":
                return 200, {"orgs": [_org(name) for name in self.orgs if given.get("org", name) == name]}
            case "POST", "orgs":
                self.orgs.append(document["name"])
                return 201, _org(document["name"])
            case "GET", "buckets":
                return 200, {"buckets": [_bucket(name, one, self.orgs[0]) for name, one in self.buckets.items()
                                         if given.get("name", name) == name]}
            case "POST", "buckets":
                _needs(document, {"orgID": str, "name": str, "retentionRules": list})
                made = self.buckets[document["name"]] = Bucket(seconds=_seconds(document))
                return 201, _bucket(document["name"], made, self.orgs[0])
            case "PATCH", one if one.startswith("buckets/"):
                name = one.removeprefix("buckets/b-")
                self.buckets[name].seconds = _seconds(document)
                return 200, _bucket(name, self.buckets[name], self.orgs[0])
            case _:
                return self._manage2_more(method, path.removeprefix("/api/v2/"), given, document)

    def _manage2_more(self, method: str, what: str, given: dict[str, str], document: dict[str, Any]) -> Reply:
        match method, what:
            case "GET", "dbrps":
                return 200, {"content": [one for one in self.dbrps if given.get("db", one["database"])
                                         == one["database"]]}
            case "POST", "dbrps":
                _needs(document, {"bucketID": str, "database": str, "retention_policy": str})
                self.dbrps.append({"id": f"d-{len(self.dbrps)}", "orgID": _org(self.orgs[0])["id"],
                                   "virtual": False, **document})
                return 201, self.dbrps[-1]
            case "GET", "tasks":
                return 200, {"tasks": [one for one in self.tasks if given.get("name", one["name"]) == one["name"]]}
            case "POST", "tasks":
                _needs(document, {"flux": str})
                self.tasks.append({"id": f"t-{len(self.tasks)}", "orgID": _org(self.orgs[0])["id"], "status": "active",
                                   **document, **_options(document["flux"])})
                return 201, self.tasks[-1]
            case "PATCH", one if one.startswith("tasks/"):
                task = next(task for task in self.tasks if task["id"] == one.removeprefix("tasks/"))
                task |= document | _options(document["flux"])
                return 200, task
            case _:
                raise RequestError(f"{method} /api/v2/{what}")

    def _manage3(self, method: str, path: str, given: dict[str, str], document: dict[str, Any]) -> Reply:
        if (method, path) == ("GET", "/api/v3/configure/database"):
            _only(given, {"format", "show_deleted"}, needed={"format"})
            return 200, [{"iox::database": name} for name in self.buckets]
        if (method, path) != ("POST", "/api/v3/configure/database"):
            raise RequestError(f"{method} {path}")
        _needs(document, {"db": str})
        if set(document) - {"db", "retention_period"}:
            raise RequestError(f"configure/database: {document}")
        if document["db"] in self.buckets:
            return 409, {"error": "attempted to create a resource that already exists", "data": None}
        days = re.fullmatch(r"(\d+)d", document.get("retention_period", "0d"))
        if days is None:
            raise RequestError(f"retention_period: {document['retention_period']}")
        self.buckets[document["db"]] = Bucket(seconds=86_400 * int(days[1]))
        return 200, None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                try:
                    status, said = fake.handle(self.command, self.path, dict(self.headers.items()), body)
                except RequestError as err:
                    fake.faults.append(str(err))
                    status, said = 400, {"code": "invalid", "message": f"not in the API: {err}"}
                words = b"" if said is None else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(words)))
                self.end_headers()
                self.wfile.write(words)

            do_GET = do_POST = do_PATCH = _any  # noqa: N815 - the names of the base class

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                """Silent."""

        return Handler


def _keep3(bucket: Bucket, lines: list[str]) -> Reply:
    """InfluxDB 3 keeps the good lines and lists the others."""
    refused = []
    for number, line in enumerate(lines, 1):
        match = LINE.fullmatch(line)
        problem = put(bucket, match) if match else "No fields were provided"
        if problem:
            refused.append({"original_line": line, "line_number": number, "error_message": problem})
    return (400, {"error": "partial write of line protocol occurred", "data": refused}) if refused else (204, None)


def _only(given: Mapping[str, str], allowed: set[str], *, needed: set[str], precisions: set[str] | None = None) -> None:
    if set(given) - allowed or needed - set(given):
        raise RequestError(f"parameters {sorted(given)}; allowed {sorted(allowed)}, needed {sorted(needed)}")
    if precisions and given.get("precision", min(precisions)) not in precisions:
        raise RequestError(f"precision {given['precision']}")


def _needs(document: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    for name, kind in kinds.items():
        if not isinstance(document.get(name), kind):
            raise RequestError(f"{name} of {document} is not a {kind.__name__}")


def _seconds(document: Mapping[str, Any]) -> int:
    for rule in document["retentionRules"]:
        _needs(rule, {"everySeconds": int})
        if rule.get("type") != "expire":
            raise RequestError(f"a retention rule of type {rule.get('type')}")
        return int(rule["everySeconds"])
    return 0


def _org(name: str) -> dict[str, Any]:
    return {"id": f"o-{name}", "name": name}


def _bucket(name: str, bucket: Bucket, org: str) -> dict[str, Any]:
    rules = [{"type": "expire", "everySeconds": bucket.seconds}] if bucket.seconds else []
    return {"id": f"b-{name}", "orgID": _org(org)["id"], "type": "user", "name": name, "retentionRules": rules}


def _options(flux: str) -> dict[str, str]:
    found = re.search(r'option task = \{name: "([^"]+)", every: (\w+)', flux)
    if found is None:
        raise RequestError("Flux without option task")
    return {"name": found[1], "every": found[2]}
