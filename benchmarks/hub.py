"""The hub, from MQTT to the store

One hub process takes messages of 200 readings from a real Mosquitto, checks them, commits them durably, answers
`committed` under each station's key and forwards them to a real InfluxDB 1.6. The peer is that server's own limit in
the same run: one client that writes ready batches of 5,000 lines and does nothing else. CPU of the broker, of the store
and of the simulated stations stands beside that of the hub: on one machine they share it. *Publish to committed* is
from the write to the broker until the sealed answer has come back; its floor is one synced write of 100 kB to the same
disk. Every point is counted in the store at the end: a bench with one point lost or twice gives no numbers.

20,000 points a second come in messages of 50 readings, from 100, 500 and 2,000 stations; from the last for ten minutes.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks._hub_run import Place, Run
from benchmarks._rows import Row, repeats_of
from simulators.fleet import Orders

RATE = 20_000
SCALES = (100, 500, 2_000)
SERVER = "InfluxDB 1.6 alone, ready batches"
P99_MS = 250.0
_WHY = "the server does nothing but take ready lines, and has the machine to itself"


def run(quick: bool) -> list[Row]:
    """Rows of the most, and of the rate at each number of stations. Raises BenchError."""
    repeats = repeats_of(quick, slow=True)
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder, Place(Path(folder)).running() as place:
        most, limits = [], []
        for _ in range(repeats):
            limits.append(place.limit(100_000 if quick else 1_000_000, 100))
            most.append(place.run(Orders(0, 100, "", 200, secs=1.0 if quick else 20.0, window=8)))
        rows = _most(most, limits, repeats)
        synced_ms = _synced_ms(Path(folder))
        first: Run | None = None
        for stations in SCALES[:1] if quick else SCALES:
            secs = 2.0 if quick else 600.0 if stations == SCALES[-1] else 60.0
            found = place.run(Orders(0, stations, "", 50, every_s=50 * stations / RATE, secs=secs))
            first = first or found
            rows += _at_rate(stations, found, first, synced_ms)
        return rows


def _most(runs: list[Run], limits: list[tuple[float, float]], repeats: int) -> list[Row]:
    def median(values: list[float]) -> float:
        return statistics.median(values)

    rate, server_us = (median(list(values)) for values in zip(*limits, strict=True))
    ours = median([one.report.points / one.took_s for one in runs])
    return [
        Row("points a second, MQTT to InfluxDB", ours, rate, SERVER, "points/s", repeats, more_is_better=True,
            bar=rate / 2, why=_WHY),
        Row("hub: CPU a point", median([one.hub_us for one in runs]), server_us, SERVER, "us", repeats, why=_WHY),
        Row("store in the same run: CPU a point", median([one.store_us for one in runs]), server_us, SERVER, "us",
            repeats, floor=True),
        Row("broker: CPU a point", median([one.broker_us for one in runs]), server_us, SERVER, "us", repeats,
            floor=True),
        Row("stations: CPU a point", median([one.fleet_us for one in runs]), server_us, SERVER, "us", repeats,
            floor=True),
    ]


def _at_rate(stations: int, found: Run, first: Run, synced_ms: float) -> list[Row]:
    what = f"{RATE:,} points/s, {stations:,} stations, {found.took_s:.0f} s"
    report, floor = found.report, "one synced write of 100 kB"
    return [
        Row(f"{what}: publish to committed, p50", report.p50_ms, synced_ms, floor, "ms", 1, floor=True),
        Row(f"{what}: publish to committed, p99", report.p99_ms, synced_ms, floor, "ms", 1, floor=True, bar=P99_MS),
        Row(f"{what}: hub CPU a point", found.hub_us, first.hub_us, f"{SCALES[0]} stations", "us", 1, floor=True,
            ratio_bar=1.5),
        Row(f"{what}: broker, store, stations, CPU a point", found.broker_us + found.store_us + found.fleet_us,
            found.hub_us, "the hub", "us", 1, floor=True),
        Row(f"{what}: hub's memory at the end", found.rss_mib[1], found.rss_mib[0], "after a third of the time", "MiB",
            1, floor=True, ratio_bar=1.1),
    ]


def _synced_ms(folder: Path) -> float:
    took: list[float] = []
    with (folder / "floor").open("wb", buffering=0) as file:
        for _ in range(50):
            began_s = time.perf_counter()
            file.write(bytes(100_000))
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(took)
