"""What people do at a station: to levels, to the siren, and in the log."""

from pathlib import Path

import pytest

from tests.edge_bench import AFTER, BUCKET, GAUGE, LATCHED, MINUTE_MS, Bench
from tocsin.inputs import OperatorClear, Service, Shelve
from tocsin.levels import Level
from tocsin.messages import Detection, EventKind, Readings
from tocsin.readings import Quality

HOUR_MS = 60 * MINUTE_MS


# what people do


def test_a_latched_level_waits_for_a_person(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED)
    for stage in (2.6, 1.0, 1.0):
        bench.read(stage)
    assert bench.levels() == [("stage", Level.ORANGE)]
    assert bench.sounds == "orange"
    said = bench.operations.acknowledge("stage", GAUGE, "Li Wei")
    assert str(said) == 'Li Wei acknowledged "stage" at orange on gauge/stage_m'
    bench.read(1.0)
    assert bench.levels() == [("stage", Level.ORANGE), ("stage", Level.CLEAR)]
    assert bench.sounds == "clear"
    assert [detail for _, detail in bench.events(EventKind.OPERATOR)] == ['Li Wei acknowledged "stage" at orange']
    bench.stop()


def test_an_operator_clears_and_the_siren_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED)
    bench.read(2.6)
    bench.operations.clear("stage", GAUGE, "Li Wei")
    assert bench.levels() == [("stage", Level.ORANGE), ("stage", Level.CLEAR)]
    assert bench.sounds == "clear"
    (record,) = bench.of(OperatorClear)
    assert (record.series, record.rule, record.who) == (GAUGE, "stage", "Li Wei")
    with pytest.raises(ValueError, match="is clear: there is nothing to do"):
        bench.operations.clear("stage", GAUGE, "Li Wei")
    with pytest.raises(ValueError, match='"rain" does not judge gauge/stage_m here; use "stage" on gauge/stage_m'):
        bench.operations.acknowledge("rain", GAUGE, "Li Wei")
    bench.stop()


def test_a_shelved_rule_is_evaluated_told_as_shelved_and_sounds_when_shelving_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.operations.shelve("stage", GAUGE, 10, "Li Wei")
    bench.read(3.1)
    assert [(one.level, one.shelved) for one in bench.of(Detection)] == [(Level.RED, True)]
    assert bench.sounds == "clear"
    bench.clock.pass_ms(8 * MINUTE_MS)
    bench.tick()
    assert bench.sounds == "clear"
    bench.clock.pass_ms(MINUTE_MS)
    bench.tick()
    assert bench.sounds == "red"
    assert [(one.level, one.previous, one.revision, one.shelved) for one in bench.of(Detection)] == [
        (Level.RED, Level.CLEAR, 1, True), (Level.RED, Level.RED, 2, False)], "the hub called nobody for the first"
    bench.tick()
    bench.operations.shelve("stage", GAUGE, 5, "Li Wei")
    assert bench.sounds == "clear"
    bench.operations.shelve("stage", GAUGE, 0, "Li Wei")
    assert bench.sounds == "red"
    assert len(bench.of(Shelve)) == 3
    assert len(bench.of(Detection)) == 2, "told when it was not shelved, it stands as told"
    with pytest.raises(ValueError, match="1441 minutes are not allowed; use 0 to 1440"):
        bench.operations.shelve("stage", GAUGE, 1441, "Li Wei")
    bench.stop()


def test_a_level_hidden_by_shelving_is_told_once_when_a_person_ends_it_or_the_agent_was_killed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.operations.shelve("stage", GAUGE, 10, "Li Wei")
    bench.read(3.1)
    bench.checkpoint()
    bench.kill()
    bench.operations.shelve("stage", GAUGE, 0, "Li Wei")
    bench.kill(100)
    bench.tick()
    assert [(one.level, one.revision, one.shelved) for one in bench.of(Detection)] == [
        (Level.RED, 1, True), (Level.RED, 2, False)]
    found = bench.of(Detection)
    assert {(one.episode, one.since, one.threshold) for one in found} == {
        (found[0].episode, found[0].since, 3.0)}
    bench.operations.shelve("stage", GAUGE, 10, "Li Wei")
    bench.read(1.0)
    bench.clock.pass_ms(HOUR_MS)
    bench.tick()
    assert [(one.level, one.shelved) for one in bench.of(Detection)][2:] == [(Level.CLEAR, True)]
    bench.stop()


def test_tips_made_while_somebody_works_on_the_gauge_are_no_rain(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for _ in range(3):
        bench.read(0.5, 0.5)
    bench.operations.service("bucket", 30, "Li Wei")
    bench.read(0.5, 50.0)
    bench.kill(100)
    bench.read(0.5, 50.0)
    bench.operations.service("bucket", 0, "Li Wei")
    for _ in range(3):
        bench.read(0.5, 0.5)
    assert bench.levels() == []
    bits = [record.quality[0] & Quality.SERVICE for record in bench.of(Readings) if record.series == [BUCKET]]
    assert [bool(one) for one in bits] == [False] * 4 + [True] * 2 + [False] * 4, (
        "the first of each stretch is held and asked again")
    bench.read(0.5, 9.0)
    bench.read(0.5, 0.5)
    assert bench.levels() == [("rain", Level.BLUE)]
    with pytest.raises(ValueError, match='"siren" is not a device that measures here; use gauge, bucket'):
        bench.operations.service("siren", 5, "Li Wei")
    with pytest.raises(ValueError, match='"gauge" is not in service'):
        bench.operations.service("gauge", 0, "Li Wei")
    with pytest.raises(ValueError, match="61 minutes are not allowed; use 0 to 60"):
        bench.operations.service("gauge", 61, "Li Wei")
    bench.stop()


def test_service_mode_ends_by_itself_and_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.operations.service("gauge", 60, "Li Wei")
    bench.read(3.5, after_ms=59 * MINUTE_MS)
    bench.tick()
    assert bench.levels() == []
    bench.clock.pass_ms(2 * MINUTE_MS)
    bench.tick()
    assert [detail for _, detail in bench.events(EventKind.SERVICE)][-1] == (
        "service mode ended by itself: its time was over")
    assert [record.until - record.t for record in bench.of(Service)] == [HOUR_MS, -bench.of(Service)[-1].t]
    bench.read(3.5)
    assert bench.levels() == [("stage", Level.RED)]
    bench.stop()


# the siren of a level that a person may object to


def test_the_siren_of_a_level_with_authority_after_waits_for_its_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, AFTER)
    bench.read(3.2)
    assert (bench.levels(), bench.sounds) == ([("stage", Level.RED)], "orange")
    assert [one.hold_s for one in bench.of(Detection)] == [100.0]
    bench.clock.pass_ms(99_000)
    bench.tick()
    assert bench.sounds == "orange"
    bench.clock.pass_ms(2_000)
    bench.tick()
    assert bench.sounds == "red"
    bench.stop()


@pytest.mark.parametrize("killed", [False, True])
def test_an_acknowledgement_in_time_stops_it_also_over_a_restart(tmp_path: Path, killed: bool) -> None:
    bench = Bench(tmp_path, AFTER)
    bench.read(3.2)
    bench.clock.pass_ms(50_000)
    bench.operations.acknowledge("stage", GAUGE, "Li Wei")
    if killed:
        bench.kill(100)
    bench.clock.pass_ms(200_000)
    bench.tick()
    assert bench.sounds == "orange"
    for stage in (1.0, 3.2):
        bench.read(stage)
    bench.clock.pass_ms(101_000)
    bench.tick()
    assert bench.sounds == "red", "another rise is another question"
    bench.operations.acknowledge("stage", GAUGE, "Li Wei")
    bench.tick()
    assert bench.sounds == "red", "what sounds goes on until the level falls"
    bench.stop()


def test_the_time_of_a_level_goes_on_over_a_restart_and_ends_with_its_fall(tmp_path: Path) -> None:
    bench = Bench(tmp_path, AFTER)
    bench.read(3.2)
    bench.clock.pass_ms(60_000)
    bench.kill(100)
    assert bench.sounds == "orange"
    bench.clock.pass_ms(41_000)
    bench.tick()
    assert bench.sounds == "red"
    bench.read(2.6)
    assert bench.sounds == "orange"
    bench.stop()
