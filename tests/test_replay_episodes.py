"""From changes of level to episodes, tallies and pictures: the numbers in them are those of the readings."""

import json
from datetime import UTC
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.threshold_desk import MIDNIGHT
from thresholds import plot
from thresholds.block import MISSING
from thresholds.kernel import Block, features, quantize, start, step
from thresholds.replay.closer import closer
from thresholds.replay.episodes import Episode
from thresholds.replay.figures import level_lane
from thresholds.replay.history import History
from thresholds.replay.lines import json_lines
from thresholds.replay.look import rows_of
from thresholds.replay.overview import overview
from thresholds.replay.run import Replay, replay
from thresholds.rules import bind, rules_of
from thresholds.series import Series
from tocsin.levels import Level
from tocsin.readings import Quality

MINUTE = 60_000
STAGE = Series("radar/stage_m", "stage_m", MINUTE, (0.0, 9.0))
RAIN = Series("tray/rain_mm", "rain_mm", MINUTE, (0.0, 50.0))
COUNTER = Series("bucket/rain_total_mm", "rain_total_mm", MINUTE, (0.0, 1e6))
AT_ONCE = {"n": 1, "m": 1, "off_delay_min": 0}
LEVELS = {"name": "stage", "quantity": "stage_m", "yellow": 2.0, "red": 3.0, "off_below": 0.5, **AT_ONCE}
HOUR_OF_RAIN = {"name": "rain 1 h", "quantity": "rain_mm", "over_min": 60, "yellow": 10.0, "off_delay_min": 0}
NO_CHECK = [{"quantity": "rain_mm", "max_rate_per_min": 0}]


def history(series: Series, values: list[float | None], start_ms: int = MIDNIGHT) -> History:
    """A reading a minute; None is a missing one."""
    raw, ok = quantize(np.array(values, np.float64))
    t_ms = start_ms + MINUTE * np.arange(len(values), dtype=np.int64)
    return History("bridge", (series,), t_ms, raw[:, None], np.where(ok, 0, MISSING)[:, None].astype(np.int64))


def played(series: Series, values: list[float | None], *tables: dict[str, Any], rows: int = 65_536) -> Replay:
    one = history(series, values)
    return replay(one, bind(rules_of({"rule": list(tables), "check": NO_CHECK}, "test"), one.series), rows)


def at(minute: int) -> int:
    return MIDNIGHT + minute * MINUTE


def test_an_episode_goes_from_raise_to_clear_with_its_highest_level_and_peak() -> None:
    found = played(STAGE, [1.0, 2.1, 2.4, 3.2, 4.5, 2.8, 2.3, 1.4, 1.0, 2.2], LEVELS)
    first, second = found.episodes
    assert [(one.t_ms, one.level) for one in first.told] == [
        (at(1), Level.YELLOW), (at(3), Level.RED), (at(6), Level.YELLOW), (at(7), Level.CLEAR)]
    assert (first.level, first.raised_ms, first.cleared_ms, first.since_ms) == (Level.RED, at(1), at(7), at(1))
    assert (first.evidence.value, first.evidence.threshold, first.unit) == (3.2, 3.0, "m")
    assert first.peak is not None
    assert (first.peak.value, first.peak.t_ms) == (4.5, at(4))
    assert (second.level, second.cleared_ms) == (Level.YELLOW, None)
    assert first.id != second.id


def test_a_low_rule_peaks_at_its_lowest() -> None:
    low = {"name": "dry", "quantity": "stage_m", "direction": "low", "yellow": 1.0, "off_above": 0.5, **AT_ONCE}
    one, = played(STAGE, [2.0, 0.9, 0.3, 0.8, 2.0], low).episodes
    assert one.peak is not None
    assert (one.peak.value, one.peak.t_ms) == (0.3, at(2))


def test_a_peak_is_of_good_readings_alone() -> None:
    one, = played(STAGE, [1.0, 2.2, 2.4, 8.0, 10.0, 2.5, 1.0],
                  LEVELS | {"red": 9.0}).episodes
    assert one.peak is not None
    assert one.peak.value == 8.0    # 10 m is not plausible here


@given(st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.2, 2.0, 6.0])), min_size=1, max_size=240),
       st.integers(1, 40))
def test_the_peak_of_a_sum_is_the_highest_that_the_kernel_ever_compared(values: list[float | None], rows: int) -> None:
    found = played(RAIN, values, HOUR_OF_RAIN, rows=rows)
    state = start(found.plan, "bridge")
    compared = {}
    for t, raw, quality in zip(found.history.t_ms, found.history.raw, found.history.quality, strict=True):
        zero = np.zeros(1, np.int64)
        step(state, Block(t.reshape(1, 1), raw.reshape(1, 1), quality.reshape(1, 1), zero))
        compared[int(t)] = int(features(state).value[0]) / 1000
    for one in found.episodes:
        assert one.peak is not None
        until = one.cleared_ms or at(len(values))
        assert one.peak.value == max(value for t, value in compared.items() if one.since_ms <= t <= until)


def test_a_held_peak_counts_once_the_next_reading_has_confirmed_it() -> None:
    one = history(STAGE, [1.0, 1.0, 1.0, 5.0, 4.8, 2.2, 2.2])
    check = [{"quantity": "stage_m", "max_rate_per_min": 0.5}]
    found = replay(one, bind(rules_of({"rule": [LEVELS], "check": check}, "test"), one.series))
    first, = found.episodes
    assert found.marks[:, 0].tolist() == [4, 0, 0, 4, 0, 4, 0]
    assert (first.since_ms, first.raised_ms) == (at(3), at(4))
    assert first.peak is not None
    assert (first.peak.value, first.peak.t_ms) == (4.8, at(3))     # as much of it as the next one shows too


def test_several_devices_together_peak_at_their_weight() -> None:
    both = [Series(f"{name}/stage_m", "stage_m", MINUTE, (0.0, 9.0)) for name in ("up", "down")]
    parts = [history(both[0], [1.0, 2.5, 2.5, 1.0]), history(both[1], [1.0, 1.0, 2.5, 1.0])]
    one = History("bridge", tuple(both), parts[0].t_ms, np.hstack([part.raw for part in parts]),
                  np.hstack([part.quality for part in parts]))
    together = {"name": "both", "feature": "coincidence", "of": "stage", "over_min": 10, "yellow": 2, "n": 1, "m": 1}
    plan = bind(rules_of({"rule": [LEVELS, together]}, "test"), one.series)
    found = [episode for episode in replay(one, plan).episodes if episode.rule == "both"]
    assert [(episode.raised_ms, episode.peak and episode.peak.value, episode.unit) for episode in found] == [
        (at(2), 2.0, "")]


@given(st.lists(st.one_of(st.none(), st.sampled_from([0.5, 2.1, 3.3, 12.0])), min_size=1, max_size=80),
       st.integers(1, 30))
def test_blocks_of_any_size_give_the_same_replay(values: list[float | None], rows: int) -> None:
    whole, cut = played(STAGE, values, LEVELS), played(STAGE, values, LEVELS, rows=rows)
    assert json_lines(cut.episodes) == json_lines(whole.episodes)
    assert cut.tallies == whole.tallies
    assert cut.freshness == whole.freshness
    assert (cut.marks == whole.marks).all()


def test_tallies_count_readings_marks_and_gaps() -> None:
    values: list[float | None] = [1.0] * 5 + [None] * 7 + [1.0, 77.0, 1.0, None, 1.0]
    tally, = played(STAGE, values, LEVELS).tallies
    assert (tally.readings, tally.missing) == (9, 8)
    assert tally.marked[Quality.RANGE] == 1
    assert (tally.gap_count, tally.longest_ms, tally.gaps) == (1, 8 * MINUTE, [(at(4), at(12))])
    assert tally.stale == 1


def test_a_line_holds_the_whole_episode() -> None:
    line, = json_lines(played(STAGE, [1.0, 2.1, 3.5, 1.0], LEVELS).episodes).splitlines()
    assert json.loads(line) == {
        "station": "bridge", "rule": "stage", "quantity": "stage_m", "feature": "value", "series": "radar/stage_m",
        "episode": json.loads(line)["episode"], "level": "red", "level_zh": "红色",
        "raised_at": "2024-08-08T00:01:00Z", "cleared_at": "2024-08-08T00:03:00Z", "stage": "move", "authority": "auto",
        "evidence": {"value": 3.5, "threshold": 3.0, "unit": "m", "since": "2024-08-08T00:01:00Z",
                     "at": "2024-08-08T00:02:00Z", "over_s": 0},
        "peak": {"value": 3.5, "at": "2024-08-08T00:02:00Z"},
        "changes": [
            {"at": "2024-08-08T00:01:00Z", "level": "yellow", "previous": "clear", "revision": 1, "value": 2.1,
             "threshold": 2.0, "stage": "watch", "authority": "auto"},
            {"at": "2024-08-08T00:02:00Z", "level": "red", "previous": "yellow", "revision": 2, "value": 3.5,
             "threshold": 3.0, "stage": "move", "authority": "auto"},
            {"at": "2024-08-08T00:03:00Z", "level": "clear", "previous": "red", "revision": 3, "value": 1.0,
             "threshold": 2.5, "stage": "watch", "authority": "auto"},
        ],
    }


def units(*episodes: Episode) -> set[str]:
    return {one.unit for one in episodes}


def test_the_unit_is_that_of_the_feature() -> None:
    values: list[float | None] = [0.1 * n for n in range(80)]
    slope = {"name": "rise", "quantity": "stage_m", "feature": "slope", "over_min": 10, "yellow": 1.0,
             "off_fraction": 0.5}
    target = {"name": "soon", "quantity": "stage_m", "feature": "time_to", "over_min": 10, "target": 5.0, "yellow": 20}
    assert units(*played(STAGE, values, slope).episodes) == {"m/h"}
    soon, = played(STAGE, values, target).episodes
    assert soon.unit == "min"
    assert soon.peak is not None
    assert soon.peak.value == 0.0


@given(st.lists(st.one_of(st.none(), st.floats(0, 9)), min_size=1, max_size=200), st.integers(1, 50))
def test_a_picture_keeps_the_highest_the_lowest_and_every_gap(values: list[float | None], stretches: int) -> None:
    one = history(STAGE, values)
    marks = one.quality.astype(np.uint8)
    seen = overview(one, marks, 0, (0, len(values)), MIDNIGHT, at(len(values)), stretches)
    known = (one.raw[one.quality == 0] / 1000).tolist()
    assert (min(seen.values, default=None), max(seen.values, default=None)) == (
        min(known, default=None), max(known, default=None))
    good = [at(n) for n, value in enumerate(values) if value is not None]
    wide = [(a, b) for a, b in pairwise(good) if b - a > 2 * MINUTE]
    stretch = len(values) * MINUTE / stretches
    assert not [gap for gap in wide if gap not in seen.gaps and gap[1] - gap[0] > stretch + 2 * MINUTE]
    assert set(seen.gaps) <= set(wide)


@pytest.mark.parametrize(("series", "values"), [
    (RAIN, [0.0, 0.5, 0.5, None, 2.0, 0.0]), (COUNTER, [7.0, 7.5, 8.0, None, 10.0, 10.0]),
    (COUNTER, [7.0, 7.5, 0.5, None, 2.5, 2.5])])
def test_a_picture_of_rain_shows_what_fell(series: Series, values: list[float | None]) -> None:
    one = history(series, values)
    for stretches in (1, 2, 6):
        seen = overview(one, one.quality.astype(np.uint8), 0, (0, 6), MIDNIGHT, at(6), stretches)
        assert sum(amount for _, _, amount in seen.amounts) == 3.0


def test_a_lane_shows_the_levels_inside_it() -> None:
    found = played(STAGE, [1.0, 2.5, 3.5, 1.0, 1.0, 2.5, 1.0], LEVELS).episodes
    _, whole = level_lane("stage", found, (at(0), at(6)), UTC)
    assert [(begin, end, css) for begin, end, css, _ in whole] == [
        (at(1), at(2), "yellow"), (at(5), at(6), "yellow"), (at(2), at(3), "red")]
    assert whole[2][3] == "red 红色, 2024-08-08 00:02 – 2024-08-08 00:03: 3.5 m"
    for within, seen in (((at(4), at(6)), [(at(5), at(6))]), ((at(0), at(4)), [(at(1), at(2)), (at(2), at(3))])):
        _, part = level_lane("stage", found, within, UTC)
        assert [(begin, end) for begin, end, _, _ in part] == seen


def test_a_lane_of_very_many_episodes_shows_the_worst_of_each_stretch() -> None:
    values: list[float | None] = [1.0, 2.5] * 1500
    values[1001], values[2001] = 3.5, 3.5
    _, spans = level_lane("stage", played(STAGE, values, LEVELS).episodes, (at(0), at(3000)), UTC)
    assert len(spans) < 10
    assert [round((begin - MIDNIGHT) / MINUTE, -1) for begin, _, css, _ in spans if css == "red"] == [1000, 2000]


def test_a_close_look_at_a_long_episode_keeps_its_peaks() -> None:
    values: list[float | None] = [*[0.0] * 50, *[0.5] * 2500, 3.0, *[0.5] * 2500, *[0.0] * 100]
    look, = closer(played(RAIN, values, HOUR_OF_RAIN | {"over_min": 3, "yellow": 1.0}))
    assert len(look.curve) < 2000
    assert max(value for _, value in look.curve) == 4.0
    assert [t for t, _ in look.curve] == sorted(t for t, _ in look.curve)


def test_rows_between_two_times() -> None:
    one = history(STAGE, [1.0] * 10)
    assert rows_of(one, at(2), at(5)) == (2, 6)
    assert rows_of(one, at(-3), at(50)) == (0, 10)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(2, 9))
def test_ticks_are_round_and_around_the_values(a: float, b: float, most: int) -> None:
    low, high = min(a, b), max(a, b)
    ticks = plot.nice_ticks(low, high, most)
    near = 1e-6 * max(1.0, abs(low), abs(high))    # less than a pixel
    assert ticks[0] <= low + near
    assert high <= ticks[-1] + near
    assert 2 <= len(ticks) <= most + 2


@given(st.integers(0, 4_000_000_000_000), st.integers(1, 400_000_000_000))
def test_time_marks_lie_inside_and_are_few(begin: int, span: int) -> None:
    marks = plot.time_marks(begin, begin + span, UTC)
    assert all(begin <= t <= begin + span for t, _ in marks)
    assert len(marks) <= 9
    assert [t for t, _ in marks] == sorted({t for t, _ in marks})
