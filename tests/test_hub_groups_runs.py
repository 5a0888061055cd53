"""The late word of a run that is over, as group rules hear it: beside the desk's (tests/test_hub_warnings_runs.py)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.groups_inputs import Landed, Run, Ticked
from hub.groups_replay import replayed
from hub.runs import MOST, before, with_start
from tests.hub_groups import COINCIDENCE, Net, row
from tests.hub_groups_hub import NET, GroupHub
from tests.village import BOOT, NEXT_BOOT, at
from tocsin.levels import Level


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[GroupHub]:
    there = GroupHub(tmp_path, NET)
    yield there
    there.village.close()


@pytest.mark.parametrize(("seq", "fell"), [(20, False), (1, True)])
def test_the_late_word_of_a_run_that_is_over_lowers_no_group(seq: int, fell: bool) -> None:
    """Where the numbers of the next run began again, nobody knows which is over: time alone tells."""
    net = Net.of(COINCIDENCE)
    net.takes(Landed("a", at("14:00"), Run(BOOT, 5)), Landed("a", at("14:04"), Run(NEXT_BOOT, seq)))
    net.takes(row("a", Level.RED, "14:05", 5, boot=NEXT_BOOT), row("b", Level.RED, "14:05", 1))
    net.takes(row("a", Level.CLEAR, "14:40", 4, arrived="14:06", episode="e0"), Ticked(at("18:00")))
    assert [one.level for one in net.decided] == ([2, 0] if fell else [2])


@pytest.mark.parametrize("began", ["before", "after"])
async def test_it_is_so_in_the_hub_also_after_a_restart_and_in_the_replay(hub: GroupHub, began: str) -> None:
    """Whether the runs began before group rules or after."""
    if began == "before":
        hub.village.starts("upper-bridge", boot=NEXT_BOOT, seq=2_000_000)
    hub.village.database.connection.executescript(
        "DELETE FROM group_state; DELETE FROM group_parts; DELETE FROM group_inputs; DELETE FROM group_bases")
    hub.restart()
    if began == "after":
        hub.village.starts("upper-bridge", boot=NEXT_BOOT, seq=2_000_000)
        await hub.reads()
        hub.restart()
    await hub.finds(Level.RED, "14:05", 5, "upper-bridge", boot=NEXT_BOOT, seq=2_000_001)
    await hub.finds(Level.RED, "14:05", 1, "mill-creek")
    await hub.finds(Level.CLEAR, "14:40", 4, "upper-bridge", seq=1_500_000, episode="e0")
    await hub.ticks("17:00")
    assert [one.decision.level for one in await hub.groups.recent(9)] == [3]
    assert replayed(hub.village.database.connection) == hub.bodies()


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 9)), max_size=12))
def test_one_run_is_before_another_where_landing_and_numbers_both_say_so(starts: list[tuple[str, int]]) -> None:
    runs: dict[str, int] = {}
    for boot, seq in starts:
        runs = with_start(runs, boot, seq)
    first = {boot: number for number, (boot, _) in reversed(list(enumerate(starts)))}
    least = {boot: min(seq for other, seq in starts if other == boot) for boot in first}
    for one in "abcd":
        for other in "abcd":
            known = one in first and other in first
            assert before(runs, one, other) == (known and first[one] < first[other] and least[one] < least[other])


def test_a_station_that_begins_again_and_again_is_remembered_in_part() -> None:
    runs: dict[str, int] = {}
    for number in range(100):
        runs = with_start(runs, f"{number:016x}", number)
    assert list(runs.values()) == list(range(100 - MOST, 100))
