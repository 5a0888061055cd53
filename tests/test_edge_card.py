"""What a card has to take: how it is mounted, and what is written there seldom."""

import asyncio
import os
import shlex
import subprocess
from pathlib import Path

import msgspec
import pytest

from edge.cursor import Cursor
from edge.mounts import journal_s
from edge.status_page import page
from tests.edge_bench import Bench
from tests.shared_data import REPOSITORY
from tests.test_edge_status import _now, narrow
from tocsin.log import Log

UNIT = REPOSITORY / "deploy" / "tocsin-edge.service"


def table(folder: Path, kind: str, options: str) -> Path:
    device = folder.stat().st_dev
    path = folder / "mountinfo"
    path.write_text("22 1 0:21 / /proc rw,relatime shared:5 - proc proc rw\n"
                    f"36 35 {os.major(device)}:{os.minor(device)} /data /var/lib/tocsin rw,noatime shared:1 master:2"
                    f" - {kind} /dev/root {options}\n")
    return path


@pytest.mark.parametrize(("kind", "options", "seconds"), [
    ("ext4", "rw", 5), ("ext3", "rw,errors=remount-ro", 5), ("ext4", "rw,commit=300,data=ordered", 300),
    ("ext4", "rw,commit=30", 30), ("f2fs", "rw,commit=7", 0), ("overlay", "rw,lowerdir=/a", 0),
])
def test_how_often_a_journal_is_committed(tmp_path: Path, kind: str, options: str, seconds: int) -> None:
    assert journal_s(tmp_path, table(tmp_path, kind, options)) == seconds


def test_a_table_without_the_folder_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("cut off\n")
    assert journal_s(tmp_path, tmp_path / "mountinfo") == 0


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_status_says_where_a_card_wears_out(tmp_path: Path, lang: str) -> None:
    bench = Bench(tmp_path)
    now = asyncio.run(_now(bench))
    for seconds, said in ((0, False), (5, True), (59, True), (60, False), (300, False)):
        text = page(msgspec.structs.replace(now, disk=msgspec.structs.replace(now.disk, journal_s=seconds)), lang)
        assert ("commit=300" in text) == said
        narrow(text)
    bench.stop()


@pytest.mark.parametrize(("options", "done"), [
    ("rw,relatime", "-o remount,commit=300 /mnt/card\n"), ("rw,commit=60", ""), ("", ""),
])
def test_the_unit_makes_ext4_commit_seldom_where_nobody_said_how_often(
    tmp_path: Path, options: str, done: str
) -> None:
    """`options`: those of the ext4 below the folder, "" where it is none."""
    said = tmp_path / "said"
    for name, words in (
        ("findmnt", f'case "$*" in *TARGET*) echo /mnt/card;; "-n -t ext4 -o FS-OPTIONS -T /var/lib/tocsin") '
                    f'[ -z "{options}" ] || echo "{options}";; esac'),
        ("mount", f'echo "$*" >> {said}'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{words}\n")
        (tmp_path / name).chmod(0o755)
    (line,) = (line for line in UNIT.read_text(encoding="utf-8").splitlines() if line.startswith("ExecStartPre="))
    command = line.removeprefix("ExecStartPre=")
    assert command.startswith("-+"), "as root, and a station without it starts all the same"
    subprocess.run(shlex.split(command[2:].replace("$$", "$")), check=False,
                   env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert (said.read_text() if said.exists() else "") == done


def test_the_cursor_is_written_seldom_but_for_a_log_that_drains(tmp_path: Path) -> None:
    storage = Log(tmp_path)
    cursor = Cursor(storage)
    written: list[int] = []

    def save(seq: int, now_s: float) -> None:
        cursor.save(seq, "hub-1", now_s)
        if cursor._writing is not None:
            cursor._writing.result()
        if storage.cursor not in written:
            written.append(storage.cursor)

    for second in range(0, 3000, 10):
        save(10 + second, 1000.0 + second)
    assert written == [10, 910, 1810, 2710]
    for second in range(20):
        save(3000 + 20_000 * (second + 1), 4000.0 + second)
    assert len(written) == 8, "one in five seconds at most"
    cursor.close(500_000)
    assert Log(tmp_path).cursor == 500_000
