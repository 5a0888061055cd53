"""Is a message from a station what the wire contract says? Pure: bytes in, good records and named refusals out."""

import functools
import math
import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import get_args

import msgspec

from hub.store import EARLIEST_MS, LATEST_MS, LONGEST_NAME
from tocsin.levels import Level
from tocsin.messages import (
    LARGEST,
    VERSION,
    Detection,
    Heartbeat,
    Readings,
    Record,
    Siren,
    Start,
    StationCard,
    Summary,
    Upload,
    digest,
    plain_of,
    record_of,
    upload_of,
)
from tocsin.orders import LARGEST_VERSION, Papers
from tocsin.times import iso
from tocsin.topics import AREA_CODE, HEARTBEAT, parse_up

BOOT = re.compile(r"[0-9a-f]{16}")
_INT64 = 1 << 63
_LONGEST_BOOT = 64
_DAY_S = 86_400
Revoked = Container[tuple[str, str]]    # stations and the marks of keys that they had
LONGEST_HOLD_S = _DAY_S  # the rules loader allows no more


class Refusal(StrEnum):
    """Why something was put into quarantine."""

    TOPIC = "not an uplink topic"
    SIZE = "too large"
    FORMAT = "malformed"
    VERSION = "another version"
    STATION = "another station's name inside"
    UNKNOWN = "unknown station"
    KEY = "a key that counts no more"
    KIND = "unknown kind"
    ID = "bad record id"
    TIME = "impossible time"
    VALUE = "impossible value"
    STORE = "refused by the store"


class RefusedError(Exception):
    """Carries the named reason, and the detail in words."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class RecordId:
    """A record and its content, as a range of `committed` counts it."""

    boot: str
    seq: int
    digest: str


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused record of a good envelope (`whole` false), or one refused message."""

    topic: str
    reason: Refusal
    detail: str
    payload: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class Good:
    """One record that can be landed, with its exact bytes."""

    record: Record
    raw: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one message brought. `answer` are the ids, in order, to be answered as committed once all is on disk."""

    station: str = ""
    good: list[Good] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    answer: list[RecordId] = field(default_factory=list)
    heartbeat: Heartbeat | None = None
    size: int = 0


def inspect(topic: str, payload: bytes, known: Container[str], revoked: Revoked = frozenset()) -> Delivery:
    """Everything that can be said about a message without asking the disk. Never raises."""
    try:
        station, kind = _station_of(topic, payload, known)
        if kind == HEARTBEAT:
            return Delivery(station, heartbeat=_heartbeat(payload, station, revoked), size=len(payload))
        return _records(topic, payload, station, revoked)
    except RefusedError as err:
        refused = Refused(topic, err.reason, err.detail, payload, whole=True)
        return Delivery(refused=[refused], size=len(payload))


def _station_of(topic: str, payload: bytes, known: Container[str]) -> tuple[str, str]:
    try:
        station, kind = parse_up(topic)
    except ValueError as err:
        raise RefusedError(Refusal.TOPIC, str(err)) from err
    if len(payload) > LARGEST:
        raise RefusedError(Refusal.SIZE, f"{len(payload)} bytes; at most {LARGEST}")
    if station not in known:
        raise RefusedError(Refusal.UNKNOWN, f'"{station}" is not enrolled at this hub')
    return station, kind


def _heartbeat(payload: bytes, station: str, revoked: Revoked) -> Heartbeat:
    try:
        heartbeat = msgspec.json.decode(plain_of(payload), type=Heartbeat)
    except (ValueError, RecursionError) as err:
        raise RefusedError(Refusal.FORMAT, str(err)) from err
    if heartbeat.v != VERSION:
        raise RefusedError(Refusal.VERSION, f"version {heartbeat.v}; this side speaks {VERSION}")
    _same_station(heartbeat, station, revoked)
    siren = heartbeat.siren_health
    _check_times([heartbeat.t, *([t for t in (siren.proven, siren.tested) if t] if siren else [])])
    if not (0 < heartbeat.every_s <= _DAY_S and 0 <= heartbeat.summary_s <= _DAY_S):
        said = f"every_s {heartbeat.every_s}, summary_s {heartbeat.summary_s}; use up to {_DAY_S}"
        raise RefusedError(Refusal.VALUE, said)
    return heartbeat


def _records(topic: str, payload: bytes, station: str, revoked: Revoked) -> Delivery:
    try:
        upload = upload_of(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise RefusedError(Refusal.FORMAT, str(err)) from err
    except ValueError as err:
        raise RefusedError(Refusal.VERSION, str(err)) from err
    _same_station(upload, station, revoked)
    delivery = Delivery(station, size=len(payload))
    for piece in upload.records:
        raw = bytes(piece)
        fingerprint = digest(raw)
        try:
            record = _record(raw)
            delivery.good.append(Good(record, raw, fingerprint))
            delivery.answer.append(RecordId(record.boot, record.seq, fingerprint))
        except RefusedError as err:
            delivery.refused.append(Refused(topic, err.reason, err.detail, raw, whole=False))
            delivery.answer.extend(RecordId(boot, seq, fingerprint) for boot, seq in _id_of(raw))
    return delivery


def _same_station(message: Upload | Heartbeat, station: str, revoked: Revoked) -> None:
    if message.station != station:
        raise RefusedError(Refusal.STATION, f'"{message.station[:LONGEST_NAME]}" on the topic of "{station}"')
    if (station, message.mark) in revoked:
        raise RefusedError(Refusal.KEY, f'"{station}" was replaced; this is the machine that it was before')


class _Id(msgspec.Struct):
    boot: str
    seq: int


def _id_of(raw: bytes) -> Iterator[tuple[str, int]]:
    """The id of a record that cannot be read as a whole, if it has one: without it no answer can name the record."""
    try:
        found = msgspec.json.decode(raw, type=_Id)
    except (ValueError, RecursionError):
        return
    if len(found.boot) <= _LONGEST_BOOT:
        yield found.boot, found.seq


class _Kind(msgspec.Struct):
    kind: str = ""


def _record(raw: bytes) -> Record:
    try:
        record = record_of(raw)
    except (ValueError, RecursionError) as err:
        raise RefusedError(_format_reason(raw), str(err)) from err
    if not BOOT.fullmatch(record.boot):
        raise RefusedError(Refusal.ID, f'boot "{record.boot[:_LONGEST_BOOT]}"; use 16 hex digits')
    if not 1 <= record.seq < _INT64:
        raise RefusedError(Refusal.ID, f"seq {record.seq}; use 1 and up")
    _check_content(record)
    return record


def _format_reason(raw: bytes) -> Refusal:
    """A newer agent's kind of record is not a malformed one."""
    try:
        kind = msgspec.json.decode(raw, type=_Kind).kind
    except (ValueError, RecursionError):
        return Refusal.FORMAT
    return Refusal.FORMAT if not kind or kind in _KINDS else Refusal.KIND


def kind_of(record: Record) -> str:
    """The word that the wire has for it."""
    return str(record.__struct_config__.tag)


_KINDS = frozenset(str(struct.__struct_config__.tag) for struct in get_args(Record))


def _check_content(record: Record) -> None:
    match record:
        case Readings():
            _check_times(record.t)
            _check_finite("value", record.value)
            _check_whole("quality", record.quality)
            _check_all_series(record.series)
        case Summary():
            _check_summary(record)
        case Detection():
            _check_times([record.t, record.since])
            _check_finite("value, threshold and target", [record.value, record.threshold, record.target or 0.0])
            _check_hold(record.hold_s)
            _check_levels(record.level, record.previous)
            _check_whole("revision and over_s", [record.revision, record.over_s])
            _check_all_series([record.series])
        case Siren():
            _check_times([record.t])
            _check_finite("took_ms", [record.took_ms])
            _check_levels(record.level)
        case Start():
            _check_times([record.t])
            _check_card(record.card)
        case Papers():
            _check_times([record.t])
            _check_whole("rules_version", [record.rules_version], LARGEST_VERSION)
        case _:
            _check_times([record.t])


def _check_summary(record: Summary) -> None:
    _check_times([record.since, *record.t])
    _check_finite("min, max, mean and last", [*record.min, *record.max, *record.mean, *record.last])
    _check_whole("count and quality", [*record.count, *record.quality])
    _check_all_series(record.series)


def _check_times(times: list[int]) -> None:
    # this and its neighbours look at whole columns: a loop is only for the words of a refusal
    if times and not (min(times) >= EARLIEST_MS and max(times) < LATEST_MS):
        bad = next(t for t in times if not EARLIEST_MS <= t < LATEST_MS)
        raise RefusedError(Refusal.TIME, f"{bad} ms is not between {iso(EARLIEST_MS)} and {iso(LATEST_MS)}")


def _check_finite(what: str, values: Sequence[float]) -> None:
    if not all(map(math.isfinite, values)):
        bad = next(value for value in values if not math.isfinite(value))
        raise RefusedError(Refusal.VALUE, f"{what}: {bad} is not a finite number")


def _check_whole(what: str, values: Sequence[int], end: int = _INT64) -> None:
    if values and not (min(values) >= 0 and max(values) < end):
        bad = next(value for value in values if not 0 <= value < end)
        raise RefusedError(Refusal.VALUE, f"{what}: {bad}; use 0 and up")


def _check_hold(hold_s: float) -> None:
    if not 0 <= hold_s <= LONGEST_HOLD_S:
        raise RefusedError(Refusal.VALUE, f"hold_s {hold_s}; use 0 to {LONGEST_HOLD_S}")


def _check_levels(*levels: int) -> None:
    if bad := [level for level in levels if not Level.CLEAR <= level <= Level.RED]:
        raise RefusedError(Refusal.VALUE, f"level {bad[0]}; use {Level.CLEAR.value} to {Level.RED.value}")


def _check_all_series(names: list[str]) -> None:
    for series in set(names):
        if not _is_series(series):
            raise RefusedError(Refusal.VALUE, f"series {series[:LONGEST_NAME]!r}; use device/quantity")


@functools.lru_cache(maxsize=1 << 16)  # of a county's series each comes again with every message
def _is_series(series: str) -> bool:
    device, _, quantity = series.rpartition("/")
    return bool(device and quantity) and len(series) <= LONGEST_NAME and min(series) >= " "


def _check_card(card: StationCard) -> None:
    if not AREA_CODE.fullmatch(card.area):
        raise RefusedError(Refusal.VALUE, f'area "{card.area[:LONGEST_NAME]}"; use 12 digits')
    if not (abs(card.latitude) <= 90 and abs(card.longitude) <= 180):
        raise RefusedError(Refusal.VALUE, f"position {card.latitude}, {card.longitude}; use degrees north and east")
