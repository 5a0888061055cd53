"""Which warnings count for which events: a timetable by hand, and a loop over everything."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresholds.tables import I64, NEVER
from thresholds.tune.events import Event, Moment
from thresholds.tune.score import NOT, OWN_FLOOR, Field, Span, Tally, Terms, field_of, tally
from thresholds.tune.sheet import Episodes
from tocsin.times import ms_of

HOUR = 3_600_000
NEW_YEAR = ms_of("2020-01-01T00:00:00Z")
BEGIN = NEW_YEAR - 100 * HOUR


def ints(values: list[int]) -> I64:
    return np.array(values, dtype=np.int64)


def event(station: str, start: int, end: int, peak: int | None = None) -> Event:
    """Hours from the begin of the records."""
    at = start if peak is None else peak
    return Event(station, "stage_m", BEGIN + start * HOUR, BEGIN + at * HOUR, BEGIN + end * HOUR, 1.0, "official")


def field(events: list[Event], terms: Terms, strands: list[int] | None = None) -> Field:
    spans = [Span("a", BEGIN, BEGIN + 300 * HOUR), Span("b", BEGIN - 7 * HOUR, BEGIN + 300 * HOUR)]
    return field_of(terms, spans, ints([0, 1] if strands is None else strands), events, [False] * len(events))


def episodes(*told: tuple[int, float, float | None]) -> Episodes:
    """(strand, raised, cleared) in hours from the begin."""
    return Episodes(ints([round(BEGIN + raised * HOUR) for _, raised, _ in told]),
                    ints([NEVER if cleared is None else round(BEGIN + cleared * HOUR) for _, _, cleared in told]),
                    ints([strand for strand, _, _ in told]))


def hours(found: Tally) -> list[float | None]:
    return [None if lead == NOT else lead / HOUR for lead in found.lead.tolist()]


TERMS = Terms(2 * HOUR, Moment.ONSET, 10 * HOUR)


def test_a_warning_counts_between_the_earliest_and_the_floor() -> None:
    world = field([event("a", 50, 60)], TERMS)
    for raised, lead in ((39.9, None), (40, 10), (48, 2), (48.1, None), (55, None)):
        assert hours(tally(world, episodes((0, raised, 61)))) == [lead]


def test_a_warning_that_was_called_off_before_the_last_useful_moment_does_not_count() -> None:
    world = field([event("a", 50, 60)], TERMS)
    assert hours(tally(world, episodes((0, 45, 48)))) == [None]
    assert hours(tally(world, episodes((0, 45, 48.1)))) == [5]
    assert hours(tally(world, episodes((0, 42, 43), (0, 47, 49)))) == [3]    # the one that stood, not the first


def test_a_warning_of_another_station_does_not_count() -> None:
    world = field([event("a", 50, 60)], TERMS)
    found = tally(world, episodes((1, 45, 61)))
    assert hours(found) == [None]
    assert found.false.sum() == 1


def test_false_is_what_no_event_explains() -> None:
    world = field([event("a", 50, 60)], TERMS)
    for raised, false in ((39.9, 1), (40, 0), (55, 0), (60, 0), (60.1, 1)):
        found = tally(world, episodes((0, raised, 62)))
        assert (int(found.false.sum()), int(found.alarms.sum())) == (false, 1)


def test_one_warning_may_stand_for_two_events() -> None:
    world = field([event("a", 50, 52), event("a", 56, 58)], TERMS)
    found = tally(world, episodes((0, 47, 59)))
    assert hours(found) == [3, 9]
    assert found.false.sum() == 0


def test_a_warning_that_never_ends_is_no_warning_of_what_comes_later() -> None:
    world = field([event("a", 50, 52), event("a", 150, 152)], TERMS)
    assert hours(tally(world, episodes((0, 47, None)))) == [3, None]


def test_to_the_end_of_an_event_a_warning_within_it_counts() -> None:
    """A gas release: what matters is whether it is noticed while it lasts."""
    world = field([event("a", 50, 60)], Terms(0, Moment.END, 0))
    for raised, cleared, lead in ((49.9, 51, None), (50, 51, 10), (60, 61, 0), (60.1, 61, None)):
        assert hours(tally(world, episodes((0, raised, cleared)))) == [lead]


def test_a_floor_below_zero_is_time_after_the_moment() -> None:
    world = field([event("a", 50, 60)], Terms(-HOUR, Moment.ONSET, 0))
    for raised, lead in ((50, 0), (51, -1), (51.1, None)):
        assert hours(tally(world, episodes((0, raised, raised + 1)))) == [lead]
    short = tally(field([event("a", 50, 50)], Terms(-2 * HOUR, Moment.ONSET, 0)), episodes((0, 51.5, 53)))
    assert (hours(short), int(short.false.sum())) == ([-1.5], 0)    # the event is over, and yet it is not false


def test_alarms_of_several_sensors_at_a_station_are_one() -> None:
    world = field([event("a", 50, 60)], TERMS, strands=[0, 0])
    found = tally(world, episodes((0, 45, 50), (1, 46, 55), (1, 70, 71), (0, 71, 72)))
    assert (int(found.alarms.sum()), int(found.false.sum())) == (2, 1)
    assert (int(found.episodes.sum()), int(found.in_events.sum())) == (4, 2)
    assert hours(found) == [5]


def test_the_worst_hour_counts_episodes_not_alarms() -> None:
    world = field([event("a", 50, 60)], TERMS, strands=[0, 0])
    found = tally(world, episodes((0, 10, 12), (1, 10.5, 11), (1, 10.9, 12), (0, 13, 14)))
    assert found.worst_hour == 3


def test_what_is_counted_stands_in_its_year() -> None:
    world = field([event("a", 90, 95), event("a", 110, 115)], TERMS)
    found = tally(world, episodes((0, 60, 61), (0, 85, 96), (0, 104, 116), (0, 130, 131), (0, 140, 141)))
    first, second = by_part(world, "2019"), by_part(world, "2020")
    assert (int(found.false[first].sum()), int(found.false[second].sum())) == (1, 2)
    assert (int(found.alarms[first].sum()), int(found.alarms[second].sum())) == (2, 3)
    assert [int(found.reach[at, OWN_FLOOR].sum()) for at in (first, second)] == [1, 1]
    assert [sum(world.cells[at].hours for at in one) for one in (first, second)] == [100, 200]


def by_part(world: Field, year: str) -> list[int]:
    """The cells of station a in that year, which are days or months in short records."""
    return [at for at, cell in enumerate(world.cells) if cell.station == 0 and cell.part.startswith(year)]


@pytest.mark.parametrize(("days", "parts"), [(3, ["2019-12-31", "2020-01-01", "2020-01-02", "2020-01-03"]),
                                             (70, ["2019-12", "2020-01", "2020-02", "2020-03"]),
                                             (900, ["2019", "2020", "2021", "2022"])])
def test_short_records_are_counted_in_months_or_days(days: int, parts: list[str]) -> None:
    spans = [Span("a", NEW_YEAR - HOUR, NEW_YEAR + days * 24 * HOUR - HOUR)]
    world = field_of(TERMS, spans, ints([0]), [Event("a", "stage_m", NEW_YEAR, NEW_YEAR, NEW_YEAR, None, "")], [False])
    assert [cell.part for cell in world.cells] == parts
    assert world.cells[int(world.event_cell[0])].part == parts[1]
    assert sum(cell.hours for cell in world.cells) == (spans[0].end_ms - spans[0].start_ms) / HOUR


def brute(events: list[Event], terms: Terms, raised: list[tuple[int, int, int]]) -> tuple[list[int], int]:
    """Leads and false alarms by asking each warning about each event."""
    leads = []
    for one in events:
        latest = one.at(terms.moment) - terms.floor_ms
        good = [begin for station, begin, end in raised if "ab"[station] == one.station
                and one.start_ms - terms.early_ms <= begin <= latest and end > min(latest, one.start_ms)]
        leads.append(one.at(terms.moment) - min(good) if good else NOT)
    false = sum(not any("ab"[station] == one.station and one.start_ms - terms.early_ms <= begin
                        <= max(one.end_ms, one.at(terms.moment) - terms.floor_ms) for one in events)
                for station, begin, _ in raised)
    return leads, false


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 200), st.integers(0, 20), st.integers(0, 20)), max_size=8),
       st.lists(st.tuples(st.integers(0, 1), st.integers(1, 12), st.integers(1, 12)), max_size=40),
       st.sampled_from(list(Moment)), st.integers(-3, 5), st.integers(0, 30))
def test_scores_are_those_of_asking_every_warning_about_every_event(
    happened: list[tuple[int, int, int, int]], warned: list[tuple[int, int, int]], moment: Moment, floor: int,
    early: int
) -> None:
    events: list[Event] = []
    for station, start, rise, fall in sorted(happened):
        last = max((one.end_ms for one in events if one.station == "ab"[station]), default=0)
        if BEGIN + start * HOUR > last:
            events.append(event("ab"[station], start, start + rise + fall, start + rise))
    raised, clock = [], [0, 0]
    for station, wait, lasts in warned:
        begin = clock[station] + wait
        clock[station] = begin + lasts
        raised.append((station, BEGIN + begin * HOUR, BEGIN + clock[station] * HOUR))
    raised.sort()
    terms = Terms(floor * HOUR, moment, early * HOUR)
    found = tally(field(events, terms), Episodes(*(ints([one[at] for one in raised]) for at in (1, 2, 0))))
    leads, false = brute(events, terms, raised)
    assert (found.lead.tolist(), int(found.false.sum())) == (leads, false)
