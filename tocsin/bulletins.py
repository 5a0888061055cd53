"""What is said to people: bulletins. Part of the wire contract (tocsin.messages)."""

from enum import StrEnum

import msgspec

from tocsin.levels import Hazard, Stage


class BulletinKind(StrEnum):
    """As in CAP: the first word, a changed word, the last word."""

    ALERT = "alert"
    UPDATE = "update"
    CLOSE = "close"


class Bulletin(msgspec.Struct, frozen=True):
    """What is said about a warning at one moment, for one area. Travels signed (tocsin.signing).

    `version` rises per area, also over warnings; `id` is unique. Times are ms UTC.
    """

    v: int
    id: str
    version: int
    warning: str
    area: str
    kind: BulletinKind
    hazard: Hazard
    level: int
    stage: Stage
    sent: int
    expires: int
    place: str
    place_zh: str
    text_en: str
    text_zh: str
    references: list[str] = []
    cause_t: int = 0
