"""Other rules at a running station, and a candidate beside them."""

from pathlib import Path

import pytest

from edge.own_log import decisions_of
from edge.recorder import KINDS, LOCAL_KINDS
from tests.edge_bench import GAUGE, RAIN, STAGE, Bench
from tocsin.config import ConfigError
from tocsin.inputs import Config, Shadow
from tocsin.levels import Level
from tocsin.messages import Detection, EventKind, Start


def test_other_rules_come_in_while_it_runs_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(2.1)
    said = bench.reload(STAGE.replace("red = 3.0", "red = 2.9").replace("orange = 2.5\n", "") + RAIN)
    assert said.startswith("rules ")
    cards = [record.card for record in bench.of(Start)]
    assert [card.rules[0].levels for card in cards] == [
        {"yellow": 2.0, "orange": 2.5, "red": 3.0}, {"yellow": 2.0, "red": 2.9}]
    assert cards[0].rules_hash != cards[1].rules_hash
    assert bench.reload(STAGE.replace("red", "rad")).endswith('"rad" is not a key; did you mean "red"?')
    refused = [detail for _, detail in bench.events(EventKind.RULES)][-1]
    assert refused.startswith("refused, the rules stay as they were: ")
    bench.read(2.95)
    assert bench.levels() == [("stage", Level.YELLOW), ("stage", Level.RED)]
    assert bench.reload(bench.files.folder.joinpath("rules.toml").read_text()) == "the rules are as before"
    assert len(bench.of(Config)) == 2
    bench.stop()


def test_a_rule_that_is_gone_stays_until_its_level_falls_and_is_let_go_then(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(2.6)
    assert '"stage" stays until it is clear' in bench.reload(RAIN)
    bench.kill(100)
    bench.settle()
    bench.read(2.7)
    bench.settle()
    assert bench.levels() == [("stage", Level.ORANGE)]
    assert bench.sounds == "orange"
    bench.read(1.0)
    bench.settle()
    bench.read(9.0)
    assert bench.levels() == [("stage", Level.ORANGE), ("stage", Level.CLEAR)]
    assert [rule.name for rule in bench.of(Start)[-1].card.rules] == ["rain"]
    bench.stop()


def test_a_new_window_knows_what_was_read_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path, STAGE)
    for _ in range(20):
        bench.read(0.5, 0.5)
    bench.flush(10)                       # some of it is still on its way to the disk
    assert bench.reload(STAGE + RAIN.replace("blue = 4", "blue = 10")).startswith("rules ")
    for _ in range(2):
        bench.read(0.5, 0.5)
    (found,) = bench.of(Detection)
    assert (found.rule, found.value) == ("rain", 10.0)
    bench.stop()


def test_candidate_rules_are_logged_and_neither_sound_nor_are_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shadow=STAGE.replace("red = 3.0", "red = 2.6"))
    for stage in (2.55, 2.7, 1.0):
        bench.read(stage)
    assert bench.levels() == [("stage", Level.ORANGE), ("stage", Level.CLEAR)]
    assert [(one.level, one.previous) for one in bench.of(Shadow)] == [(3, 0), (4, 3), (0, 4)]
    assert bench.sounds == "clear"
    assert KINDS[Shadow] in LOCAL_KINDS
    (tmp_path / "shadow.toml").write_text("[[rule]]\nname = 'wrong'")
    assert "shadow.toml: rule" in bench.reload(STAGE)
    bench.stop()


def test_revisions_rise_also_over_a_time_without_the_rule(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for stage in (2.6, 1.0):
        bench.read(stage)
    bench.reload(RAIN)
    bench.checkpoint()
    bench.kill()
    bench.reload(RAIN + STAGE)
    bench.read(2.6)
    assert [(one.level, one.revision) for one in bench.of(Detection)] == [(3, 1), (0, 2), (3, 3)]
    bench.stop()


def test_a_level_whose_instrument_was_taken_out_is_told_clear_and_its_revision_counts_on(tmp_path: Path) -> None:
    """Nothing at the station could clear it any more, and the hub would call for it for ever."""
    bench = Bench(tmp_path)
    for stage in (0.5, 2.6):
        bench.read(stage)
    assert bench.levels() == [("stage", Level.ORANGE)]
    with_gauge = bench.files.devices
    bench.files.devices = with_gauge.replace('name = "gauge"', 'name = "other"')
    bench.path = bench.files.write()
    bench.kill(100)
    raised, cleared = bench.of(Detection)
    assert (cleared.series, cleared.level, cleared.previous, cleared.revision, cleared.episode) == (
        GAUGE, Level.CLEAR, Level.ORANGE, raised.revision + 1, raised.episode)
    bench.flush()
    bench.files.devices = with_gauge
    bench.path = bench.files.write()
    bench.kill(100)
    for stage in (0.5, 2.6):
        bench.read(stage)
    assert bench.of(Detection)[-1].revision == cleared.revision + 1
    bench.flush()
    assert [one.revision for one in decisions_of(bench.folder)] == [1, 2, 3]
    bench.stop()


def test_a_folder_with_the_log_of_another_station_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.flush()
    bench.stop()
    bench.path.write_text(bench.path.read_text().replace('id = "bridge"', 'id = "ford"'))
    with pytest.raises(ConfigError, match=r'"ford" is not allowed; .* holds the log of "bridge"'):
        bench._start()
