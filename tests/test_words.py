"""Clock, seals, records, topics, spans and time-keeping: small things that everything stands on."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.spans import Spans
from edge.timekeeper import Timekeeper
from tocsin import records, signing, topics
from tocsin.broker import Broker
from tocsin.clock import ScaledClock, WoundClock, clock_of
from tocsin.times import iso, ms_of


@given(st.integers(0, 4_000_000_000_000))
def test_times_are_written_and_read_back(ms: int) -> None:
    assert ms_of(iso(ms)) == ms


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match=r'time "2024-08-08T07:20:00" has no zone'):
        ms_of("2024-08-08T07:20:00")


def test_a_clock_is_named_or_refused() -> None:
    assert isinstance(clock_of("scaled:1000:60"), ScaledClock)
    for spec in ("fast", "scaled:0:0", "scaled:0:-1", "scaled:0:nan"):
        with pytest.raises(ValueError, match=f'clock "{spec}": use "system" or'):
            clock_of(spec)


async def test_a_wound_clock_wakes_sleepers_in_order() -> None:
    clock = WoundClock(0)
    with pytest.raises(ValueError, match="wound forward"):
        clock.wind_to(-1)
    clock.wind_to(5000)
    assert (clock.now_ms(), clock.monotonic_s()) == (5000, 5.0)
    await clock.sleep_until(5.0)


def test_a_seal_fits_one_topic_and_one_key() -> None:
    key, body = signing.new_station_key(), b'{"v":1,"a":[1, 2]}'
    sealed = signing.seal(body, "tocsin/1/a/committed", key)
    assert signing.unseal(sealed, "tocsin/1/a/committed", key) == body
    for topic, other in (("tocsin/1/b/committed", key), ("tocsin/1/a/committed", signing.new_station_key())):
        with pytest.raises(signing.SealError, match="does not fit"):
            signing.unseal(sealed, topic, other)


@pytest.mark.parametrize("body", ["{}", "[" * 100_000])
@given(sig=st.text(max_size=12))
@example(sig="\u00e9")
def test_what_is_no_seal_is_refused_and_raises_nothing_else(sig: str, body: str) -> None:
    data = b'{"v":1,"sig":' + msgspec.json.encode(sig) + b',"body":' + body.encode() + b"}"
    for open_ in (signing.unseal, signing.verify):
        with pytest.raises(signing.SealError):
            open_(data, "tocsin/1/a/committed", "11" * 32)


@given(st.integers(0), st.integers(1, 255))
def test_a_changed_bulletin_is_refused(at: int, flip: int) -> None:
    private, public = "11" * 32, signing.public_key_of("11" * 32)
    signed = bytearray(signing.sign(b'{"v":1,"level":4}', "tocsin/1/area/330112001001/bulletin/flood", private))
    assert signing.verify(bytes(signed), "tocsin/1/area/330112001001/bulletin/flood", public) == b'{"v":1,"level":4}'
    signed[at % len(signed)] ^= flip
    try:
        body = signing.verify(bytes(signed), "tocsin/1/area/330112001001/bulletin/flood", public)
    except signing.SealError:
        return
    assert body == b'{"v":1,"level":4}', "only what is outside body and signature may differ, such as upper-case hex"


@pytest.mark.parametrize("topic", [
    "tocsin/1/a", "tocsin/2/a/readings", "tocsin/1/A b/readings", "tocsin/1/a/committed"])
def test_a_topic_that_is_no_uplink_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="is not tocsin/1/<station>/"):
        topics.parse_up(topic)


@pytest.mark.parametrize(("topic", "is_one"), [
    (topics.bulletin("330112001001", "flood"), True), (topics.bulletin("330112001001", ""), True),
    ("tocsin/1/area/readings", False), ("tocsin/1/bulletin/detections", False), (topics.ALIVE, False)])
def test_a_topic_of_bulletins_is_known(topic: str, is_one: bool) -> None:
    assert topics.is_bulletin(topic) is is_one


@pytest.mark.parametrize("url", ["http://a:1", "mqtt://", "mqtt://a:99999", "mqtt://a:b", "mqtt://a/b"])
def test_a_broker_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"use mqtt://host:port or mqtts://host:port"):
        Broker.of(url)


def test_a_broker_with_user_and_password() -> None:
    assert Broker.of("mqtts://us%40er:p%3Aw@hub.example") == Broker("hub.example", 8883, True, "us@er", "p:w")


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=40), st.integers(0, 20))
def test_spans_are_the_set_of_what_was_added(added: list[tuple[int, int]], floor: int) -> None:
    spans, plain = Spans(floor), set(range(floor + 1))
    for first, length in added:
        spans.add(first, first + length)
        plain |= set(range(first, first + length + 1))
    assert [seq for seq in range(80) if seq in spans] == sorted(plain)
    assert spans.floor == next(seq for seq in range(80) if seq + 1 not in plain)


class Hands:
    """A clock whose UTC can be set, as a technician or NTP does."""

    def __init__(self, utc_ms: int) -> None:
        self.utc_ms = utc_ms
        self.mono_s = 100.0

    def now_ms(self) -> int:
        return self.utc_ms

    def monotonic_s(self) -> float:
        return self.mono_s

    async def sleep_until(self, monotonic_s: float) -> None:
        raise AssertionError

    def synchronized(self) -> None:
        return None

    def pass_s(self, seconds: float, step_ms: int = 0) -> None:
        self.mono_s += seconds
        self.utc_ms += round(seconds * 1000) + step_ms


def test_time_goes_on_when_the_clock_steps_back_and_follows_it_forward() -> None:
    hands = Hands(1_000_000)
    keeper = Timekeeper(hands)
    hands.pass_s(10)
    assert (keeper.now_ms(), keeper.doubtful, keeper.step_ms) == (1_010_000, False, 0)
    hands.pass_s(10, step_ms=-60_000)
    assert (keeper.now_ms(), keeper.doubtful, keeper.step_ms) == (1_020_000, True, -60_000)
    hands.pass_s(10)
    assert (keeper.now_ms(), keeper.doubtful, keeper.step_ms) == (1_030_000, True, 0)
    hands.pass_s(10, step_ms=3_600_000)
    assert (keeper.now_ms(), keeper.doubtful, keeper.step_ms) == (4_580_000, False, 3_600_000)


def test_a_start_with_a_clock_that_was_lost_goes_on_behind_the_log() -> None:
    hands = Hands(1_000)
    keeper = Timekeeper(hands, not_before_ms=5_000_000)
    hands.pass_s(7)
    assert (keeper.now_ms(), keeper.doubtful) == (5_007_001, True)


RECORD = "time,stage_m,quality\n2024-08-08T07:20:00Z,1.81,G\n2024-08-08T07:25:00Z,,S\n"


def test_a_record_has_values_gaps_and_labels(tmp_path: Path) -> None:
    (tmp_path / "creek.csv").write_text(RECORD)
    record = records.read(tmp_path / "creek.csv")
    assert (record.name, record.columns, record.labels) == ("creek", {"stage_m": [1.81, None]}, {"quality": ["G", "S"]})
    assert record.window(record.t_ms[1], record.t_ms[1] + 1).columns == {"stage_m": [None]}


def test_a_mark_in_front_of_utf8_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes("time,stage_m\n2024-08-08T07:20:00Z,1.5\n".encode("utf-8-sig"))
    assert records.read(path).columns == {"stage_m": [1.5]}


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), max_size=20))
def test_a_record_written_is_read_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, values: list[float | None]
) -> None:
    path = tmp_path_factory.mktemp("records") / "a.csv"
    with path.open("w") as file:
        records.write(file, ["stage_m"], ((1000 * i, [value]) for i, value in enumerate(values)))
    assert records.read(path).columns["stage_m"] == values


@pytest.mark.parametrize(("text", "problem"), [
    ("stage_m\n1\n", ':1: the first column is "stage_m"; it must be "time"'),
    ("time,a\n2024-08-08T07:20:00Z\n", ":2: 1 cells; the header has 2"),
    ("time,a,a\n2024-08-08T07:20:00Z,1,2\n", ':1: column "a" is there twice; give each its own name'),
    ("time,a\nyesterday,1\n", ':2: time "yesterday"; write ISO 8601 in UTC'),
])
def test_a_broken_record_names_line_and_value(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(records.RecordError) as refused:
        records.read(tmp_path / "a.csv")
    assert problem in str(refused.value)
