"""A proxy before a real InfluxDB that makes its faults: away, saying 500, full, slow, or hanging."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Fault(Enum):
    NONE = auto()
    AWAY = auto()       # connections end without an answer
    ERROR = auto()      # 500
    FULL = auto()       # the disk of the store is full
    SLOW = auto()       # each answer takes `slow_s`
    HANGING = auto()    # takes everything, answers nothing


_SAID = {
    Fault.ERROR: b'{"error":"timeout"}',
    Fault.FULL: b'{"error":"write /var/lib/influxdb/wal/tocsin/autogen/1/_00001.wal: no space left on device"}',
}


class FaultProxy:
    """On 127.0.0.1 before the server at `url`. `writes` counts requests that came to /write."""

    def __init__(self, url: str, slow_s: float = 1.0) -> None:
        self.fault = Fault.NONE
        self.slow_s = slow_s
        self.writes = 0
        self._behind = urlsplit(url).netloc
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator["FaultProxy"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._released.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                proxy.writes += self.path.startswith("/write")
                fault = proxy.fault
                if fault in {Fault.AWAY, Fault.HANGING}:
                    if fault is Fault.HANGING:
                        proxy._released.wait()
                    self.close_connection = True
                    return
                status, said = (500, _SAID[fault]) if fault in _SAID else self._behind(body)
                if fault is Fault.SLOW:
                    proxy._released.wait(proxy.slow_s)
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                with suppress(ConnectionError):     # whoever asked waits no more
                    self.wfile.write(said)

            def _behind(self, body: bytes) -> tuple[int, bytes]:
                connection = http.client.HTTPConnection(proxy._behind, timeout=60)
                try:
                    # an answer is passed on without its headers: it must not be packed
                    headers = dict(self.headers.items()) | {"Accept-Encoding": "identity"}
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    return answer.status, answer.read()
                finally:
                    connection.close()

            do_GET = do_POST = _pass  # noqa: N815 - the names of the base class

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                """Silent."""

        return Handler
