"""Records that are no longer in the log, or wait for what does not come: nothing waits for them for ever."""

import time
from pathlib import Path

import pytest

from edge import uplink as module
from edge.lanes import History
from edge.news import Thinner
from edge.recorder import KINDS
from edge.spans import within
from edge.uplink import Uplink
from tests.lines import until
from tests.test_edge_uplink import BOOT, STATION, Hub, Rig, hasty, reading
from tocsin.inputs import Thinned
from tocsin.log import Entry
from tocsin.messages import Detection, Readings, Summary, encode

__all__ = ["hasty"]


def thinned(seq: int, last: int) -> Entry:
    return Entry(seq, KINDS[Thinned], encode(Thinned(BOOT, seq, seq, last, last - seq + 1, 3)))


@pytest.mark.parametrize("marked", [False, True])
async def test_another_hub_does_not_wait_for_what_was_thinned_or_dropped_in_this_run(
    tmp_path: Path, marked: bool
) -> None:
    rig = Rig(tmp_path, segment_bytes=2000)
    async with rig.running():
        for _ in range(60):
            rig.record()
        await rig.all_settled()
        oldest, *_ = rig.log.sealed
        first, *rest = [entry for entry in rig.log.read() if entry.seq < 10]
        rig.log.rewrite(oldest, [thinned(first.seq, rest[4].seq), *rest[5:]] if marked else [rest[-1]], 3)
        rig.uplink.gone([(first.seq, rest[4].seq)] if marked else [(first.seq, rest[-2].seq)])
        assert rig.uplink.backlog == 0
        rig.hub = Hub(rig.uplink, rig.key, "hub-2")
        rig.wire.on_record = rig.hub.take
        rig.record()
        await until(lambda: 61 in rig.hub.has)
        await rig.all_settled()
    assert rig.uplink._spans.floor == 61


async def test_what_is_written_while_the_log_is_read_is_never_taken_for_a_hole(tmp_path: Path) -> None:
    rig = Rig(tmp_path, held=2)
    history = History(iter(()), 2, next_seq=4)
    rig.uplink._pass(history, reading(6))
    assert [seq for seq in range(3, 7) if seq in rig.uplink._spans] == [3]


async def test_no_more_newest_readings_are_kept_than_there_are_series(tmp_path: Path) -> None:
    """Polls that come together are one record, and which ones do is another question each time."""
    rig = Rig(tmp_path)

    def together(seq: int) -> Entry:
        keys = [f"gauge-{bit}/stage_m" for bit in range(8) if seq >> bit & 1]
        return Entry(seq, KINDS[Readings],
                     encode(Readings(BOOT, seq, [seq] * len(keys), keys, [1.0] * len(keys), [0] * len(keys))))

    for _ in range(255):
        rig.record(together)
    assert len(rig.uplink._live._newest_of) == 8
    await rig.uplink.connected()
    assert [entry.seq for entry in rig.uplink._live.taken()] == [255], "the newest of all eight, once"


async def test_a_summary_of_more_readings_than_may_wait_goes_up_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_UNANSWERED", 50)
    rig = Rig(tmp_path)
    for seq in range(1, 101):
        name = f"{seq}" + "x" * 1000 if seq % 12 == 0 else "s"  # news, and more than one message takes
        rig.log.append([Entry(seq, KINDS[Readings],
                              encode(Readings(BOOT, seq, [seq], [f"{name}/stage_m"], [0.0], [0])))])
    rig.log.append([Entry(101, KINDS[Summary], encode(
        Summary(BOOT, 101, 0, 1, 100, [100], ["s/stage_m"], [95], [0.0], [0.0], [0.0], [0.0], [0])))])
    rig.uplink = Uplink(rig.log, STATION, rig.key, Thinner(lambda: True))
    rig.hub = Hub(rig.uplink, rig.key)
    rig.wire.on_record = rig.hub.take
    async with rig.running():
        await rig.all_settled()
    assert 101 in rig.hub.has


async def test_millions_of_records_that_went_hold_the_loop_for_an_instant(tmp_path: Path) -> None:
    rig = Rig(tmp_path, held=2)
    begun_s = time.process_time()
    rig.uplink.gone([(3, 50_000_000)])
    assert time.process_time() - begun_s < 0.2
    assert rig.uplink.answered_s is None, "the hub has said nothing"
    assert 50_000_000 in rig.uplink._spans


@pytest.mark.parametrize(("first", "last"), [(3, 4), (0, 100), (5, 4), (-1, 1)])
def test_within_walks_the_fewer(first: int, last: int) -> None:
    seqs = {1: "a", 3: "b", 4: "c", 90: "d"}
    assert within(seqs, first, last) == [seq for seq in seqs if first <= seq <= last]


async def test_of_a_flood_of_warnings_few_stay_in_memory_and_all_reach_the_hub(
    tmp_path: Path, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that flaps for weeks without a hub: the newest of each rule goes first all the same."""
    monkeypatch.setattr(module, "_MOST_URGENT", 20)
    rig = Rig(tmp_path)
    rig.record(lambda seq: warning(seq, "seldom"))
    for _ in range(300):
        rig.record(lambda seq: warning(seq, "flaps"))
    assert len(rig.uplink._urgent) <= 20
    async with rig.running():
        await until(lambda: len(rig.hub.has) >= 2)
        assert set(rig.hub.seen[:2]) == {1, 301}
        await rig.all_settled()
    assert set(rig.hub.seen) == set(range(1, 302))


def warning(seq: int, rule: str) -> Entry:
    found = {"kind": "detection", "seq": seq, "series": "gauge/stage_m", "rule": rule, "level": 1}
    return Entry(seq, KINDS[Detection], encode(found))
