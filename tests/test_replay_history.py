"""A record becomes series, rows, ticks and blocks, and nothing of it is lost or moved."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresholds.kernel import start, step
from thresholds.replay.columns import series_name
from thresholds.replay.history import (
    History,
    HistoryError,
    Reading,
    history_of,
    longest_silence_ms,
    pieces,
    plan_for,
)
from thresholds.rules import Rules, bind, rules_of
from thresholds.series import Series
from tocsin.readings import Quality
from tocsin.records import Record

MINUTE = 60_000
NOON = 1_723_118_400_000    # 2024-08-08T12:00:00Z
STAGE = {"name": "stage", "quantity": "stage_m", "yellow": 2.0, "off_below": 0.2}
RAIN = {"name": "rain", "quantity": "rain_mm", "over_min": 60, "yellow": 10.0}


def rules(*tables: dict[str, Any]) -> Rules:
    return rules_of({"rule": list(tables)}, "rules.toml")


def record(t_ms: list[int], labels: dict[str, list[str]] | None = None, **columns: list[float | None]) -> Record:
    return Record("bridge", t_ms, columns, labels or {})


@pytest.mark.parametrize(("column", "series"), [
    ("stage_m", ("record", "stage_m")),
    ("stage_naegok_m", ("naegok", "stage_m")),
    ("ch4_e_pct_lel", ("e", "ch4_pct_lel")),
    ("rain_total_mm", ("record", "rain_total_mm")),
    ("rain_total_jinjeop_mm", ("jinjeop", "rain_total_mm")),
    ("flow_s_wilmington_m3s", ("s_wilmington", "flow_m3s")),
    ("wind_dir_deg", None),
    ("stage", None),
    ("stage__m", None),
    ("stage_Ä_m", None),
])
def test_a_column_says_in_its_name_what_it_holds(column: str, series: tuple[str, str] | None) -> None:
    assert series_name(column) == series


def test_values_are_thousandths_and_an_empty_cell_is_missing() -> None:
    history = history_of(record([0, MINUTE, 2 * MINUTE], stage_m=[1.2344, None, float("nan")]), rules(STAGE))
    assert history.raw[:, 0].tolist() == [1234, 0, 0]
    assert history.quality[:, 0].tolist() == [0, Quality.MISSING, Quality.MISSING]


def test_only_what_rules_judge_becomes_a_series_each_with_its_own_period() -> None:
    times = [NOON + n * 15 * MINUTE for n in range(9)]
    hourly: list[float | None] = [0.0 if n % 4 == 0 else None for n in range(9)]
    found = history_of(record(times, stage_m=[1.0] * 9, rain_mm=hourly, co_ppm=[3.0] * 9), rules(STAGE, RAIN))
    assert [(one.key, one.period_ms) for one in found.series] == [
        ("record/stage_m", 15 * MINUTE), ("record/rain_mm", 60 * MINUTE)]
    assert found.station == "bridge"


def test_a_person_may_say_what_a_column_is() -> None:
    how = Reading({"flow_m3s": "weir/stage_m"}, period_ms=1000, plausible={"stage_m": (0.0, 9.0)})
    found = history_of(record([0, MINUTE], flow_m3s=[3.0, 4.0]), rules(STAGE), how, station="upper")
    assert found.series == (Series("weir/stage_m", "stage_m", 1000, (0.0, 9.0)),)
    assert found.station == "upper"


def test_a_stage_counts_from_the_zero_of_the_rules_unless_said_otherwise() -> None:
    one = record([0, MINUTE], stage_m=[1.0, 1.0])
    above_sea = STAGE | {"datum": "sea"}
    assert history_of(one, rules(above_sea)).series[0].datum == "sea"
    assert history_of(one, rules(above_sea), Reading(datum="gauge zero")).series[0].datum == "gauge zero"
    with pytest.raises(HistoryError, match=r'different zeros \("gauge zero", "sea"\); say which .* --datum'):
        history_of(one, rules(above_sea, STAGE | {"name": "other", "datum": "gauge zero"}))


@pytest.mark.parametrize(("columns", "labels", "how", "words"), [
    ({"co_ppm": [1.0]}, {}, {}, r"no column holds what .* rules.toml judges \(stage_m\); the columns are co_ppm"),
    ({"stage_m": [1.0], "level": [1.0]}, {}, {"level": "stage_m"}, "columns stage_m and level are both record/stage_m"),
    ({}, {"stage_m": ["high"]}, {}, "column stage_m holds words, not numbers"),
    ({"x": [1.0]}, {}, {"x": "staeg_m"}, '"staeg_m" is not a quantity'),
    ({"x": [1.0]}, {}, {"x": "Big Weir/stage_m"}, 'device "Big Weir" is not allowed'),
])
def test_a_record_that_cannot_be_judged_says_why(
    columns: dict[str, list[float | None]], labels: dict[str, list[str]], how: dict[str, str], words: str
) -> None:
    with pytest.raises(HistoryError, match=words):
        history_of(Record("bridge", [0], columns, labels), rules(STAGE), Reading(how))


@pytest.mark.parametrize("times", [[], [-1], [2**47]])
def test_times_must_be_there_and_possible(times: list[int]) -> None:
    with pytest.raises(HistoryError, match=r"holds no row|a time is"):
        history_of(record(times, stage_m=[1.0] * len(times)), rules(STAGE))


def test_rules_that_do_not_fit_are_left_out_with_their_reason() -> None:
    series = history_of(record([0, MINUTE], stage_m=[1.0, 1.0]), rules(STAGE)).series
    both = {"name": "both", "feature": "coincidence", "of": "stage", "over_min": 10, "yellow": 2}
    plan, left_out = plan_for(rules(RAIN, STAGE, both), series)
    assert [track.rule.name for track in plan.tracks] == ["stage"]
    assert len(left_out) == 2
    assert left_out[0].startswith('rules.toml: rule "rain": quantity: no device here gives "rain_mm"')
    assert left_out[1].startswith('rules.toml: rule "both": of: ')
    with pytest.raises(HistoryError, match="no rule fits"):
        plan_for(rules(RAIN), series)


def station(t_ms: list[int], period_ms: int = MINUTE) -> History:
    rows = len(t_ms)
    series = Series("radar/stage_m", "stage_m", period_ms, (0.0, 9.0))
    raw = np.arange(rows, dtype=np.int64).reshape(rows, 1)
    return History("bridge", (series,), np.array(t_ms, np.int64), raw, np.zeros((rows, 1), np.int64))


def test_ticks_stand_at_whole_periods_before_the_first_reading_beyond() -> None:
    piece, = pieces(station([NOON + 1000, NOON + MINUTE, NOON + MINUTE + 1, NOON + 4 * MINUTE + 5000]))
    told = [(int(now), int(raw)) if not quality else int(now) for now, raw, quality in zip(
        piece.block.now_ms, piece.block.raw[:, 0], piece.block.quality[:, 0], strict=True)]
    assert told == [(NOON, 0), (0, 1), (NOON + MINUTE, 2), NOON + 2 * MINUTE, NOON + 3 * MINUTE, (NOON + 4 * MINUTE, 3)]


@given(st.lists(st.integers(-3 * MINUTE, 40 * MINUTE), min_size=1, max_size=30), st.integers(1, 9),
       st.integers(1, 20))
def test_pieces_hold_every_row_and_every_tick(steps: list[int], rows: int, silent: int) -> None:
    history = station([max(1, t) for t in np.cumsum([NOON, *steps]).tolist()])
    own: list[int] = []
    ticks: list[int] = []
    for piece in pieces(history, rows, silent * MINUTE):
        assert piece.first == len(own)
        own += piece.block.raw[piece.own, 0].tolist()
        assert piece.block.t_ms[piece.own, 0].tolist() == history.t_ms[piece.first:len(own)].tolist()
        alone = np.setdiff1d(np.arange(len(piece.block.now_ms)), piece.own)
        assert (piece.block.quality[alone] == Quality.MISSING).all()
        ticks += piece.block.now_ms[piece.block.now_ms > 0].tolist()
    assert own == history.raw[:, 0].tolist()
    wanted: list[int] = []
    last = (int(history.t_ms[0]) - 1) // MINUTE - 1
    for t in history.t_ms.tolist():
        passed = [k * MINUTE for k in range(last + 1, (t - 1) // MINUTE + 1)]
        wanted += passed[:silent + 1] + passed[silent + 1:][-1:]
        last = max(last, (t - 1) // MINUTE)
    assert ticks == wanted


def test_a_silence_is_told_when_a_station_would_have_told_it() -> None:
    times = [NOON + n * MINUTE for n in range(5)] + [NOON + 600 * MINUTE]
    history = station(times)
    plan = bind(rules(STAGE), history.series)
    state = start(plan, "bridge")
    told = [(one.t_ms, one.stale) for piece in pieces(history, 2, longest_silence_ms(plan))
            for one in step(state, piece.block).freshness]
    assert told == [(NOON + 8 * MINUTE, True), (times[-1], False)]


def test_a_part_of_a_history_begins_at_its_start_and_ends_before_its_end() -> None:
    whole = station([NOON + n * MINUTE for n in range(5)])
    assert whole.between(NOON + MINUTE, NOON + 3 * MINUTE).raw[:, 0].tolist() == [1, 2]
    assert whole.between(None, NOON).raw.shape == (0, 1)
    assert whole.between(None, None) is whole
