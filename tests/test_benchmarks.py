"""Every bench runs, with tiny counts, and is told of in docs/performance.md. No time is judged here."""

import math
import re
from pathlib import Path

import pytest

import benchmarks
from benchmarks import _extra, _numba_loop, _polars, _rescan, kernel, log, replay, tune
from benchmarks.__main__ import main
from benchmarks._disk import Device
from benchmarks._extra import MissingPeerError
from benchmarks._loop import Loop
from benchmarks._report import COLUMNS, cells, markdown, merged
from benchmarks._rows import BenchError, Row, medians, medians_of_awaited
from benchmarks._workload import SENTINEL, block_of, plan_of, rise_of, storms_of_year
from tests.shared_data import REPOSITORY
from tocsin import plugins

NAMES = plugins.names(benchmarks)
PAGE = REPOSITORY / "docs" / "performance.md"


def row(ours: float, peer: float, *, more_is_better: bool = False, floor: bool = False, bar: float | None = None,
        ratio_bar: float | None = None, why: str = "") -> Row:
    return Row("tick", ours, peer, "plain loop", "us", 5, more_is_better, floor, bar, ratio_bar, why)


def test_the_benches_of_the_journey_are_there() -> None:
    assert set(NAMES) >= {"card", "codec", "exchange", "journey", "kernel", "log", "replay", "tune"}


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
    rows = [row(1, 2), row(30, 20, why="it does more"), row(7, 7, bar=5, why="it writes more")]
    told = markdown("kernel", "A tick\n\nWhat it is.\n", rows, "python -m benchmarks kernel")
    assert told.startswith("## kernel\n\n**A tick**\n\nWhat it is.\n")
    assert "- tick, 1.5 of plain loop: it does more." in told
    assert "- tick: ≤ 5 us, measured 7 us, ratio 1 of plain loop: it writes more." in told
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
    assert "plain loop" in told
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


def test_kernel_and_plain_loop_must_come_to_the_same_levels_and_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Loop, "row", lambda self, t, raw, quality: [8] * len(t))
    with pytest.raises(BenchError, match="kernel and plain loop came to different marks"):
        kernel.measure(plan_of(2), 3, 1, 1, [kernel.LOOP])
    monkeypatch.setattr(Loop, "levels", lambda self: [4])
    with pytest.raises(BenchError, match="kernel and plain loop came to different levels"):
        kernel.measure(plan_of(2), 3, 1, 1, [kernel.LOOP])


def test_a_replay_of_another_side_must_tell_the_same_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(2)
    block = block_of(plan, 900, storms_of_year(900, 2))
    assert len(replay.measure(plan, block, [replay.LOOP], 1)) == 2
    monkeypatch.setattr(replay, "by_loop", lambda plan, block: lambda: [(1, 0, 1)])
    with pytest.raises(BenchError, match="kernel and plain loop came to different levels"):
        replay.measure(plan, block, [replay.LOOP], 1)


def test_tuning_of_another_side_must_find_the_same_episodes() -> None:
    found = [([1, 9], [5, 12]), ([3], [4])]
    tune.check("numba scan", found, [*found])
    with pytest.raises(BenchError, match="tune and numba scan came to different episodes, first for setting 1"):
        tune.check("numba scan", found, [found[0], ([3], [5])])
    with pytest.raises(BenchError, match="no setting was ever raised"):
        tune.check("numba scan", [([], [])], [([], [])])


@pytest.fixture
def no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra `bench` is not installed."""
    def none_of_them(name: str) -> object:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr("benchmarks._extra.importlib.import_module", none_of_them)


@pytest.mark.usefixtures("no_peers")
def test_without_the_extra_what_stands_beside_it_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    rows = replay.run(quick=True)
    assert {one.peer_name for one in rows} == {replay.LOOP, "1 station-year"}
    told = capsys.readouterr().err
    for name in ("numba", "polars"):
        assert f"replay: what stands beside {name} is left out: {name} is not installed: make bench installs it" in told
    assert [one.peer_name for one in tune.run(quick=True)] == ["plain scan", "plain scan"]
    with pytest.raises(MissingPeerError, match="numba is not installed"):
        tune.run(quick=False)
    for make in (_rescan.with_bottleneck, _rescan.with_pandas, _numba_loop.compiled,
                 lambda: _polars.Replay(plan_of(2))):
        with pytest.raises(MissingPeerError, match="is not installed: make bench"):
            make()


def test_a_bench_without_any_of_its_peers_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_peer(quick: bool) -> list[Row]:
        raise MissingPeerError(f"numba is not installed: {_extra.CURE}")

    monkeypatch.setattr(plugins.load(benchmarks, "tune"), "run", no_peer)
    monkeypatch.setattr(plugins.load(benchmarks, "codec"), "run", lambda quick: [row(1, 2)])
    assert main(["tune", "codec", "--quick"]) == 0
    told = capsys.readouterr()
    assert told.err == f"tune: left out: numba is not installed: {_extra.CURE}\n"
    assert "plain loop" in told.out


def test_the_workload_has_its_faults_and_comes_to_every_level() -> None:
    plan = plan_of(4)
    block = block_of(plan, 6_000, [*rise_of(4, 400, 500), *storms_of_year(6_000, 3)])
    there = block.quality == 0
    assert 0.015 < 1 - there.mean() < 0.025
    assert (block.raw == SENTINEL).sum() >= 8
    jitter = (block.t_ms - block.now_ms[:, None])[there]
    assert (jitter.min() >= 0, jitter.max() < 4_000, len(set(jitter.tolist())) > 1_000) == (True, True, True)
    loop = Loop(plan)
    rows = zip(block.t_ms.tolist(), block.raw.tolist(), block.quality.tolist(), strict=True)
    marks = [loop.row(*one) for one in rows]
    assert {bits for of_row in marks for bits in of_row} >= {0, 1, 2, 4}
    told = {(plan.tracks[track].rule.name, level) for _, track, level in loop.changes}
    assert {name for name, _ in told} == {rule.name for rule in plan.rules.rules}
    assert {level for _, level in told} == {0, 1, 2, 3, 4}


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
