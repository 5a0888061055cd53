"""What a log does with files of an older version, holes in the middle, and blocks that the disk does not give back."""

import errno
import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_log import entries, last_segment
from tocsin import early
from tocsin import log as module
from tocsin.early import Early
from tocsin.log import Entry, Log, read_log, segments_of
from tocsin.segment import HOLED, PAGE_BYTES, Writer, pack, thinned_of


def of_version_1(first: int, payloads: list[bytes]) -> bytes:
    """A segment as it was written before there were zeros in it."""
    data = b"TOCSINLG" + struct.pack("<II", 1, 0)
    for entry in entries(first, payloads):
        tail = struct.pack("<QB", entry.seq, entry.kind) + entry.payload
        data += struct.pack("<II", len(entry.payload), zlib.crc32(tail)) + tail
    return data


@pytest.mark.parametrize("torn", [b"", b"\7\0\0\0 torn", b"\0" * 30])
def test_a_log_of_the_older_version_is_read_and_goes_on_in_a_new_segment(tmp_path: Path, torn: bytes) -> None:
    old = tmp_path / "segment-00000000000000000001.log"
    old.write_bytes(of_version_1(1, [b"first", b"second"]) + torn)
    log = Log(tmp_path)
    assert bool(log.damage) == bool(torn)
    log.append([Entry(3, 1, b"new")])
    assert old.read_bytes() == of_version_1(1, [b"first", b"second"])
    kept = [(entry.seq, entry.payload) for entry in Log(tmp_path).read()]
    assert kept == [(1, b"first"), (2, b"second"), (3, b"new")]


def test_an_older_log_without_a_record_goes_on(tmp_path: Path) -> None:
    (tmp_path / "segment-00000000000000000007.log").write_bytes(of_version_1(7, []))
    log = Log(tmp_path)
    log.append([Entry(7, 1, b"new")])
    assert [entry.seq for entry in Log(tmp_path).read()] == [7]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.booleans()), min_size=1, max_size=30), st.integers(0, 1 << 20))
def test_groups_on_pages_of_their_own_are_cut_anywhere(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[tuple[int, bool]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = Log(folder)
    for seq, (size, synced) in enumerate(sizes, 1):
        log.append([Entry(seq, 1, bytes([seq]) * size)])
        if synced:
            log.sync()
    written = list(log.read())
    assert [entry.seq for entry in written] == list(range(1, len(sizes) + 1))
    path = last_segment(folder)
    data = path.read_bytes()
    ends = [data.index(pack(entry)) + len(pack(entry)) for entry in written]
    cut %= ends[-1] + 1
    path.write_bytes(data[:cut])
    again = Log(folder)
    kept = list(again.read())
    assert kept == [entry for entry, end in zip(written, ends, strict=True) if end <= cut]
    again.append([Entry(again.next_seq, 1, b"goes on")])
    last = Log(folder)
    assert last.damage == []
    assert [entry.payload for entry in last.read()] == [*(entry.payload for entry in kept), b"goes on"]


def test_a_group_that_fits_a_page_is_not_spread_over_two(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for seq in range(1, 11):
        log.append([Entry(seq, 1, b"p" * 3000)])
        log.sync()
    data = last_segment(tmp_path).read_bytes()
    assert [data.index(struct.pack("<QB", seq, 1)) // PAGE_BYTES for seq in range(1, 11)] == list(range(10))
    assert not any(data[10 * PAGE_BYTES:])


def full_segments(folder: Path, count: int = 12) -> Log:
    log = Log(folder, segment_bytes=200)
    for seq in range(1, count + 1):
        log.append([Entry(seq, 1, b"p" * 30)])
    return log


def test_a_file_damaged_in_the_middle_is_suspected_by_who_reads_set_aside_and_told_once(tmp_path: Path) -> None:
    log = full_segments(tmp_path)
    second = segments_of(tmp_path)[1]
    data = bytearray(second.read_bytes())
    data[70] ^= 1
    second.write_bytes(data)
    assert [entry.seq for entry in log.read()] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    assert log.suspects == {second}
    mended = log.mend(second)
    assert mended is not None
    assert mended.holes == [(5, 5)]
    assert mended.words.en == f"{second.name}: damaged; 2 good records kept, set aside as {second.stem}.damaged"
    assert second.with_suffix(".damaged").read_bytes() == bytes(data)
    assert thinned_of(second.read_bytes()) == HOLED
    assert [log.mend(path) for path in log.sealed] == [None] * len(log.sealed)
    log.suspects.clear()
    assert len(list(log.read())) == 11
    assert not log.suspects


def test_a_file_that_lost_its_end_in_the_middle_of_the_log_is_told(tmp_path: Path) -> None:
    log = full_segments(tmp_path)
    first = log.sealed[0]
    first.write_bytes(first.read_bytes()[:16 + 47])
    mended = log.mend(first)
    assert mended is not None
    assert mended.holes == [(2, 3)]
    assert log.mend(first) is None


def unreadable(monkeypatch: pytest.MonkeyPatch, path: Path, bad: set[int]) -> None:
    """The disk does not give back these blocks of a file."""
    read_bytes, pread, number = Path.read_bytes, os.pread, path.stat().st_ino

    def whole(self: Path) -> bytes:
        if self.exists() and self.stat().st_ino == number:
            raise OSError(5, "Input/output error")
        return read_bytes(self)

    def block(file: int, length: int, at: int) -> bytes:
        if os.fstat(file).st_ino == number and at // PAGE_BYTES in bad:
            raise OSError(5, "Input/output error")
        return pread(file, length, at)

    monkeypatch.setattr(Path, "read_bytes", whole)
    monkeypatch.setattr(os, "pread", block)


def test_blocks_that_the_disk_does_not_give_back_cost_what_was_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path, segment_bytes=20_000)
    log.append(entries(1, [b"p" * 1000] * 12))
    log.append(entries(13, [b"q" * 10_000]))
    unreadable(monkeypatch, log.sealed[0], {1})
    assert [entry.seq for entry in log.read()] == [1, 2, 3, 4, 10, 11, 12, 13]
    mended = log.mend(log.sealed[0])
    assert mended is not None
    assert mended.holes == [(5, 9)]
    assert [entry.seq for entry in read_log(tmp_path)] == [1, 2, 3, 4, 10, 11, 12, 13]


def test_a_last_segment_that_cannot_be_read_at_all_does_not_keep_a_log_from_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Log(tmp_path).append(entries(1, [b"first"]))
    unreadable(monkeypatch, last_segment(tmp_path), {0, *range(100)})
    log = Log(tmp_path)
    assert "cannot be opened" in log.damage[0].en
    assert log.next_seq > 1 << 16
    log.append([Entry(log.next_seq, 1, b"goes on")])
    monkeypatch.undo()
    assert [entry.payload for entry in log.read()] == [b"first", b"goes on"]


def test_what_a_failed_sync_did_not_bring_to_the_disk_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel says so once, and takes the pages for written from then on."""
    log = Log(tmp_path, early=True)
    log.append([Entry(1, 1, b"long on the disk")])
    log.sync()
    waits = [Entry(seq, 1, b"record %d " % seq * 40) for seq in range(2, 30)]
    dirty: dict[int, int] = {}
    write, sync, fails = os.pwrite, os.fdatasync, [True, True, False]

    def noted(fd: int, data: bytes, at: int) -> int:
        done = write(fd, data, at)
        dirty.update(enumerate(bytes(data)[:done], at))
        return done

    def refuse(fd: int) -> None:
        if fails.pop(0):
            dirty.clear()
            raise OSError(errno.EIO, "Input/output error")
        sync(fd)

    monkeypatch.setattr(os, "pwrite", noted)
    monkeypatch.setattr(os, "fdatasync", refuse)
    log.append(waits)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            log.sync()
    log.sync()
    on_disk = bytes(dirty[at] for at in sorted(dirty))
    assert all(entry.payload in on_disk for entry in waits)
    monkeypatch.undo()
    log.append([Entry(30, 1, b"after")])
    log.close()
    assert [entry.seq for entry in read_log(tmp_path)] == list(range(1, 31))
    assert Log(tmp_path).damage == []


def test_a_full_disk_does_not_keep_a_log_from_opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_args: object, **_named: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "replace_file", no_room)
        log = Log(tmp_path)
        with pytest.raises(OSError, match="No space"):
            log.append([Entry(1, 1, b"waits")])
        log.sync()
    log.append([Entry(1, 1, b"waits")])
    assert [entry.payload for entry in Log(tmp_path).read()] == [b"waits"]


# what waits in memory


def test_what_waits_in_memory_is_read_survives_the_process_and_is_once_in_the_log(tmp_path: Path) -> None:
    log = Log(tmp_path, early=True)
    log.append(entries(1, [b"a", b"b"]))
    assert not any(last_segment(tmp_path).read_bytes()[16:])
    assert [entry.seq for entry in read_log(tmp_path)] == [1, 2]
    assert [entry.seq for entry in read_log(tmp_path, after=1)] == [2]
    again = Log(tmp_path, early=True)  # the process died
    assert (again.next_seq, again.damage) == (3, [])
    again.append(entries(3, [b"c"]))
    assert [entry.payload for entry in read_log(tmp_path)] == [b"a", b"b", b"c"]
    again.sync()
    assert (tmp_path / "early").stat().st_size == 0
    again.append(entries(4, [b"d"]))
    assert [entry.payload for entry in again.read()] == [b"a", b"b", b"c", b"d"]
    target = (tmp_path / "early").readlink()
    again.close()
    assert not target.exists()
    assert [entry.payload for entry in Log(tmp_path).read()] == [b"a", b"b", b"c", b"d"]


def test_a_process_that_dies_between_disk_and_memory_leaves_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path, early=True)
    log.append(entries(1, [b"a", b"b"]))
    with monkeypatch.context() as patch:
        patch.setattr(Early, "clear", lambda _early: None)
        log.sync()
    assert [entry.seq for entry in read_log(tmp_path)] == [1, 2]
    again = Log(tmp_path, early=True)
    again.append(entries(3, [b"c"]))
    again.sync()
    assert [entry.seq for entry in again.read()] == [1, 2, 3]
    again.close()


@pytest.mark.parametrize("memory", [True, False])
def test_what_the_hub_has_had_from_memory_still_comes_to_the_disk(tmp_path: Path, memory: bool) -> None:
    log = Log(tmp_path, early=True)
    log.append(entries(1, [b"a", b"b"]))
    log.move_cursor(2, "hub")
    again = Log(tmp_path, early=memory)
    assert again.next_seq == 3
    again.append(entries(3, [b"c"]))
    again.close()
    assert [entry.payload for entry in Log(tmp_path).read()] == [b"a", b"b", b"c"]


def test_memory_cut_at_every_byte_keeps_all_before_the_cut(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", early=True)
    log.append(entries(1, [b"first", b"second", b"third"]))
    early = tmp_path / "log" / "early"
    data = early.read_bytes()
    ends = [16 + 22, 16 + 22 + 23, 16 + 22 + 23 + 22]
    for cut in range(len(data) + 1):
        early.write_bytes(data[:cut])
        again = Log(tmp_path / "log", early=True)
        whole = sum(end <= cut for end in ends)
        assert [entry.seq for entry in again.read()] == list(range(1, whole + 1))
        assert again.next_seq == whole + 1
    log.close()


def test_where_there_is_no_such_memory_the_disk_takes_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early, "MEMORY", tmp_path / "nowhere")
    log = Log(tmp_path / "log", early=True)
    log.append(entries(1, [b"a"]))
    assert not (tmp_path / "log" / "early").exists()
    assert any(last_segment(tmp_path / "log").read_bytes()[16:])


def test_records_that_wait_for_a_disk_that_refuses_are_bounded_and_not_lost_by_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    log = Log(tmp_path, early=True)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", full)
        log.append(entries(1, [b"p" * 200]))
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                log.append(entries(2, [b"waits"]))
        again = Log(tmp_path, early=True)
        assert again.next_seq == 2
    again.append(entries(2, [b"waits"]))
    again.sync()
    assert [entry.seq for entry in read_log(tmp_path)] == [1, 2]
    again.close()
