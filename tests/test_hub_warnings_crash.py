"""Killed, restarted, delivered again: nothing is lost and nothing is said twice."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared_data import REPOSITORY
from tests.village import Village, at, detection
from tocsin.levels import Level


async def test_duplicate_delivery_makes_no_second_warning(village: Village) -> None:
    for _ in range(3):
        village.finds(detection(Level.ORANGE, "14:00", 1))
        village.finds(detection(Level.ORANGE, "14:00", 1, seq=77))
        await village.reads()
    village.restart()
    village.finds(detection(Level.ORANGE, "14:00", 1, seq=78))
    await village.reads()
    assert len((await village.only()).bulletins) == 1


async def test_what_landed_before_a_crash_is_decided_after_it(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    village.restart()
    await village.reads()
    assert len((await village.only()).bulletins) == 1


async def test_failed_transaction_leaves_no_trace_and_is_done_again(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))

    def broken(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("hub.desk.move_cursor", broken)
        with pytest.raises(OSError, match="no space"):
            await village.reads()
    assert await village.desk.open_warnings() == []
    assert village.outbox() == []
    assert village.desk.counts.get("bulletins", 0) == 0
    await village.reads()
    assert len((await village.only()).bulletins) == 1


async def test_a_record_of_a_newer_hub_holds_up_no_warning(village: Village) -> None:
    village.database.connection.execute(
        "INSERT INTO landing (station, boot, seq, kind, digest, arrived, raw)"
        " VALUES ('mill-creek', 'b', 1, 'detection', 'x', ?, ?)",
        (at("14:00"), b'{"kind":"detection","boot":"b","seq":1,"hazard":"meteor"}'))
    await village.reads()
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    assert (await village.only()).level == Level.ORANGE
    assert village.desk.counts["unreadable failed"] == 1


async def test_a_storm_writes_a_warning_once_a_batch_and_answers_to_an_older_one_are_all_kept(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    first = await village.only()
    village.finds(detection(Level.CLEAR, "14:00", 2, previous=Level.ORANGE))
    await village.reads()
    written: list[str] = []
    village.database.connection.set_trace_callback(written.append)
    for revision, level in enumerate((Level.BLUE, Level.YELLOW, Level.RED), 3):
        village.finds(detection(level, "14:00", revision, episode="e2"))
    village.answers_at_site("Li Ming", "14:00", "upper-bridge", first.id)
    village.answers_at_site("Wang Fang", "14:00", "mill-creek", first.id)
    await village.reads()
    new = await village.only()
    names = [line.split("'")[1] for line in written if "INTO warnings" in line]
    assert sorted(names) == sorted([first.id, new.id])
    village.restart()
    assert await village.only() == new
    old = await village.desk.warning(first.id)
    assert old is not None
    assert {name for name, call in old.calls.items() if call.answered_at} == {"Li Ming", "Wang Fang"}


async def test_restart_forgets_no_call_and_no_answer(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    await village.desk.answer("Li Ming", (await village.only()).id, "answer page", "")
    village.restart()
    await village.ticks("14:03")
    calls = (await village.only()).calls
    assert (calls["Li Ming"].times, calls["Wang Fang"].times) == (1, 3)


async def test_open_warning_is_found_after_a_restart_although_the_clock_was_set_back(village: Village) -> None:
    village.clock.wind_to(at("15:00"))
    village.finds(detection(Level.ORANGE, "15:00", 1))
    await village.reads()
    village.finds(detection(Level.CLEAR, "15:00", 2, previous=Level.ORANGE))
    await village.reads()
    village.clock = type(village.clock)(at("14:00"))
    village.restart()
    village.finds(detection(Level.RED, "14:00", 3, episode="e2"))
    await village.reads()
    warning = await village.only()
    village.restart()
    assert await village.only() == warning


CHILD = """
import asyncio, sys
from pathlib import Path
from hub import arrivals
from tests.village import Village
arrivals.BATCH = 3
async def main():
    village = Village(Path(sys.argv[1]))
    while await village.desk.process():
        print("batch", flush=True)
asyncio.run(main())
"""


def _process_and_kill(folder: Path, batches: int) -> None:
    command = [sys.executable, "-c", CHILD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as child:
        assert child.stdout is not None
        for _ in range(batches):
            assert child.stdout.readline() == b"batch\n"
        os.kill(child.pid, signal.SIGKILL)


@pytest.mark.parametrize("batches", [1, 5])
async def test_kill_between_landing_and_the_last_decision_loses_nothing_and_says_nothing_twice(
    tmp_path: Path, batches: int
) -> None:
    finds = [
        (detection(level, f"13:{40 + number}", number, previous=before, rule=rule, seq=number + offset), name)
        for name in ("upper-bridge", "mill-creek", "next-door")
        for rule, offset in (("stage", 0), ("rain", 20))
        for number, (before, level) in enumerate(
            [(Level.CLEAR, Level.BLUE), (Level.BLUE, Level.RED), (Level.RED, Level.YELLOW)], 1
        )
    ]
    villages = [Village(tmp_path / "killed"), Village(tmp_path / "calm")]
    for village in villages:
        for station in ("upper-bridge", "mill-creek", "next-door"):
            village.starts(station)
        for found, station in finds:
            village.finds(found, station)
    killed, calm = villages
    killed.close()
    _process_and_kill(tmp_path / "killed", batches)
    killed.restart()
    await killed.reads()
    await calm.reads()
    assert await killed.desk.open_warnings() == await calm.desk.open_warnings()
    assert killed.outbox() == calm.outbox()
    for village in villages:
        village.close()
