"""Dated calibration: in force at once, told, kept over restarts, and station.toml has the last word."""

import asyncio
import errno
import os
from pathlib import Path

import msgspec
import pytest

from edge import calibration
from edge.calibration import FILE, Entry, Key, add_entry, read_entries, text_of
from edge.config import check, load_station
from edge.operate import Ask, Reply
from edge.papers import papers_of
from tests.edge_bench import BUCKET, GAUGE, STAGE, Bench
from tests.test_edge_scale import changed
from tests.test_own_log import agree
from tocsin.devices import PolledDriver
from tocsin.levels import Level
from tocsin.messages import Event, EventKind, Readings
from tocsin.readings import Reading
from tocsin.said import Said, SaidError

RAIN = '[[rule]]\nname = "rain"\nquantity = "rain_mm"\nover_min = 60\nblue = 4\n'
WHO = {"who": "Li Wei", "why": "the staff gauge"}


def calibrate(bench: Bench, series: str, **numbers: float | str) -> Reply:
    """As over the socket, without the wait for the disk."""
    bench.flush()
    line = msgspec.json.encode({"do": "calibrate", "series": series, "set": numbers, **WHO})
    what = msgspec.json.decode(line, type=Ask)
    try:
        said = asyncio.run(bench.agent.work.calibrate(what.series, what.set, what.who, what.why))
        return Reply(True, said.en)
    except ValueError as err:
        return Reply(False, str(err))


def told(bench: Bench) -> list[tuple[str, str]]:
    return [(event.series, event.detail) for event in bench.of(Event) if event.what is EventKind.CALIBRATION]


def values(bench: Bench, series: str) -> list[float]:
    return [record.value[0] for record in bench.of(Readings) if record.series == [series]]


def test_an_offset_is_in_force_at_once_told_dated_and_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.operations.service("gauge", 10, "Li Wei")
    assert calibrate(bench, GAUGE, offset=0.05) == Reply(True, "gauge/stage_m: offset not given -> 0.05")
    bench.read(0.5)
    bench.operations.service("gauge", 0, "Li Wei")
    bench.read(0.5)
    assert values(bench, GAUGE)[-2:] == [0.55, 0.55]
    assert bench.levels() == []
    assert told(bench) == [(GAUGE, "offset not given -> 0.05, by Li Wei")]
    (entry,) = read_entries(bench.folder)
    assert entry == Entry("2024-08-08T00:01:00Z", "Li Wei", GAUGE, {"offset": 0.05}, {}, "the staff gauge")
    assert read_entries(bench.folder)[0].why in papers_of(bench.operations.station).calibration, "for a successor"
    before = bench.agent.pipeline.decider.config.hash
    bench.kill(100)
    assert bench.agent.pipeline.decider.config.hash == before, "a restart finds the very same scale"
    bench.read(0.5)
    assert values(bench, GAUGE)[-1] == 0.55
    assert len(told(bench)) == 1, "it is told once"
    agree(bench)
    bench.stop()


def test_another_size_of_tip_is_no_rain_and_rain_counts_by_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, STAGE + RAIN)
    bench.total = 100.0
    bench.read(0.5)
    bucket = bench.agent._station.devices[1]
    driver = bucket.driver
    bench.operations.service("bucket", 10, "Li Wei")
    assert calibrate(bench, BUCKET, mm_per_tip=0.2).done
    assert bench.agent._station.devices[1].driver is driver, "who polls it holds it"
    assert isinstance(driver, PolledDriver)
    assert driver.decode([[1000, 0, 0]]) == [Reading("rain_total_mm", 200.0)]
    bench.operations.service("bucket", 0, "Li Wei")
    bench.total = 40.0
    for _ in range(3):
        bench.read(0.5)
    assert bench.levels() == []
    bench.read(0.5, 4.4)
    bench.read(0.5)
    assert bench.levels() == [("rain", Level.BLUE)]
    assert told(bench) == [(BUCKET, "mm_per_tip 0.5 -> 0.2, by Li Wei")]
    agree(bench)
    bench.stop()


def test_the_newest_entry_counts_and_who_edits_the_station_file_later_has_the_last_word(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for offset in (0.05, 0.07):
        bench.operations.service("gauge", 10, "Li Wei")
        assert calibrate(bench, GAUGE, offset=offset).done
    bench.read(0.5)
    assert values(bench, GAUGE)[-1] == 0.57
    changed(bench, "[device.series.stage_m]", "[device.series.stage_m]\noffset = 0.01")
    bench.read(0.5)
    assert values(bench, GAUGE)[-1] == 0.51
    assert told(bench)[-1] == (GAUGE, "offset 0.07 -> 0.01, by the station's files")
    bench.operations.service("gauge", 10, "Li Wei")
    assert calibrate(bench, GAUGE, offset=0.02).done
    assert [entry.instead_of for entry in read_entries(bench.folder)] == [{}, {}, {"offset": 0.01}]
    changed(bench, "offset = 0.01", "offset = 0.03")
    assert told(bench)[-1] == (GAUGE, "offset 0.02 -> 0.03, by the station's files")
    agree(bench)
    bench.stop()


@pytest.mark.parametrize(("series", "numbers", "why"), [
    (GAUGE, {"offset": 1e9}, "1000000000.0 is not allowed; use a number of at least -1000000.0 and up to 1000000.0"),
    (GAUGE, {"datum": "sea"}, 'key "gauge_zero_m" is missing'),
    (GAUGE, {"datum": "sea", "gauge_zero_m": 200.0}, "sea"),
    (GAUGE, {"mm_per_tip": 0.2}, '"mm_per_tip" is not a key'),
    (BUCKET, {"mm_per_tip": 20.0}, "mm_per_tip: 20.0 is not allowed"),
    (BUCKET, {"sensor_height_m": 2.0}, "sensor_height_m is not allowed here"),
    (GAUGE, {}, "say what of gauge/stage_m is another number: offset, "),
    ("gauge", {"offset": 0.1}, '"gauge" is no series'),
    ("pump/stage_m", {"offset": 0.1}, '"pump" is not a device that measures here; use gauge, bucket'),
])
def test_what_makes_no_sense_is_refused_and_leaves_no_trace(
    tmp_path: Path, series: str, numbers: dict[str, float | str], why: str
) -> None:
    bench = Bench(tmp_path)
    for name in ("gauge", "bucket"):
        bench.operations.service(name, 10, "Li Wei")
    scales = [one.scale for one in bench.agent._station.series]
    reply = calibrate(bench, series, **numbers)
    assert not reply.done
    assert why in reply.said
    assert read_entries(bench.folder) == []
    assert [one.scale for one in bench.agent._station.series] == scales
    assert told(bench) == []
    bench.kill(100)
    assert [one.scale for one in bench.agent._station.series] == scales
    bench.stop()


def test_a_full_disk_is_told_with_the_file_and_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    bench.operations.service("gauge", 10, "Li Wei")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(calibration, "replace_file", full)
        with pytest.raises(SaidError) as found:
            asyncio.run(bench.agent.work.calibrate(GAUGE, {"offset": 0.05}, "Li Wei"))
    assert found.value.said == Said("nothing is calibrated: calibration.toml cannot be kept: No space left on device",
                                    "校准未生效：calibration.toml 无法保存：磁盘已满")
    assert read_entries(bench.folder) == []
    bench.stop()


def test_a_series_that_is_live_is_not_calibrated(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    reply = calibrate(bench, GAUGE, offset=0.1)
    assert reply == Reply(False, '"gauge/stage_m" is not in service: its numbers will jump, and must count for nothing '
                                 "then")
    bench.stop()


def test_a_kill_between_file_and_agent_leaves_what_the_file_says(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    add_entry(bench.folder, Entry("2024-08-08T00:01:00Z", "Li Wei", GAUGE, {"offset": 0.05}))
    bench.kill(100)
    bench.read(0.5)
    assert values(bench, GAUGE)[-1] == 0.55
    assert told(bench) == [(GAUGE, "offset not given -> 0.05, by the station's files")]
    agree(bench)
    bench.stop()


def test_the_file_can_be_written_by_hand_and_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.stop()
    place = bench.folder / FILE
    numbers: dict[Key, float | str] = {"datum": "gauge zero", "offset": 0.05}
    strange = Entry("2024-08-08T00:01:00Z", '李 "W" \\ é', GAUGE, numbers, {}, "why = x")
    place.write_text(f"# by hand\n{text_of(strange)}")
    assert read_entries(bench.folder) == [strange]
    assert load_station(bench.path).devices[0].scales() == {GAUGE: {"sensor_height_m": 0.0, "offset": 0.05}}
    for text, why in (("[[entry]]\nat = 'noon'\nwho = ''\nseries = ''\nset = {}", "noon"),
                      ("[[entry]]\nwho = ''\nseries = ''\nset = {}", 'key "at" is missing'),
                      ("[[entry]]\nat = '2024-08-08T00:01:00Z'\nwho = ''\nseries = ''\nset = {ofset = 1}", "ofset")):
        place.write_text(text)
        (problem,) = check(bench.path)
        assert FILE in problem
        assert why in problem
        assert FILE in str(load_station(bench.path).calibration.problems[0]), "an agent starts all the same"
