"""Summaries at the hub: landed like any record, kept in every store, and no reading is there twice for them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from hub import landing
from hub.checks import inspect
from hub.database import Database
from hub.embedded import SqliteStore
from hub.influx import InfluxStore
from hub.refusal import Refusal
from hub.store import Point, Store, SummaryPoint, points_of
from hub.web.freshness import Freshness, of_station
from hub.web.pages import traffic_of
from hub.web.rain import fallen
from hub.web.words import Words
from tests.hub_messages import BOOT, NOON_MS, heartbeat, readings, upload
from tests.hub_store import sql
from tests.hub_web_view import GAS_RULES, METHANE, NOW, OXYGEN, card, station
from tests.services import InfluxDb
from tocsin.messages import Heartbeat, Summary, encode
from tocsin.packing import pack
from tocsin.topics import up

MINUTE_MS = 60_000
STATION = "bridge"
RAIN = "bucket/rain_mm"
GAS = card("Gas plant", "", [METHANE, OXYGEN], GAS_RULES)


def summary(seq: int, *, last: float = 1.5, series: str = "gauge/stage_m", count: int = 30) -> Summary:
    return Summary(BOOT, seq, NOON_MS - 5 * MINUTE_MS, seq - 30, seq - 1, [NOON_MS], [series], [count], [1.25], [1.75],
                   [1.5], [last], [0])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "hub.sqlite")
    yield made
    made.close()


def land(database: Database, payload: bytes) -> list[landing.Row]:
    """Everything landed so far."""
    with database.transaction() as connection:
        landing.land(connection, [inspect(up(STATION, "readings"), payload, {STATION})], NOON_MS)
        return landing.read(connection, 0, 100)


def test_a_summary_becomes_its_window_and_its_last_reading() -> None:
    assert points_of(STATION, summary(40), {}) == [
        Point(STATION, "gauge", "stage_m", NOON_MS, 1.5, 0),
        SummaryPoint(STATION, "gauge", "stage_m", NOON_MS, NOON_MS - 5 * MINUTE_MS, 30, 1.25, 1.75, 1.5),
    ]
    assert points_of(STATION, summary(40, count=0), {}) == [Point(STATION, "gauge", "stage_m", NOON_MS, 1.5, 0)]


def test_where_a_windows_time_was_taken_its_last_reading_moves_with_it_and_replaces_no_other() -> None:
    """Two cards with one name: the same series, the same moment, two contents."""
    first, second = (points_of(STATION, summary(40, last=last), times) for last, times in
                     ((1.5, {}), (1.75, {0: NOON_MS + 1})))
    assert [(one.t_ms, one.value) for one in [*first, *second] if isinstance(one, Point)] == [
        (NOON_MS, 1.5), (NOON_MS + 1, 1.75)]
    assert [one.t_ms for one in second if isinstance(one, SummaryPoint)] == [NOON_MS + 1]


async def test_its_last_reading_is_the_newest_value_and_the_same_point_when_it_comes_by_itself(
    database: Database, store: Store
) -> None:
    """Rain fell in the last reading of a window: it came by itself, in the summary, and again when it was asked for."""
    tip = readings(39, [0.5], series=RAIN)
    for record in (summary(40, last=0.5, series=RAIN), tip, summary(40, last=0.5, series=RAIN), tip):
        rows = land(database, upload(STATION, record))
    assert [(row.seq, row.times) for row in rows] == [(40, {}), (39, {})]
    for row in rows:
        await store.write(points_of(STATION, msgspec.json.decode(row.raw, type=Summary | type(tip)), row.times))
    (newest,) = await store.latest(STATION)
    assert (newest.t_ms, newest.value) == (NOON_MS, 0.5)
    points = await store.series(STATION, "bucket", "rain_mm", NOON_MS - 86_400_000, NOON_MS + 1, 100)
    assert points == [(NOON_MS, 0.5)]
    assert [window.mm for window in fallen([(NOON_MS - 7200_000, 0.0), *points], "rain_mm", NOON_MS)] == [0.5, 0.5]


async def test_windows_are_kept_beside_the_readings(tmp_path: Path, influxdb: InfluxDb) -> None:
    points = points_of(STATION, summary(40), {})
    embedded = SqliteStore(tmp_path / "store.sqlite")
    await embedded.write(points)
    await embedded.write(points)
    rows = sql(embedded, "SELECT t_ms, since_ms, count, low, high, mean FROM summaries")
    assert rows == [(NOON_MS, NOON_MS - 300_000, 30, 1.25, 1.75, 1.5)]
    await embedded.close()
    name = f"summaries_{uuid4().hex}"
    influx = InfluxStore(influxdb.url, name)
    await influx.write(points)
    await influx.close()
    (row,) = influxdb.query(name, 'SELECT * FROM "summaries"')
    assert row == {"time": NOON_MS, "device": "gauge", "quantity": "stage_m", "station": STATION,
                   "since": NOON_MS - 300_000, "count": 30, "min": 1.25, "max": 1.75, "mean": 1.5}


def test_messages_may_come_packed_and_damaged_ones_are_refused_by_name() -> None:
    known, topic = {STATION}, up(STATION, "readings")
    plain = upload(STATION, *(readings(seq) for seq in range(1, 50)))
    assert inspect(topic, pack(plain), known).good == inspect(topic, plain, known).good
    assert [one.reason for one in inspect(topic, pack(plain)[:-5], known).refused] == [Refusal.FORMAT]
    bomb = pack(b"[" + b"0," * (3 << 20) + b"0]")
    assert len(bomb) < 100_000
    (refused,) = inspect(topic, bomb, known).refused
    assert (refused.reason, "more than 4194304 bytes" in refused.detail) == (Refusal.FORMAT, True)
    beat = inspect(up(STATION, "heartbeat"), pack(heartbeat(STATION), least=1), known).heartbeat
    assert beat is not None
    assert beat.station == STATION


@pytest.mark.parametrize(("change", "reason"), [
    ({"t": [1]}, Refusal.TIME),
    ({"since": 1}, Refusal.TIME),
    ({"count": [-1]}, Refusal.VALUE),
    ({"series": ["stage"]}, Refusal.VALUE),
    ({"mean": []}, Refusal.FORMAT),
])
def test_an_impossible_summary_is_refused_by_name(change: dict[str, object], reason: Refusal) -> None:
    raw = encode(msgspec.to_builtins(summary(40)) | change)
    (refused,) = inspect(up(STATION, "readings"), upload(STATION, raw), {STATION}).refused
    assert refused.reason is reason


def beat_of(**given: float) -> Heartbeat:
    return msgspec.structs.replace(Heartbeat(1, STATION, NOON_MS, online=True), **given)


@pytest.mark.parametrize("change", [{"every_s": 0.0}, {"every_s": 1e9}, {"summary_s": -1.0}])
def test_a_heartbeat_that_would_hide_silence_is_refused(change: dict[str, float]) -> None:
    found = inspect(up(STATION, "heartbeat"), encode(beat_of(**change)), {STATION})
    assert [one.reason for one in found.refused] == [Refusal.VALUE]


def test_how_long_a_station_may_be_silent_it_says_itself() -> None:
    at = NOW - 14 * MINUTE_MS
    newest = [Point("plant", one.key.rpartition("/")[0], one.quantity, at, 1.0, 0) for one in GAS.series]
    seen = replace(station("plant", GAS), latest=newest)
    assert of_station(seen, NOW).freshness is Freshness.SILENT
    assert seen.heartbeat is not None
    saving = replace(seen, heartbeat=msgspec.structs.replace(seen.heartbeat, every_s=600.0, summary_s=300.0))
    assert of_station(saving, NOW).freshness is Freshness.FRESH
    assert of_station(replace(saving, heard_at=NOW - 30 * MINUTE_MS), NOW).freshness is Freshness.FRESH
    assert of_station(replace(saving, heard_at=NOW - 30 * MINUTE_MS - 1), NOW).freshness is Freshness.SILENT


def test_what_the_link_takes_is_said_in_both_languages() -> None:
    assert traffic_of(beat_of(), Words("en")) == ""
    counted = beat_of(today_bytes=1_240_000, month_bytes=20_000_000)
    assert traffic_of(counted, Words("en")) == "link: 1.2 MB today, 20.0 MB this month"
    over = msgspec.structs.replace(counted, budget_bytes=10_000_000, thinning=2, summary_s=3600.0)
    assert traffic_of(over, Words("en")).endswith("20.0 of 10.0 MB this month; more than the budget allows: "
                                                  "in calm, values every 60 min")
    assert traffic_of(over, Words("zh")) == (
        "流量：今日 1.2 MB，本月 20.0 MB，预算 10.0 MB；超出预算：平时每 60 分钟上传一次")
