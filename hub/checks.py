"""Is a message from a station what the wire contract says? Pure: bytes in, good records and named refusals out."""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import get_args

import msgspec

from hub.contents import INT64, check_content, check_times
from hub.refusal import Refusal, RefusedError
from hub.store import LONGEST_NAME
from hub.strangers import Word
from tocsin.messages import (
    LARGEST,
    VERSION,
    Heartbeat,
    Record,
    Start,
    StationCard,
    Upload,
    digest,
    plain_of,
    record_of,
    upload_of,
)
from tocsin.topics import HEARTBEAT, READINGS, parse_up

BOOT = re.compile(r"[0-9a-f]{16}")
_LONGEST_BOOT = 64
_DAY_S = 86_400
Revoked = Container[tuple[str, str]]    # stations and the marks of keys that they had


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
    """What one message brought. `answer` are the ids, in order, to be answered as committed once all is on disk.

    `history`: it came on the lane of readings, which may wait. `stranger`: nobody has enrolled its station.
    """

    station: str = ""
    topic: str = ""
    good: list[Good] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    answer: list[RecordId] = field(default_factory=list)
    heartbeat: Heartbeat | None = None
    size: int = 0
    history: bool = False
    stranger: Word | None = None


def inspect(topic: str, payload: bytes, known: Container[str], revoked: Revoked = frozenset()) -> Delivery:
    """Everything that can be said about a message without asking the disk. Never raises."""
    try:
        station, kind = _station_of(topic, payload)
        if station not in known:
            return Delivery(station, topic, stranger=_stranger(payload, station, kind), size=len(payload))
        if kind == HEARTBEAT:
            return Delivery(station, topic, heartbeat=_heartbeat(payload, station, revoked), size=len(payload))
        return _records(topic, payload, station, kind, revoked)
    except RefusedError as err:
        refused = Refused(topic, err.reason, err.detail, payload, whole=True)
        return Delivery(topic=topic, refused=[refused], size=len(payload))


def _station_of(topic: str, payload: bytes) -> tuple[str, str]:
    try:
        station, kind = parse_up(topic)
    except ValueError as err:
        raise RefusedError(Refusal.TOPIC, str(err)) from err
    if len(payload) > LARGEST:
        raise RefusedError(Refusal.SIZE, f"{len(payload)} bytes; at most {LARGEST}")
    return station, kind


def _stranger(payload: bytes, station: str, kind: str) -> Word:
    """What it says of itself; it must say it as a station does."""
    if kind == HEARTBEAT:
        return Word(station, len(payload), heartbeat=_heartbeat(payload, station, frozenset()))
    upload = _upload(payload)
    _same_station(upload, station, frozenset())
    return Word(station, len(payload), records=len(upload.records), card=_card(upload))


def _card(upload: Upload) -> StationCard | None:
    for piece in reversed(upload.records):
        raw = bytes(piece)
        if b'"start"' in raw:
            try:
                record = _record(raw)
            except RefusedError:
                continue
            if isinstance(record, Start):
                return record.card
    return None


def _upload(payload: bytes) -> Upload:
    try:
        return upload_of(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as err:
        raise RefusedError(Refusal.FORMAT, str(err)) from err
    except ValueError as err:
        raise RefusedError(Refusal.VERSION, str(err)) from err


def _heartbeat(payload: bytes, station: str, revoked: Revoked) -> Heartbeat:
    try:
        heartbeat = msgspec.json.decode(plain_of(payload), type=Heartbeat)
    except (ValueError, RecursionError) as err:
        raise RefusedError(Refusal.FORMAT, str(err)) from err
    if heartbeat.v != VERSION:
        raise RefusedError(Refusal.VERSION, f"version {heartbeat.v}; this side speaks {VERSION}")
    _same_station(heartbeat, station, revoked)
    siren = heartbeat.siren_health
    check_times([heartbeat.t, *([t for t in (siren.proven, siren.tested) if t] if siren else [])])
    if not (0 < heartbeat.every_s <= _DAY_S and 0 <= heartbeat.summary_s <= _DAY_S):
        said = f"every_s {heartbeat.every_s}, summary_s {heartbeat.summary_s}; use up to {_DAY_S}"
        raise RefusedError(Refusal.VALUE, said)
    return heartbeat


def _records(topic: str, payload: bytes, station: str, kind: str, revoked: Revoked) -> Delivery:
    upload = _upload(payload)
    _same_station(upload, station, revoked)
    size = max(len(payload), sum(map(len, upload.records)))    # in memory, however well it was packed
    delivery = Delivery(station, topic, size=size, history=kind == READINGS)
    for piece in upload.records:
        raw = bytes(piece)
        try:
            good = good_of(raw)
            delivery.good.append(good)
            delivery.answer.append(RecordId(good.record.boot, good.record.seq, good.digest))
        except RefusedError as err:
            fingerprint = digest(raw)
            delivery.refused.append(Refused(topic, err.reason, err.detail, raw, whole=False))
            delivery.answer.extend(RecordId(boot, seq, fingerprint) for boot, seq in _id_of(raw))
    return delivery


def _same_station(message: Upload | Heartbeat, station: str, revoked: Revoked) -> None:
    if message.station != station:
        raise RefusedError(Refusal.STATION, f'"{message.station[:LONGEST_NAME]}" on the topic of "{station}"')
    if (station, message.mark) in revoked:
        raise RefusedError(Refusal.KEY, f'"{station}" was replaced; this is the machine that it was before')


def good_of(raw: bytes) -> Good:
    """Raises RefusedError."""
    return Good(_record(raw), raw, digest(raw))


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
    if not 1 <= record.seq < INT64:
        raise RefusedError(Refusal.ID, f"seq {record.seq}; use 1 and up")
    check_content(record)
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
