"""A group's decision as the event that steps a warning, with the names of its members."""

import sqlite3

import msgspec

from hub.arrivals import card_of
from hub.groups_log import Told
from hub.groups_rules import GROUP
from hub.groups_state import Member
from hub.happened import EpisodeChanged
from hub.model import Gathered
from tocsin.messages import Detection

_BOOT = "0" * 16


def event_of(connection: sqlite3.Connection, told: Told, now_ms: int) -> EpisodeChanged:
    """As if a station named after the group had found it. It arrives now: what was decided long ago calls nobody."""
    one = told.decision
    detection = Detection(
        _BOOT, told.id, one.at, f"group/{one.kind}", one.group, one.hazard, one.level, one.previous, one.revision,
        one.episode, one.since, one.stage, one.authority, one.value, one.threshold, hold_s=one.hold_s,
        feature=str(one.kind), target=one.target,
    )  # fmt: skip
    members = [_named(connection, member) for member in one.members]
    return EpisodeChanged(
        GROUP + one.group, one.area, detection, max(now_ms, one.at), place=one.place, place_zh=one.place_zh,
        technical=one.technical, group=Gathered(one.kind, members, one.text_en, one.text_zh),
    )  # fmt: skip


def _named(connection: sqlite3.Connection, member: Member) -> Member:
    card = card_of(connection, member.station)
    if card is None:
        return member
    return msgspec.structs.replace(member, place=card.name, place_zh=card.name_zh)
