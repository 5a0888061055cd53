"""A calibration.toml that is torn or fits no more: the station starts, measures as before where it can, and says so."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge.calibration import ASIDE, FILE, GOOD, KNOWN, Entry, read_entries, text_of
from edge.config import check
from edge.operate import Reply
from edge.papers import papers_of
from edge.survey import StationNow
from tests.edge_bench import BUCKET, GAUGE, Bench
from tests.test_edge_calibration import calibrate, told, values
from tests.test_own_log import agree
from tocsin.levels import Level


def begun_on(bench: Bench, spoil: Callable[[Path], object]) -> None:
    """A power cut, what it did to the files, and the next start."""
    bench.flush()
    spoil(bench.folder)
    bench.kill(100)


@pytest.mark.parametrize("left", [b"", b"\0" * 300, b"\xff\xfe", b"[[entry]]\nat = '2024", None])
def test_a_damaged_calibration_keeps_no_station_from_warning_nor_changes_what_it_measures(
    tmp_path: Path, left: bytes | None
) -> None:
    bench = Bench(tmp_path)
    bench.operations.service("gauge", 10, "Li Wei")
    assert calibrate(bench, GAUGE, offset=0.05).done
    bench.operations.service("gauge", 0, "Li Wei")
    before = bench.agent.pipeline.decider.config.hash

    def spoil(folder: Path) -> None:
        whole = (folder / FILE).read_bytes()
        (folder / FILE).write_bytes(whole[:40] if left is None else left)

    begun_on(bench, spoil)
    assert bench.agent.pipeline.decider.config.hash == before
    bench.read(2.96)
    assert values(bench, GAUGE)[-1] == 3.01
    assert bench.levels()[-1] == ("stage", Level.RED)
    *_, (_, why), (_, what) = told(bench)
    assert FILE in why
    assert what == "the calibration that was good last is in force"
    assert FILE in check(bench.path)[0]
    now = msgspec.json.decode(asyncio.run(bench.agent.work.status()).en, type=StationNow)
    assert now.problems == [why, what]
    assert "offset = 0.05" in papers_of(bench.operations.station).calibration, "a successor gets what counts"
    agree(bench)
    bench.stop()


def test_a_finding_beside_a_damaged_calibration_begins_the_file_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for series, numbers in ((GAUGE, {"offset": 0.05}), (BUCKET, {"mm_per_tip": 0.2})):
        bench.operations.service("", 10, "Li Wei")
        assert calibrate(bench, series, **numbers).done
    begun_on(bench, lambda folder: (folder / FILE).write_bytes(b"torn"))
    bench.operations.service("gauge", 10, "Li Wei")
    damaged = (bench.folder / FILE).read_bytes()
    assert not calibrate(bench, GAUGE, offset=1e9).done
    assert (bench.folder / FILE).read_bytes() == damaged
    assert calibrate(bench, GAUGE, offset=0.07) == Reply(True, "gauge/stage_m: offset 0.05 -> 0.07")
    assert [entry.set for entry in read_entries(bench.folder)] == [
        {"offset": 0.05}, {"mm_per_tip": 0.2}, {"offset": 0.07}]
    assert (bench.folder / ASIDE).read_bytes() == b"torn"
    assert bench.operations.station.calibration.problems == ()
    bench.kill(100)
    assert bench.operations.station.calibration.problems == ()
    assert check(bench.path) == []
    bench.stop()


def test_without_any_good_calibration_a_station_runs_as_its_file_says_and_tells_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.operations.service("gauge", 10, "Li Wei")
    assert calibrate(bench, GAUGE, offset=0.05).done

    def spoil(folder: Path) -> None:
        for name in (FILE, GOOD, KNOWN):
            (folder / name).write_bytes(b"\xff\xff")

    begun_on(bench, spoil)
    bench.read(0.5)
    assert values(bench, GAUGE)[-1] == 0.5
    assert told(bench)[-1] == (
        "", "no calibration is in force; everything is measured as station.toml says")
    bench.stop()


def test_an_entry_that_fits_the_station_no_more_keeps_it_from_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    begun_on(bench, lambda folder: (folder / FILE).write_text(
        text_of(Entry("2024-08-08T00:01:00Z", "Li Wei", GAUGE, {"mm_per_tip": 0.2}))))
    assert any("mm_per_tip" in detail for _, detail in told(bench))
    bench.read(0.5)
    assert values(bench, GAUGE) == [0.5]
    bench.stop()


def test_a_file_written_by_hand_without_a_last_line_end_takes_another_finding(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    entry = Entry("2024-08-08T00:01:00Z", "Li Wei", GAUGE, {"offset": 0.05})
    begun_on(bench, lambda folder: (folder / FILE).write_text(text_of(entry).strip()))
    bench.operations.service("gauge", 10, "Li Wei")
    assert calibrate(bench, GAUGE, offset=0.06).done
    assert len(read_entries(bench.folder)) == 2
    bench.stop()


def test_what_is_refused_makes_no_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.operations.service("gauge", 10, "Li Wei")
    assert not calibrate(bench, GAUGE, offset=1e9).done
    assert not (bench.folder / FILE).exists()
    bench.stop()
