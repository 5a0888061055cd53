"""One run of a hub with its broker, its store and a fleet of simulated stations, each a process of its own."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import httpx
import msgspec

from benchmarks._rows import BenchError
from simulators.fleet import START_MS, Content, Orders, Report, station_name
from tests.hubs import HubFiles, influx_store
from tests.processes import Command
from tests.services import InfluxDb, Mosquitto, Server
from tests.shared_data import REPOSITORY

KEY = "11" * 32
DATABASE = "bench"
READY_S = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds since a process began, and what it has in memory, MiB."""

    cpu_s: float
    rss_mib: float


@dataclass(frozen=True, slots=True)
class Run:
    """What one run gave. `took_s`: from the first message until the store had the last point; CPU in us a point;
    `rss_mib`: the hub's after a third of the time, and at the end."""

    report: Report
    took_s: float
    hub_us: float
    broker_us: float
    store_us: float
    fleet_us: float
    rss_mib: tuple[float, float]


def used(server: Server) -> Used:
    """Of a server that runs."""
    words = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines())
    return Used((int(words[11]) + int(words[12])) / _TICKS, int(status["VmRSS"].split()[0]) / 1024)


class Place:
    """A broker and a store that are up. Each hub has a folder and a database of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0
        self.broker = Mosquitto(folder / "broker", max_queued=0, nodelay=True)
        self.store = InfluxDb(folder / "store")

    @contextlib.contextmanager
    def running(self) -> Iterator["Place"]:
        try:
            self.broker.start()
            self.store.start()
            yield self
        finally:
            self.broker.kill()
            self.store.kill()

    def run(self, orders: Orders) -> Run:
        """A new hub, a fleet, until everything is in the store. Raises BenchError where a point is missing or twice."""
        self._runs += 1
        database = f"{DATABASE}{self._runs}"
        stations = [(station_name(number), KEY) for number in range(orders.stations)]
        files = HubFiles(self._folder / f"hub{self._runs}", self.broker.url, stations,
                         influx_store(self.store.url, database))
        hub = Command(self._folder / f"hub{self._runs}-process", "hub", str(files.write()))
        hub.start()
        try:
            _until_up(files.url)
            found = self._measured(hub, files.url, orders)
        finally:
            hub.stop()
        (count,) = [row["count"] for row in self.store.query(database, "SELECT count(value) FROM readings")]
        if count != found.report.points or found.report.answered != found.report.sent:
            raise BenchError(f"sent {found.report.points} points; {found.report.answered} of {found.report.sent} "
                             f"messages answered, {count} points in the store")
        self.store.query("", f'DROP DATABASE "{database}"')
        return found

    def limit(self, points: int, stations: int) -> tuple[float, float]:
        """Points a second of one client that writes ready batches of 5,000 lines, and the server's CPU us a point."""
        self.store.create("limit")
        bodies = _rendered(points, stations)
        before, began_s = used(self.store), time.monotonic()
        with contextlib.closing(HTTPConnection("127.0.0.1", self.store.port)) as connection:
            for body in bodies:
                connection.request("POST", "/write?db=limit&precision=ms", body)
                answer = connection.getresponse()
                answer.read()
                if answer.status != httpx.codes.NO_CONTENT:
                    raise BenchError(f"InfluxDB refused a batch: {answer.status}")
        took_s = time.monotonic() - began_s
        spent_s = used(self.store).cpu_s - before.cpu_s
        self.store.query("", 'DROP DATABASE "limit"')
        return points / took_s, spent_s / points * 1e6

    def _measured(self, hub: Command, url: str, orders: Orders) -> Run:
        servers = [hub, self.broker, self.store]
        before = [used(server) for server in servers]
        asked = msgspec.structs.replace(orders, port=self.broker.port, key=KEY)
        with subprocess.Popen([sys.executable, "-m", "simulators.fleet", msgspec.json.encode(asked).decode()],
                              cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as fleet:
            assert fleet.stdout
            assert fleet.stdin
            with contextlib.suppress(subprocess.TimeoutExpired):
                fleet.wait(orders.secs / 3)
            early_mib = used(hub).rss_mib
            line, ended_s = fleet.stdout.readline(), time.monotonic()
        report = msgspec.json.decode(line, type=Report)
        _until_forwarded(url, report.points)
        took_s = time.monotonic() - ended_s + report.took_s
        hub_us, broker_us, store_us = [(used(server).cpu_s - then.cpu_s) / report.points * 1e6
                                       for server, then in zip(servers, before, strict=True)]
        fleet_us = report.cpu_s / report.points * 1e6
        return Run(report, took_s, hub_us, broker_us, store_us, fleet_us, (early_mib, used(hub).rss_mib))


def _rendered(points: int, stations: int) -> list[bytes]:
    """The lines that the hub would send for such a fleet."""
    content = msgspec.json.decode(Content(200).of(station_name(0), 1))["records"][0]
    heads = [f"readings,device={series.split('/')[0]},quantity=stage_m,station=" for series in content["series"]]
    tails = [f" value={value!r},quality=0i " for value in content["value"]]
    lines = []
    for number in range(points):
        message, row = divmod(number, 200)
        t = START_MS + message // stations * 20_000 + row // 10 * 1_000
        lines.append(f"{heads[row]}{station_name(message % stations)}{tails[row]}{t}")
    return ["\n".join(lines[start : start + 5_000]).encode() for start in range(0, points, 5_000)]


def _until_up(url: str) -> None:
    end_s = time.monotonic() + READY_S
    while True:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz", trust_env=False).status_code == httpx.codes.OK:
                time.sleep(1.0)  # its link is up soon after; what it misses is sent again
                return
        if time.monotonic() > end_s:
            raise BenchError("the hub did not come up")
        time.sleep(0.05)


def _until_forwarded(url: str, points: int) -> None:
    end_s = time.monotonic() + 120
    while httpx.get(f"{url}/healthz", trust_env=False).json()["counts"].get("forwarder: forwarded", 0) < points:
        if time.monotonic() > end_s:
            raise BenchError("the store did not get everything within two minutes")
        time.sleep(0.05)
