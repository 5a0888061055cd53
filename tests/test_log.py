"""The log survives what happens to files."""

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin import log as module
from tocsin.log import Entry, Log, read_log


def entries(first: int, payloads: list[bytes]) -> list[Entry]:
    return [Entry(first + i, payload[:1].ljust(1, b"x")[0], payload) for i, payload in enumerate(payloads)]


def tear(path: Path) -> None:
    """The last byte of the last record goes, and what was written ahead behind it."""
    path.write_bytes(path.read_bytes().rstrip(b"\0")[:-1])


def last_segment(folder: Path) -> Path:
    return max(folder.glob("segment-*.log"))


def test_what_was_appended_is_read_in_order_after_a_new_start(tmp_path: Path) -> None:
    written = entries(1, [b"a", b"", b"c" * 1000])
    log = Log(tmp_path)
    log.append(written[:2])
    log.append(written[2:])
    again = Log(tmp_path)
    assert list(again.read()) == written
    assert list(again.read(after=2)) == written[2:]
    assert again.next_seq == 4
    assert again.damage == []


def each_alone(log: Log, numbers: range) -> None:
    """Appended one by one, so that segments end between them."""
    for seq in numbers:
        log.append([Entry(seq, 1, b"p" * 30)])


def test_segments_follow_each_other_and_are_dropped_only_behind_the_cursor(tmp_path: Path) -> None:
    log = Log(tmp_path, segment_bytes=200)
    each_alone(log, range(1, 41))
    assert len(list(tmp_path.glob("segment-*.log"))) > 5
    assert [entry.seq for entry in log.read(after=17)] == list(range(18, 41))
    now_s = last_segment(tmp_path).stat().st_mtime + 1000
    assert log.drop(older_than_s=10, now_s=now_s) == 0
    log.move_cursor(20, "hub")
    assert log.drop(older_than_s=10_000, now_s=now_s) == 0
    assert log.drop(older_than_s=10, now_s=now_s) > 0
    assert [entry.seq for entry in log.read(after=20)] == list(range(21, 41))
    assert Log(tmp_path).next_seq == 41


def test_what_was_written_with_a_clock_that_was_behind_is_as_old_as_what_follows(tmp_path: Path) -> None:
    """A start without a battery clock: it is 1970 until the network has set it."""
    log = Log(tmp_path, segment_bytes=200)
    each_alone(log, range(1, 41))
    log.move_cursor(40, "hub")
    first, second, *_ = log.sealed
    written_s = second.stat().st_mtime
    os.utime(first, (0, 0))
    assert log.drop(older_than_s=1000, now_s=written_s + 900) == 0
    os.utime(second, (written_s - 200, written_s - 200))
    assert log.drop(older_than_s=1000, now_s=written_s + 900) == 1
    assert not first.exists()


def test_what_a_run_wrote_with_a_clock_days_behind_is_young_once_the_clock_is_set(tmp_path: Path) -> None:
    """A board that was off for a month, and goes on where its clock was kept."""
    day_s = 86_400
    before = Log(tmp_path, segment_bytes=200)
    each_alone(before, range(1, 21))
    before.close()
    old = before.sealed
    log = Log(tmp_path, segment_bytes=200)
    each_alone(log, range(21, 41))
    log.move_cursor(40, "hub")
    now_s = last_segment(tmp_path).stat().st_mtime
    for path in log.sealed:
        os.utime(path, (now_s - 30 * day_s, now_s - 30 * day_s))
    log.clock_was_set(30 * day_s, now_s - 60, now_s)
    assert log.drop(older_than_s=7 * day_s, now_s=now_s) == len(old) - 1
    assert [entry.seq for entry in log.read()][-20:] == list(range(21, 41))
    log.clock_was_set(-90 * 365 * day_s, now_s + 1, now_s + 2)
    assert min(path.stat().st_mtime for path in log.sealed) == 0
    log.close()


def test_what_was_written_after_a_clock_days_ahead_was_set_is_dated_right_already(tmp_path: Path) -> None:
    """Else what is before it would seem to be of that day, and go at once."""
    month_s = 30 * 86_400
    log = Log(tmp_path, segment_bytes=200)
    each_alone(log, range(1, 8))
    log.move_cursor(7, "hub")
    now_s = last_segment(tmp_path).stat().st_mtime
    for path in log.sealed:
        os.utime(path, (now_s + month_s, now_s + month_s))
    log.clock_was_set(-month_s, now_s - 60, now_s + 3600)
    assert log.drop(older_than_s=7 * 86_400, now_s=now_s) == 0
    assert {abs(path.stat().st_mtime - now_s) < 1 for path in tmp_path.glob("segment-*.log")} == {True}
    log.close()


def test_a_log_cut_at_every_byte_keeps_all_before_the_cut(tmp_path: Path) -> None:
    log = Log(tmp_path / "whole")
    written = entries(1, [b"first", b"second", b"third"])
    ends = list(itertools.accumulate((17 + len(entry.payload) for entry in written), initial=16))[1:]
    for entry in written:
        log.append([entry])
    data = last_segment(tmp_path / "whole").read_bytes()
    assert len(data) > ends[-1] + 1000
    for cut in range(ends[-1] + 100):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / last_segment(tmp_path / "whole").name).write_bytes(data[:cut])
        mended = Log(folder)
        whole = [entry for entry, end in zip(written, ends, strict=True) if end <= cut]
        assert list(mended.read()) == whole
        assert bool(mended.damage) == (cut < ends[-1] and cut not in {16, *ends})
        mended.append([Entry(mended.next_seq, 9, b"goes on")])
        assert list(Log(folder).read()) == [*whole, Entry(len(whole) + 1, 9, b"goes on")]


@settings(deadline=None)
@given(st.integers(16, 200), st.integers(1, 255))
def test_a_damaged_byte_loses_one_record_at_most_and_is_said(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = Log(folder)
    written = entries(1, [b"payload %d" % i for i in range(12)])
    log.append(written)
    path = last_segment(folder)
    data = bytearray(path.read_bytes())
    data[at] ^= flip
    path.write_bytes(data)
    mended = Log(folder)
    kept = list(mended.read())
    assert mended.damage
    assert len(kept) >= len(written) - 1
    assert set(kept) <= set(written)
    mended.append([Entry(mended.next_seq, 1, b"goes on")])
    assert list(mended.read())[:-1] == kept


def test_a_sequence_cannot_have_holes(tmp_path: Path) -> None:
    log = Log(tmp_path)
    with pytest.raises(ValueError, match="seq 2 does not follow 0"):
        log.append([Entry(2, 1, b"")])


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    log = Log(tmp_path)
    log.append([Entry(1, 1, b"before")])
    write = os.pwrite

    def full(fd: int, data: bytes, at: int) -> int:
        if len(data) > 10:
            return write(fd, bytes(data)[:10], at)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        log.append([Entry(2, 1, b"x" * 90)])
    monkeypatch.undo()
    log.append([Entry(2, 1, b"after")])
    again = Log(tmp_path)
    assert [entry.payload for entry in again.read()] == [b"before", b"after"]
    assert again.damage == []


def test_the_cursor_is_kept_and_a_torn_one_offers_everything_again(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append(entries(1, [b"a", b"b"]))
    log.move_cursor(2, "hub-1")
    assert (Log(tmp_path).cursor, Log(tmp_path).cursor_hub) == (2, "hub-1")
    (tmp_path / "cursor").write_bytes(b"")
    assert (Log(tmp_path).cursor, Log(tmp_path).cursor_hub) == (0, "")


def test_a_log_cut_inside_its_newest_segment_never_gives_a_number_again(tmp_path: Path) -> None:
    """A segment that holds nothing yet still comes behind those before it."""
    log = Log(tmp_path / "whole", segment_bytes=120)
    log.append(entries(1, [b"p" * 40, b"q" * 40]))
    log.append(entries(3, [b"newest"]))
    first, newest = sorted((tmp_path / "whole").glob("segment-*.log"))
    for cut in range(16 + 17 + len(b"newest")):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / first.name).write_bytes(first.read_bytes())
        (folder / newest.name).write_bytes(newest.read_bytes()[:cut])
        mended = Log(folder)
        assert mended.next_seq == 3
        mended.append([Entry(3, 1, b"goes on")])
        assert [entry.seq for entry in Log(folder).read()] == [1, 2, 3]


def no_room(*_args: object, **_named: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_that_is_full_when_a_segment_ends_takes_the_same_records_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path, segment_bytes=120)
    log.append(entries(1, [b"p" * 100]))
    monkeypatch.setattr(module, "replace_file", no_room)
    for _ in range(2):
        with pytest.raises(OSError, match="No space"):
            log.append(entries(2, [b"q" * 100]))
    monkeypatch.undo()
    log.append(entries(2, [b"q" * 100]))
    log.close()
    assert [entry.seq for entry in Log(tmp_path).read()] == [1, 2]


def test_a_torn_tail_is_cut_on_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path)
    log.append(entries(1, [b"first", b"second"]))
    path = last_segment(tmp_path)
    tear(path)
    monkeypatch.setattr(module, "replace_file", no_room)
    assert [entry.seq for entry in Log(tmp_path).read()] == [1]


def test_an_end_in_the_middle_of_mending_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path)
    log.append(entries(1, [b"first", b"second", b"third"]))
    path = last_segment(tmp_path)
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)
    replace_file, done = module.replace_file, list[Path]()

    def until_the_power_goes(target: Path, content: bytes, *, sync: bool) -> None:
        if done:
            raise OSError(5, "the power went")
        done.append(target)
        replace_file(target, content, sync=sync)

    monkeypatch.setattr(module, "replace_file", until_the_power_goes)
    half = Log(tmp_path)
    assert ["the power went" in words.en for words in half.damage] == [True]
    monkeypatch.undo()
    assert [entry.payload for entry in half.read()] == [b"second", b"third"]
    assert [entry.payload for entry in Log(tmp_path).read()] == [b"second", b"third"]


def test_who_only_looks_mends_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.append(entries(1, [b"first", b"second"]))
    path = last_segment(tmp_path)
    tear(path)
    before = path.read_bytes()
    assert [entry.seq for entry in read_log(tmp_path)] == [1]
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*.damaged")) == []


def test_a_copy_that_somebody_left_in_the_folder_is_no_segment(tmp_path: Path) -> None:
    Log(tmp_path).append(entries(1, [b"first"]))
    (tmp_path / "segment-00000000000000000001 (copy).log").write_bytes(b"")
    assert [entry.seq for entry in Log(tmp_path).read()] == [1]
