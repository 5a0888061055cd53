"""What only InfluxDB can do wrong, shown on a real one."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.config_store import StoreTable
from hub.embedded import Mending
from hub.errors import PermanentError, TransientError
from hub.influx import InfluxStore, line_of
from hub.store import LONGEST_NAME, AnyPoint, EventPoint, LabelPoint, LevelPoint, Point, SummaryPoint
from hub.stores import open_existing, open_store
from tests import village
from tests.fault_proxy import Fault, FaultProxy
from tests.hub_messages import NOON_MS
from tests.services import InfluxDb
from tests.test_hub_stores import STAGE, WEEK_MS, stage_series, stages
from tocsin.clock import WoundClock

NAMES = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs"], exclude_characters="\\\x7f"),
    min_size=1, max_size=LONGEST_NAME,
)
AWKWARD = NAMES | st.sampled_from([",", "=", " ", '"', "a, b=c", "#", "水位 计", "'", "$x", "\u3000", "\x85", '""'])
# a negative zero comes back as zero, which is the same number
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0) | st.sampled_from(
    [0.0, 1.0, 1e22, 5e-324, 1.7e308]
)
INTS = st.integers(0, (1 << 63) - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40) | st.sampled_from(
    ["\\", '"', '\\"', "a\nb", "\\\\", "x,y=z 1", "", "\\n"]
)
TIMES = st.integers(NOON_MS, NOON_MS + 1_000)
ANY_POINTS = (
    st.builds(Point, AWKWARD, AWKWARD, AWKWARD, TIMES, FLOATS, INTS)
    | st.builds(SummaryPoint, AWKWARD, AWKWARD, AWKWARD, TIMES, INTS, INTS, FLOATS, FLOATS, FLOATS)
    | st.builds(LevelPoint, AWKWARD, AWKWARD, AWKWARD, TIMES, INTS, FLOATS, FLOATS, TEXTS, INTS)
    | st.builds(EventPoint, AWKWARD, TIMES, AWKWARD, AWKWARD | st.just(""), TEXTS)
    | st.builds(LabelPoint, AWKWARD, AWKWARD, AWKWARD, TIMES, TEXTS)
)


def place_of(point: AnyPoint) -> tuple[object, ...]:
    match point:
        case Point():
            return "readings", point.station, point.device, point.quantity, point.t_ms
        case SummaryPoint():
            return "summaries", point.station, point.device, point.quantity, point.t_ms
        case LevelPoint():
            return "detections", point.station, point.series, point.rule, point.t_ms
        case EventPoint():
            return "events", point.station, point.what, point.device, point.t_ms
        case LabelPoint():
            return "labels", point.station, point.device, point.quantity, point.t_ms


def on_one_line(point: AnyPoint) -> AnyPoint:
    """As a line can have it: line feeds in texts are blanks."""
    match point:
        case LevelPoint():
            return replace(point, episode=point.episode.replace("\n", " ").replace("\r", " "))
        case EventPoint():
            return replace(point, detail=point.detail.replace("\n", " ").replace("\r", " "))
        case LabelPoint():
            return replace(point, text=point.text.replace("\n", " ").replace("\r", " "))
        case _:
            return point


def influx_points(server: InfluxDb, database: str) -> list[AnyPoint]:
    """Everything in a database, read back by plain queries."""
    found: list[AnyPoint] = [
        Point(r["station"], r["device"], r["quantity"], r["time"], float(r["value"]), int(r["quality"]))
        for r in server.query(database, "SELECT * FROM readings")
    ]
    found += [
        SummaryPoint(
            r["station"], r["device"], r["quantity"], r["time"], int(r["since"]), int(r["count"]), float(r["min"]),
            float(r["max"]), float(r["mean"]),
        )
        for r in server.query(database, "SELECT * FROM summaries")
    ]
    found += [
        LevelPoint(
            r["station"], r["series"], r["rule"], r["time"], int(r["level"]), float(r["value"]),
            float(r["threshold"]), r["episode"], int(r["revision"]),
        )
        for r in server.query(database, "SELECT * FROM detections")
    ]
    found += [
        EventPoint(r["station"], r["time"], r["what"], r.get("device") or "", r["detail"])
        for r in server.query(database, "SELECT * FROM events")
    ]
    found += [LabelPoint(r["station"], r["device"], r["quantity"], r["time"], r["text"])
              for r in server.query(database, "SELECT * FROM labels")]
    return found


@settings(max_examples=12)
@given(points=st.lists(ANY_POINTS, min_size=20, max_size=60, unique_by=place_of))
def test_influxdb_gives_back_what_was_written(influxdb: InfluxDb, points: list[AnyPoint]) -> None:
    database = f"given_{uuid4().hex}"

    async def write() -> None:
        store = InfluxStore(influxdb.url, database)
        store.packs = True      # as on the way to another machine
        try:
            await store.write(points)
        finally:
            await store.close()

    try:
        asyncio.run(write())
        assert sorted(map(repr, influx_points(influxdb, database))) == sorted(repr(on_one_line(p)) for p in points)
    finally:
        influxdb.query("", f'DROP DATABASE "{database}"')


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_never_looks_like_an_integer(value: float) -> None:
    written = line_of(replace(STAGE, value=value)).split("value=")[1].split(",")[0]
    assert "." in written or "e" in written
    assert float(written) == value


async def test_influxdb_refuses_some_lines_and_keeps_the_others(influxdb: InfluxDb) -> None:
    database = f"partial_{uuid4().hex}"
    influxdb.create(database)
    influxdb.write(database, f"readings,station=x quality=1.5 {NOON_MS}")  # in this week the field is a float now
    good = stages(1.0, 2.0, 3.0, at=NOON_MS + WEEK_MS)
    bad = stages(8.0, 9.0)
    store = InfluxStore(influxdb.url, database)
    with pytest.raises(PermanentError) as refusal:
        await store.write([good[0], bad[0], good[1], bad[1], good[2]])
    assert [point for point, _ in refusal.value.bad] == bad
    assert all("field type conflict" in reason for _, reason in refusal.value.bad)
    assert await stage_series(store, NOON_MS, NOON_MS + 2 * WEEK_MS) == [1.0, 2.0, 3.0]
    await store.close()


async def test_influxdb_away_is_worth_another_try(new_influxdb: Callable[[], InfluxDb]) -> None:
    server = new_influxdb()
    store = InfluxStore(server.url, "tocsin")
    await store.write(stages(1.0))
    server.kill()
    with pytest.raises(TransientError):
        await store.write(stages(1.0, 2.0))
    with pytest.raises(TransientError):
        await store.latest("lin-an-01")
    server.start()
    await store.write(stages(1.0, 2.0))
    assert await stage_series(store) == [1.0, 2.0]
    await store.close()


async def test_a_database_that_was_dropped_is_made_again(influxdb: InfluxDb) -> None:
    database = f"dropped_{uuid4().hex}"
    store = InfluxStore(influxdb.url, database)
    await store.write(stages(1.0))
    influxdb.query("", f'DROP DATABASE "{database}"')
    await store.write(stages(1.0))
    assert await stage_series(store) == [1.0]
    await store.close()


@asynccontextmanager
async def store_that_answers(status: int, words: bytes, about: bytes = b"") -> AsyncIterator[InfluxStore]:
    """A store before a server that makes databases and gives every write with `about` in it the same answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            given = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            made = self.path.startswith("/query")
            good = made or about not in given
            body = b'{"results":[{}]}' if good else words
            self.send_response(200 if good else status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Silent."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        store = InfluxStore(f"http://127.0.0.1:{server.server_port}", "tocsin", "hub", "secret")
        try:
            yield store
        finally:
            await store.close()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500, 503])
async def test_whatever_is_not_a_refusal_of_lines_is_tried_again(status: int) -> None:
    async with store_that_answers(status, b"some words") as store:
        with pytest.raises(TransientError, match=f"{status} some words"):
            await store.write(stages(1.0, 2.0))


@pytest.mark.parametrize("status", [400, 413])
async def test_refused_lines_come_with_the_words_of_the_server(status: int) -> None:
    async with store_that_answers(status, b"some words", about=b"value=2.0") as store:
        points = stages(1.0, 2.0, 3.0)
        with pytest.raises(PermanentError) as refusal:
            await store.write(points)
        assert refusal.value.bad == [(points[1], f"{status} some words")]


@pytest.mark.parametrize("status", [400, 413])
async def test_words_that_are_not_about_lines_are_not_believed_where_no_line_was_kept(status: int) -> None:
    """A proxy in front of the store: the few readings of a quiet minute must not go into quarantine for it."""
    async with store_that_answers(status, b"<html>Bad Request</html>") as store:
        with pytest.raises(TransientError, match=f"refuses every line: {status} <html>Bad Request"):
            await store.write(stages(1.0, 2.0, 3.0))


async def test_a_single_line_that_the_server_finds_bad_is_refused_at_once() -> None:
    async with store_that_answers(400, b'{"error":"partial write: field type conflict: x dropped=1"}') as store:
        with pytest.raises(PermanentError) as refusal:
            await store.write(stages(1.0))
        assert len(refusal.value.bad) == 1


async def test_a_long_question_that_no_page_waits_for_is_answered_and_holds_up_no_page(
    influxdb: InfluxDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = f"long_{uuid4().hex}"
    with FaultProxy(influxdb.url, slow_s=0.3).running() as proxy:
        store = InfluxStore(proxy.url, database)
        await store.write(stages(1.0))
        proxy.fault = Fault.SLOW
        with monkeypatch.context() as soon:
            soon.setattr("hub.influx.store._READ_TIMEOUT_S", 0.05)
            (found,) = await store.query('SELECT "value" FROM "readings"', patient=True)
            assert found["values"] == [[NOON_MS, 1.0]]
            soon.setattr("hub.influx.store._TIMEOUT_S", 0.05)
            proxy.fault = Fault.HANGING
            with pytest.raises(TransientError):
                await store.query('SELECT "value" FROM "readings"', patient=True)
        proxy.fault = Fault.NONE
        assert await stage_series(store) == [1.0]
        await store.close()


async def test_commands_wait_for_an_answer_as_long_as_for_a_write(
    influxdb: InfluxDb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with FaultProxy(influxdb.url, slow_s=0.3).running() as proxy:
        table = StoreTable("influxdb1", proxy.url, f"slow_{uuid4().hex}")
        config = msgspec.structs.replace(village.config(tmp_path), store=table)
        store = open_existing(config)
        await store.write(stages(1.0))
        proxy.fault = Fault.SLOW
        monkeypatch.setattr("hub.influx.store._READ_TIMEOUT_S", 0.05)
        assert [row[1] for row in await store.readings(STAGE, NOON_MS, NOON_MS + 1, 10)] == [1.0]
        of_hub = open_store(config, Mending(WoundClock(NOON_MS), asyncio.Event()))
        proxy.fault = Fault.HANGING
        with pytest.raises(TransientError):
            await of_hub.latest("lin-an-01")
        await of_hub.close()
        await store.close()
