"""Who writes points to a store, a process of its own: `python -m benchmarks._sender WHAT URL ...` says JSON numbers.

    ours URL POINTS         the hub's store class, points made as the forwarder makes them
    client URL POINTS       influxdb-client's batching WriteApi as it comes, its own Point class
    floor URL POINTS        ready requests, one after the other (InfluxDB 1.x)
    ours-live URL SECONDS FOLDER, client-live URL SECONDS    RATE points a second; ours through landing and forwarder

Version 2 of the line protocol's endpoint, but for `floor` and for `ours1`, which is `ours` into InfluxDB 1.x.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec

from hub.checks import inspect
from hub.database import Database
from hub.forward import BATCH, Forwarder
from hub.influx import LineStore, Place, influxdb1, influxdb2
from hub.influx.lines import body_of, rendered
from hub.landing import land
from hub.store import AnyPoint, Point
from tocsin import topics
from tocsin.clock import SystemClock
from tocsin.messages import VERSION, Readings, Upload, encode

BEGIN_MS = 1_723_118_400_000
SERIES = 200
RATE = 500      # points a second of the live stream
ORG, BUCKET, TOKEN = "county", "tocsin", "token"
STATION = "bench"


def points(first: int, count: int) -> list[AnyPoint]:
    """`SERIES` series, a point a second each."""
    return [Point(STATION, f"d{n % SERIES}", "stage_m", BEGIN_MS + 1_000 * (n // SERIES), n / 64, 0)
            for n in range(first, first + count)]


def batches(count: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, BATCH):
        yield first, min(BATCH, count - first)


async def ours(place: Place, count: int) -> None:
    store = LineStore(place)
    for first, many in batches(count):
        await store.write(points(first, many))
    await store.close()


def client(url: str, count: int) -> None:
    from influxdb_client import InfluxDBClient
    from influxdb_client import Point as Theirs
    from influxdb_client.domain.write_precision import WritePrecision

    with InfluxDBClient(url, token=TOKEN, org=ORG) as there, there.write_api() as api:
        for n in range(count):
            api.write(BUCKET, record=Theirs("readings").tag("station", STATION).tag("device", f"d{n % SERIES}")
                      .tag("quantity", "stage_m").field("value", n / 64).field("quality", 0)
                      .time(BEGIN_MS + 1_000 * (n // SERIES), WritePrecision.MS))


def floor(url: str, count: int) -> float:
    """Seconds of the requests alone."""
    ready = [body_of((line for _, line in rendered(points(first, many))[0]), packs=True)
             for first, many in batches(count)]
    began_s = time.perf_counter()
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as there:
        for body in ready:
            there.post("/write", params={"db": BUCKET, "precision": "ms"}, content=body,
                       headers={"Content-Encoding": "gzip"}).raise_for_status()
    return time.perf_counter() - began_s


async def ours_live(url: str, seconds: int, folder: Path) -> int:
    """How many points were sent; returns when the forwarder has nothing left."""
    database = Database(folder / "hub.sqlite")
    store = LineStore(influxdb2(url, ORG, BUCKET, TOKEN))
    forwarder = Forwarder(database, store, SystemClock())
    running = asyncio.create_task(forwarder.run())
    sent = 0
    for seq in range(1, seconds + 1):
        some = [point for point in points(sent, RATE) if isinstance(point, Point)]
        record = Readings("00000000000000a1", seq, [p.t_ms for p in some], [f"{p.device}/{p.quantity}" for p in some],
                          [p.value for p in some], [0] * RATE)
        message = encode(Upload(VERSION, STATION, [msgspec.Raw(encode(record))]))
        with database.transaction() as connection:
            land(connection, [inspect(topics.up(STATION, topics.READINGS), message, {STATION})], BEGIN_MS)
        forwarder.wake()
        sent += RATE
        await asyncio.sleep(1.0)
    while forwarder.counts["forwarded"] < sent:  # noqa: ASYNC110 - a count has no event
        await asyncio.sleep(0.05)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await store.close()
    database.close()
    return sent


def client_live(url: str, seconds: int) -> int:
    from influxdb_client import InfluxDBClient
    from influxdb_client.domain.write_precision import WritePrecision

    sent = 0
    with InfluxDBClient(url, token=TOKEN, org=ORG) as there, there.write_api() as api:
        for _ in range(seconds):
            lines = [line for _, line in rendered(points(sent, RATE))[0]]
            api.write(BUCKET, record=lines, write_precision=WritePrecision.MS)
            sent += RATE
            time.sleep(1.0)
    return sent


def main(what: str, url: str, amount: int, *rest: str) -> dict[str, float]:
    began_s, cpu_s = time.perf_counter(), time.process_time()
    took_s, sent = 0.0, amount
    match what:
        case "ours":
            asyncio.run(ours(influxdb2(url, ORG, BUCKET, TOKEN), amount))
        case "ours1":
            asyncio.run(ours(influxdb1(url, BUCKET), amount))
        case "client":
            client(url, amount)
        case "floor":
            took_s = floor(url, amount)
        case "ours-live":
            sent = asyncio.run(ours_live(url, amount, Path(rest[0])))
        case "client-live":
            sent = client_live(url, amount)
    took_s = took_s or time.perf_counter() - began_s
    return {"points_s": sent / took_s, "cpu_us": (time.process_time() - cpu_s) / sent * 1e6, "sent": sent,
            "rss_mb": _peak_mb()}


def _peak_mb() -> float:
    """Of this program alone: getrusage also knows the parent's."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])))
