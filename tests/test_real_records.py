"""Real floods through real Modbus, agent, Mosquitto and hub into InfluxDB, against a plain loop over the CSV.

Lock-stepped: the player goes to the next row when the row was read and the agent's wound clock stands at it.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.agent import Agent
from hub.service import Hub
from simulators.devices import RadarLevel, RainCounter
from simulators.instruments import Measures
from simulators.player import Feed, Player
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles, influx_store, running_hub
from tests.services import InfluxDb, Mosquitto
from tests.shared_data import shared_path
from tests.stations import StationFiles, running, wind
from tocsin import records
from tocsin.clock import WoundClock
from tocsin.levels import Level
from tocsin.records import Record
from tocsin.times import ms_of

MINUTE_MS = 60_000
QUARTER_MS = 15 * MINUTE_MS
HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True)
class Given:
    """One rule, as the test itself understands it. Thresholds in the quantity's unit, off = on - below or on * part."""

    name: str
    levels: dict[Level, float]
    over_ms: int = 0
    n: int = 1
    m: int = 1
    below: float = 0.0
    part: float = 1.0
    off_delay_ms: int = 0

    def off(self, level: Level) -> float:
        return self.levels[level] * self.part if self.over_ms else self.levels[level] - self.below

    def toml(self) -> str:
        rain = f'quantity = "rain_mm"\nover_min = {self.over_ms // MINUTE_MS}\noff_fraction = {self.part}'
        feature = rain if self.over_ms else f'quantity = "stage_m"\ndatum = "gauge zero"\noff_below = {self.below}'
        levels = "\n".join(f"{level.word} = {on}" for level, on in self.levels.items())
        return (f'[[rule]]\nname = "{self.name}"\n{feature}\nn = {self.n}\nm = {self.m}\n'
                f"off_delay_min = {self.off_delay_ms // MINUTE_MS}\n{levels}\n")


@dataclass(frozen=True)
class Case:
    """A stretch of a record, the instruments' settings, and the rules."""

    file: str
    windows: tuple[tuple[str, str], ...]
    step_ms: int
    mm_per_tip: float
    rules: tuple[Given, ...]
    peak: Level


WALNUT = Case(
    "us_walnut_creek_2024", (("2024-08-07T00:00:00Z", "2024-08-10T00:00:00Z"),), 5 * MINUTE_MS, 0.254,
    (Given("stage", {Level.YELLOW: 1.8, Level.ORANGE: 2.3, Level.RED: 2.7}, n=2, m=3, below=0.1,
           off_delay_ms=QUARTER_MS),
     Given("rain 1 h", {Level.BLUE: 12.0, Level.YELLOW: 20.0}, over_ms=HOUR_MS, part=0.8, off_delay_ms=2 * QUARTER_MS),
     Given("rain 6 h", {Level.BLUE: 35.0, Level.YELLOW: 60.0}, over_ms=6 * HOUR_MS, part=0.8, off_delay_ms=QUARTER_MS),
     Given("rain 24 h", {Level.BLUE: 50.0, Level.YELLOW: 80.0, Level.ORANGE: 95.0}, over_ms=24 * HOUR_MS, part=0.8)),
    Level.RED)  # fmt: skip
JINGWAN = Case(
    "kr_jingwan_bridge_2014_2021",
    (("2016-07-03T00:00:00Z", "2016-07-08T00:00:00Z"), ("2018-08-27T00:00:00Z", "2018-09-01T00:00:00Z"),
     ("2020-08-01T00:00:00Z", "2020-08-13T00:00:00Z")), HOUR_MS, 1.0,
    (Given("official stages", {Level.ORANGE: 2.0, Level.RED: 3.0}, below=0.2),
     Given("rain 12 h", {Level.BLUE: 50.0}, over_ms=12 * HOUR_MS, part=0.8, off_delay_ms=30 * MINUTE_MS)),
    Level.RED)  # fmt: skip

Changes = list[tuple[int, int]]
Truth = Iterator[tuple[int, set[Level], set[Level]]]


def stage_truth(rule: Given, rows: list[tuple[int, float]], step_ms: int) -> Truth:
    """(time, levels that N of the last M reach, levels that N of the last M are below) for each reading."""
    for i, (t, _) in enumerate(rows):
        last = [x for at, x in rows[max(0, i - rule.m + 1) : i + 1] if t - at <= 2 * rule.m * step_ms]
        yield (t, {k for k, on in rule.levels.items() if sum(x >= on for x in last) >= rule.n},
               {k for k in rule.levels if sum(round(x - rule.off(k), 6) < 0 for x in last) >= rule.n})


def rain_truth(rule: Given, rows: list[tuple[int, float]], step_ms: int) -> Truth:
    """The same for the sum over the window; rain of the first row came before the counter was first read."""
    rises = [(t, 0.0 if i == 0 else mm) for i, (t, mm) in enumerate(rows)]
    for i, (t, _) in enumerate(rises):
        total = round(sum(mm for at, mm in rises[: i + 1] if t - rule.over_ms < at <= t), 6)
        covered = min(t - rises[0][0], rule.over_ms)
        yield (t, {k for k, on in rule.levels.items() if total >= on},
               {k for k in rule.levels if total < round(rule.off(k), 6) and covered >= 0.8 * rule.over_ms})


def changes_of(rule: Given, rows: list[tuple[int, float]], step_ms: int) -> Changes:
    """(time, level) of every change of level: a level is set when reached, reset when below for the off delay."""
    held: set[Level] = set()
    below_since: dict[Level, int] = {}
    found: Changes = []
    level = 0
    for t, reached, below in (rain_truth if rule.over_ms else stage_truth)(rule, rows, step_ms):
        for k in rule.levels:
            if k not in below:
                below_since.pop(k, None)
            elif t - below_since.setdefault(k, t) >= rule.off_delay_ms and k not in reached:
                held.discard(k)
        held |= reached
        if max(held, default=Level.CLEAR) != level:
            level = int(max(held, default=Level.CLEAR))
            found.append((t, level))
    return found


def readings_of(record: Record, column: str) -> list[tuple[int, float]]:
    return [(t, x) for t, x in zip(record.t_ms, record.columns[column], strict=True) if x is not None]


def station_of(case: Case, folder: Path, port: int, broker: str, number: int) -> StationFiles:
    devices = f"""
[[device]]
name = "gauge"
bus = "field"
driver = "radar_level"
unit = 1
every_s = {case.step_ms // 1000}
deadline_s = 10.0
settings = {{ measures = "level", span_m = [-2.0, 30.0] }}
series = {{ stage_m = {{ sensor_height_m = 0.0 }} }}

[[device]]
name = "bucket"
bus = "field"
driver = "rain_counter"
unit = 2
every_s = {case.step_ms // 1000}
deadline_s = 10.0
settings = {{ mm_per_tip = {case.mm_per_tip} }}
"""
    name = f"{case.file.replace('_', '-')}-{number}"
    rules = "\n".join(rule.toml() for rule in case.rules)
    return StationFiles(folder, f"tcp://127.0.0.1:{port}", broker, name, devices=devices, rules=rules, siren=False)


@pytest.mark.parametrize(("case", "number"), [
    (case, number) for case in (WALNUT, JINGWAN) for number in range(len(case.windows))],
    ids=lambda value: value.file if isinstance(value, Case) else str(value))
async def test_the_episodes_of_a_real_flood_and_every_reading_once(
    case: Case, number: int, tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDb
) -> None:
    start, end = case.windows[number]
    record = records.read(shared_path(f"data/records/{case.file}.csv.gz")).window(ms_of(start), ms_of(end))
    clock = WoundClock(record.t_ms[0])
    gauge, bucket = RadarLevel(Measures.LEVEL), RainCounter(case.mm_per_tip)
    player = Player(record, [Feed("stage_m", gauge, "depth_m"), Feed("rain_mm", bucket, "rain_mm")])
    player.go_to(0)
    expected = {rule.name: changes_of(rule, readings_of(record, "rain_mm" if rule.over_ms else "stage_m"), case.step_ms)
                for rule in case.rules}
    moments = {t for changes in expected.values() for t, _ in changes}
    async with ModbusTcp({1: gauge, 2: bucket}) as wire:
        station = station_of(case, tmp_path / "edge", wire.port, mosquitto.url, number)
        hub_files = HubFiles(tmp_path / "hub", mosquitto.url, [(station.id, station.key)],
                             influx_store(influxdb.url, station.id) + "[call]\ntoo_old_s = 1e9\n")
        async with running_hub(hub_files.write(), clock) as hub, running(station.write(), clock) as agent:
            await agent.pipeline.wait_handled(2)
            for row in range(1, len(player)):
                player.go_to(row)
                await wind(agent, clock, [player.t_ms[row]], polls=2)
                if player.t_ms[row] in moments:  # else a rise and its fall arrive together, which calls nobody
                    await arrived(agent, hub)
            await arrived(agent, hub)
            closed, still_open = await hub.recent_warnings(100), await hub.open_warnings()

    found: dict[str, Changes] = {rule.name: [] for rule in case.rules}
    for row_found in influxdb.query(station.id, "SELECT level, rule FROM detections"):
        found[row_found["rule"]].append((row_found["time"], row_found["level"]))
    assert found == expected
    assert max(level for changes in expected.values() for _, level in changes) == case.peak
    warnings = [*closed, *still_open]
    assert sorted(warning.opened_at for warning in warnings) == raises_of(expected)
    assert max(warning.peak for warning in warnings) == case.peak

    total = 0.0
    wanted = [(t, "gauge", "stage_m", x) for t, x in readings_of(record, "stage_m")]
    for t, mm in readings_of(record, "rain_mm"):
        total += mm
        wanted.append((t, "bucket", "rain_total_mm", round(total, 6)))
    stored = [(row_["time"], row_["device"], row_["quantity"], row_["value"])
              for row_ in influxdb.query(station.id, "SELECT value, device, quantity FROM readings")]
    assert sorted(stored) == sorted(wanted)


def raises_of(expected: dict[str, Changes]) -> list[int]:
    """When a warning opens: all rules were clear, and one is not any more."""
    levels = dict.fromkeys(expected, 0)
    opened: list[int] = []
    for t, name, level in sorted((t, name, level) for name, changes in expected.items() for t, level in changes):
        if not any(levels.values()) and level:
            opened.append(t)
        levels[name] = level
    return opened


async def arrived(agent: Agent, hub: Hub) -> None:
    """What the station has logged is in the store and on the desk."""
    await agent.recorder.written(agent.recorder.last_seq)
    async with asyncio.timeout(30):
        while agent.uplink.backlog or await hub.behind():
            await asyncio.sleep(0.005)
