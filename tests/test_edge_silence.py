"""Silence and answers at the site: who heard what, until when, and that the log gives the same."""

from pathlib import Path

import pytest

from edge.own_log import replayed
from edge.siren_parts import AT_THE_SITE
from edge.sounding import Sound
from tests.edge_bench import AFTER, GAUGE, MINUTE_MS, STAGE, Bench
from tests.test_own_log import agree
from tocsin.inputs import Acknowledge, Silence
from tocsin.levels import Level
from tocsin.messages import Answer, EventKind
from tocsin.signing import new_station_key

TWO = """
[[rule]]
name = "high"
quantity = "stage_m"
datum = "gauge zero"
n = 1
m = 1
off_below = 0.2
off_delay_min = 0
orange = 4.0
"""


def sounding(bench: Bench) -> list[Sound]:
    return bench.agent.pipeline._asked


def rising(bench: Bench, *stages: float) -> None:
    for stage in stages:
        bench.read(stage)


def test_a_silence_ends_by_itself_and_with_it_the_level_sounds_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rising(bench, 0.5, 2.6)
    assert bench.operations.silence(5, "Li Wei").en == "Li Wei silenced the siren for 5 min"
    assert bench.sounds == "clear"
    bench.clock.pass_ms(4 * MINUTE_MS)
    bench.tick()
    assert bench.sounds == "clear"
    bench.clock.pass_ms(MINUTE_MS)
    bench.tick()
    assert bench.sounds == "orange"
    (record,) = bench.of(Silence)
    assert (record.until - record.t, record.who) == (5 * MINUTE_MS, "Li Wei")
    assert [detail for _, detail in bench.events(EventKind.OPERATOR)] == ["Li Wei silenced the siren for 5 min"]
    bench.stop()


def test_a_level_that_rises_ends_the_silence_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rising(bench, 0.5, 2.6)
    bench.operations.silence(10, "Li Wei")
    bench.read(3.2, after_ms=1000)
    assert bench.sounds == "red"
    bench.stop()


@pytest.mark.parametrize("hold", ["silence", "answer"])
def test_what_fell_and_came_back_sounds_as_if_nobody_had_heard(tmp_path: Path, hold: str) -> None:
    bench = Bench(tmp_path)
    rising(bench, 0.5, 3.2)
    if hold == "silence":
        bench.operations.silence(10, "Li Wei")
    else:
        bench.operations.answer("Li Wei")
    bench.read(2.6, after_ms=1000)
    (low,) = sounding(bench)
    assert low.level.word == "orange"
    assert low.quiet or low.answered, "it has only fallen"
    bench.read(3.2, after_ms=1000)
    (high,) = sounding(bench)
    assert (high.level.word, high.quiet, high.answered) == ("red", False, False)
    bench.stop()


def test_another_rule_sounds_through_a_silence(tmp_path: Path) -> None:
    bench = Bench(tmp_path, STAGE + TWO)
    rising(bench, 0.5, 3.2)
    bench.operations.silence(10, "Li Wei")
    bench.read(4.1, after_ms=1000)
    assert [(one.rule, one.quiet) for one in sounding(bench)] == [("stage", True), ("high", False)]
    bench.stop()


def test_a_time_that_comes_for_a_level_ends_the_silence_of_the_one_below(tmp_path: Path) -> None:
    bench = Bench(tmp_path, AFTER)
    rising(bench, 0.5, 3.2)
    bench.operations.silence(10, "Li Wei")
    assert bench.sounds == "clear"
    bench.clock.pass_ms(101_000)
    bench.tick()
    assert bench.sounds == "red"
    bench.stop()


def test_silence_has_limits_and_reasons(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(ValueError, match="nothing sounds: there is nothing to silence"):
        bench.operations.silence(5, "Li Wei")
    rising(bench, 0.5, 2.1)
    assert [one.level for one in bench.agent.pipeline.sounds()] == [Level.YELLOW]
    with pytest.raises(ValueError, match="nothing sounds: there is nothing to silence"):
        bench.operations.silence(5, "Li Wei")
    rising(bench, 2.6)
    for minutes in (10.1, -1, float("nan")):
        with pytest.raises(ValueError, match="minutes are not allowed; use 0 to 10"):
            bench.operations.silence(minutes, "Li Wei")
    assert bench.sounds == "orange"
    bench.operations.silence(10, "Li Wei")
    assert bench.operations.silence(0, "Li Wei").en == "Li Wei ended the siren's silence"
    assert bench.sounds == "orange"
    bench.stop()


def test_a_station_without_a_siren_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.stop()
    bench.files.siren, bench.files.key = False, new_station_key()
    bench.path = bench.files.write()
    bench.agent = bench._start()
    with pytest.raises(ValueError, match="this station has no siren"):
        bench.operations.silence(5, "Li Wei")
    with pytest.raises(ValueError, match="this station has no siren"):
        bench.operations.answer("Li Wei")
    bench.stop()


# answers


def test_an_answer_is_for_all_that_sounds_and_the_hub_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rising(bench, 0.5, 2.6)
    assert bench.operations.answer(AT_THE_SITE).en == f'{AT_THE_SITE}: answered "stage" at orange on {GAUGE}'
    assert [one.answered for one in sounding(bench)] == [True]
    (answer,) = bench.of(Answer)
    assert (answer.who, answer.how, answer.warning) == (AT_THE_SITE.en, AT_THE_SITE.en, "")
    assert [(one.rule, one.who) for one in bench.of(Acknowledge)] == [("stage", AT_THE_SITE.en)]
    with pytest.raises(ValueError, match="nothing sounds that nobody has answered"):
        bench.operations.answer(AT_THE_SITE)
    bench.read(3.2)
    assert [one.answered for one in sounding(bench)] == [False], "red is another question"
    bench.stop()


def test_what_does_not_sound_is_not_answered(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rising(bench, 0.5, 2.1)
    assert bench.levels() == [("stage", 2)]
    with pytest.raises(ValueError, match="nothing sounds"):
        bench.operations.answer(AT_THE_SITE)
    assert bench.of(Acknowledge) == []
    bench.stop()


# the log


@pytest.mark.parametrize("checkpoint", [False, True])
def test_silence_and_answers_outlive_the_process_and_the_log_gives_the_same(tmp_path: Path, checkpoint: bool) -> None:
    bench = Bench(tmp_path)
    rising(bench, 0.5, 2.6)
    bench.operations.answer(AT_THE_SITE)
    bench.operations.silence(10, "Li Wei")
    if checkpoint:
        bench.checkpoint()
    before = sounding(bench)
    bench.kill(100)
    assert sounding(bench) == before
    assert bench.sounds == "clear"
    agree(bench)
    bench.clock.pass_ms(10 * MINUTE_MS)
    bench.tick()
    assert [(one.quiet, one.answered) for one in sounding(bench)] == [(False, True)]
    agree(bench)
    bench.stop()


def test_a_reader_may_begin_where_a_silence_is_remembered(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rising(bench, 0.5, 2.6)
    bench.operations.silence(10, "Li Wei")
    bench.agent.pipeline.remember()
    bench.operations.silence(0, "Li Wei")
    bench.flush()
    own = replayed(bench.folder)
    assert (own.parted, own.damage) == ([], [])
    bench.stop()


def test_a_clock_set_back_makes_no_endless_silence(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rising(bench, 0.5, 2.6)
    bench.operations.silence(10, "Li Wei")
    bench.clock.set_by(-24 * 60 * MINUTE_MS)
    bench.tick()
    assert bench.sounds == "clear"
    bench.clock.pass_ms(61 * MINUTE_MS)
    bench.tick()
    assert bench.sounds == "orange"
    agree(bench)
    bench.stop()
