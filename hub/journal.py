"""What was decided, and why: written in the transaction that changes the state, before anybody acts on it.

Stepping through the journal gives the state of every warning again (`replay`).
"""

import sqlite3
from collections.abc import Iterable

import msgspec

from hub.board import Board
from hub.callout import Ask, Policy
from hub.happened import Answered, Confirmed, EpisodeChanged, Event, Held, Tick
from hub.model import Tier, Why
from hub.model import Warning as HubWarning
from hub.warnings import said, step
from tocsin.levels import Level
from tocsin.messages import Bulletin, encode


class Said(msgspec.Struct, frozen=True, tag="said", tag_field="what"):
    """A bulletin was put into the outbox of every channel."""

    bulletin: Bulletin


class Asked(msgspec.Struct, frozen=True, tag="asked", tag_field="what"):
    """A person was to be called, for the `times`-th time."""

    person: str
    tier: Tier
    level: int
    times: int

    @classmethod
    def of(cls, ask: Ask) -> "Asked":
        return cls(ask.person, ask.tier, ask.level, ask.times)


class GaveUp(msgspec.Struct, frozen=True, tag="gave up", tag_field="what"):
    """A channel refused a bulletin for good."""

    channel: str
    bulletin: str
    reason: str


Entry = EpisodeChanged | Answered | Confirmed | Held | Tick | Said | Asked | GaveUp
_ENTRY: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
_ALL = "SELECT id, t, warning, why, event, detail FROM journal ORDER BY id"
ONE = "SELECT id, t, warning, why, event, detail FROM journal WHERE warning = ? ORDER BY id"    # by its index alone


class JournalRow(msgspec.Struct, frozen=True):
    """One decision about one warning. `t` is the hub's time in ms UTC; `detail` says it in words."""

    id: int
    t: int
    warning: str
    why: Why
    event: Entry
    detail: str


def write(connection: sqlite3.Connection, t: int, warning: str, why: Why, event: Entry) -> None:
    """Inside the transaction of the caller."""
    connection.execute(
        "INSERT INTO journal (t, warning, why, event, detail) VALUES (?, ?, ?, ?, ?)",
        (t, warning, why.value, encode(event).decode(), _detail(event)),
    )


def read(connection: sqlite3.Connection, warning: str | None = None) -> list[JournalRow]:
    """The rows of one warning, or all, oldest first."""
    rows = connection.execute(_ALL) if warning is None else connection.execute(ONE, (warning,))
    return [
        JournalRow(number, t, name, Why(why), _ENTRY.decode(event), detail)
        for number, t, name, why, event, detail in rows
    ]


def replay(rows: Iterable[JournalRow], policy: Policy) -> dict[str, HubWarning]:
    """Every warning by its id, as the journal alone makes it. `policy` must be the one that was in force."""
    board, warnings = Board(), dict[str, HubWarning]()
    for row in rows:
        before = board.of(row.event) if isinstance(row.event, EpisodeChanged) else warnings.get(row.warning)
        after = _after(before, row.event, row.t, policy)
        if after is None:
            continue
        warnings[after.id] = after
        if isinstance(row.event, EpisodeChanged) or board.get(after.id) is not None:
            board.put(after)
    return warnings


def _after(before: HubWarning | None, entry: Entry, t: int, policy: Policy) -> HubWarning | None:
    match entry:
        case Said(bulletin=bulletin):
            return said(before, bulletin.id, bulletin.sent) if before else None
        case Asked() | GaveUp():
            return before
        case _:
            return step(before, entry, t, policy)[0]


def _detail(entry: Entry) -> str:
    match entry:
        case Said(bulletin=bulletin):
            return f"{bulletin.kind} {bulletin.id}, {Level(bulletin.level).word}, {bulletin.stage}"
        case Asked():
            return f"{entry.person} ({entry.tier}), call {entry.times}"
        case GaveUp():
            return f"{entry.channel}: {entry.bulletin}: {entry.reason}"
        case _:
            return _event_detail(entry)


def _event_detail(event: Event) -> str:
    match event:
        case EpisodeChanged(detection=found):
            level = Level(found.level).word
            return f"{event.station} {found.series} {found.rule}: {level}, {found.value:g} against {found.threshold:g}"
        case Answered():
            return f"{event.person}, {event.how}{': ' if event.note else ''}{event.note}"
        case Confirmed() | Held():
            return event.by
        case Tick():
            return ""
