"""The file in memory in which records wait for the disk: what may happen to it while an agent runs or lies dead."""

import os
from pathlib import Path

import pytest

from tests.test_log import entries
from tocsin.early import NAME, Early
from tocsin.log import Log, read_log, replace_file


def payloads(folder: Path) -> list[bytes]:
    return [entry.payload for entry in read_log(folder)]


def test_a_file_in_memory_that_somebody_deleted_is_made_anew_with_all_that_waits(tmp_path: Path) -> None:
    log = Log(tmp_path, early=True)
    log.append(entries(1, [b"a"]))
    (tmp_path / NAME).readlink().unlink()  # as logind does when a user's last session ends
    log.append(entries(2, [b"b"]))
    assert payloads(tmp_path) == [b"a", b"b"], "the process may die here"
    log.close()
    assert payloads(tmp_path) == [b"a", b"b"]


def test_where_the_memory_is_full_the_disk_takes_it_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path, early=True)
    log.append(entries(1, [b"a"]))

    def full(_early: Early, _entries: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Early, "add", full)
        log.append(entries(2, [b"b"]))
        assert (tmp_path / NAME).stat().st_size == 0
    log.append(entries(3, [b"c"]))
    assert payloads(tmp_path) == [b"a", b"b", b"c"]
    log.close()


def test_a_copy_of_the_folder_that_followed_the_link_keeps_what_waited(tmp_path: Path) -> None:
    log = Log(tmp_path, early=True)
    log.append(entries(1, [b"a"]))
    data = (tmp_path / NAME).read_bytes()
    log._early = None
    (tmp_path / NAME).readlink().unlink()
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).write_bytes(data)
    again = Log(tmp_path, early=True)
    assert again.next_seq == 2
    assert (tmp_path / NAME).is_symlink()
    assert payloads(tmp_path) == [b"a"]
    again.close()


def test_what_waited_in_memory_and_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    log = Log(tmp_path, early=True)
    assert [words.en.partition(":")[0] for words in log.damage] == [
        "records that waited in memory for the disk cannot be read"]
    log.append(entries(1, [b"a"]))
    assert payloads(tmp_path) == [b"a"]


def test_a_full_disk_is_not_full_of_what_could_not_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            replace_file(tmp_path / "segment", b"much", sync=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "segment-1.log.new").write_bytes(b"of a process that died")
    Log(tmp_path)
    assert not list(tmp_path.glob("*.new"))
