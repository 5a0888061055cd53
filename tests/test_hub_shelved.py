"""A level that a person has shelved at the station: the hub shows it, and calls nobody for it."""

from pathlib import Path

import msgspec

from hub.journal import Asked
from hub.model import WarningState, Why
from tests.village import VILLAGERS, Life, Village, detection
from tocsin.levels import Authority, Level, Stage
from tocsin.messages import BulletinKind, Detection


def shelved(found: Detection) -> Detection:
    return msgspec.structs.replace(found, shelved=True)


def test_nobody_is_called_and_nothing_is_said_for_a_shelved_level() -> None:
    life = Life()
    life.found(shelved(detection(Level.RED, "14:00", 1, authority=Authority.AFTER, hold_s=60.0)))
    life.ticks("14:00:01", "14:10")
    assert (life.says, life.asks) == ([], [])
    assert (life.now.state, life.now.level) == (WarningState.OPEN, Level.RED)
    life.found(detection(Level.CLEAR, "14:20", 2, previous=Level.RED))
    assert (life.now.state, life.says) == (WarningState.CLOSED, [])


def test_a_later_word_that_is_not_shelved_calls() -> None:
    life = Life()
    life.found(shelved(detection(Level.ORANGE, "14:00", 1)))
    life.found(detection(Level.RED, "14:05", 2, previous=Level.ORANGE))
    assert life.says == [(BulletinKind.ALERT, Why.FIRST)]
    assert [person for _, person, _ in life.asks] == VILLAGERS


def test_a_level_that_stands_when_shelving_ends_calls() -> None:
    life = Life()
    life.found(shelved(detection(Level.ORANGE, "14:00", 1)))
    life.found(detection(Level.ORANGE, "14:10", 2, previous=Level.ORANGE))
    assert life.says == [(BulletinKind.ALERT, Why.FIRST)]
    assert [person for _, person, _ in life.asks] == VILLAGERS


def test_a_shelved_rise_beside_a_live_warning_raises_nothing_and_clears_nothing() -> None:
    life = Life()
    life.found(detection(Level.YELLOW, "14:00", 1))
    life.take_asks()
    life.found(shelved(detection(Level.RED, "14:05", 1, rule="rate")))
    assert (life.now.level, life.now.stage, life.take_asks()) == (Level.YELLOW, Stage.WATCH, [])
    life.found(shelved(detection(Level.RED, "14:06", 2, previous=Level.YELLOW)))
    assert (life.now.level, life.take_asks()) == (Level.YELLOW, []), "what was said stands"
    life.found(detection(Level.CLEAR, "14:20", 3, previous=Level.RED))
    assert life.now.closed_at == 0
    life.found(detection(Level.CLEAR, "14:21", 2, rule="rate", previous=Level.RED))
    assert life.now.state is WarningState.CLOSED


async def test_the_journal_says_why_nobody_was_called_and_a_person_may_decide_otherwise(tmp_path: Path) -> None:
    village = Village(tmp_path)
    village.starts()
    village.finds(shelved(detection(Level.ORANGE, "14:00", 1)))
    await village.reads()
    warning = await village.only()
    assert [row.why for row in await village.desk.journal_of(warning.id)] == [Why.SHELVED]
    await village.desk.confirm(warning.id, "Zhao Lei")
    rows = await village.desk.journal_of(warning.id)
    assert [row.event.person for row in rows if isinstance(row.event, Asked)] == VILLAGERS
    village.close()
