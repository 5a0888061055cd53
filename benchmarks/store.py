"""Points into InfluxDB: the hub's store beside influxdb-client's batching WriteApi

The same stream, 200 series of two fields, from a process each into the same server: VictoriaMetrics, which takes what
influxdb-client writes (`/api/v2/write`); InfluxDB 1.6 does not. influxdb-client is used as it comes: its batching
WriteApi with its own settings, points made with its Point class. The hub's store makes its points, checks every one,
renders them, and sends them gzipped in batches of 20,000. CPU and memory are those of the writing process alone, with
its imports.

*Store away*: 500 points a second for 40 s; the server is stopped after 10 s and started again after 20 s more. The hub
has landing and the forwarder; influxdb-client retries by its own settings. Both may take until they end by themselves.

Floor: ready gzipped requests sent one after the other into InfluxDB 1.6, what the server itself can take from one
client, beside the hub's store into the same InfluxDB.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._extra import have
from benchmarks._rows import BenchError, Row, repeats_of
from benchmarks._sender import BUCKET, STATION
from tests.services import InfluxDb, ServiceError
from tests.shared_data import REPOSITORY
from tests.victoria_metrics import VictoriaMetrics

CLIENT = "influxdb-client"
POINTS, QUICK_POINTS = 400_000, 2_000
LIVE_S, QUICK_LIVE_S = 40, 4
_ENDS_WITHIN_S = 300.0
_CPU_WHY = "the floor renders nothing"


def run(quick: bool) -> list[Row]:
    """Raises BenchError where a server is not installed or a side loses points that it was said to keep."""
    try:
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
            return _rows(Path(folder), quick)
    except ServiceError as err:
        raise BenchError(str(err)) from err


def _rows(folder: Path, quick: bool) -> list[Row]:
    count, repeats = (QUICK_POINTS, 1) if quick else (POINTS, repeats_of(quick, slow=True))
    rows: list[Row] = []
    if have("store", "influxdb_client"):
        server = VictoriaMetrics(folder / "victoria-metrics")
        server.start()
        try:
            rows += _beside_client(server.url, count, repeats)
            rows += _away(server, folder, QUICK_LIVE_S if quick else LIVE_S)
        finally:
            server.kill()
    influx = InfluxDb(folder / "influxdb")
    influx.start()
    try:
        influx.create(BUCKET)
        found = [(_sent("ours1", influx.url, count), _sent("floor", influx.url, count)) for _ in range(repeats)]
    finally:
        influx.kill()
    mine, least = (statistics.median(one[side]["points_s"] for one in found) for side in (0, 1))
    return [*rows, Row("points into InfluxDB 1.6", mine, least, "ready requests", "1/s", repeats, more_is_better=True,
                       floor=True, bar=least / 2, why=_CPU_WHY)]


def _beside_client(url: str, count: int, repeats: int) -> list[Row]:
    found = [(_sent("ours", url, count), _sent("client", url, count)) for _ in range(repeats)]

    def row(what: str, key: str, unit: str, *, more: bool = False) -> Row:
        mine, theirs = (statistics.median(one[side][key] for one in found) for side in (0, 1))
        return Row(what, mine, theirs, CLIENT, unit, repeats, more_is_better=more)

    return [row("points", "points_s", "1/s", more=True), row("CPU of a point", "cpu_us", "us"),
            row("memory at the most", "rss_mb", "MiB")]


def _away(server: VictoriaMetrics, folder: Path, seconds: int) -> list[Row]:
    """The share of points that arrived although the server was away for half of the time."""
    shares = []
    for what, rest in (("ours-live", [str(folder)]), ("client-live", [])):
        server.kill()
        server.wipe()
        server.start()
        with _child(what, server.url, seconds, *rest) as process:
            time.sleep(seconds / 4)
            server.stop()
            time.sleep(seconds / 2)
            server.start()
            sent = _numbers(process)["sent"]
        kept = sum(len(one["values"]) for one in server.export(f'readings_value{{station="{STATION}"}}'))
        shares.append(100 * kept / sent)
    return [Row(f"store away for {seconds / 2:g} s: points that arrived", shares[0], max(shares[1], 0.01), CLIENT, "%",
                1, more_is_better=True, bar=100.0)]


def _sent(what: str, url: str, count: int) -> dict[str, float]:
    with _child(what, url, count) as process:
        return _numbers(process)


def _child(what: str, url: str, amount: int, *rest: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks._sender", what, url, str(amount), *rest]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _numbers(process: "subprocess.Popen[str]") -> dict[str, float]:
    said, _ = process.communicate(timeout=_ENDS_WITHIN_S)
    if process.returncode:
        raise BenchError(f"{process.args!r} ended with {process.returncode}")
    found: dict[str, float] = json.loads(said)
    return found
