"""InfluxDB 2.x and 3.x by their published API, VictoriaMetrics in person, and what all of them say of lines."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.config_store import StoreTable
from hub.errors import PermanentError, TransientError
from hub.influx import LineStore, influxdb1, influxdb2, influxdb3, place_of
from hub.influx.answers import Said, understood
from hub.influx.lines import LARGEST_BODY, bodies, line_of, rendered
from hub.store import AnyPoint, EventPoint, Point
from simulators.influx import TOKEN, FakeInflux
from simulators.influx_lines import LINE, Bucket
from tests.hub_messages import NOON_MS
from tests.services import InfluxDb
from tests.test_hub_influx import ANY_POINTS, AWKWARD, TEXTS
from tests.test_hub_stores import BAD, EVENT, LEVEL, STAGE, stages
from tests.victoria_metrics import VictoriaMetrics

WITHIN_S = 30.0


@pytest.fixture(params=[2, 3])
def fake(request: pytest.FixtureRequest) -> Iterator[FakeInflux]:
    with FakeInflux(request.param, {"tocsin": Bucket()}) as server:
        yield server
    assert server.faults == []


def store_of(fake: FakeInflux) -> LineStore:
    return LineStore(
        influxdb2(fake.url, "county", "tocsin", TOKEN) if fake.version == 2 else influxdb3(fake.url, "tocsin", TOKEN)
    )


async def test_points_arrive_by_the_published_api(fake: FakeInflux) -> None:
    store = store_of(fake)
    await store.write([*stages(1.0, 2.0), LEVEL, EVENT])
    await store.write(stages(1.0, 2.0))
    kept = fake.buckets["tocsin"].points
    tags = ("device=gauge", "quantity=stage_m", "station=lin-an-01")
    assert kept[("readings", tags, NOON_MS + 1_000)] == {"value": "2.0", "quality": "0i"}
    assert len(kept) == 4
    await store.close()


async def test_a_refused_line_is_found_among_many(fake: FakeInflux) -> None:
    fake.buckets["tocsin"].types["readings", "quality"] = "float"
    events: list[AnyPoint] = [replace(EVENT, t_ms=NOON_MS + n) for n in range(200)]
    events.insert(77, STAGE)
    store = store_of(fake)
    with pytest.raises(PermanentError) as refusal:
        await store.write(events)
    ((point, words),) = refusal.value.bad
    assert point is STAGE
    assert "already exists as type float" in words
    assert len(fake.buckets["tocsin"].points) == 200
    assert len(fake.requests) <= 2 * 8 + 1
    await store.close()


async def test_a_wrong_token_is_tried_again_and_loses_nothing(fake: FakeInflux) -> None:
    store = LineStore(
        influxdb2(fake.url, "county", "tocsin", "x") if fake.version == 2 else influxdb3(fake.url, "tocsin", "x")
    )
    with pytest.raises(TransientError, match=r"401 .*unauthorized"):
        await store.write(stages(1.0))
    await store.close()


async def test_a_bucket_that_is_missing_is_tried_again() -> None:
    with FakeInflux(2) as fake:
        store = LineStore(influxdb2(fake.url, "county", "tocsin", TOKEN))
        with pytest.raises(TransientError, match="404"):
            await store.write(stages(1.0))
        await store.close()
    assert fake.requests == ["POST /api/v2/write"]  # only 1.x makes a database by being asked


async def test_questions_are_influxql_in_the_form_of_1x(fake: FakeInflux) -> None:
    fake.dbrps.append({"database": "tocsin"})
    fake.answers = lambda _: [
        {"tags": {"device": "gauge", "quantity": "stage_m"}, "values": [[NOON_MS, 2.5, 0]], "columns": []}
    ]
    store = store_of(fake)
    assert await store.latest("lin-an-01") == [STAGE]
    await store.close()
    (asked,) = fake.asked
    assert asked.startswith('SELECT last("value")')
    assert "'lin-an-01'" in asked


async def test_points_beyond_retention_are_counted_and_not_looked_for() -> None:
    with FakeInflux(2, {"tocsin": Bucket(oldest_ms=NOON_MS + 2_000)}) as fake:
        store = store_of(fake)
        with pytest.raises(PermanentError) as refusal:
            await store.write(stages(1.0, 2.0, 3.0, 4.0))
        assert (refusal.value.bad, refusal.value.expired) == ([], 2)
        assert len(fake.buckets["tocsin"].points) == 2
        assert len(fake.requests) == 1
        await store.close()


async def test_a_refused_line_and_points_beyond_retention_in_one_batch() -> None:
    with FakeInflux(2, {"tocsin": Bucket(oldest_ms=NOON_MS, types={("events", "detail"): "float"})}) as fake:
        store = store_of(fake)
        old = [replace(STAGE, t_ms=NOON_MS - n) for n in range(1, 6)]
        with pytest.raises(PermanentError) as refusal:
            await store.write([*old, EVENT, STAGE])
        assert [point for point, _ in refusal.value.bad] == [EVENT]
        assert refusal.value.expired == 5
        await store.close()


async def test_influxdb_1_counts_points_beyond_retention(influxdb: InfluxDb) -> None:
    name = f"retention_{uuid4().hex}"
    influxdb.query("", f'CREATE DATABASE "{name}" WITH DURATION 1d')
    now_ms = _server_now_ms(influxdb)
    store = LineStore(influxdb1(influxdb.url, name))
    fresh = [replace(STAGE, t_ms=now_ms - n) for n in range(3)]
    with pytest.raises(PermanentError) as refusal:
        await store.write([*stages(1.0, 2.0), *fresh])
    assert (refusal.value.bad, refusal.value.expired) == ([], 2)
    assert len(influxdb.query(name, "SELECT value FROM readings")) == 3
    await store.close()


def _server_now_ms(server: InfluxDb) -> int:
    """The server's own clock: retention counts from it."""
    written = f"now_{uuid4().hex}"
    server.create(written)
    httpx.post(f"{server.url}/write", params={"db": written}, content=b"now x=1", trust_env=False).raise_for_status()
    (row,) = server.query(written, "SELECT x FROM now")
    return int(row["time"])


@pytest.mark.parametrize(
    ("status", "words", "said", "expired"),
    [
        (204, "", Said.KEPT, 0),
        (400, '{"error":"partial write: points beyond retention policy dropped=24"}', Said.EXPIRED, 24),
        (422, '{"code":"unprocessable entity","message":"failure writing points to database: partial write: points'
              ' beyond retention policy dropped=1"}', Said.EXPIRED, 1),
        (422, '{"message":"failure writing points to database: partial write: dropped 4 points outside retention policy'
              " of duration 24h0m0s - oldest point x at 1970-01-01T00:00:01Z dropped because it violates a Retention"
              ' Policy Lower Bound at 2025-05-20T19:06:17Z"}', Said.EXPIRED, 4),
        (500, '{"message":"unexpected error writing points to database: partial write: points beyond retention policy'
              ' dropped=1"}', Said.EXPIRED, 1),
        (500, '{"message":"partial write: field type conflict: x dropped=1"}', Said.REFUSED, 0),
        (400, '{"error":"partial write: field type conflict: x dropped=1"}', Said.REFUSED, 0),
        (400, '{"error":"partial write of line protocol occurred","data":[]}', Said.REFUSED, 0),
        (413, "too large", Said.REFUSED, 0),
        (500, '{"error":"timeout"}', Said.AWAY, 0),
        (429, "", Said.AWAY, 0),
        (503, "", Said.AWAY, 0),
    ],
)  # fmt: skip
def test_what_each_version_says_of_lines(status: int, words: str, said: Said, expired: int) -> None:
    answer = understood(httpx.Response(status, text=words))
    assert (answer.said, answer.expired) == (said, expired)


@given(point=ANY_POINTS)
def test_every_line_parses_by_the_published_syntax(point: AnyPoint) -> None:
    lines, bad = rendered([point])
    assert bad == []
    ((_, line),) = lines
    assert line == line_of(point)
    match = LINE.fullmatch(line)
    assert match is not None
    assert int(match[4]) == point.t_ms
    names = [part.split("=", 1)[0] for part in match[2].replace("\\=", "").replace("\\,", "").split(",")[1:]]
    assert names == sorted(names)


@pytest.mark.parametrize("name", BAD)
def test_no_line_is_made_of_a_bad_point(name: str) -> None:
    lines, bad = rendered([STAGE, BAD[name], STAGE])
    assert [line for _, line in lines] == [line_of(STAGE)] * 2
    assert [point for point, _ in bad] == [BAD[name]]


@given(sizes=st.lists(st.integers(1, 60_000), max_size=200))
def test_requests_are_bounded(sizes: list[int]) -> None:
    lines = [(STAGE, "x" * size) for size in sizes]
    cut = list(bodies(lines))
    assert [line for body in cut for line in body] == lines
    assert all(sum(len(line) + 1 for _, line in body) <= LARGEST_BODY for body in cut)


def victoria(server: VictoriaMetrics) -> LineStore:
    return LineStore(influxdb2(server.url, "county", "tocsin", TOKEN))


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """One whose counts are of this test alone: what others wrote can be counted late."""
    server = VictoriaMetrics(tmp_path_factory.mktemp("counting"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


async def test_victoria_metrics_takes_every_line(victoria_metrics: VictoriaMetrics) -> None:
    station = f"s-{uuid4().hex}"
    awkward = Point(station, "a, b=c", '水位 "计"', NOON_MS, 1.25, 3)
    points: list[AnyPoint] = [awkward, *(replace(awkward, t_ms=NOON_MS + n, value=n / 8) for n in range(1, 500))]
    points.append(EventPoint(station, NOON_MS, "refused", "gauge", 'two\nlines, "quoted" \\ and x=1 2'))
    store = victoria(victoria_metrics)
    await store.write(points)
    await store.write(points)
    await store.close()
    (found,) = victoria_metrics.export(f'readings_value{{station="{station}"}}')
    assert (found["metric"]["device"], found["metric"]["quantity"]) == ("a, b=c", '水位 "计"')
    assert sorted(zip(found["timestamps"], found["values"], strict=True)) == [
        (NOON_MS, 1.25), *((NOON_MS + n, n / 8) for n in range(1, 500))
    ]
    (event,) = victoria_metrics.export(f'events_detail{{station="{station}"}}')
    assert event["values"] == [0]  # text is kept as nothing: charts of events want an InfluxDB


@settings(max_examples=2)
@given(names=st.lists(st.tuples(AWKWARD, AWKWARD, TEXTS), min_size=50, max_size=200))
def test_victoria_metrics_drops_no_line_silently(
    counting: VictoriaMetrics, names: list[tuple[str, str, str]]
) -> None:
    points: list[AnyPoint] = []
    for device, what, words in names:
        points += [EventPoint("s", NOON_MS, what, device, words), replace(STAGE, device=device)]
    wanted = (3 * len(names), 0)  # a reading has two fields
    assert taken_by(counting, wanted, *(line for _, line in rendered(points)[0])) == wanted


def test_victoria_metrics_says_204_to_what_it_drops(counting: VictoriaMetrics) -> None:
    good, bad = f"readings,station=s value=1.0 {NOON_MS}", f"readings,station=s {NOON_MS}"
    assert taken_by(counting, (1, 1), good, bad) == (1, 1)


def taken_by(server: VictoriaMetrics, wanted: tuple[int, int], *lines: str) -> tuple[int, int]:
    """How many fields were kept of these lines, and how many lines were dropped, by the server's own counts.

    It counts once a second, and not both at one time: `wanted` together are waited for.
    """
    parameters = {"org": "county", "bucket": "tocsin", "precision": "ms"}
    before = counted(server)
    answer = httpx.post(f"{server.url}/api/v2/write", params=parameters, content="\n".join(lines).encode(),
                        timeout=WITHIN_S, trust_env=False)
    assert answer.status_code == httpx.codes.NO_CONTENT
    deadline_s = time.monotonic() + WITHIN_S
    while sum(counted(server)) - sum(before) < sum(wanted) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    kept, dropped = counted(server)
    return kept - before[0], dropped - before[1]


def counted(server: VictoriaMetrics) -> tuple[int, int]:
    metrics = httpx.get(f"{server.url}/metrics", timeout=WITHIN_S, trust_env=False).text
    kept, dropped = (re.search(rf'vm_rows_{what}_total{{type="influx"}} (\d+)', metrics)
                     for what in ("inserted", "invalid"))
    assert kept
    assert dropped
    return int(kept[1]), int(dropped[1])


async def test_a_server_that_refuses_everything_is_not_believed() -> None:
    """A proxy's 400 is not about lines: nothing goes into quarantine."""
    with FakeInflux(3) as fake:
        store = LineStore(replace(influxdb3(fake.url, "tocsin", TOKEN), write=("/api/v3/write_lp", {"database": "x"})))
        with pytest.raises(TransientError, match="refuses every line"):
            await store.write(stages(*range(300)))
        assert len(fake.requests) < 150
        await store.close()
    assert fake.faults


def test_hub_toml_names_the_place() -> None:
    two = place_of(StoreTable("influxdb2", "http://x:8086", token="t", org="county", bucket="water"))
    assert two == influxdb2("http://x:8086", "county", "water", "t", "tocsin")
    three = place_of(StoreTable("influxdb3", "http://x:8181", token="t"))
    assert three == influxdb3("http://x:8181", "tocsin", "t")
    one = place_of(StoreTable("influxdb1", user="hub", password="secret"))
    assert one.headers == {"Authorization": "Basic aHViOnNlY3JldA=="}
    assert place_of(StoreTable("influxdb1", token="hub:secret")).headers == {"Authorization": "Token hub:secret"}
    with pytest.raises(ValueError, match="not an InfluxDB"):
        place_of(StoreTable())
