"""Real servers for the tests: Mosquitto, InfluxDB 1.x and Chromium, each in a folder of its own, on a port of its own.

Start them from the main thread: the kernel ends a server when the thread that started it ends, so that a test run that
is killed leaves nothing behind.
"""

import contextlib
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from tests.shared_data import REPOSITORY

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 30.0
POLL_S = 0.02

# Linux gives clients their ports from 32768 up; a client must not take a server's port while that server is down
PORTS = range(20_000, 32_768)
PACKAGES = REPOSITORY / "deploy" / "debian-packages"

_held_ports: dict[int, int] = {}


class ServiceError(RuntimeError):
    """A server is not installed, did not come up, or was asked for something it cannot do now."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 below the ephemeral range that nobody listens on.

    It stays this process's own until the process ends, also while its server is down: a lock per port keeps every
    other test process of this user away from it.
    """
    folder = Path(tempfile.gettempdir()) / f"tocsin-test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for port in random.sample(PORTS, len(PORTS)):
        if port in _held_ports:
            continue
        lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _refuse_if_taken(port)
        except OSError:
            os.close(lock)
            continue
        _held_ports[port] = lock
        return port
    raise ServiceError(f"no free port from {PORTS.start} to {PORTS.stop - 1}")


def _refuse_if_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("", port))


def package_of(command: str) -> str:
    """The Debian package that brings a command, from deploy/debian-packages. Raises KeyError."""
    lines = (line.split() for line in PACKAGES.read_text().splitlines())
    return {words[0]: words[1] for words in lines if words and not words[0].startswith("#")}[command]


def binary(command: str) -> str:
    """The full path of a server's command. Raises ServiceError with the line that installs it."""
    # Debian puts servers in /usr/sbin, which is not on everybody's PATH
    path = shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise ServiceError(
            f"{command} is not installed: run `make test`, which installs it, "
            f"or `sudo apt-get install --no-install-recommends {package_of(command)}`"
        )
    return path


class Server:
    """A process in a folder of its own: started, stopped, killed and started again on the same port."""

    command = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._program = binary(self.command)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def state(self) -> Path:
        """Where the server keeps what it must remember."""
        return self.folder / "state"

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def arguments(self) -> list[str]:
        """What follows the command; writes the configuration that it names."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether the server answers."""
        raise NotImplementedError

    def start(self) -> None:
        """Returns when the server answers. Raises ServiceError with the end of its own log if it does not."""
        if self.running:
            raise ServiceError(f"{self.command} on port {self.port} already runs")
        self.state.mkdir(exist_ok=True)
        # setpriv rather than preexec_fn: forking with Python code in between is unsafe beside threads
        guard = ["setpriv", "--pdeathsig", "KILL", "--"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, self._program, *self.arguments()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + READY_WITHIN_S
        while not self.ready():
            if process.poll() is not None or time.monotonic() > deadline_s:
                self.kill()
                tail = (self.folder / "log").read_text(errors="replace")[-2000:]
                raise ServiceError(f"{self.command} on port {self.port} did not come up:\n{tail}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Asks the server to end, as a machine that shuts down does; kills it if it does not obey."""
        if self._process is not None and self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_WITHIN_S)
        self.kill()

    def kill(self) -> None:
        """kill -9 of the server and of every process it started. Does nothing to one that is down."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def wipe(self) -> None:
        """Deletes all that the server remembers. Raises ServiceError while it runs."""
        if self.running:
            raise ServiceError(f"{self.command} on port {self.port} runs: stop or kill it before its state is wiped")
        shutil.rmtree(self.state, ignore_errors=True)


class Mosquitto(Server):
    """A real MQTT broker, 3.1.1 and 5, on 127.0.0.1.

    Queues keep Mosquitto's own limit of 1,000 messages a client, and a persistent broker its own autosave of 30 min:
    what is promised must hold with the broker as Debian ships it, which forgets and drops.
    `max_queued` narrows the queue for tests of just that; 0 means no limit. Without `nodelay` the end of a
    message waits up to 40 ms for company, as Debian ships it.
    """

    command = "mosquitto"

    def __init__(
        self, folder: Path, *, persistence: bool = False, max_queued: int | None = None, nodelay: bool = False
    ) -> None:
        super().__init__(folder)
        self._persistence = persistence
        self._nodelay = nodelay
        self._max_queued = max_queued

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "log_type error", "log_type warning"]
        if os.getuid() == 0:
            lines.append("user root")  # it would change to its own user, who may not enter our folder
        if self._nodelay:
            lines.append("set_tcp_nodelay true")
        if self._persistence:
            lines += ["persistence true", f"persistence_location {self.state}/"]
        if self._max_queued is not None:
            lines.append(f"max_queued_messages {self._max_queued}")
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n")
        return ["-c", str(config)]

    def ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True


_INFLUXDB_CONFIG = """\
reporting-enabled = false
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{state}/meta"
[data]
  dir = "{state}/data"
  wal-dir = "{state}/wal"
  index-version = "tsi1"
  cache-max-memory-size = 67108864
  cache-snapshot-memory-size = 4194304
  max-concurrent-compactions = 1
  query-log-enabled = false
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  enabled = {continuous}
  log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
  max-row-limit = {most_rows}
"""


class InfluxDb(Server):
    """A real InfluxDB 1.x on 127.0.0.1, with little memory and nothing reported home."""

    command = "influxd"

    def __init__(self, folder: Path, *, continuous: bool = False, most_rows: int = 0) -> None:
        """`continuous`: it runs continuous queries, within a second of when they are due. `most_rows` of an answer: 0
        is all."""
        super().__init__(folder)
        self._rpc_port = free_port()
        self._continuous = continuous
        self._most_rows = most_rows

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arguments(self) -> list[str]:
        config = self.folder / "influxdb.conf"
        config.write_text(_INFLUXDB_CONFIG.format(rpc_port=self._rpc_port, port=self.port, state=self.state,
                                                  continuous=str(self._continuous).lower(), most_rows=self._most_rows))
        return ["run", "-config", str(config)]

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ping", trust_env=False).status_code == httpx.codes.NO_CONTENT
        except httpx.TransportError:
            return False

    def create(self, database: str) -> None:
        """Makes a database; one that is there is kept."""
        self.query("", f'CREATE DATABASE "{database}"')

    def write(self, database: str, lines: str) -> None:
        """Line protocol, times in ms. Raises ServiceError with the server's words."""
        parameters = {"db": database, "precision": "ms"}
        answer = httpx.post(f"{self.url}/write", params=parameters, content=lines.encode(), timeout=30,
                            trust_env=False)
        if answer.status_code != httpx.codes.NO_CONTENT:
            raise ServiceError(f"influxd refused lines for {database}: {answer.status_code} {answer.text}")

    def query(self, database: str, influxql: str) -> list[dict[str, Any]]:
        """A row a point, as `{"time": 1723101600000, "value": 1.5}`: times in ms, tags of GROUP BY among the columns.

        Raises ServiceError with the server's words for a query that it refuses.
        """
        parameters = {"db": database, "q": influxql, "epoch": "ms"}
        answer = httpx.post(f"{self.url}/query", params=parameters, timeout=30, trust_env=False).json()
        rows: list[dict[str, Any]] = []
        for result in [answer, *answer.get("results", [])]:
            if "error" in result:
                raise ServiceError(f"influxd refused {influxql!r}: {result['error']}")
            for series in result.get("series", []):
                tags, columns = series.get("tags", {}), series["columns"]
                rows += [tags | dict(zip(columns, values, strict=True)) for values in series.get("values", [])]
        return rows
