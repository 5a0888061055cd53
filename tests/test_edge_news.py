"""What a data budget holds back in calm, and what it never holds back."""

import math
from collections import deque
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.asked import asked_for
from edge.lanes import History, Pace, newest_first, next_of
from edge.news import MOST_RECORDS, Changes, Thinner, Window
from edge.recorder import KINDS
from tocsin import deadbands
from tocsin.deadbands import deadband_of
from tocsin.levels import Authority, Hazard, Stage
from tocsin.log import Entry
from tocsin.messages import Detection, Readings, Record, Summary, encode
from tocsin.quantities import QUANTITIES
from tocsin.readings import Quality

BOOT = "00000000000000aa"
STAGE, RAIN, TOTAL = "gauge/stage_m", "bucket/rain_mm", "bucket/rain_total_mm"
WINDOW_MS = 300_000


def readings(seq: int, value: float = 1.0, *, series: str = STAGE, t: int = 0, quality: int = 0) -> Readings:
    return Readings(BOOT, seq, [t or seq * 10_000], [series], [value], [quality])


def entry(record: Record) -> Entry:
    return Entry(record.seq, KINDS[type(record)], encode(record))


def told(values: Sequence[float], series: str, factor: float = 1.0) -> list[float]:
    changes = Changes()
    return [value for seq, value in enumerate(values, 1) if changes.news(readings(seq, value, series=series), factor)]


def test_a_change_counts_against_what_was_told_last_so_that_no_slow_rise_is_missed() -> None:
    assert told([1.0, 1.01, 1.02, 1.03, 1.01, 1.0], STAGE) == [1.0, 1.03, 1.0]
    assert told([1.0, 1.02, 1.08, 1.09], STAGE, factor=4.0) == [1.0, 1.09]


def test_every_tip_is_told_and_dry_minutes_are_not() -> None:
    assert told([0.0, 0.0, 0.5, 0.5, 0.0], RAIN) == [0.5, 0.5]
    assert told([7.0, 7.0, 7.5, 7.5, 0.0], TOTAL) == [7.0, 7.5, 0.0]
    assert told([0.0, 0.5, 0.0], RAIN, factor=math.inf) == [0.5], "amounts must add up at the hub whatever the budget"
    assert told([1.0, 9.0], STAGE, factor=math.inf) == []


def test_another_quality_is_news() -> None:
    changes = Changes()
    assert [changes.news(readings(seq, 1.0, quality=bits), 1.0) for seq, bits in
            enumerate([0, 0, Quality.STUCK, Quality.STUCK, 0], 1)] == [True, False, True, False, True]


@given(st.lists(st.floats(-10, 10), min_size=1), st.sampled_from([1.0, 4.0]))
def test_what_was_told_last_is_never_farther_away_than_the_deadband(values: list[float], factor: float) -> None:
    changes, last = Changes(), math.nan
    for seq, value in enumerate(values, 1):
        if changes.news(readings(seq, value), factor):
            last = value
        assert abs(value - last) <= deadband_of("stage_m") * factor + 1e-6


@given(st.lists(st.tuples(st.sampled_from([STAGE, RAIN]), st.floats(-10, 10), st.sampled_from([0, 2, 8])), min_size=1))
def test_a_summary_is_what_a_plain_loop_over_the_readings_gives(rows: list[tuple[str, float, int]]) -> None:
    window = Window(10_000, 1)
    for seq, (series, value, bits) in enumerate(rows, 1):
        window.add(readings(seq, value, series=series, quality=bits), seq)
    found = window.summary()
    assert (found.since, found.first_seq, found.last_seq) == (10_000, 1, len(rows))
    assert found.series == list(dict.fromkeys(series for series, _, _ in rows))
    for i, key in enumerate(found.series):
        own = [(seq * 10_000, value, bits) for seq, (series, value, bits) in enumerate(rows, 1) if series == key]
        good = [value for _, value, bits in own if not bits & Quality.RANGE] or [0.0]
        assert (found.t[i], found.last[i], found.quality[i]) == own[-1]
        assert found.count[i] == sum(not bits & Quality.RANGE for _, _, bits in own)
        assert (found.min[i], found.max[i]) == (min(good), max(good))
        assert found.mean[i] == pytest.approx(sum(good) / len(good), rel=1e-8, abs=1e-12)


def test_columns_of_a_summary_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        Summary(BOOT, 1, 0, 1, 1, [1], ["a/b"], [1], [1.0], [1.0], [1.0], [1.0], [])


def test_a_window_ends_on_the_clock_or_when_it_is_full() -> None:
    thinner = Thinner(lambda: True)
    assert not thinner.keeps(entry(readings(1, t=WINDOW_MS + 1)))
    assert thinner.keeps(entry(readings(2, t=WINDOW_MS + 10_001)))
    assert thinner.close(2 * WINDOW_MS - 1, WINDOW_MS) is None
    summary = thinner.close(2 * WINDOW_MS, WINDOW_MS)
    assert summary is not None
    assert (summary.first_seq, summary.last_seq, summary.count) == (1, 2, [2])
    assert thinner.close(3 * WINDOW_MS, WINDOW_MS) is None, "no readings, no summary"
    for seq in range(3, MOST_RECORDS + 3):
        thinner.keeps(entry(readings(seq, t=1)))
    assert thinner.close(2, WINDOW_MS) is not None


def test_while_it_is_not_calm_nothing_waits_and_nothing_is_summed_up() -> None:
    calm = True
    thinner = Thinner(lambda: calm)
    thinner.keeps(entry(readings(1)))
    assert thinner.keeps(entry(readings(2)))
    calm = False
    assert thinner.close(10 * WINDOW_MS, WINDOW_MS) is None
    assert not thinner.keeps(entry(readings(3)))
    assert thinner.open_from is None
    calm = True
    assert thinner.keeps(entry(readings(4))), "the value of 3 was told"
    assert thinner.open_from == 4


def test_every_deadband_is_that_of_a_quantity() -> None:
    assert deadbands._DEADBANDS.keys() <= QUANTITIES.keys()
    assert {name for name in QUANTITIES if not deadband_of(name)} == {"rain_mm", "rain_total_mm"}


# --- the history ---------------------------------------------------------------------------------------------------


def sifted(records: Sequence[Record], open_from: int | None = None) -> tuple[list[int], list[int]]:
    """(what goes up, what waits) of a log, by number."""
    history = History(iter([]), 0)
    up: list[int] = []
    waits: list[int] = []
    for record in records:
        goes, waiting = history.sifted(entry(record), 1.0)
        up += [one.seq for one in goes]
        waits += waiting
    goes, waiting = history.rest(open_from)
    return [*up, *(one.seq for one in goes)], [*waits, *waiting]


def summary(seq: int, first: int, last: int) -> Summary:
    return Summary(BOOT, seq, 0, first, last, [1], [STAGE], [1], [1.0], [1.0], [1.0], [1.0], [0])


def test_of_the_history_waits_what_a_summary_stands_for_and_the_rest_goes_up() -> None:
    log: list[Record] = [readings(1), readings(2), readings(3), readings(4, 1.5), readings(5, 1.5), summary(6, 2, 4)]
    assert sifted(log) == ([1, 2, 4, 6, 5], [3])
    assert sifted(log, open_from=5) == ([1, 2, 4, 6], [3, 5])
    assert sifted(log[:5]) == ([1, 2, 3, 4, 5], []), "a crash took the window with it: every reading goes up"


def test_of_a_long_time_without_summaries_little_is_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.lanes._AHEAD", 10)
    history = History(iter([]), 0)
    up = [one.seq for seq in range(1, 101) for one in history.sifted(entry(readings(seq)), 1.0)[0]]
    assert up == list(range(1, 91))
    assert len(history.ahead) == 10


# --- messages ------------------------------------------------------------------------------------------------------


def test_messages_grow_on_a_quick_link_and_shrink_on_a_slow_one() -> None:
    pace = Pace()
    for _ in range(10):
        pace.took(pace.bytes, 0.1)
    assert pace.bytes == 32 * 1024
    pace.took(pace.bytes, 10.0)
    assert pace.bytes == 16 * 1024
    for _ in range(10):
        pace.took(pace.bytes, 2.0)
    assert pace.bytes == 1024
    pace.took(200, 0.1)
    assert pace.bytes == 1024, "a small message says nothing about large ones"
    pace.took(1024, 0.7)
    assert pace.bytes == 1024
    pace.took(1024, 0.3)
    assert pace.bytes == 2048
    pace.failed(2048)
    assert pace.again().bytes == 1024, "the next connection may be as bad"
    assert Pace(32 * 1024).again().bytes == 4096


def test_a_message_holds_what_fits_and_at_least_one_record() -> None:
    records = [entry(readings(seq)) for seq in range(1, 6)]
    size = len(records[0].payload)
    assert next_of(records, 2 * size) == (records[:2], False)
    assert next_of(records, 1) == (records[:1], False)
    assert next_of(records) == (records, True)


def detection(seq: int, rule: str, series: str, revision: int) -> Entry:
    return entry(Detection(BOOT, seq, seq, series, rule, Hazard.FLOOD, 1, 0, revision, "e", seq, Stage.PREPARE,
                           Authority.AUTO, 1.0, 1.0))


def test_of_many_warnings_the_newest_of_each_rule_and_series_goes_first() -> None:
    entries = [detection(1, "stage", STAGE, 1), detection(2, "rate", STAGE, 1), detection(3, "stage", STAGE, 2),
               detection(4, "stage", "other/stage_m", 1)]
    assert [one.seq for one in newest_first(entries)] == [3, 2, 4, 1]


def test_what_is_asked_for_is_found_by_time_and_series() -> None:
    entries = [entry(readings(1, t=1000)), entry(readings(2, t=2000, series=TOTAL)), entry(readings(3, t=3000)),
               entry(summary(4, 1, 3)), entry(readings(5, t=4000)),
               Entry(6, KINDS[Readings], b'{"series":["gauge/stage_m"]}')]
    assert [one.seq for one in asked_for(entries, "", 2000, 3000)] == [2, 3]
    assert [one.seq for one in asked_for(entries, STAGE, 0, 9000)] == [1, 3, 5]
    assert [one.seq for one in asked_for(deque(entries), "gauge/stage", 0, 9000)] == []
