"""What a station may say, and how each refusal is named."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.checks import inspect
from hub.refusal import Refusal
from tests.hub_messages import BOOT, NOON_MS, detection, event, heartbeat, readings, start, upload
from tests.shared_data import REPOSITORY
from tocsin import topics
from tocsin.messages import LARGEST, Record, Siren, encode
from tocsin.packing import pack
from tocsin.signing import mark_of

STATION = "lin-an-01"
TOPIC = topics.up(STATION, topics.READINGS)
KNOWN = {STATION}
GOOD = upload(STATION, readings(1))


def changed(record: Record, **fields: Any) -> bytes:
    """The record's JSON with some fields replaced; None takes a field out."""
    content = msgspec.json.decode(encode(record)) | fields
    return encode({name: value for name, value in content.items() if value is not None})


WHOLE: dict[str, tuple[str, bytes, Refusal]] = {
    "a topic of somebody else": ("weather/rain", GOOD, Refusal.TOPIC),
    "a downward topic": (topics.committed(STATION), GOOD, Refusal.TOPIC),
    "a topic with a strange station": ("tocsin/1/UP/readings", GOOD, Refusal.TOPIC),
    "rubbish of an unknown station": (topics.up("nobody", topics.READINGS), b"rubbish", Refusal.FORMAT),
    "another station inside": (TOPIC, upload("lin-an-02", readings(1)), Refusal.STATION),
    "nothing": (TOPIC, b"", Refusal.FORMAT),
    "not JSON": (TOPIC, b"\x00\x01{", Refusal.FORMAT),
    "half a message": (TOPIC, GOOD[:-2], Refusal.FORMAT),
    "not UTF-8": (TOPIC, GOOD.replace(b"lin-an-01", b"lin\xff"), Refusal.FORMAT),
    "a list": (TOPIC, b"[1]", Refusal.FORMAT),
    "no records": (TOPIC, b'{"v":1,"station":"lin-an-01"}', Refusal.FORMAT),
    "deep nesting": (TOPIC, b'{"v":1,"station":"lin-an-01","records":[' + b"[" * 90_000 + b"]" * 90_001 + b"}",
                     Refusal.FORMAT),
    "version 2": (TOPIC, GOOD.replace(b'"v":1', b'"v":2'), Refusal.VERSION),
    "too large": (TOPIC, GOOD + b" " * LARGEST, Refusal.SIZE),
    "a heartbeat that is none": (topics.up(STATION, topics.HEARTBEAT), b'{"v":1}', Refusal.FORMAT),
    "a heartbeat of version 2": (
        topics.up(STATION, topics.HEARTBEAT), heartbeat(STATION).replace(b'"v":1', b'"v":2'), Refusal.VERSION),
    "a heartbeat of another": (topics.up(STATION, topics.HEARTBEAT), heartbeat("lin-an-02"), Refusal.STATION),
    "a siren proven in 1970": (
        topics.up(STATION, topics.HEARTBEAT),
        heartbeat(STATION)[:-1] + b',"siren_health":{"proven":5,"how":"line"}}', Refusal.TIME),
    "a siren heard in a far year": (
        topics.up(STATION, topics.HEARTBEAT),
        heartbeat(STATION)[:-1] + b',"siren_health":{"tested":9000000000000000000}}', Refusal.TIME),
    "a heartbeat of 1970": (topics.up(STATION, topics.HEARTBEAT), heartbeat(STATION, at=5), Refusal.TIME),
}


def test_a_key_that_was_replaced_is_refused_and_one_that_nobody_knows_is_heard() -> None:
    mark = mark_of("ab" * 32)
    beat, batch = heartbeat(STATION)[:-1], upload(STATION, readings(1))[:-1]
    for topic, message in ((topics.up(STATION, topics.HEARTBEAT), beat), (TOPIC, batch)):
        marked = message + f',"mark":"{mark}"}}'.encode()
        for revoked, reasons in ((set(), []), ({(STATION, "00000000"), ("lin-an-02", mark)}, []),
                                 ({(STATION, mark)}, [Refusal.KEY])):
            delivery = inspect(topic, marked, KNOWN, revoked)
            assert [one.reason for one in delivery.refused] == reasons, "a mix-up of keys must not cost a warning"
        assert inspect(topic, message + b"}", KNOWN, {(STATION, mark)}).refused == [], "an agent of before"


@pytest.mark.parametrize("name", WHOLE)
def test_a_bad_message_is_refused_as_a_whole_and_nobody_is_answered(name: str) -> None:
    topic, payload, reason = WHOLE[name]
    delivery = inspect(topic, payload, KNOWN)
    (refused,) = delivery.refused
    assert (refused.reason, refused.topic, refused.payload, refused.whole) == (reason, topic, payload, True)
    assert refused.detail
    assert not delivery.good
    assert not delivery.answer
    assert delivery.heartbeat is None


SIREN = Siren(BOOT, 2, NOON_MS, "siren", 3, "orange", 12.5)
RECORDS: dict[str, tuple[bytes, Refusal]] = {
    "a number": (b"3", Refusal.FORMAT),
    "a word for a time": (changed(event(2), t="noon"), Refusal.FORMAT),
    "no time": (changed(event(2), t=None), Refusal.FORMAT),
    "columns of different length": (changed(readings(2), value=[1.0, 2.0]), Refusal.FORMAT),
    "a value that JSON cannot say": (encode(readings(2, [float("nan")])), Refusal.FORMAT),
    "a value beyond floats": (changed(readings(2)).replace(b"1.5", b"1e999"), Refusal.FORMAT),
    "not UTF-8": (encode(event(2)).replace(b"no answer", b"\xff\xfe"), Refusal.FORMAT),
    "a kind of the future": (changed(event(2), kind="picture"), Refusal.KIND),
    "a short boot": (changed(event(2), boot="a1"), Refusal.ID),
    "a boot that is not hex": (changed(event(2), boot="x" * 16), Refusal.ID),
    "seq zero": (changed(event(2), seq=0), Refusal.ID),
    "seq beyond 64 bits": (changed(event(2), seq=1 << 63), Refusal.ID),
    "a time before 2000": (changed(event(2), t=946_684_799_999), Refusal.TIME),
    "a time after 2099": (changed(event(2), t=4_102_444_800_000), Refusal.TIME),
    "one reading before 2000": (encode(readings(2, [1.0, 2.0], at=0, step_ms=NOON_MS)), Refusal.TIME),
    "raised before 2000": (changed(detection(2), since=0), Refusal.TIME),
    "a start before 2000": (changed(start(2), t=0), Refusal.TIME),
    "a siren before 2000": (changed(SIREN, t=0), Refusal.TIME),
    "quality below zero": (changed(readings(2), quality=[-1]), Refusal.VALUE),
    "quality beyond 64 bits": (changed(readings(2), quality=[1 << 63]), Refusal.VALUE),
    "a series without a device": (changed(readings(2), series=["stage_m"]), Refusal.VALUE),
    "a series with a line feed": (changed(readings(2), series=["a\nb/stage_m"]), Refusal.VALUE),
    "an endless series": (changed(readings(2), series=["a" * 300 + "/stage_m"]), Refusal.VALUE),
    "level 5": (changed(detection(2), level=5), Refusal.VALUE),
    "a level below zero": (changed(detection(2), previous=-1), Refusal.VALUE),
    "a siren at level 9": (changed(SIREN, level=9), Refusal.VALUE),
    "a revision below zero": (changed(detection(2), revision=-1), Refusal.VALUE),
    "a detection on nothing": (changed(detection(2), series=""), Refusal.VALUE),
    "a short area": (encode(start(2)).replace(b"330112001003", b"3301"), Refusal.VALUE),
    "an area in wide digits": (encode(start(2)).replace(b"330112001003", "３３０112001003".encode()), Refusal.VALUE),
    "a place beyond the pole": (encode(start(2)).replace(b"30.25", b"91.0"), Refusal.VALUE),
}
NAMELESS = {"a number"}


@pytest.mark.parametrize("name", RECORDS)
def test_a_bad_record_is_refused_alone_and_still_answered(name: str) -> None:
    raw, reason = RECORDS[name]
    first, last = readings(1), readings(3)
    delivery = inspect(TOPIC, upload(STATION, first, raw, last), KNOWN)
    assert [good.record for good in delivery.good] == [first, last]
    (refused,) = delivery.refused
    assert (refused.reason, refused.payload, refused.whole) == (reason, raw, False)
    assert refused.detail
    assert len(delivery.answer) == (2 if name in NAMELESS else 3)


def test_good_records_of_every_kind_pass() -> None:
    records: list[Record] = [start(1), SIREN, readings(3, [0.0, -1.25]), event(4), detection(5)]
    delivery = inspect(TOPIC, upload(STATION, *records), KNOWN)
    assert [good.record for good in delivery.good] == records
    assert [one.seq for one in delivery.answer] == [1, 2, 3, 4, 5]
    assert delivery.refused == []


@given(payload=st.binary(max_size=200), kind=st.sampled_from(topics.UPLINKS))
def test_noise_is_refused(payload: bytes, kind: str) -> None:
    assert len(inspect(topics.up(STATION, kind), payload, KNOWN).refused) == 1


@given(at=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), cut=st.integers(0, 3))
def test_a_damaged_message_never_raises(at: int, byte: int, cut: int) -> None:
    damaged = GOOD[:at] + bytes([byte]) + GOOD[at + cut :]
    delivery = inspect(TOPIC, damaged, KNOWN)
    assert len(delivery.good) + len(delivery.refused) >= 1 or b'"records":[]' in damaged


@pytest.mark.docs
def test_every_reason_stands_in_the_docs() -> None:
    words = (REPOSITORY / "docs" / "store.md").read_text(encoding="utf-8")
    assert [reason for reason in Refusal if f"| `{reason}` |" not in words] == []


def test_a_packed_message_weighs_what_it_holds() -> None:
    """What waits for the disk lies unpacked in memory, and that is bounded."""
    plain = upload(STATION, readings(1, [2.5] * 10_000), b'{"bad":"%s"}' % (b"x" * 50_000))
    packed = pack(plain)
    assert len(packed) < len(plain) / 10
    assert inspect(TOPIC, packed, KNOWN).size > len(plain) - 200
    assert inspect(TOPIC, plain, KNOWN).size == len(plain)
