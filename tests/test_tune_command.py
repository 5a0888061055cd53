"""`tocsin tune` from files to files: a small river with three floods, stopped and gone on with, and real records."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.shared_data import shared_path
from thresholds.kernel import Block, start, step
from thresholds.replay.history import ROWS, History, history_of, pieces, plan_for
from thresholds.rule import Rules
from thresholds.rules import load_rules, rules_of
from thresholds.tables import NEVER
from thresholds.tune import command, study
from thresholds.tune.evaluate import evaluate
from thresholds.tune.features import sheet_of, work
from thresholds.tune.recorded import record
from thresholds.tune.resume import Results, ResumeError, resume
from thresholds.tune.score import Tally
from thresholds.tune.sweep import Candidate, candidates, target_of
from tocsin.check import problems
from tocsin.records import Record, read
from tocsin.times import iso, ms_of

BEGIN = ms_of("2019-12-01T00:00:00Z")
STEP = 300_000
RULES = """
[[rule]]
name = "the bridge"
quantity = "stage_m"
datum = "gauge zero"
yellow = 1.2    # where the road floods
off_below = 0.1
n = 1
m = 1

[rule.stage]
yellow = "prepare"

[[rule]]
name = "rain"
quantity = "rain_mm"
over_min = 60
yellow = 30
"""


def river(path: Path, floods: tuple[int, ...] = (2000, 9000, 14000), rows: int = 17000) -> Path:
    """Stage at five minutes: each flood rises 0.1 m a reading from 0.5 m to 2 m, small ones in between to 1.1 m."""
    stage = [0.5] * rows
    for at, top in [*((one, 2.0) for one in floods), *((one + 900, 1.1) for one in floods)]:
        for number in range(40):
            stage[at + number] = round(min(top, 0.5 + 0.1 * number, 0.5 + 0.1 * (40 - number)), 1)
    lines = [f"{iso(BEGIN + number * STEP)},{value}" for number, value in enumerate(stage)]
    path.write_text("\n".join(["time,stage_m", *lines]) + "\n")
    return path


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a river and rules, to work in."""
    river(tmp_path / "river.csv")
    (tmp_path / "rules.toml").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


WORDS = ["rules.toml", "river.csv", "--rule", "the bridge", "--event-level", "1.8", "--lead-floor", "15min",
         "--on", "0.8:1.9:0.1", "--off-below", "0.1,0.2", "--n-of-m", "1/1,2/3"]


def test_the_chosen_file_passes_the_check_and_says_why(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run([*WORDS, "--out", "new.toml", "--html", "page.html"]) == 0
    text = (desk / "new.toml").read_text()
    assert problems(desk / "new.toml") == []
    rules = load_rules(desk / "new.toml")
    old = load_rules(desk / "rules.toml")
    assert rules.rules[1:] == old.rules[1:]
    assert "    # where the road floods\n" in text
    level, = rules.rules[0].levels
    # 1.2 m and more is free of the small floods, 1.5 m is a quarter of an hour before 1.8 m
    assert 1200 <= level.on <= 1500
    assert rules.rules[0].levels[0].stage == "prepare"
    told = capsys.readouterr()
    for words in ("3 events, 3 warned of in time, 0 not", "3 alarms, 0 of them false", "too few events to say: 3",
                  "made of the column that the rule judges, at 1.8"):
        assert f"# {words}" in text or words in text
        assert words in told.out + told.err
    assert "as in the file" in told.out
    assert "chosen by: tocsin tune rules.toml river.csv --rule 'the bridge' --event-level 1.8" in text
    page = (desk / "page.html").read_text()
    assert not re.search(r"(?:src|href)=|<script|https?://(?!www\.w3\.org)", page)
    assert page.count('<svg class="plot"') == 3
    assert "事件太少" in page


def test_ties_go_to_the_longer_lead(desk: Path) -> None:
    command.run([*WORDS, "--out", "new.toml"])
    level, = load_rules(desk / "new.toml").rules[0].levels
    assert (level.on, level.n, level.m) == (1200, 1, 1)


def test_events_are_also_made_of_nothing_but_defaults(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run([*WORDS[:8]]) == 0
    assert "3 events" in capsys.readouterr().out


def test_stopped_and_gone_on_with_is_the_same(desk: Path, monkeypatch: pytest.MonkeyPatch,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(study, "CHUNK", 7)
    assert command.run([*WORDS, "--out", "whole.toml"]) == 0
    whole = capsys.readouterr().out
    saves = 0
    keep = Results.add

    def interrupted(self: Results, numbers: list[int], tallies: list[Tally]) -> None:
        nonlocal saves
        keep(self, numbers, tallies)
        saves += 1
        if saves == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Results, "add", interrupted)
    assert command.run([*WORDS, "--resume", "sweep.resume"]) == command.STOPPED
    assert "stopped: 21 of 48 combinations are in sweep.resume" in capsys.readouterr().err
    assert command.run([*WORDS, "--out", "again.toml", "--resume", "sweep.resume"]) == 0
    assert saves == 7    # 48 in chunks of 7, each tried once
    again = capsys.readouterr().out
    assert again == whole
    files = [(desk / name).read_text().split("\n# in time")[1] for name in ("whole.toml", "again.toml")]
    assert files[0] == files[1]


def test_ctrl_c_without_a_file_leaves_one(desk: Path, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    def stop(self: Results, numbers: list[int], tallies: list[Tally]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Results, "add", stop)
        assert command.run(WORDS) == command.STOPPED
    assert "go on with the same command and --resume tune.resume" in capsys.readouterr().err
    assert command.run([*WORDS, "--resume", "tune.resume"]) == 0


def test_results_of_another_sweep_are_not_gone_on_with(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run([*WORDS, "--resume", "sweep.resume"]) == 0
    assert command.run([*WORDS[:-1], "3/5", "--resume", "sweep.resume"]) == 1
    assert "holds another sweep" in capsys.readouterr().err


def test_damaged_results_are_refused_at_every_length(desk: Path) -> None:
    command.run([*WORDS, "--resume", "sweep.resume"])
    data = (desk / "sweep.resume").read_bytes()
    for length in {*range(40), *range(40, len(data), 997)}:
        (desk / "cut").write_bytes(data[:length])
        with pytest.raises(ResumeError, match="is damaged or no file of tocsin tune"):
            resume(desk / "cut", "")
    (desk / "cut").write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with pytest.raises(ResumeError, match="is damaged"):
        resume(desk / "cut", "")


def test_a_year_that_is_only_judged_changes_no_choice(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    river(desk / "river.csv", floods=(2000, 7000, 11000))
    assert command.run([*WORDS, "--judge", "2020", "--out", "new.toml"]) == 0
    out = capsys.readouterr().out
    assert "\ntuned on: 2 events, 2 warned of in time" in out
    assert "judged on what was not tuned on: 1 events, 1 warned of in time" in out


@pytest.mark.parametrize(("change", "says"), [
    (["--event-level", "9"], "no event lies within the time that the records cover"),
    (["--rule", "the dam"], '"the dam" is not a rule of this file; use "the bridge", "rain"'),
    (["--judge", "1999x"], '--judge "1999x" is no year (2018), month (2018-08) or day, and no station; the stations'),
    (["--judge", "river"], "no event is left to tune on"),
    (["--on", "1:2:0"], "use LOW:HIGH:STEP with a step above 0"),
    (["--rule", "rain"], "no column holds what a rule of rules.toml judges (rain_mm)"),
    (["--events", "none.csv"], "none.csv: cannot be read"),
    (["--from", "2025-01-01"], "river: holds nothing in the time that --from and --to leave"),
    (["--event-column", "flow_m3s"], 'no column "flow_m3s" of numbers; use stage_m'),
    (["--resume", "river.csv"], "river.csv: is damaged or no file of tocsin tune"),
])
def test_what_cannot_be_done_is_said_in_a_sentence(desk: Path, capsys: pytest.CaptureFixture[str], change: list[str],
                                                   says: str) -> None:
    assert command.run([*WORDS, *change]) == 1
    assert says in capsys.readouterr().err


def test_a_command_line_that_is_off_says_what_is_allowed(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, says in ((WORDS[:6], "--lead-floor"), ([*WORDS, "--lead-floor", "soon"], '"soon" is not allowed'),
                        ([*WORDS, "--lead-to", "start"], "invalid")):
        with pytest.raises(SystemExit) as left:
            command.run(words)
        assert left.value.code == 2
        assert says in capsys.readouterr().err


def test_events_may_come_after_their_onset(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run([*WORDS[:6], "--lead-floor=-10min", *WORDS[8:]]) == 0
    assert "in time: raised at most 10 min after the onset of an event" in capsys.readouterr().out


def blocks(history: History, rows: int = ROWS) -> Iterator[Block]:
    return (piece.block for piece in pieces(history, rows))


def told(rules: Rules, history: History) -> list[tuple[int, int]]:
    """What the kernel says of a record under these rules, which have one level: (raised, cleared)."""
    plan, _ = plan_for(rules, history.series)
    state = start(plan)
    times = [change.t_ms for block in blocks(history) for change in step(state, block).changes]
    return list(zip(times[::2], [*times[1::2], NEVER], strict=False))


REAL = [
    ("us_walnut_creek_2024.csv.gz", {"name": "stage", "quantity": "stage_m", "yellow": 1.2, "off_below": 0.1},
     {"on": (0.6, 1.2, 1.8), "off_below": (0.05, 0.3), "n_of_m": ("1/1", "2/3", "3/5"), "on_delay_s": (0, 600)}),
    ("us_walnut_creek_2024.csv.gz", {"name": "rise", "quantity": "stage_m", "feature": "time_to", "target": 1.8,
                                     "over_min": 30, "yellow": 60},
     {"on": (30, 90), "over_min": (30, 60), "n_of_m": ("1/1", "2/3"), "robust": (False, True)}),
    ("us_walnut_creek_2024.csv.gz", {"name": "rain", "quantity": "rain_mm", "over_min": 60, "orange": 20},
     {"on": (5, 20), "off_fraction": (0.5, 0.8), "over_min": (60, 180), "off_delay_min": (0, 60)}),
    ("us_liberty_h2s_2016_2022.csv.gz", {"name": "gas", "quantity": "h2s_ppm", "feature": "cusum", "allowance": 0.005,
                                         "reference": 0.001, "yellow": 0.05},
     {"on": (0.02, 0.05), "off_fraction": (0.3, 0.6)}),
    ("kr_jingwan_bridge_2014_2021.csv.gz", {"name": "slope", "quantity": "stage_m", "feature": "slope", "over_min": 240,
                                            "device": "record", "yellow": 0.3},
     {"on": (0.05, 0.3), "n_of_m": ("1/1", "2/3"), "over_min": (240, 360)}),
]


@pytest.mark.parametrize(("name", "table", "values"), REAL, ids=[str(one[1]["name"]) for one in REAL])
def test_every_setting_tells_on_real_records_what_the_kernel_tells(
    name: str, table: dict[str, object], values: dict[str, tuple[float | str, ...]]
) -> None:
    path = shared_path(f"data/records/{name}")
    tables = {"rule": [table]}
    target = target_of(tables, rules_of(tables, "rules"), "", "")
    tried, refused = candidates(target, values)
    assert not refused
    rules = Rules((target.rule,))
    history = history_of(read(path), rules)
    episodes = 0
    for one in tried:
        found = work([one.compared], [], rules, [history])
        sheet = sheet_of(found, 0, target.level, one.setting.on if one.rule.robust else None)
        mine, = evaluate(sheet, [one.setting])
        # forgetful: nobody acknowledges in a record
        alone = replace(one.rule, levels=tuple(replace(level, latch=False) for level in one.rule.levels))
        assert list(zip(mine.raised.tolist(), mine.cleared.tolist(), strict=True)) == told(Rules((alone,)), history), (
            one.given)
        episodes += len(mine)
    assert episodes > len(tried)


def test_a_confirming_slope_looks_no_further_back_than_its_window() -> None:
    """Flat and high before a hole, then low and rising: over the hole the slope would be downward."""
    table = {"name": "slope", "quantity": "stage_m", "feature": "slope", "over_min": 60, "robust": True, "n_min": 3,
             "yellow": 1.0, "n": 1, "m": 1}
    tables = {"rule": [table]}
    target = target_of(tables, rules_of(tables, "rules"), "", "")
    t = [BEGIN + number * STEP for number in (*range(15), *range(22, 40))]
    values: list[float | None] = [*[9.0] * 15, *(number * 0.1 for number in range(18))]
    history = history_of(Record("river", t, {"stage_m": values}, {}), Rules((target.rule,)))
    for one in candidates(target, {"on": (0.5, 1.0, 1.1)})[0]:
        found = work([one.compared], [], Rules((target.rule,)), [history])
        mine, = evaluate(sheet_of(found, 0, target.level, one.setting.on), [one.setting])
        assert list(zip(mine.raised.tolist(), mine.cleared.tolist(), strict=True)) == told(Rules((one.rule,)), history)
        assert mine.raised.tolist() == [BEGIN + 28 * STEP]    # half the window behind the hole, not later


def test_features_do_not_depend_on_how_a_record_is_cut() -> None:
    path = shared_path("data/records/us_walnut_creek_2024.csv.gz")
    tables = {"rule": [REAL[1][1]]}
    rules = rules_of(tables, "rules")
    history = history_of(read(path), rules)
    plan, _ = plan_for(rules, history.series)
    whole, = record(plan, blocks(history))
    for rows in (1, 777):
        part, = record(plan, blocks(history.between(None, history.t_ms[600 if rows == 1 else -1]), rows))
        count = len(part.strand.t)
        assert count > 500
        readings, values = whole.reaching(NEVER)
        first = readings < count
        assert np.array_equal(part.reaching(NEVER), (readings[first], values[first]))
        assert (part.strand.told == whole.strand.told[:count]).all()


def test_a_candidate_is_what_the_file_will_say() -> None:
    tables = {"rule": [REAL[0][1]]}
    target = target_of(tables, rules_of(tables, "rules"), "", "")
    one: Candidate = candidates(target, {"on": (1.0,)})[0][1]
    assert one.rule == rules_of({"rule": [{**REAL[0][1], "yellow": 1.0}]}, "rules").rules[0]
