"""Another height, offset or size of tip in station.toml: the numbers jump, and nothing outside has changed."""

from pathlib import Path

from tests.edge_bench import BUCKET, GAUGE, RAIN, STAGE, Bench
from tests.test_own_log import RISING, agree
from tocsin.levels import Level

RISING_SLOWLY = RISING.replace('"rising"', '"rising slowly"').replace("over_min = 20", "over_min = 30")


def changed(bench: Bench, old: str, new: str) -> None:
    """Somebody stops the agent, writes the station file anew, and starts it again."""
    assert old in bench.files.devices
    bench.files.devices = bench.files.devices.replace(old, new)
    bench.files.write()
    bench.kill(1000)


def test_another_size_of_tip_is_no_rain(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.total = 100.0
    for _ in range(5):
        bench.read(0.5)
    changed(bench, "mm_per_tip = 0.5", "mm_per_tip = 0.8")
    bench.total = 160.0
    for _ in range(3):
        bench.read(0.5)
    assert bench.levels() == []
    for _ in range(3):
        bench.read(0.5, 2.4)
    assert bench.levels() == [("rain", Level.BLUE)]
    agree(bench)
    bench.stop()


def test_another_height_of_the_sensor_is_no_rise_also_for_rules_that_come_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path, RISING + RAIN)
    for _ in range(20):
        bench.read(0.5)
    changed(bench, "sensor_height_m = 0.0", "sensor_height_m = 1.5")
    for _ in range(14):
        bench.read(0.5)
    bench.reload(RISING + RISING_SLOWLY + RAIN)
    for _ in range(3):
        bench.read(0.5)
    assert bench.levels() == []
    agree(bench)
    bench.stop()


def test_what_stands_stays_and_falls_by_the_new_numbers(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for stage in (2.6, 2.6, 2.6):
        bench.read(stage, 3.0)
    assert bench.levels() == [("stage", Level.ORANGE), ("rain", Level.BLUE)]
    changed(bench, "sensor_height_m = 0.0", "sensor_height_m = -1.0")
    assert (len(bench.levels()), bench.sounds) == (2, "orange")
    bench.read(2.6)
    assert bench.levels()[2:] == [("stage", Level.CLEAR)]
    agree(bench)
    bench.stop()


def test_the_other_instruments_go_on_as_they_were(tmp_path: Path) -> None:
    bench = Bench(tmp_path, STAGE + RAIN)
    for _ in range(3):
        bench.read(0.5, 1.0)
    changed(bench, "sensor_height_m = 0.0", "sensor_height_m = 1.0")
    memory, columns = bench.agent.pipeline.decider.live.memory, bench.agent.pipeline.decider.columns
    assert int(memory.seen[columns[GAUGE]]) == 0, "nothing is known of a series whose scale is another one"
    assert int(memory.seen[columns[BUCKET]]) == 3
    for _ in range(3):
        bench.read(0.5, 1.0)
    assert bench.levels() == [("rain", Level.BLUE)]
    bench.stop()
