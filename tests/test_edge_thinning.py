"""A log near its limit: what goes, in which order, and that nobody says more of it than is there."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.own_log import replayed
from edge.recorder import KINDS
from edge.thinning import Freed, Limits, Step, thin, used_bytes
from tests.edge_bench import LATCHED, MINUTE_MS, Bench
from tests.stations import START_MS
from tests.test_own_log import rise_and_fall, without_id
from tocsin.early import NAME
from tocsin.inputs import Thinned
from tocsin.levels import Authority, Hazard, Stage
from tocsin.log import Entry, Log
from tocsin.messages import Detection, Event, EventKind, Readings, Record, encode, record_of
from tocsin.segment import read_file

BOOT = "00000000000000aa"
EVERY_MS = 10_000
STEP_RECORDS = 3_000


def detection(seq: int, t_ms: int, level: int) -> Detection:
    return Detection(BOOT, seq, t_ms, "gauge/stage_m", "stage", Hazard.FLOOD, level, 0, seq, "e", t_ms,
                     Stage.MOVE, Authority.AUTO, 3.2, 3.0)


def filled(folder: Path, count: int = STEP_RECORDS, rise: range = range(0)) -> Log:
    """A reading each 10 s; an event every 500 records; above clear in `rise`."""
    log = Log(folder, segment_bytes=64_000)
    for seq in range(1, count + 1):
        t_ms = START_MS + seq * EVERY_MS
        record: Record = Readings(BOOT, seq, [t_ms], ["gauge/stage_m"], [1.0], [0])
        if seq in {rise.start, rise.stop} and rise:
            record = detection(seq, t_ms, 4 if seq == rise.start else 0)
        elif seq % 500 == 0:
            record = Event(BOOT, seq, t_ms, EventKind.REFUSED, "silent")
        log.append([Entry(seq, KINDS[type(record)], encode(record))])
    return log


def of_kind(log: Log, kind: type[Record]) -> list[int]:
    return [entry.seq for entry in log.read() if entry.kind == KINDS[kind]]


def squeeze(log: Log, most: int, now_s: float = 0.0) -> list[Freed]:
    return list(thin(log, Limits(most, 0), now_s))


def test_a_log_below_its_limit_is_left_alone(tmp_path: Path) -> None:
    log = filled(tmp_path)
    before = {path: path.read_bytes() for path in log.sealed}
    assert squeeze(log, used_bytes(tmp_path)) == []
    assert {path: path.read_bytes() for path in log.sealed} == before


def test_delivered_readings_go_first_the_oldest_segment_first_and_no_more_than_is_needed(tmp_path: Path) -> None:
    log = filled(tmp_path)
    sealed = log.sealed
    log.move_cursor(STEP_RECORDS // 2, "hub")
    freed = squeeze(log, used_bytes(tmp_path) - 1)
    assert [(one.step, one.path) for one in freed] == [(Step.DELIVERED, path) for path in sealed[:len(freed)]]
    assert 0 < len(freed) < len(sealed) / 2
    assert max(last for one in freed for _, last in one.removed) <= log.cursor
    assert of_kind(log, Event) == [500, 1000, 1500, 2000, 2500, 3000]
    assert len(of_kind(log, Thinned)) == len(freed)
    assert Log(tmp_path).damage == []


def test_what_was_delivered_long_ago_goes_before_what_was_delivered_just_now(tmp_path: Path) -> None:
    log = filled(tmp_path)
    log.move_cursor(STEP_RECORDS, "hub")
    now_s = log.sealed[0].stat().st_mtime
    assert {one.step for one in squeeze(log, used_bytes(tmp_path) - 1, now_s + 90_000)} == {Step.DELIVERED_OLD}


def test_what_a_clock_behind_has_dated_is_no_older_than_what_follows_it(tmp_path: Path) -> None:
    log = filled(tmp_path)
    now_s = max(path.stat().st_mtime for path in log.sealed)
    os.utime(log.sealed[0], (0, 0))
    log.move_cursor(STEP_RECORDS, "hub")
    assert {one.step for one in squeeze(log, used_bytes(tmp_path) - 1, now_s)} == {Step.DELIVERED}


def test_readings_that_the_hub_does_not_have_are_thinned_where_all_is_clear(tmp_path: Path) -> None:
    log = filled(tmp_path, rise=range(600, 900))
    freed = squeeze(log, used_bytes(tmp_path) * 4 // 5)
    assert {one.step for one in freed} == {Step.CALM_5_MIN}
    kept = of_kind(log, Readings)
    thinned = [seq for seq in kept if seq <= freed[-1].removed[-1][1]]
    assert [seq for seq in thinned if 600 < seq < 900] == list(range(601, 900))
    calm = [seq for seq in thinned if not 600 <= seq <= 900]
    slots = [(START_MS + seq * EVERY_MS) // 300_000 for seq in calm]
    assert len(calm) < len(thinned) / 2
    first, last = ((START_MS + seq * EVERY_MS) // 300_000 for seq in (600, 900))
    assert set(range(slots[0], slots[-1] + 1)) - set(slots) <= set(range(first, last + 1))
    assert of_kind(log, Detection) == [600, 900]


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 99), st.integers(0, STEP_RECORDS), st.integers(0, 390))
def test_however_little_room_there_is_detections_events_and_the_seams_stay(
    tmp_path_factory: pytest.TempPathFactory, percent: int, cursor: int, long: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = filled(folder, rise=range(1101, 1101 + long) if long else range(0))
    log.move_cursor(cursor, "hub")
    steps: list[Step] = []
    for _ in range(4):
        freed = squeeze(log, used_bytes(folder) * percent // 100)
        steps += [one.step for one in freed]
        gone = {seq for one in freed for low, high in one.removed for seq in range(low, high + 1)}
        assert not gone & {entry.seq for entry in log.read() if entry.kind != KINDS[Thinned]}
    assert of_kind(log, Event) == [500, 1000, 1500, 2000, 2500, 3000]
    assert of_kind(log, Detection) == ([1101, 1101 + long] if long else [])
    marks = [record for entry in log.read() if isinstance(record := record_of(entry.payload), Thinned)]
    there = {entry.seq for entry in log.read() if entry.kind != KINDS[Thinned]}
    assert sum(mark.removed for mark in marks) == STEP_RECORDS - len(there)
    assert all(seq in there or any(mark.seq <= seq <= mark.last for mark in marks)
               for seq in range(1, STEP_RECORDS + 1))
    again = Log(folder)
    assert (again.damage, again.next_seq) == ([], STEP_RECORDS + 1)
    assert [again.mend(path) for path in again.sealed] == [None] * len(again.sealed)


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_thinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = filled(tmp_path)
    bad, read = log.sealed[0], read_file

    def lost(path: Path) -> bytes:
        if path == bad:
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr("edge.thinning.read_file", lost)
    done: list[Freed] = []
    with pytest.raises(OSError, match="Input/output"):
        done.extend(thin(log, Limits(200_000, 0), 0.0))
    assert {freed.path for freed in done} == set(log.sealed[1:])


def test_neither_a_link_that_leads_nowhere_nor_a_copy_that_cannot_be_deleted_keeps_a_log_from_being_thinned(
    tmp_path: Path
) -> None:
    """A card that was moved to a machine whose memory nobody may write to; a damaged entry of a folder."""
    log = filled(tmp_path)
    (tmp_path / NAME).symlink_to(tmp_path / "gone")
    stuck = tmp_path / "segment-00000000000000000001.damaged"
    stuck.mkdir()
    before = used_bytes(tmp_path)
    with pytest.raises(IsADirectoryError):
        squeeze(log, 200_000)
    assert used_bytes(tmp_path) < before / 2
    stuck.rmdir()
    assert squeeze(log, before) == []


def test_a_damaged_file_is_mended_before_it_is_thinned(tmp_path: Path) -> None:
    """Else the damage would go without a word, and what was in it."""
    log = filled(tmp_path)
    bad = log.sealed[0]
    data = bytearray(bad.read_bytes())
    data[200] ^= 1
    bad.write_bytes(data)
    squeeze(log, 200_000)
    assert (bad.read_bytes(), log.suspects) == (bytes(data), {bad})
    mended = log.mend(bad)
    assert mended is not None
    assert mended.holes
    squeeze(log, 1)
    assert bad.stat().st_size < len(data) / 2


def test_a_file_that_was_dropped_meanwhile_is_not_damaged(tmp_path: Path) -> None:
    log = filled(tmp_path)
    oldest = log.sealed[0]
    oldest.unlink()
    assert log.mend(oldest) is None


def test_the_disk_of_others_does_not_thin_a_small_log() -> None:
    limits = Limits(most=1_000_000_000, keep_free=500_000_000)
    assert limits.excess(used=60_000_000, free=0) == 0
    assert limits.excess(used=100_000_000, free=0) == 36_000_000
    assert limits.excess(used=900_000_000, free=400_000_000) == 100_000_000
    assert limits.excess(used=1_100_000_000, free=900_000_000) == 100_000_000


def test_the_limits_follow_the_disk(tmp_path: Path) -> None:
    given, found = Limits.of(tmp_path, 100, 20), Limits.of(tmp_path, 0, 0)
    assert (given.most, given.keep_free) == (100_000_000, 20_000_000)
    assert found.most > 0
    assert found.keep_free <= 500_000_000


def written(bench: Bench) -> None:
    bench.flush()
    bench.agent._log.sync()


def seal(bench: Bench) -> None:
    """The next record begins a new segment."""
    written(bench)
    bench.agent._log._segment_bytes = 1


def test_a_thinned_log_says_nothing_of_what_it_no_longer_knows(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED)
    rise_and_fall(bench)
    first = len(bench.of(Detection))
    bench.operations.acknowledge("stage", "gauge/stage_m", "Li Wei")
    seal(bench)
    bench.agent.pipeline.remember()
    rise_and_fall(bench)
    written(bench)
    agent_log = bench.agent._log
    agent_log.move_cursor(agent_log.next_seq - 1, "hub")
    oldest = agent_log.sealed[0]
    freed = next(thin(agent_log, Limits(1, 0), 0.0))
    assert freed.path == oldest
    own = replayed(bench.folder)
    later = [without_id(one) for one in bench.of(Detection)[first:]]
    assert own.decided == own.told == later[-len(own.told):] != []
    assert own.thinned == sum(last - low + 1 for low, last in freed.removed)
    assert (own.damage, own.parted) == ([], [])
    bench.stop()


def test_a_restart_on_a_thinned_log_holds_its_levels_and_writes_down_what_it_remembers(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED)
    for stage in (1.0, 2.6, 2.6):
        bench.read(stage, after_ms=MINUTE_MS)
    before = bench.operations.levels()
    seal(bench)
    bench.read(2.6)
    written(bench)
    bench.agent._log.move_cursor(bench.agent._log.next_seq - 1, "hub")
    assert list(thin(bench.agent._log, Limits(1, 0), 0.0))
    bench.kill()
    assert bench.operations.levels().en == before.en == "orange: stage on gauge/stage_m"
    assert not replayed(bench.folder).parted
    bench.stop()
