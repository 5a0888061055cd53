"""What a hub does often costs no more after ten years of warnings than on its first day."""

import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import journal, orders, warnings_kept
from hub.board import Board
from hub.courier import newest_rules
from hub.metrics import OPEN
from hub.model import Warning as HubWarning
from hub.model import WarningState
from tests.village import NEXT_VILLAGE, VILLAGE, Village, detection
from tocsin.levels import Hazard, Level, Stage

YEARS = 3_000    # closed warnings
_STEPS = 50      # of SQLite's machine


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    """One warning is open, with its journal."""
    there = Village(tmp_path)
    there.starts()
    there.finds(detection(Level.ORANGE, "14:00", 1))
    await there.reads()
    yield there
    there.close()


async def test_what_is_asked_often_costs_the_same_after_ten_years(village: Village) -> None:
    """The thread that reads a journal for a page is the one that lands records."""
    connection = village.database.connection
    one = (await village.only()).id

    def work() -> dict[str, int]:
        return {
            "journal of one": steps(village, lambda: journal.read(connection, one)),
            "open warnings counted": steps(village, lambda: connection.execute(OPEN).fetchone()),
            "newest rules": steps(village, lambda: newest_rules(connection, ["upper-bridge", "mill-creek"])),
            "open warnings": steps(village, lambda: list(warnings_kept.still_open(connection))),
        }

    with village.database.transaction():
        orders.put_rules(connection, "upper-bridge", "rules of the first day", "Zhao Min", 1)
    before, rows = work(), await village.desk.journal_of(one)
    years_go_by(village, one)
    after = work()
    assert await village.desk.journal_of(one) == rows != []
    assert [row[:2] for row in newest_rules(connection, ["upper-bridge", "mill-creek"])] == [
        ("upper-bridge", YEARS + 1)]
    assert connection.execute(OPEN).fetchone() == (1,)
    assert [warning.id for warning in warnings_kept.still_open(connection)] == [one]
    assert {what: after[what] <= before[what] + 4 for what in after} == dict.fromkeys(after, True), (before, after)


def years_go_by(village: Village, one: str) -> None:
    with village.database.transaction() as connection:
        numbers = f"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {YEARS}) "
        connection.execute(
            f"{numbers} INSERT INTO warnings SELECT 'w' || i, json_set(state, '$.state', 'closed', '$.id', 'w' || i)"
            " FROM n, warnings WHERE id = ?", (one,))
        connection.execute(
            f"{numbers} INSERT INTO journal (t, warning, why, event) SELECT t, 'w' || i, why, event FROM n, journal"
            " WHERE warning = ?", (one,))
        connection.execute(f"{numbers} INSERT INTO rules_sent SELECT station, 1 + i, who, t, body FROM n, rules_sent")


def steps(village: Village, does: Callable[[], object]) -> int:
    """How often SQLite has done so many steps meanwhile."""
    found = [0]

    def count() -> int:
        found[0] += 1
        return 0

    village.database.connection.set_progress_handler(count, _STEPS)
    try:
        does()
    finally:
        village.database.connection.set_progress_handler(None, _STEPS)
    return found[0]


def warnings(
    places: Iterable[tuple[str, Hazard, bool]], states: Iterable[WarningState], times: Iterable[int]
) -> Iterator[HubWarning]:
    for number, ((area, hazard, technical), state, t) in enumerate(zip(places, states, times, strict=False)):
        yield HubWarning(f"w{number}", area, hazard, state, 0, 0, Stage.WATCH, t, t, technical=technical)


PLACES = st.tuples(st.sampled_from([VILLAGE, NEXT_VILLAGE]), st.sampled_from([Hazard.FLOOD, Hazard.GAS]), st.booleans())


@given(st.lists(st.tuples(PLACES, st.sampled_from(WarningState), st.integers(1, 4)), min_size=1, max_size=20))
def test_the_board_has_of_each_place_the_open_warning_or_the_one_opened_last(
    found: list[tuple[tuple[str, Hazard, bool], WarningState, int]]
) -> None:
    every = list(warnings(*zip(*found, strict=True)))
    last = {(one.area, one.hazard, one.technical): one.id
            for one in sorted(every, key=lambda one: (one.state is WarningState.OPEN, one.opened_at))}
    board = Board(iter(every))
    assert {(one.area, one.hazard, one.technical): one.id for one in board} == last
    opened = [one.opened_at for one in board.open()]
    assert opened == sorted(opened)


def test_a_start_does_not_hold_the_warnings_of_all_years_at_once() -> None:
    def years(number: int) -> Iterator[HubWarning]:
        return warnings(repeat((VILLAGE, Hazard.FLOOD, False)), repeat(WarningState.CLOSED), range(number))

    assert peak_bytes(years(YEARS)) < 2 * peak_bytes(years(10)) + 10_000


def peak_bytes(of: Iterable[HubWarning]) -> int:
    tracemalloc.start()
    try:
        Board(of)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
