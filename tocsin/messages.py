"""What travels over MQTT and stands in the log: JSON by msgspec, a version in every message.

A *record* is one entry of a station's log. Its id is (station, boot, seq): `boot` is 64 random bits made at each
start, `seq` rises by one over the whole log. A record's JSON bytes never change after they were written: their digest
identifies the content. A message up is an envelope around records. What never leaves the station is in tocsin.inputs.
"""

from typing import Any, TypeVar

import msgspec

from tocsin.bulletins import Bulletin as Bulletin
from tocsin.bulletins import BulletinKind as BulletinKind
from tocsin.digests import digest as digest
from tocsin.digests import digest_of_digests as digest_of_digests
from tocsin.events import EventKind as EventKind
from tocsin.health import DeviceHealth as DeviceHealth
from tocsin.health import Heartbeat as Heartbeat
from tocsin.health import LogHealth as LogHealth
from tocsin.health import SirenHealth as SirenHealth
from tocsin.inputs import Local
from tocsin.levels import Authority, Hazard, Stage
from tocsin.orders import Obeyed, Papers
from tocsin.packing import unpack
from tocsin.summary import Summary as Summary

VERSION = 1
LARGEST = 4 << 20  # bytes of one message, unpacked
T = TypeVar("T")


class SeriesCard(msgspec.Struct, frozen=True):
    """One series as its station describes it. `key` is `device/quantity`."""

    key: str
    quantity: str
    period_s: float
    plausible: tuple[float, float]
    datum: str = ""


class RuleCard(msgspec.Struct, frozen=True):
    """One rule as its station describes it; `levels` maps a level's word to its `on` value, in the feature's unit.

    `feature` is what the rule compares (docs/detection.md), and `target` as in Detection.
    """

    name: str
    series: str
    quantity: str
    hazard: Hazard
    levels: dict[str, float]
    over_s: int = 0
    low: bool = False
    feature: str = "value"
    target: float | None = None


class StationCard(msgspec.Struct, frozen=True):
    """What a station says of itself when it starts."""

    name: str
    name_zh: str
    area: str
    latitude: float
    longitude: float
    series: list[SeriesCard]
    rules: list[RuleCard]
    rules_hash: str


class Start(msgspec.Struct, frozen=True, tag="start", tag_field="kind"):
    """The agent started, or other rules came into force. `checkpoint`: the record its saved state knew; 0: none."""

    boot: str
    seq: int
    t: int
    version: str
    card: StationCard
    checkpoint: int = 0


class Readings(msgspec.Struct, frozen=True, tag="readings", tag_field="kind"):
    """Readings as columns of equal length: time in ms UTC, series key, value in the quantity's unit, quality bits."""

    boot: str
    seq: int
    t: list[int]
    series: list[str]
    value: list[float]
    quality: list[int]

    def __post_init__(self) -> None:
        if not len(self.t) == len(self.series) == len(self.value) == len(self.quality):
            raise ValueError("columns t, series, value and quality differ in length")


class Event(msgspec.Struct, frozen=True, tag="event", tag_field="kind", omit_defaults=True):
    """Something technical happened. `device` or `series` says to what; `zh` is the detail in Chinese, where known."""

    boot: str
    seq: int
    t: int
    what: EventKind
    detail: str
    device: str = ""
    series: str = ""
    reason: str = ""
    zh: str = ""


class Detection(msgspec.Struct, frozen=True, tag="detection", tag_field="kind"):
    """The full state of one rule on one series after a change; a lower revision than a known one is ignored.

    `since` is the event time of the first qualifying reading (ms UTC), `t` the event time of the change.
    `value` is the feature that decided and `threshold` what it was compared with, both in the feature's unit: minutes
    to go for `time_to`, the quantity's unit an hour for `rate` and `slope`, weight for `coincidence`, else the
    quantity's unit. `target` is what `time_to` would reach, or the weight of all members of a coincidence. `hold_s`:
    with authority `after`, how long a person at the hub may object. `shelved`: a person at the station wants silence.
    """

    boot: str
    seq: int
    t: int
    series: str
    rule: str
    hazard: Hazard
    level: int
    previous: int
    revision: int
    episode: str
    since: int
    stage: Stage
    authority: Authority
    value: float
    threshold: float
    over_s: int = 0
    hold_s: float = 0.0
    feature: str = "value"
    target: float | None = None
    shelved: bool = False


class Siren(msgspec.Struct, frozen=True, tag="siren", tag_field="kind"):
    """The siren was commanded: level 0 is silence. `took_ms` is from the deciding read's end to the device's answer.

    `pattern`: the rhythm it plays, a stage's word or `answered`; "" for silence.
    """

    boot: str
    seq: int
    t: int
    device: str
    level: int
    why: str
    took_ms: float
    pattern: str = ""


class Answer(msgspec.Struct, frozen=True, tag="answer", tag_field="kind"):
    """A person at the site answered."""

    boot: str
    seq: int
    t: int
    who: str
    how: str
    warning: str = ""


Record = Start | Readings | Summary | Event | Detection | Siren | Answer | Obeyed | Papers | Local


class Upload(msgspec.Struct, frozen=True, omit_defaults=True):
    """An envelope with records of one station, each in its exact bytes. `mark`: tocsin.signing.mark_of its key."""

    v: int
    station: str
    records: list[msgspec.Raw]
    mark: str = ""


class Range(msgspec.Struct, frozen=True):
    """Records first..last of a boot, all on the hub's disk. `digest` is the digest of their digests, in order."""

    boot: str
    first: int
    last: int
    digest: str


class Committed(msgspec.Struct, frozen=True):
    """The hub's answer: only this moves the log's cursor. Travels sealed (tocsin.signing). `t`: the hub's time, 0 where
    it does not say."""

    v: int
    hub: str
    ranges: list[Range]
    t: int = 0


_ENCODER = msgspec.json.Encoder()
_RECORD: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
_UPLOAD = msgspec.json.Decoder(Upload)


def encode(message: Any) -> bytes:
    """The exact bytes of a record or message."""
    return _ENCODER.encode(message)


def decode(decoder: "msgspec.json.Decoder[T]", data: bytes | msgspec.Raw) -> T:
    """Raises msgspec.DecodeError alone (msgspec itself lets a UnicodeDecodeError through)."""
    try:
        return decoder.decode(data)
    except UnicodeDecodeError as err:
        raise msgspec.DecodeError(f"not UTF-8: {err}") from err


def plain_of(data: bytes, most: int = LARGEST) -> bytes:
    """A message's JSON, unpacked where it was packed. Raises msgspec.DecodeError."""
    try:
        return unpack(data, most)
    except ValueError as err:
        raise msgspec.DecodeError(str(err)) from err


def record_of(data: bytes | msgspec.Raw) -> Record:
    """Raises msgspec.ValidationError or msgspec.DecodeError that says where and what."""
    return decode(_RECORD, data)


def upload_of(data: bytes, most: int = LARGEST) -> Upload:
    """Raises msgspec.ValidationError or msgspec.DecodeError; ValueError for another version."""
    upload = decode(_UPLOAD, plain_of(data, most))
    if upload.v != VERSION:
        raise ValueError(f"version {upload.v} of the wire contract; this side speaks {VERSION}")
    return upload
