"""Who is called, how often, and who after them."""

import pytest

from hub.callout import UNKNOWN_AREA, covers, first, responsible
from hub.config import PersonTable
from hub.happened import Tick
from hub.model import Tier, Why
from tests.village import COUNTY, NEXT_VILLAGE, PEOPLE, TOWN, VILLAGE, VILLAGERS, Life, at, detection
from tocsin.levels import Level


def test_nobody_answers_three_calls_each_then_one_tier_up_to_the_county() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.ticks("14:05:01", "14:30")
    assert [(when, person, why) for when, person, why in life.asks if person in {"Li Ming", "Zhao Lei", "Sun Yan"}] == [
        ("14:05:00", "Li Ming", Why.FIRST),
        ("14:06:00", "Li Ming", Why.REPEAT),
        ("14:07:00", "Li Ming", Why.REPEAT),
        ("14:08:00", "Zhao Lei", Why.ESCALATED),
        ("14:09:00", "Zhao Lei", Why.REPEAT),
        ("14:10:00", "Zhao Lei", Why.REPEAT),
        ("14:11:00", "Sun Yan", Why.ESCALATED),
        ("14:12:00", "Sun Yan", Why.REPEAT),
        ("14:13:00", "Sun Yan", Why.REPEAT),
    ]


def test_higher_level_is_for_the_town_too_once_the_town_was_called() -> None:
    life = Life()
    life.found(detection(Level.YELLOW, "14:05", 1))
    life.ticks("14:05:01", "14:08")
    assert life.now.calls["Zhao Lei"].times == 1
    life.take_asks()
    life.found(detection(Level.RED, "14:08:30", 2, previous=Level.YELLOW))
    assert {person for _, person, _ in life.asks} == {*VILLAGERS, "Zhao Lei"}


def test_answering_stops_that_persons_calls_only() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.answers("Wang Fang", "14:05:30")
    life.take_asks()
    life.ticks("14:05:31", "14:07:30")
    assert [(when, person) for when, person, _ in life.asks] == [("14:06:00", "Li Ming"), ("14:07:00", "Li Ming")]


def test_household_that_does_not_wake_is_left_to_the_village_head_who_answered() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.answers("Li Ming", "14:05:30")
    life.ticks("14:05:31", "14:30")
    assert {person for _, person, _ in life.asks} == set(VILLAGERS)


def test_second_answer_keeps_the_first() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.answers("Li Ming", "14:06")
    before = life.now
    life.answers("Li Ming", "14:09")
    assert life.now is before


def test_answer_of_somebody_never_called_is_kept_and_is_not_called_at_the_next_level() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.answers("a passer-by", "14:06")
    life.take_asks()
    life.found(detection(Level.RED, "14:10", 2, previous=Level.ORANGE))
    assert life.now.calls["a passer-by"].answered_at == at("14:06")
    assert {person for _, person, _ in life.asks} == set(VILLAGERS)


def test_answer_after_the_close_is_still_written_down() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.found(detection(Level.CLEAR, "14:06", 2, previous=Level.ORANGE))
    life.answers("Li Ming", "14:07")
    assert life.now.calls["Li Ming"].answered_at == at("14:07")


def test_clock_that_is_set_back_does_not_stop_the_calls() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.take_asks()
    life.event(Tick(at("12:00")), "12:00")
    assert {person for _, person, _ in life.asks} == set(VILLAGERS)
    life.take_asks()
    life.event(Tick(at("12:00:59")), "12:00:59")
    assert life.asks == []


@pytest.mark.parametrize(
    ("code", "other", "expected"),
    [
        (VILLAGE, VILLAGE, True),
        (TOWN, VILLAGE, True),
        (COUNTY, VILLAGE, True),
        ("330000000000", VILLAGE, True),
        (UNKNOWN_AREA, VILLAGE, True),
        (VILLAGE, NEXT_VILLAGE, False),
        (VILLAGE, TOWN, False),
        # the town 101 is not all of 1xx: groups count, not digits
        ("330112101000", "330112102201", False),
        ("330112110000", "330112111201", False),
        ("331000000000", "331012100201", True),
        ("331000000000", "332012100201", False),
    ],
)
def test_trailing_zeros_mean_all_below_group_by_group(code: str, other: str, expected: bool) -> None:
    assert covers(code, other) is expected


def test_who_is_called_first() -> None:
    def names(people: list[PersonTable]) -> list[str]:
        return [person.name for person in people]

    officials = [person for person in PEOPLE if person.tier in {Tier.TOWN, Tier.COUNTY}]
    assert names(first(PEOPLE, VILLAGE)) == VILLAGERS
    assert names(first(officials, VILLAGE)) == ["Zhao Lei"], "nobody in the village: the town"
    assert names(first(officials[1:], VILLAGE)) == ["Sun Yan"]
    assert names(first([], VILLAGE)) == []
    assert names(first(PEOPLE, TOWN)) == [*VILLAGERS, "Chen Bo"], "a warning for a town is for its villages"
    assert names(first(PEOPLE, UNKNOWN_AREA)) == ["Sun Yan"], "an unknown place is for the top of the chain to find"
    assert names(responsible(PEOPLE, NEXT_VILLAGE, (Tier.VILLAGE, Tier.TOWN))) == ["Chen Bo", "Zhao Lei"]
