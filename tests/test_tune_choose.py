"""The best CSI at the lead floor, how sure that is, and what years that were left out say of it."""

from dataclasses import replace

import numpy as np
import pytest

from thresholds.tables import Bools
from thresholds.tune.choose import Counts, Score, best, certainty, counts_of, front, leave_out, score, together
from thresholds.tune.events import Event
from thresholds.tune.score import FLOORS, NOT, OWN_FLOOR, Field, Span, Tally, Terms, field_of
from thresholds.tune.sheet import Setting
from tocsin.times import ms_of

MINUTE = 60_000
HOUR = 60 * MINUTE
SETTINGS = [Setting(on, on, n, m, 0, 0, 1000, on) for on, n, m in ((1, 2, 3), (2, 1, 1), (3, 3, 5))]


def field(span: int = 2, each: int = 3, stations: int = 1, years: int | None = None) -> Field:
    """A record of so many years, with so many events a year (in all years, or the first ones) at every station."""
    names = [f"s{number}" for number in range(stations)]
    spans = [Span(name, ms_of("2018-01-01T00:00:00Z"), ms_of(f"{2018 + span}-01-01T00:00:00Z") - 1) for name in names]
    events = []
    for name in names:
        for year in range(span if years is None else years):
            for number in range(each):
                start = ms_of(f"{2018 + year}-{number % 12 + 1:02d}-{number // 12 + 1:02d}T00:00:00Z")
                events.append(Event(name, "stage_m", start, start, start + HOUR, 1.0, "official"))
    return field_of(Terms(30 * MINUTE), spans, np.arange(stations, dtype=np.int64), events, [False] * len(events))


def found(world: Field, hits: list[int], false: dict[int, int], lead: int = HOUR) -> Tally:
    """A setting that warns of these events, and that often of nothing, by cell; every warning is one episode."""
    cells = len(world.cells)
    leads = np.full(len(world.events), NOT, dtype=np.int64)
    leads[hits] = lead
    own = np.bincount(world.event_cell[hits], minlength=cells).astype(np.int32)
    wrong = np.array([false.get(cell, 0) for cell in range(cells)], dtype=np.int32)
    reach = np.zeros((cells, len(FLOORS)), dtype=np.int32)
    reach[:, OWN_FLOOR] = own
    return Tally(leads, reach, own + wrong, wrong, own + wrong, own, 1)


def every(world: Field) -> Bools:
    return np.ones(len(world.cells), dtype=np.bool_)


def test_the_best_is_that_with_most_events_for_its_false_alarms() -> None:
    world = field()
    few, many, all_of = found(world, [0, 1, 2], {}), found(world, [0, 1, 2, 3, 4], {0: 1}), found(
        world, [0, 1, 2, 3, 4, 5], {0: 9})
    assert best(world, counts_of([few, many, all_of]), SETTINGS, every(world)) == 1


def test_of_equal_ones_fewer_false_alarms_then_longer_leads_then_the_simpler() -> None:
    world = field(1, 4)
    # CSI 2 / 4 with none false, and 3 / (4 + 2)
    clean, eager = found(world, [0, 1], {}), found(world, [0, 1, 2], {0: 2})
    assert best(world, counts_of([clean, eager, clean]), SETTINGS, every(world)) == 0
    early = found(world, [0, 1], {}, lead=2 * HOUR)
    assert best(world, counts_of([clean, clean, early]), SETTINGS, every(world)) == 2
    assert best(world, counts_of([clean, clean, clean]), SETTINGS, every(world)) == 1


def test_what_nobody_can_handle_is_chosen_only_where_there_is_nothing_else() -> None:
    world = field(1, 4)
    hours = int(sum(cell.hours for cell in world.cells))
    good = found(world, [0, 1, 2, 3], {})
    loud = replace(good, episodes=good.episodes + 7 * hours)
    poor = found(world, [0], {0: 3})
    assert best(world, counts_of([loud, poor]), SETTINGS, every(world)) == 1
    assert best(world, counts_of([loud, loud]), SETTINGS, every(world)) == 1    # the simpler
    chatty = replace(good, episodes=good.episodes + 5)
    assert best(world, counts_of([good, chatty]), SETTINGS, every(world)) == 0    # fewer episodes before the simpler


def test_what_is_only_judged_has_no_say() -> None:
    world = field(2, 3)
    on_first, on_second = found(world, [0, 1, 2], {1: 5}), found(world, [3, 4, 5], {0: 5})
    counts = counts_of([on_first, on_second])
    first = np.array([cell.part == "2018" for cell in world.cells])
    assert best(world, counts, SETTINGS, first) == 0
    assert best(world, counts, SETTINGS, ~first) == 1


def test_a_year_left_out_is_judged_by_what_the_others_chose() -> None:
    world = field(2, 3)
    counts = counts_of([found(world, [0, 1, 2], {1: 5}), found(world, [3, 4, 5], {0: 5})])
    folds = leave_out(world, counts, SETTINGS, every(world))
    # each year alone chooses what fails on the other
    assert [(fold.name, fold.number, fold.score.hits, fold.score.false) for fold in folds] == [
        ("2018", 1, 0, 5), ("2019", 0, 0, 5)]
    held = together(folds)
    assert held is not None
    assert (held.events, held.hits, held.csi) == (6, 0, 0.0)


def test_one_part_with_events_is_left_out_by_station_and_one_station_not_at_all() -> None:
    several = field(2, 1, stations=2, years=1)
    counts = counts_of([found(several, [0, 1], {}), found(several, [], {})])
    assert [fold.name for fold in leave_out(several, counts, SETTINGS, every(several))] == ["s0", "s1"]
    alone = field(2, 1, years=1)
    assert leave_out(alone, counts_of([found(alone, [0], {})]), SETTINGS, every(alone)) == []
    assert together([]) is None


def one_score(events: int, hits: int, false: int) -> Score:
    leads = tuple([HOUR] * hits + [NOT] * (events - hits))
    return Score(events, hits, 0, hits + false, false, hits + false, hits, 8760.0, 1, HOUR, HOUR, leads)


def test_too_few_events_are_said_to_be_too_few() -> None:
    assert certainty(one_score(9, 9, 0)).too_few[0] == "too few events to say: 9, fewer than 10"
    assert certainty(one_score(10, 10, 0)).too_few == ("", "")
    assert certainty(one_score(10, 10, 0)).pod.low < 0.9    # ten of ten is no certainty
    assert certainty(one_score(10, 5, 1)).too_few[0].startswith("too few events to say: CSI lies anywhere from 0.")
    assert certainty(one_score(100, 50, 10)).too_few == ("", "")


def test_intervals_hold_what_was_counted_and_are_the_same_each_time() -> None:
    one = one_score(40, 30, 20)
    sure = certainty(one)
    for inside, value in ((sure.pod, one.pod), (sure.far, one.far), (sure.csi, one.csi)):
        assert inside.low < value < inside.high
    assert certainty(one) == sure
    # Wilson's interval for 30 of 40 at 90 %
    assert sure.pod.low == pytest.approx(0.62, abs=0.02)
    assert sure.pod.high == pytest.approx(0.84, abs=0.02)
    wide, narrow = certainty(one_score(12, 9, 6)).csi, certainty(one_score(120, 90, 60)).csi
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_front_is_what_no_other_beats_in_both() -> None:
    world = field(1, 4)
    tallies = [found(world, [0], {}), found(world, [0, 1], {0: 1}), found(world, [0], {0: 3}), found(
        world, [0, 1, 2], {0: 9}), found(world, [], {0: 1})]
    counts: Counts = counts_of(tallies)
    assert front(counts, every(world)) == [0, 1, 3]
    assert front(counts, every(world), most=2) == [0, 3]


def test_a_score_adds_up_the_rates_of_stations() -> None:
    world = field(1, 3, stations=2)
    one = score(world, counts_of([found(world, [0, 1, 3], {0: 7})]), 0, every(world))
    assert (one.events, one.hits, one.alarms, one.false) == (6, 3, 10, 7)
    assert (one.pod, one.far, one.csi) == (0.5, 0.7, 3 / 13)
    assert one.per_hour == pytest.approx(10 / 8760, rel=1e-3)
    assert one.per_event == 0.5
