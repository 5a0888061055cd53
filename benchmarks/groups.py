"""Rules over several stations: a storm over a county of 2,000 stations

200 coincidences of ten stations each, 100 chains of three steps, and one coincidence and one rule on silence that look
at all 2,000. For a minute 400 records of 50 readings land each second, 20,000 points, while half of the stations go to
orange. *Taken* is from what lies in `landing` to state and decisions on the disk, in the hub's own way; its floor
reads the same rows and does nothing with them. *A decision* is from the commit of the detection that completes a group
to the commit of the decision, while all that the storm left is remembered; its floor is one synced commit of one row.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks._rows import BenchError, Row, repeats_of
from hub.config import GroupsTable
from hub.database import Database
from hub.groups_run import Groups
from simulators.fleet import Content, station_name
from tests.village import VILLAGE, config, detection
from tocsin.clock import WoundClock
from tocsin.levels import Level
from tocsin.messages import encode

STATIONS, QUICK_STATIONS, VALLEY = 2_000, 100, 10
RECORDS_S, POINTS, SECS, QUICK_SECS = 400, 50, 60, 2
START_MS = 1_723_096_800_000    # 2024-08-08T06:00:00Z
TIMES_LIVE, DECISION_MS = 5, 50.0
_LAND = "INSERT INTO landing (station, boot, seq, kind, digest, arrived, raw) VALUES (?, ?, ?, ?, ?, ?, ?)"

_Landed = tuple[str, str, int, str, str, int, bytes]


def run(quick: bool) -> list[Row]:
    """Raises BenchError where a decision is missing."""
    repeats = repeats_of(quick, slow=True)
    found = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory(prefix="tocsin-groups-") as folder:
            found.append(asyncio.run(_County(Path(folder), quick).measure()))
    rate, floor, p50, p99, synced = (statistics.median(column) for column in zip(*found, strict=True))
    stations = QUICK_STATIONS if quick else STATIONS
    what = f"{stations:,} stations in a storm"
    return [
        Row(f"{what}: taken", rate, floor, "the rows read and left alone", "points/s", repeats, more_is_better=True,
            floor=True, bar=TIMES_LIVE * RECORDS_S * POINTS),
        Row(f"{what}: a decision, p50", p50, synced, "one synced commit", "ms", repeats, floor=True),
        Row(f"{what}: a decision, p99", p99, synced, "one synced commit", "ms", repeats, floor=True, bar=DECISION_MS),
    ]


class _County:
    """A hub's database with group rules, and nothing beside them."""

    def __init__(self, folder: Path, quick: bool) -> None:
        self._secs = QUICK_SECS if quick else SECS
        self._names = [station_name(number) for number in range(QUICK_STATIONS if quick else STATIONS)]
        rules = folder / "groups.toml"
        rules.write_text(_rules(self._names), encoding="utf-8")
        self._database = Database(folder / "hub.sqlite")
        self._clock = WoundClock(START_MS)
        settings = msgspec.structs.replace(config(folder), groups=GroupsTable(str(rules)))
        self._groups = Groups(self._database, settings, self._clock, lambda: None)
        self._content = Content(POINTS)

    async def measure(self) -> tuple[float, float, float, float, float]:
        """Points a second, and of the floor; p50 and p99 of a decision and the floor, ms."""
        try:
            records = self._secs * RECORDS_S
            self._land(self._storm())
            floor_s = await self._timed(self._read_alone)
            took_s = await self._timed(self._take)
            self._clock.wind_to(START_MS + self._secs * 1000)
            await self._groups.tick()
            if self._groups.counts.get("decided", 0) < len(self._names) // VALLEY // 2:
                raise BenchError(f"the storm gave {self._groups.counts} decisions")
            waits = sorted([await self._decision(valley) for valley in range(len(self._names) // VALLEY // 2)])
            synced = statistics.median([self._synced_ms() for _ in range(50)])
            return (records * POINTS / took_s, records * POINTS / floor_s, statistics.median(waits),
                    waits[int(len(waits) * 0.99)], synced)
        finally:
            self._database.close()

    def _storm(self) -> Iterable[_Landed]:
        """Half of the stations go to orange, one after the other."""
        rising = self._names[: len(self._names) // 2]
        each = max(1, self._secs * RECORDS_S // len(rising))
        for number in range(self._secs * RECORDS_S):
            t = START_MS + number * 1000 // RECORDS_S
            name, seq = self._names[number % len(self._names)], 2 * number + 1
            yield name, "b", seq, "readings", str(seq), t, self._content.of(name, 1)
            if number % each == 0 and number // each < len(rising):
                yield self._found(rising[number // each], Level.ORANGE, t, seq + 1)

    def _found(self, name: str, level: Level, t: int, seq: int) -> _Landed:
        one = msgspec.structs.replace(detection(level, "14:00", 1, seq=seq), t=t, since=t)
        return name, "b", seq, "detection", str(seq), t, encode(one)

    def _land(self, rows: Iterable[_Landed]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(_LAND, rows)

    async def _timed(self, action: object) -> float:
        began_s = time.perf_counter()
        await action()  # type: ignore[operator]
        return time.perf_counter() - began_s

    async def _take(self) -> None:
        while await self._groups.process():
            pass

    async def _read_alone(self) -> None:
        rows = self._database.connection.execute(
            "SELECT id, station, arrived, CASE WHEN kind IN ('detection', 'event') THEN raw END FROM landing")
        await self._database.run(rows.fetchall)

    async def _decision(self, valley: int) -> float:
        """Of two stations of a calm valley; ms from the commit of the second."""
        names = self._names[len(self._names) // 2 + valley * VALLEY :][:2]
        t = self._clock.now_ms() + valley
        before = self._groups.counts.get("decided", 0)
        self._land([self._found(names[0], Level.ORANGE, t, 1 << 20)])
        await self._take()
        await self._database.run(self._land, [self._found(names[1], Level.ORANGE, t, 1 << 20)])
        took_s = await self._timed(self._groups.process)
        if self._groups.counts.get("decided", 0) == before:
            raise BenchError(f"valley {valley} decided nothing")
        return took_s * 1000

    def _synced_ms(self) -> float:
        began_s = time.perf_counter()
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('bench', ?)", (str(began_s),))
        return (time.perf_counter() - began_s) * 1000


def _rules(names: list[str]) -> str:
    valleys = [names[start : start + VALLEY] for start in range(0, len(names), VALLEY)]
    tables = [_table(f"valley {number}", "coincidence", f"stations = {_list(valley)}\nyellow = 2\norange = 5\nred = 8")
              for number, valley in enumerate(valleys)]
    tables += [
        _table(f"chain {number}", "chain", "".join(
            f'[[group.step]]\nstations = ["{name}"]\nat = "yellow"\nlevel = "{level}"\ntravel_min = [0, 60]\n'
            for name, level in zip(valley, ("blue", "yellow", "orange"), strict=False)))
        for number, valley in enumerate(valleys[: len(valleys) // 2])]
    everywhere = "\n".join(f"{level} = {len(names) * part // 8}" for level, part in (("yellow", 1), ("orange", 2)))
    tables.append(_table("county", "coincidence", f"stations = {_list(names)}\n{everywhere}"))
    tables.append(_table("silent", "silence", f"stations = {_list(names)}\nsilent_min = 15"))
    return "".join(tables)


def _table(name: str, kind: str, rest: str) -> str:
    return f'[[group]]\nname = "{name}"\nkind = "{kind}"\nhazard = "flood"\narea = "{VILLAGE}"\n{rest}\n'


def _list(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
