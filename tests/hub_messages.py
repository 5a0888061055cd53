"""Messages as stations send them, for tests of the hub."""

from collections.abc import Sequence

import msgspec

from tocsin.levels import Authority, Hazard, Stage
from tocsin.messages import (
    VERSION,
    Detection,
    Event,
    EventKind,
    Heartbeat,
    Readings,
    Record,
    RuleCard,
    SeriesCard,
    Start,
    StationCard,
    Upload,
    encode,
)

BOOT = "00000000000000a1"
OTHER_BOOT = "00000000000000b2"
NOON_MS = 1_723_118_400_000  # 2024-08-08T12:00:00Z
SERIES = "gauge/stage_m"


def upload(station: str, *records: Record | bytes) -> bytes:
    """An envelope; a record given as bytes travels as it is."""
    pieces = [msgspec.Raw(one if isinstance(one, bytes) else encode(one)) for one in records]
    return encode(Upload(VERSION, station, pieces))


def readings(
    seq: int,
    values: Sequence[float] = (1.5,),
    *,
    at: int = NOON_MS,
    step_ms: int = 1_000,
    boot: str = BOOT,
    series: str = SERIES,
) -> Readings:
    """One series, a value every `step_ms` from `at` on."""
    many = len(values)
    times = [at + step_ms * number for number in range(many)]
    return Readings(boot, seq, times, [series] * many, list(values), [0] * many)


def event(seq: int, *, at: int = NOON_MS, device: str = "gauge", detail: str = "no answer") -> Event:
    return Event(BOOT, seq, at, EventKind.REFUSED, detail, device=device, reason="silent")


def detection(seq: int, *, at: int = NOON_MS, level: int = 3, revision: int = 1) -> Detection:
    return Detection(
        BOOT, seq, at, SERIES, "stage", Hazard.FLOOD, level, 0, revision, "episode-1", at, Stage.PREPARE,
        Authority.AUTO, 3.25, 3.0,
    )


def card(area: str = "330112001003", rules_hash: str = "r1") -> StationCard:
    return StationCard(
        "Stone Bridge", "石桥", area, 30.25, 119.75, [SeriesCard(SERIES, "stage_m", 5.0, (-1.0, 20.0))],
        [RuleCard("stage", SERIES, "stage_m", Hazard.FLOOD, {"orange": 3.0})], rules_hash,
    )


def start(seq: int, *, at: int = NOON_MS, boot: str = BOOT, rules_hash: str = "r1") -> Start:
    return Start(boot, seq, at, "0.1.0", card(rules_hash=rules_hash))


def heartbeat(station: str, *, at: int = NOON_MS, online: bool = True, boot: str = BOOT) -> bytes:
    return encode(Heartbeat(VERSION, station, at, online, boot=boot))
