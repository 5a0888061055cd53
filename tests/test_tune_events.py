"""Events from a file or from a level, and what is said of their truth."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.shared_data import shared_path
from tests.test_tune_sweep import SLOPE, STAGE, target
from thresholds.tune.events import Event, EventError, Moment, chosen, doubts, made, read_events
from thresholds.tune.sweep import candidates
from tocsin.records import Record
from tocsin.times import ms_of

HEAD = "file,column,event,start,peak,end,peak_value,threshold,basis,merge_gap_h\n"
ROW = "river,stage_m,1,2020-01-01T00:00:00Z,2020-01-01T01:00:00Z,2020-01-01T02:00:00Z,1.9,1.0,official,6\n"
MINUTE = 60_000


def events_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(text)
    return path


def test_a_file_of_events_is_read(tmp_path: Path) -> None:
    one, = read_events(events_file(tmp_path, HEAD + ROW))
    assert one == Event("river", "stage_m", ms_of("2020-01-01T00:00:00Z"), ms_of("2020-01-01T01:00:00Z"),
                        ms_of("2020-01-01T02:00:00Z"), 1.0, "official")
    assert [one.at(moment) - one.start_ms for moment in Moment] == [0, 60 * MINUTE, 120 * MINUTE]


@pytest.mark.parametrize(("text", "says"), [
    ("", "holds no event"),
    (HEAD, "holds no event"),
    ("file,start\nriver,1\n", "column column is missing; the columns are file, column, start"),
    (HEAD + ROW.replace("2020-01-01T00:00:00Z", "yesterday"), ':2: start "yesterday"; write ISO 8601 in UTC'),
    (HEAD + ROW.replace("T02:00:00Z", "T00:30:00Z"), ":2: start, peak and end are not in this order"),
    (HEAD + ROW.replace("1.0,official", "one,official"), ':2: threshold "one" is not a number'),
])
def test_a_wrong_file_of_events_is_refused_with_line_and_value(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(EventError) as refused:
        read_events(events_file(tmp_path, text))
    assert says in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EventError, match="cannot be read"):
        read_events(tmp_path / "none.csv")


def test_events_of_several_levels_must_be_told_apart() -> None:
    events = [Event("dam", "level_m", 0, 0, 1, level, "official") for level in (773.0, 773.5)]
    with pytest.raises(EventError, match=r"2 kinds \(level_m at 773, level_m at 773.5\); say which with"):
        chosen(events, ["dam"], "", None)
    assert chosen(events, ["dam"], "level_m", 773.5) == events[1:]
    with pytest.raises(EventError, match="no event at level 774 for dam; the events are for dam"):
        chosen(events, ["dam"], "", 774.0)


def test_a_quiet_record_beside_one_with_events_is_no_error() -> None:
    events = [Event("dam", "level_m", 0, 0, 1, None, "label in source")]
    assert chosen(events, ["dam", "quiet"], "", None) == events


def test_every_kind_of_event_of_the_shared_records_is_read() -> None:
    events = read_events(shared_path("data/records/events.csv"))
    assert len(events) == 252
    assert {event.made_here for event in events} == {True, False}


def record(values: list[float | None]) -> Record:
    return Record("river", [number * 5 * MINUTE for number in range(len(values))], {"stage_m": values}, {})


def test_crossings_closer_than_the_gap_are_one_event() -> None:
    values = [0.1, 1.0, 1.4, 0.2, None, 1.2, 0.1, 0.1, 0.1, 1.1]
    found = made(record(values), "stage_m", 1.0, 20 * MINUTE)
    assert [(one.start_ms // MINUTE, one.peak_ms // MINUTE, one.end_ms // MINUTE) for one in found] == [
        (5, 10, 25), (45, 45, 45)]
    assert [one.start_ms // MINUTE for one in made(record(values), "stage_m", 1.0, 21 * MINUTE)] == [5]
    low, = made(record([20.9, 19.0, 18.0, 20.9]), "stage_m", 19.5, 20 * MINUTE, low=True)
    assert (low.start_ms, low.peak_ms, low.end_ms) == (5 * MINUTE, 10 * MINUTE, 10 * MINUTE)


def test_events_of_a_column_that_is_not_there_are_refused() -> None:
    with pytest.raises(EventError, match='river: no column "flow" of numbers; use stage_m'):
        made(record([1.0]), "flow", 1.0, 0)


@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=60), st.integers(1, 8), st.integers(1, 9))
def test_events_hold_every_reading_at_the_level_and_stand_apart(values: list[int | None], gap: int, level: int) -> None:
    one = record([None if value is None else float(value) for value in values])
    found = made(one, "stage_m", float(level), gap * 5 * MINUTE)
    for t, value in zip(one.t_ms, values, strict=True):
        inside = any(event.start_ms <= t <= event.end_ms for event in found)
        assert inside or value is None or value < level
    for before, after in pairwise(found):
        assert after.start_ms - before.end_ms >= gap * 5 * MINUTE
    for event in found:
        peak = max(value for t, value in zip(one.t_ms, values, strict=True)
                   if value is not None and event.start_ms <= t <= event.end_ms)
        assert values[event.peak_ms // (5 * MINUTE)] == peak


def test_truth_that_is_the_threshold_itself_is_said() -> None:
    own = Event("river", "stage_m", 0, 0, 1, 1.6, "chosen here")
    tried, _ = candidates(target(STAGE), {"on": (1.4, 1.8)})
    words = [en for en, _ in doubts([own], target(STAGE), ["stage_m"], tried)]
    assert words[0].startswith("1 of 1 events are peaks over a level that was chosen, no outside truth")
    assert words[1].startswith("the events are made of the column that the rule judges, at 1.6, inside the thresholds")


def test_outside_truth_of_another_column_or_level_is_not_doubted() -> None:
    tried, _ = candidates(target(STAGE), {"on": (1.4, 1.8)})
    for event in (Event("river", "rain_mm", 0, 0, 1, 1.6, "label in source"),
                  Event("river", "stage_m", 0, 0, 1, 3.0, "official warning")):
        assert doubts([event], target(STAGE), ["stage_m"], tried) == []
    trend, _ = candidates(target(SLOPE), {"on": (1.6, 60)})
    assert doubts([Event("river", "stage_m", 0, 0, 1, 1.8, "official")], target(SLOPE), ["stage_m"], trend) == []
