"""The uplink with a data budget: what waits for a summary is settled with it, lost or not, and can be asked for."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge import lanes
from edge.news import Thinner
from edge.recorder import KINDS
from edge.uplink import Uplink
from tests.lines import settle, until
from tests.test_edge_uplink import BOOT, STATION, Hub, Rig, hasty
from tocsin.log import Entry, Log
from tocsin.messages import Detection, Readings, Start, StationCard, Summary, encode
from tocsin.packing import pack, unpack

__all__ = ["hasty"]
WINDOW_MS = 300_000


class BudgetRig(Rig):
    """With a budget; `calm` is wound by hand, records come every ten seconds, summaries when asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.calm = True
        self.begin_again()

    def begin_again(self, hub: str = "hub-1") -> None:
        """As after a restart, or before another hub."""
        self.log.close()
        self.log = Log(self.log.folder)
        self.thinner = Thinner(lambda: self.calm)
        self.uplink = Uplink(self.log, STATION, self.key, self.thinner)
        self.hub = Hub(self.uplink, self.key, hub)
        self.wire.on_record = self.hub.take

    def value(self, value: float) -> None:
        self.record(lambda seq: Entry(seq, KINDS[Readings], encode(
            Readings(BOOT, seq, [seq * 10_000], ["gauge/stage_m"], [value], [0]))))

    def close_window(self) -> int:
        """The seq of the summary."""
        summary = self.thinner.close(1 << 45, WINDOW_MS)
        assert summary is not None

        def make(seq: int) -> Entry:
            found = Summary(BOOT, seq, *(getattr(summary, name) for name in Summary.__struct_fields__[2:]))
            return Entry(seq, KINDS[Summary], encode(found))

        self.record(make)
        return self.log.next_seq - 1

    async def until_at_hub(self, seqs: Sequence[int]) -> None:
        await until(lambda: set(seqs) <= self.hub.has.keys())


async def test_in_calm_changes_and_summaries_go_up_and_the_rest_is_settled_with_them(tmp_path: Path) -> None:
    rig = BudgetRig(tmp_path)
    async with rig.running():
        await until(lambda: rig.uplink._history is None)
        for value in (1.0, 1.0, 1.01, 1.5, 1.5):
            rig.value(value)
        await rig.until_at_hub([1, 4])
        await rig.hub.answer()
        assert rig.uplink.backlog == 0
        assert rig.uplink._spans.floor == 1
        summary = rig.close_window()
        await rig.until_at_hub([summary])
        assert rig.uplink._spans.floor == 1, "the hub has not said that it has the summary"
        await rig.hub.answer()
        assert rig.uplink._spans.floor == summary
    assert rig.hub.seen == [1, 4, summary]


async def test_a_summary_that_was_lost_is_offered_again_and_settles_what_waits_for_it(
    tmp_path: Path, hasty: None
) -> None:
    rig = BudgetRig(tmp_path)
    async with rig.running():
        await until(lambda: rig.uplink._history is None)
        for _ in range(4):
            rig.value(1.0)
        summary = rig.close_window()
        await rig.until_at_hub([1, summary])
        rig.hub.has.clear()
        await rig.until_at_hub([1, summary])
        await rig.hub.answer()
        assert rig.uplink._spans.floor == summary
    assert set(rig.hub.seen) == {1, summary}


async def test_when_it_is_not_calm_any_more_everything_goes_up_also_what_led_to_it(tmp_path: Path) -> None:
    rig = BudgetRig(tmp_path)
    async with rig.running():
        await until(lambda: rig.uplink._history is None)
        for _ in range(3):
            rig.value(1.0)
        rig.calm = False
        rig.value(1.0)
        await rig.until_at_hub([1, 2, 3, 4])
        rig.value(1.0)
        await rig.until_at_hub([5])
        rig.calm = True
        rig.value(1.0)
        await rig.hub.answer()
        await settle()
        assert 6 not in rig.hub.has


async def test_of_what_was_written_offline_the_hub_gets_changes_and_summaries(tmp_path: Path) -> None:
    rig = BudgetRig(tmp_path)
    for value in (1.0, 1.0, 1.5, 1.5):
        rig.value(value)
    first = rig.close_window()
    for _ in range(3):
        rig.value(1.5)
    async with rig.running():
        await rig.until_at_hub([1, 3, first, 8])
        await rig.hub.answer()
        await until(lambda: rig.uplink._spans.floor == first)
        assert rig.uplink._holding.open == {6, 7}
        second = rig.close_window()
        await rig.until_at_hub([second])
        await rig.hub.answer()
        assert rig.uplink._spans.floor == second
    assert set(rig.hub.seen) == {1, 3, first, 8, second}, "8: the newest reading goes first after an outage"


async def test_after_a_crash_the_readings_of_the_window_that_went_with_it_go_up_whole(tmp_path: Path) -> None:
    rig = BudgetRig(tmp_path)
    for _ in range(3):
        rig.value(1.0)
    rig.begin_again()
    async with rig.running():
        await until(lambda: rig.uplink._link is not None)
        rig.value(1.0)
        rig.value(1.0)
        await rig.until_at_hub([1, 2, 3, 4])
        await rig.hub.answer()
        assert rig.uplink._holding.open == {5}


async def test_another_hub_is_offered_all_of_it_as_thin_as_the_first(tmp_path: Path) -> None:
    rig = BudgetRig(tmp_path)
    for _ in range(5):
        rig.value(1.0)
    summary = rig.close_window()
    async with rig.running():
        await rig.all_settled()
    rig.uplink.close()
    rig.begin_again("hub-2")
    async with rig.running():
        await until(lambda: rig.uplink._link is not None)
        rig.value(1.0)
        await rig.until_at_hub([summary + 1])
        await rig.hub.answer()
        await rig.until_at_hub([1, summary])
        await rig.hub.answer()
        await until(lambda: rig.uplink._spans.floor == summary)
        assert rig.uplink._holding.open == {summary + 1}, "the next summary settles it"
    assert set(rig.hub.seen) == {1, summary, summary + 1}


async def test_a_record_of_another_version_ends_nothing(tmp_path: Path, hasty: None) -> None:
    rig = BudgetRig(tmp_path)
    rig.value(1.0)
    strange = [Entry(rig.log.next_seq, KINDS[Readings], b'{"kind":"readings","seq":2,"series":7}'),
               Entry(rig.log.next_seq + 1, KINDS[Summary], b'{"kind":"summary","seq":3,"series":7}')]
    rig.log.append(strange)
    for _ in range(3):
        rig.value(1.0)
    rig.close_window()
    rig.begin_again()
    async with rig.running():
        await rig.until_at_hub([1, 2, 3, 7])
        await rig.all_settled()


async def test_after_an_outage_the_newest_reading_and_the_open_warning_come_before_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes.Pace, "took", lambda self, size, seconds: None)
    rig = Rig(tmp_path, held=2000)
    for level in (1, 2, 3):
        rig.record(lambda seq, level=level: Entry(seq, KINDS[Detection], encode(detection(seq, level))))  # type: ignore[misc]
    rig.record()
    async with rig.running():
        await rig.all_settled()
    assert rig.hub.seen[:4] == [2003, 2001, 2002, 2004], "the newest of the rule, how it came to it, the newest reading"
    assert rig.hub.seen[4:] == list(range(1, 2001))
    assert max(rig.wire.sizes) < 5000, "nothing urgent waits long behind a message"


def detection(seq: int, level: int) -> dict[str, object]:
    return {"kind": "detection", "seq": seq, "series": "gauge/stage_m", "rule": "stage", "level": level}


async def test_the_card_goes_along_with_a_warning_until_the_hub_has_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    card = StationCard("Bridge", "", "330112001001", 30.0, 119.0, [], [], "")
    rig.record(lambda seq: Entry(seq, KINDS[Start], encode(Start(BOOT, seq, 1, "0", card))))
    async with rig.running():
        rig.record(lambda seq: Entry(seq, KINDS[Detection], encode(detection(seq, 1))))
        await until(lambda: 2 in rig.hub.has)
        assert rig.hub.seen[:2] == [1, 2]
        await rig.hub.answer()
        rig.hub.seen.clear()
        rig.record(lambda seq: Entry(seq, KINDS[Detection], encode(detection(seq, 2))))
        await until(lambda: 3 in rig.hub.has)
    assert rig.hub.seen == [3]


async def test_what_is_live_goes_out_though_more_comes_than_the_link_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.uplink._UNANSWERED", 10)
    rig = Rig(tmp_path)
    rig.uplink._link = rig.wire
    for _ in range(15):
        rig.record()
    assert [one.seq for one in rig.uplink._live.taken()] == list(range(6, 16)), "the oldest come with the history"
    async with rig.running():
        await rig.all_settled()
    assert set(rig.hub.seen) == set(range(1, 16))


def test_messages_are_packed_where_it_pays_and_never_unpacked_without_a_limit() -> None:
    plain = b'{"v":1,"station":"bridge","records":[' + b"0," * 2000 + b"0]}"
    packed = pack(plain)
    assert len(packed) < len(plain) / 10
    assert unpack(packed, len(plain)) == plain
    assert pack(b"{}") == b"{}" == unpack(b"{}", 1)
    assert pack(plain, len(plain) + 1) == plain
    for wrong, said in ((packed[:-3], "cut off"), (packed + b"x", "followed"), (b"x" + packed[1:9], "damaged|cut off")):
        with pytest.raises(ValueError, match=said):
            unpack(wrong, 1 << 20)
    with pytest.raises(ValueError, match="more than 100 bytes"):
        unpack(packed, 100)




async def test_memory_stays_while_the_hub_is_away_for_weeks(tmp_path: Path) -> None:
    rig = BudgetRig(tmp_path)
    for _ in range(30):
        for _ in range(30):
            rig.value(1.0)
        rig.close_window()
    await asyncio.sleep(0)
    uplink = rig.uplink
    assert len(uplink._holding.open) + uplink._holding.covered + len(uplink._live) + len(uplink._live._newest_of) == 1
