"""tocsin export --what: detections, events, summaries and rollups of both stores, every row once."""

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import export, export_tables
from hub.embedded import SqliteStore
from hub.errors import TransientError
from hub.influx import InfluxStore
from hub.store import AnyPoint, EventPoint, LabelPoint, LevelPoint, Point, SummaryPoint
from hub.stores import AnyStore
from hub.tables import COLUMNS, Table, TableRow
from tests.hub_downsampling import DAY_MS, Rig
from tests.hub_downsampling import at as gauge
from tests.hub_imports import STAGE, out, sheet, taken, write
from tests.hub_messages import NOON_MS
from tests.hub_records import hub_file, rows
from tests.services import InfluxDb
from tests.test_hub_stores import EVENT, LEVEL
from tocsin.times import iso

SUMMARY = SummaryPoint("bridge", "radar", "stage_m", NOON_MS, NOON_MS - 300_000, 30, 1.0, 2.5, 1.75)
NAMES = st.sampled_from(["stage", "rain 1h", 'a"b', "水位,1=2"])
TIMES = st.integers(NOON_MS, NOON_MS + 2)
NUMBERS = st.integers(-80, 80).map(lambda number: number / 8)
LEVELS = st.builds(LevelPoint, st.just("bridge"), NAMES, NAMES, TIMES, st.integers(0, 4), NUMBERS, NUMBERS, NAMES,
                   st.integers(0, 9))
EVENTS = st.builds(EventPoint, st.just("bridge"), TIMES, NAMES, st.sampled_from(["", "gauge"]), NAMES)
SUMMARIES = st.builds(SummaryPoint, st.just("bridge"), NAMES, NAMES, TIMES, TIMES, st.integers(1, 9), NUMBERS, NUMBERS,
                      NUMBERS)


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return hub_file(tmp_path)


def expected(points: list[AnyPoint]) -> dict[Table, set[TableRow]]:
    found: dict[Table, dict[TableRow, TableRow]] = {table: {} for table in Table}
    for one in points:
        match one:
            case LevelPoint():
                key: TableRow = (one.t_ms, one.series, one.rule)
                found[Table.DETECTIONS][key] = (*key, one.level, one.value, one.threshold, one.episode, one.revision)
            case EventPoint():
                key = (one.t_ms, one.what, one.device)
                found[Table.EVENTS][key] = (*key, one.detail)
            case SummaryPoint():
                key = (one.t_ms, one.device, one.quantity)
                found[Table.SUMMARIES][key] = (*key, one.since_ms, one.count, one.low, one.high, one.mean)
    return {table: set(rows.values()) for table, rows in found.items()}


async def paged(store: AnyStore, table: Table, most: int, end_ms: int = NOON_MS + DAY_MS) -> list[TableRow]:
    start_ms, found = 0, []
    while page := await store.table(table, "bridge", start_ms, end_ms, most):
        assert [row[0] for row in page] == sorted(row[0] for row in page)
        assert page[0][0] >= start_ms
        found += page
        start_ms = page[-1][0] + 1
    return found


@settings(max_examples=12)
@given(points=st.lists(LEVELS | EVENTS | SUMMARIES, min_size=8, max_size=30), most=st.integers(1, 5))
def test_each_store_gives_every_row_once_however_it_is_asked(
    influxdb: InfluxDb, tmp_path_factory: pytest.TempPathFactory, points: list[AnyPoint], most: int
) -> None:
    async def both() -> None:
        stores: list[AnyStore] = [InfluxStore(influxdb.url, f"tables_{uuid4().hex}"),
                                  SqliteStore(tmp_path_factory.mktemp("tables") / "store.sqlite")]
        for store in stores:
            await store.write([*points, replace(EVENT, station="weir")])
            for table in (Table.DETECTIONS, Table.EVENTS, Table.SUMMARIES):
                found = await paged(store, table, most)
                assert len(found) == len(set(found))
                assert set(found) == expected(points)[table]
            await store.close()

    asyncio.run(both())


async def test_rollups_are_the_same_from_each_store_and_long_silence_hides_none(
    tmp_path: Path, influxdb: InfluxDb
) -> None:
    sent = [gauge(NOON_MS - days * DAY_MS + n * 700_000, n / 8 - days, device) for days in (4000, 30, 29, 0)
            for n in range(5) for device in ("gauge", "radar")]
    sent = [replace(one, station="bridge") for one in sent]
    rig = Rig(tmp_path, influxdb)
    await rig.send(*sent)
    rig.clock.wind_to(NOON_MS + 2 * DAY_MS)
    await rig.work()
    embedded = SqliteStore(tmp_path / "store.sqlite")
    await embedded.write(sent)
    for table in (Table.BY_10_MIN, Table.BY_HOUR, Table.BY_DAY):
        found = await paged(embedded, table, 7)
        assert found == sorted(found)
        assert len(found) == len(await paged(rig.store, table, 7))
        assert set(found) == set(await paged(rig.store, table, 7))
        assert sum(int(row[-1] or 0) for row in found) == len(sent)
    await embedded.close()
    await rig.close()


def test_detections_and_events_go_out_as_files(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    level, event = replace(LEVEL, station="bridge"), replace(EVENT, station="bridge", detail='no answer, "ice"')
    write(hub, STAGE, level, replace(level, rule="other", series="x/y", t_ms=NOON_MS + 1), event, SUMMARY)
    monkeypatch.setattr(export_tables, "PAGE", 1)
    folder = out(hub, "--what", "detections")
    assert list(rows(folder / "bridge.detections.csv.gz")) == [
        ["time", *COLUMNS[Table.DETECTIONS]],
        [iso(NOON_MS), "gauge/stage_m", "stage", "3", "3.25", "3.0", "episode-1", "1"],
        [iso(NOON_MS + 1), "x/y", "other", "3", "3.25", "3.0", "episode-1", "1"]]
    out(hub, "--what", "detections", "--series", "x/y")
    assert [row[1] for row in rows(folder / "bridge.detections.csv.gz")] == ["series", "x/y"]
    out(hub, "--what", "events")
    assert list(rows(folder / "bridge.events.csv.gz"))[1:] == [[iso(NOON_MS), "refused", "gauge", event.detail]]
    out(hub, "--what", "summaries", "--series", "radar/stage_m")
    assert list(rows(folder / "bridge.summaries.csv.gz"))[1:] == [
        [iso(NOON_MS), "radar", "stage_m", iso(NOON_MS - 300_000), "30", "1.0", "2.5", "1.75"]]
    assert export.run([str(hub), "--what", "1d", "--parquet", str(folder)]) == 0
    (day,) = pq.read_table(folder / "bridge.1d.parquet").to_pylist()
    assert (day["quantity"], day["max"], day["count"]) == ("stage_m", 1.5, 1)
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]
    capsys.readouterr()
    assert export.run([str(hub), "--what", "events", "--series", "radar/stage_m", "--csv", str(folder)]) == 1
    assert "--series is not for events; leave it out" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export.run([str(hub), "--what", "warnings", "--csv", str(folder)])
    assert "'readings', 'detections', 'events'" in capsys.readouterr().err


def test_a_table_that_the_store_has_nothing_of_gives_no_file(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(hub, STAGE)
    folder = out(hub, "--what", "detections")
    assert "bridge: nothing in this choice, no file" in capsys.readouterr().out
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("influx", [False, True])
def test_a_station_of_labels_alone_goes_out_and_comes_in_again(
    tmp_path: Path, influxdb: InfluxDb, influx: bool
) -> None:
    hub = hub_file(tmp_path, influxdb if influx else None)
    file = sheet(hub, "time,flag", f"{iso(NOON_MS)},G", f"{iso(NOON_MS + 1)},")
    assert taken(hub, file) == 0
    assert list(rows(out(hub) / "bridge.csv.gz")) == [["time", "flag"], [iso(NOON_MS), "G"], [iso(NOON_MS + 1), ""]]


async def test_every_station_is_known_whatever_the_store_has_of_it(
    tmp_path: Path, influxdb: InfluxDb
) -> None:
    points: list[AnyPoint] = [
        replace(STAGE, station="d"), LabelPoint("c", "record", "flag", NOON_MS, "G"), replace(LEVEL, station="b"),
        replace(EVENT, station="a", device="")]
    stores: list[AnyStore] = [InfluxStore(influxdb.url, f"all_{uuid4().hex}"), SqliteStore(tmp_path / "store.sqlite")]
    for store in stores:
        assert await store.stations() == []
        await store.write(points)
        assert await store.stations() == ["a", "b", "c", "d"]
        await store.close()


async def test_a_server_that_cuts_its_answers_short_is_told_and_nothing_is_left_out_in_silence(tmp_path: Path) -> None:
    server = InfluxDb(tmp_path / "influxdb", most_rows=5)
    server.start()
    store = InfluxStore(server.url, "short")
    await store.write([Point("bridge", "radar", "stage_m", NOON_MS + n, 1.0, 0) for n in range(6)])
    assert len(await store.readings(STAGE, NOON_MS, NOON_MS + 5, 20)) == 5
    with pytest.raises(TransientError, match="cuts its answers short; set max-row-limit = 0"):
        await store.readings(STAGE, NOON_MS, NOON_MS + 6, 20)
    await store.close()
    server.kill()
