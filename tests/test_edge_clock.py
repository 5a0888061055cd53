"""Clocks that are set: what time it is for the agent, and what it makes of it."""

import os
import time
from pathlib import Path

import pytest

from edge.timekeeper import Timekeeper
from tests.edge_bench import CHECK, GAUGE, MINUTE_MS, RAIN, STAGE, Bench
from tests.stations import START_MS, SetClock
from tests.tasks import beside
from tests.test_edge_thinning import seal, written
from tocsin.clock import SystemClock
from tocsin.inputs import ClockStep
from tocsin.levels import Level
from tocsin.messages import EventKind, Readings
from tocsin.readings import Quality

HOUR_MS = 60 * MINUTE_MS


def test_a_clock_set_back_by_hours_begins_a_new_epoch_and_levels_hold(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.clock.set_by(26 * HOUR_MS)
    for stage in (0.5, 2.6):
        bench.read(stage)
    bench.clock.set_by(-26 * HOUR_MS)
    bench.read(3.1)
    (ahead, back) = bench.of(ClockStep)
    assert (ahead.epoch, back.epoch) == (False, True)
    assert abs(back.t - START_MS) < HOUR_MS
    gauge = [record for record in bench.of(Readings) if record.series == [GAUGE]]
    assert gauge[-1].t[0] < gauge[-2].t[0] - 20 * HOUR_MS
    assert gauge[-1].quality == [0]
    assert bench.levels() == [("stage", Level.ORANGE), ("stage", Level.RED)]
    assert "the time before was wrong" in bench.events(EventKind.CLOCK)[-1][1]
    bench.kill(100)
    bench.read(1.0)
    assert bench.levels()[-1] == ("stage", Level.CLEAR)
    assert [record.t[0] for record in bench.of(Readings)][-1] - START_MS < HOUR_MS
    bench.stop()


def test_a_clock_set_back_a_little_is_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.clock.set_by(-30 * MINUTE_MS)
    bench.read(0.6)
    gauge = [(record.t[0] - START_MS, record.quality[0]) for record in bench.of(Readings) if record.series == [GAUGE]]
    assert gauge == [(MINUTE_MS, 0), (2 * MINUTE_MS, int(Quality.CLOCK))]
    (step,) = bench.of(ClockStep)
    assert (step.step_ms, step.epoch) == (-30 * MINUTE_MS, False)
    bench.stop()


def test_before_the_first_sync_after_boot_time_goes_on_from_the_log() -> None:
    clock = SetClock(START_MS)
    clock.set_by(-100 * 24 * HOUR_MS)
    keeper = Timekeeper(clock, START_MS)
    clock.pass_ms(MINUTE_MS)
    assert (keeper.now_ms(), keeper.doubtful, keeper.epoch) == (START_MS + 1 + MINUTE_MS, True, False)
    clock.set_by(100 * 24 * HOUR_MS)
    clock.pass_ms(MINUTE_MS)
    assert (keeper.now_ms(), keeper.doubtful, keeper.epoch) == (START_MS + 2 * MINUTE_MS, False, False)


@pytest.mark.parametrize(("behind_ms", "in_sync", "epoch"), [
    (HOUR_MS + 1, True, True), (HOUR_MS + 1, False, False), (HOUR_MS + 1, None, False),
    (HOUR_MS - MINUTE_MS, True, False), (400 * 24 * HOUR_MS, True, True),
])
def test_a_log_from_the_future_counts_no_more_once_the_clock_is_synchronized(
    behind_ms: int, in_sync: bool | None, epoch: bool
) -> None:
    """It was written under a clock that was ahead; after a restart no step of the clock says so."""
    clock = SetClock(START_MS)
    keeper = Timekeeper(clock, START_MS + behind_ms)
    assert (keeper.now_ms(), keeper.doubtful, keeper.epoch) == (START_MS + behind_ms + 1, True, False)
    clock.in_sync = in_sync
    clock.pass_ms(1000)
    now_ms = keeper.now_ms()
    assert (keeper.epoch, keeper.doubtful) == (epoch, not epoch)
    held = START_MS + 1000, -behind_ms - 1
    assert (now_ms, keeper.step_ms) == (held if epoch else (START_MS + behind_ms + 1001, 0))
    clock.pass_ms(1000)
    assert (keeper.now_ms() - now_ms, keeper.epoch, keeper.step_ms) == (1000, False, 0)


def test_this_machine_says_whether_its_clock_is_synchronized() -> None:
    assert SystemClock().synchronized() in {True, False, None}


def test_a_station_that_was_ahead_comes_back_after_a_restart(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.clock.set_by(26 * HOUR_MS)
    for stage in (0.5, 2.6):
        bench.read(stage)
    bench.kill(100)
    bench.clock.set_by(-26 * HOUR_MS)
    bench.kill(100)
    bench.clock.in_sync = True
    bench.read(3.1)
    assert abs(bench.of(ClockStep)[-1].t - START_MS) < HOUR_MS
    assert bench.of(ClockStep)[-1].epoch
    assert [record.quality for record in bench.of(Readings) if record.series == [GAUGE]][-1] == [0]
    assert bench.levels() == [("stage", Level.ORANGE), ("stage", Level.RED)]
    bench.stop()


@pytest.mark.parametrize(("step_ms", "epoch"), [(-HOUR_MS, False), (-HOUR_MS - 1, True), (-400 * 24 * HOUR_MS, False)])
def test_only_a_step_of_more_than_an_hour_to_a_time_that_can_be_is_an_epoch(step_ms: int, epoch: bool) -> None:
    """The last of them would be before 2024: that clock is not right either."""
    clock = SetClock(START_MS)
    keeper = Timekeeper(clock)
    clock.set_by(step_ms)
    now_ms = keeper.now_ms()
    assert (keeper.step_ms, keeper.epoch, keeper.doubtful) == (step_ms, epoch, not epoch)
    assert now_ms == (START_MS + step_ms if epoch else START_MS)
    clock.pass_ms(1000)
    assert (keeper.now_ms() - now_ms, keeper.step_ms, keeper.epoch) == (1000, 0, False)


def test_rules_that_come_in_after_a_new_epoch_know_nothing_of_the_time_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.clock.set_by(26 * HOUR_MS)
    for _ in range(5):
        bench.read(0.5, 1.0)
    bench.clock.set_by(-26 * HOUR_MS)
    bench.read(0.5, 1.0)
    assert bench.reload(STAGE + RAIN + CHECK).startswith("rules ")
    for _ in range(2):
        bench.read(2.6)
    assert bench.levels() == [("rain", Level.BLUE), ("stage", Level.ORANGE)], "the rain is that of before the reload"
    assert max(record.t[0] for record in bench.of(Readings)[-4:]) - START_MS < HOUR_MS
    bench.stop()


def test_a_record_that_is_no_input_takes_no_step_of_the_clock_away() -> None:
    clock = SetClock(START_MS)
    keeper = Timekeeper(clock)
    clock.pass_ms(1000)
    clock.set_by(-20 * 60_000)
    assert keeper.peek_ms() == START_MS + 1000
    keeper.now_ms()
    assert keeper.step_ms == -20 * 60_000


async def test_what_is_written_after_the_clock_was_set_keeps_its_date(tmp_path: Path) -> None:
    now_s = time.time()
    bench = Bench(tmp_path)
    bench.clock.set_by(round(now_s * 1000) - START_MS + 30 * 24 * HOUR_MS)
    async with beside(bench.agent.recorder.run()):
        await bench.agent._watch._save()
    bench.read(0.5)
    seal(bench)
    bench.read(0.6)
    written(bench)
    before, last = sorted(bench.agent._log.folder.glob("segment-*.log"))
    ahead_s = now_s + 30 * 86_400
    os.utime(before, (ahead_s, ahead_s))
    bench.clock.set_by(-30 * 24 * HOUR_MS)
    async with beside(bench.agent.recorder.run()):
        await bench.agent._watch._save()
    for path in (before, last):
        assert abs(path.stat().st_mtime - now_s) < 600
    bench.stop()


@pytest.mark.parametrize(("step_ms", "moved_s"), [
    (30 * 24 * HOUR_MS, 30 * 86_400), (-2 * HOUR_MS, -7200), (30 * MINUTE_MS, 0)])
async def test_files_of_the_log_that_a_wrong_clock_has_dated_are_dated_anew_once_it_is_set(
    tmp_path: Path, step_ms: int, moved_s: int
) -> None:
    bench = Bench(tmp_path)
    bench.clock.in_sync = False  # nothing is dropped meanwhile
    bench.read(0.5)
    seal(bench)
    bench.read(0.6)
    written(bench)
    path = bench.agent._log.sealed[0]
    written_s = path.stat().st_mtime
    bench.clock.set_by(step_ms)
    for _ in range(2):  # once
        async with beside(bench.agent.recorder.run()):
            await bench.agent._watch._save()
    assert abs(path.stat().st_mtime - written_s - moved_s) < 600
    bench.stop()
