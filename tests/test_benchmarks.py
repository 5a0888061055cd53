"""Every bench runs, with tiny counts, and is told of in docs/performance.md. No time is judged here."""

import math
import re
from pathlib import Path

import pytest

import benchmarks
from benchmarks import kernel, log
from benchmarks.__main__ import main
from benchmarks._disk import Device
from benchmarks._report import COLUMNS, cells, markdown, merged
from benchmarks._rows import BenchError, Row, medians, medians_of_awaited
from tests.golden_kernel import Golden
from tests.shared_data import REPOSITORY
from tocsin import plugins

NAMES = plugins.names(benchmarks)
PAGE = REPOSITORY / "docs" / "performance.md"


def row(ours: float, peer: float, *, more_is_better: bool = False, floor: bool = False, bar: float | None = None,
        ratio_bar: float | None = None, why: str = "") -> Row:
    return Row("tick", ours, peer, "plain loop", "us", 5, more_is_better, floor, bar, ratio_bar, why)


def test_the_benches_of_the_journey_are_there() -> None:
    assert set(NAMES) >= {"codec", "exchange", "journey", "kernel", "log"}


@pytest.mark.parametrize("name", NAMES)
def test_a_bench_gives_finite_positive_numbers_beside_a_named_peer(name: str) -> None:
    rows: list[Row] = plugins.load(benchmarks, name).run(quick=True)
    assert rows
    for one in rows:
        assert all(math.isfinite(value) and value > 0 for value in (one.ours, one.peer, one.ratio)), one
        assert one.what
        assert one.peer_name
        assert one.unit
    assert len({(one.what, one.peer_name) for one in rows}) == len(rows)


@pytest.mark.docs
def test_the_page_has_a_measured_section_for_every_bench_and_for_nothing_else() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)$", page, re.MULTILINE) == NAMES
    for name in NAMES:
        (section,) = re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        assert f"`python -m benchmarks {name}`" in section
        assert re.search(r"^Measured \d{4}-\d\d-\d\d; \d+ cores ", section, re.MULTILINE)
        assert f"| {' | '.join(COLUMNS)} |" in section


@pytest.mark.docs
@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_of_a_bench_what_its_module_says(name: str) -> None:
    words = (plugins.load(benchmarks, name).__doc__ or "").strip().partition("\n")
    assert f"**{words[0]}**\n\n{words[2].strip()}\n" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize(("one", "worse"), [
    (row(2, 1), True), (row(1, 2), False), (row(1, 1), False), (row(2, 1, floor=True), False),
    (row(2, 1, more_is_better=True), False), (row(1, 2, more_is_better=True), True)])
def test_worse_than_a_peer_but_never_than_a_floor(one: Row, worse: bool) -> None:
    assert one.worse is worse
    assert ("(worse)" in " ".join(cells(one))) is worse


@pytest.mark.parametrize(("one", "missed"), [
    (row(9, 1), False), (row(9, 1, bar=9), False), (row(9, 1, bar=8), True),
    (row(9, 1, ratio_bar=9), False), (row(9, 1, ratio_bar=8.9), True), (row(9, 1, bar=9, ratio_bar=8), True)])
def test_a_bar_is_met_or_missed_out_loud(one: Row, missed: bool) -> None:
    assert one.missed is missed
    assert ("**missed**" in cells(one)[COLUMNS.index("bar")]) is missed


def test_a_section_says_where_and_why_we_are_worse_and_which_bar_was_missed() -> None:
    rows = [row(1, 2), row(30, 20, why="it does more"), row(7, 7, bar=5)]
    told = markdown("kernel", "A tick\n\nWhat it is.\n", rows, "python -m benchmarks kernel")
    assert told.startswith("## kernel\n\n**A tick**\n\nWhat it is.\n")
    assert "- tick, 1.5 of plain loop: it does more." in told
    assert "- tick: ≤ 5 us, measured 7 us, ratio 1." in told
    assert told.count("\n- ") == 2


def test_a_floor_is_not_told_as_a_peer_that_was_beaten() -> None:
    assert "only floors" in markdown("kernel", "A tick\n", [row(2, 1, floor=True)], "")
    assert "Nowhere worse" in markdown("kernel", "A tick\n", [row(2, 1, floor=True), row(1, 2)], "")


def test_writing_one_section_keeps_the_others(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(merged(page, {"log": "## log\n\nold log\n", "codec": "## codec\n\nold codec\n"}, ["codec", "log"]))
    again = merged(page, {"log": "## log\n\nnew log\n"}, ["codec", "log"])
    assert again.startswith("# Performance\n")
    assert "old log" not in again
    assert again.endswith("\n## codec\n\nold codec\n\n## log\n\nnew log\n")
    page.write_text(again)
    assert merged(page, {}, ["codec", "log"]) == again
    assert merged(page, {}, ["codec"]).endswith("old codec\n")


def test_sides_take_turns_and_the_median_counts() -> None:
    turns: list[str] = []
    values = iter([1.0, 10.0, 5.0, 20.0, 2.0, 90.0])

    def side(name: str) -> float:
        turns.append(name)
        return next(values)

    assert medians(3, lambda: side("ours"), lambda: side("peer")) == [2.0, 20.0]
    assert turns == ["ours", "peer"] * 3


async def test_awaited_sides_take_turns_too() -> None:
    values = iter([[1.0, 7.0], [10.0, 0.0], [5.0, 8.0], [20.0, 0.0], [2.0, 9.0], [90.0, 0.0]])

    async def side() -> list[float]:
        return next(values)

    assert await medians_of_awaited(3, side, side) == [[2.0, 8.0], [20.0, 0.0]]


@pytest.mark.parametrize(("words", "told"), [
    (["speed"], f'"speed" is not a bench; use {", ".join(NAMES)}'),
    (["--quick", "--write", "x.md"], "--write is not allowed with --quick")])
def test_a_wrong_command_line_says_what_is_allowed(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernel", "--quick"]) == 0
    told = capsys.readouterr().out
    assert "running sums" in told
    assert all(column in told for column in COLUMNS)


def test_a_bench_that_cannot_measure_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(quick: bool) -> list[Row]:
        raise BenchError("the two sides read different words")

    monkeypatch.setattr(plugins.load(benchmarks, "codec"), "run", refuse)
    assert main(["codec", "--quick"]) == 1
    assert capsys.readouterr().err == "codec: the two sides read different words\n"


def test_a_run_writes_its_section(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(merged(page, {"log": "## log\n\nold log\n"}, ["log"]))
    monkeypatch.setattr(plugins.load(benchmarks, "codec"), "run", lambda quick: [row(1, 2)])
    assert main(["codec", "--write", str(page)]) == 0
    told = page.read_text()
    assert told.index("| tick | 1 | 2 | plain loop | 0.5 | us |  | 5 |") < told.index("old log")


def test_kernel_and_plain_loop_must_come_to_the_same_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Golden, "levels", lambda self: [4])
    with pytest.raises(BenchError, match="different levels"):
        kernel.measure(2, 3, repeats=1, many=1)


def test_a_day_is_reckoned_from_what_the_device_took(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Files(Device):
        """A device that takes exactly the bytes of the files."""

        def __init__(self, folder: Path) -> None:
            self.folder = folder

        def written_bytes(self) -> int:
            return sum(path.stat().st_size for path in self.folder.iterdir())

    monkeypatch.setattr(log, "Device", Files)
    monkeypatch.setattr(log, "EVERY_S", 0)
    mb = log._day(tmp_path / "day", log.WAYS["bare"])
    payloads = [entry.payload for entries in log.polls(log.DAY_ROUNDS) for entry in entries]
    assert mb == pytest.approx(sum(map(len, payloads)) / len(payloads) * 20 * 8640 / 1e6)


@pytest.mark.parametrize("way", log.WAYS)
def test_every_way_keeps_every_record(way: str, tmp_path: Path) -> None:
    rounds = log.polls(2)
    with log.WAYS[way](tmp_path) as write:
        for entries in rounds:
            write(entries)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert all(entry.payload in kept for entries in rounds for entry in entries)
