"""The checkpoint: each minute in memory that outlives the process, each hour on the disk, and nothing copied for it."""

import shutil
import zlib
from pathlib import Path

import msgspec
import pytest

from edge.checkpoint import CHECKPOINT, KEPT, Checkpoints, checkpoint_of
from edge.decider import Decider
from edge.saved import loaded
from tests.edge_bench import LATCHED, MINUTE_MS, Bench
from tests.lines import until
from tests.stations import START_MS
from tests.test_agent import Site
from tocsin import early
from tocsin.log import Log
from tocsin.messages import encode


@pytest.fixture
def shm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shm"
    folder.mkdir()
    monkeypatch.setattr(early, "MEMORY", folder)
    return folder


def saved(bench: Bench, *, keep: bool = False) -> int:
    """A checkpoint of now, by a process of its own; the record that it knows."""
    bench.flush()
    decider, seq = bench.agent.pipeline.decider, bench.agent.recorder.last_seq
    checkpoints = Checkpoints(bench.folder)
    checkpoints.prepare(seq, encode(decider.config), decider.parts(), keep=keep)
    checkpoints.publish()
    if keep:
        checkpoints.keep()
    return seq


def test_what_is_written_in_parts_is_what_a_decider_reads(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED, shadow=LATCHED)
    for stage in (1.0, 2.7, 2.7):
        bench.read(stage)
    decider = bench.agent.pipeline.decider
    assert decider.shadow is not None
    data = decider.save()
    assert loaded(msgspec.msgpack.encode(loaded(data))) == loaded(data)
    assert Decider(decider.config, memory=memoryview(data)).same_as(decider)
    remembered = decider.remembered(START_MS)
    assert loaded(zlib.decompress(remembered.memory)).now_ms == decider.now_ms
    assert Decider.of(remembered).same_as(decider)
    bench.stop()


def test_the_newest_is_used_and_after_a_power_cut_the_one_on_the_disk(tmp_path: Path, shm: Path) -> None:
    bench = Bench(tmp_path / "station", LATCHED)
    bench.read(2.7)
    kept = saved(bench, keep=True)
    bench.read(2.8)
    newest = saved(bench)
    assert newest > kept
    bench.read(2.9)
    bench.kill(written=99)
    assert "orange" in bench.operations.levels().en
    bench.stop()
    storage = Log(bench.folder / "log")
    assert [found[0] if found else 0 for found in [checkpoint_of(bench.folder, storage)]] == [newest]
    for file in shm.iterdir():  # what a power cut takes
        file.unlink()
    assert [found[0] if found else 0 for found in [checkpoint_of(bench.folder, storage)]] == [kept]
    storage.close()


def test_a_copied_folder_begins_with_its_own_and_not_with_what_the_other_knows_now(tmp_path: Path, shm: Path) -> None:
    bench = Bench(tmp_path / "station", LATCHED)
    bench.read(1.0)
    kept = saved(bench, keep=True)
    bench.read(1.1)
    saved(bench)
    bench.flush()
    shutil.copytree(bench.folder, tmp_path / "copy", symlinks=True)
    storage = Log(tmp_path / "copy" / "log")
    found = checkpoint_of(tmp_path / "copy", storage)
    assert found is not None
    assert found[0] == kept
    storage.close()
    bench.stop()


def test_no_run_leaves_its_file_in_memory_behind(tmp_path: Path, shm: Path) -> None:
    bench = Bench(tmp_path / "station")
    for _ in range(3):
        bench.read(1.0)
        saved(bench)
    bench.stop()
    (left,) = shm.glob("tocsin-*-*")
    assert (bench.folder / CHECKPOINT).readlink() == left


def test_without_such_memory_the_disk_has_it_each_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "station", LATCHED)
    monkeypatch.setattr(early, "MEMORY", tmp_path / "nowhere")
    bench.read(2.7)
    saved(bench)
    assert not (bench.folder / CHECKPOINT).exists()
    seq = saved(bench, keep=True)
    bench.read(2.8)
    bench.kill(written=99)
    assert "orange" in bench.operations.levels().en
    found = checkpoint_of(bench.folder, bench.agent._log)
    assert found is not None
    assert found[0] == seq
    bench.stop()


async def test_an_agent_keeps_one_after_a_minute_and_then_each_hour(tmp_path: Path) -> None:
    site = Site(tmp_path)
    kept, link = (tmp_path / "station-data" / name for name in (KEPT, CHECKPOINT))
    seen: list[bytes] = []
    async with site.agent() as agent:
        for minute in range(1, 64):
            before = link.stat().st_mtime_ns if link.exists() else 0
            site.clock.wind_to(START_MS + minute * MINUTE_MS)
            await until(lambda before=before: link.exists() and link.stat().st_mtime_ns > before)  # type: ignore[misc]
            await until(lambda: all(one.done() for one in agent._watch._beside.values()))
            seen += [data for data in [kept.read_bytes()] if data not in seen]
    assert len(seen) == 2


async def test_what_is_taken_out_of_the_log_is_known_by_the_one_on_the_disk(tmp_path: Path) -> None:
    site = Site(tmp_path)
    kept, link = (tmp_path / "station-data" / name for name in (KEPT, CHECKPOINT))
    async with site.agent() as agent:
        seen: list[bytes] = []
        for minute in range(1, 7):
            before = link.stat().st_mtime_ns if link.exists() else 0
            if minute == 4:
                agent._tidy.removed_upto = agent.recorder.last_seq
            site.clock.wind_to(START_MS + minute * MINUTE_MS)
            await until(lambda before=before: link.exists() and link.stat().st_mtime_ns > before)  # type: ignore[misc]
            await until(lambda: all(one.done() for one in agent._watch._beside.values()))
            seen.append(kept.read_bytes())
        assert seen[0] == seen[1] == seen[2] != seen[3]
        assert seen[3] == seen[4] == seen[5]
