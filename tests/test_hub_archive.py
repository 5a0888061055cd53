"""Warnings and episodes of all years: every one is found once, whatever is asked for and however it is paged."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub.archive import Archive, Kept, Wanted
from hub.errors import TransientError
from hub.model import Warning as HubWarning
from tests.village import NEXT_VILLAGE, TOWN, VILLAGE, Village, at, detection
from tocsin.levels import Hazard, Level

ALL = Wanted()


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    there = Village(tmp_path, start="14:00")
    for station in ("upper-bridge", "mill-creek", "next-door"):
        there.starts(station)
    yield there
    there.close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    made = Archive(tmp_path / "hub.sqlite")
    yield made
    made.close()


async def a_day(village: Village) -> None:
    """Four episodes of three rules: two warnings in one village, one that goes on in the next."""
    steps = [
        ("14:00", "upper-bridge", detection(Level.YELLOW, "14:00", 1)),
        ("14:10", "upper-bridge", detection(Level.RED, "14:10", 2, previous=Level.YELLOW, since="14:00")),
        ("14:20", "mill-creek", detection(Level.BLUE, "14:20", 1, episode="m1")),
        ("14:30", "upper-bridge", detection(Level.CLEAR, "14:30", 3, previous=Level.RED, since="14:00")),
        ("14:31", "mill-creek", detection(Level.CLEAR, "14:31", 2, previous=Level.BLUE, episode="m1", since="14:20")),
        ("15:00", "upper-bridge", detection(Level.ORANGE, "15:00", 4, episode="e2")),
        ("15:10", "upper-bridge", detection(Level.CLEAR, "15:10", 5, episode="e2", since="15:00")),
        ("16:00", "next-door", detection(Level.BLUE, "16:00", 1, episode="n1", hazard=Hazard.GAS)),
    ]
    for when, station, found in steps:
        village.clock.wind_to(at(when))
        village.finds(found, station)
        await village.reads()


async def episodes(archive: Archive, wanted: Wanted = ALL, limit: int = 50) -> list[Kept]:
    """All of them, page by page."""
    found: list[Kept] = []
    while page := await archive.episodes(wanted, found[-1].number if found else None, limit):
        assert len(page) <= limit
        found += page
    return found


async def warnings(archive: Archive, wanted: Wanted = ALL, limit: int = 50) -> list[HubWarning]:
    found: list[HubWarning] = []
    while page := await archive.warnings(wanted, (found[-1].opened_at, found[-1].id) if found else None, limit):
        assert len(page) <= limit
        found += page
    return found


async def test_each_episode_is_one_row_with_its_peak_and_its_end(village: Village, archive: Archive) -> None:
    await a_day(village)
    rows = await episodes(archive)
    assert [(row.episode.id, row.peak, row.cleared_at, row.episode.level) for row in rows] == [
        ("n1", 1, 0, 1), ("e2", 3, at("15:10"), 0), ("m1", 1, at("14:31"), 0), ("e1", 4, at("14:30"), 0),
    ]
    assert (rows[0].hazard, rows[0].area, rows[3].episode.since) == (Hazard.GAS, NEXT_VILLAGE, at("14:00"))
    first, second = rows[3].warning, rows[1].warning
    assert rows[2].warning == first != second
    assert [warning.id for warning in await warnings(archive)] == [rows[0].warning, second, first]


@pytest.mark.parametrize(("wanted", "found"), [
    (Wanted(station="mill-creek"), ["m1"]),
    (Wanted(area=VILLAGE), ["e2", "m1", "e1"]),
    (Wanted(area=TOWN), ["n1", "e2", "m1", "e1"]),
    (Wanted(area="440000000000"), []),
    (Wanted(hazard="gas"), ["n1"]),
    (Wanted(level=3), ["e2", "e1"]),
    (Wanted(open=True), ["n1"]),
    (Wanted(open=False), ["e2", "m1", "e1"]),
    (Wanted(start_ms=at("14:31")), ["n1", "e2", "m1"]),
    (Wanted(start_ms=at("14:30") + 1, end_ms=at("15:00")), ["m1"]),
    (Wanted(end_ms=at("14:20")), ["e1"]),
    (Wanted(start_ms=at("17:00")), ["n1"]),
    (Wanted(station="upper-bridge", level=4), ["e1"]),
])
async def test_episodes_are_found_by_what_is_asked(
    village: Village, archive: Archive, wanted: Wanted, found: list[str]
) -> None:
    await a_day(village)
    assert [row.episode.id for row in await episodes(archive, wanted)] == found
    assert [row.episode.id for row in await episodes(archive, wanted, limit=1)] == found


@pytest.mark.parametrize(("wanted", "found"), [
    (Wanted(), ["16:00", "15:00", "14:00"]),
    (Wanted(station="mill-creek"), ["14:00"]),
    (Wanted(area=VILLAGE), ["15:00", "14:00"]),
    (Wanted(level=4), ["14:00"]),
    (Wanted(hazard="flood"), ["15:00", "14:00"]),
    (Wanted(open=True), ["16:00"]),
    (Wanted(open=False, end_ms=at("15:00")), ["14:00"]),
    (Wanted(start_ms=at("14:40")), ["16:00", "15:00"]),
])
async def test_warnings_are_found_by_what_is_asked(
    village: Village, archive: Archive, wanted: Wanted, found: list[str]
) -> None:
    await a_day(village)
    for limit in (1, 2, 50):
        assert [warning.opened_at for warning in await warnings(archive, wanted, limit)] == [at(t) for t in found]


async def test_what_comes_while_pages_are_read_moves_none_of_the_others(village: Village, archive: Archive) -> None:
    await a_day(village)
    first = await archive.episodes(Wanted(), None, 2)
    village.clock.wind_to(at("17:00"))
    village.finds(detection(Level.RED, "17:00", 9, episode="e9"))
    await village.reads()
    rest = await archive.episodes(Wanted(), first[-1].number, 50)
    assert [row.episode.id for row in first + rest] == ["n1", "e2", "m1", "e1"]


async def test_a_file_from_before_the_table_gets_it_from_its_journal(village: Village, archive: Archive) -> None:
    await a_day(village)
    before = await episodes(archive)
    village.database.connection.execute("DROP TABLE episodes")
    village.restart()
    again = await episodes(archive)
    assert [(row.warning, row.peak, row.cleared_at, row.episode) for row in again] == [
        (row.warning, row.peak, row.cleared_at, row.episode) for row in before
    ]
    village.restart()
    assert await episodes(archive) == again


async def test_a_confirmed_historic_episode_is_historic_no_more(village: Village, archive: Archive) -> None:
    village.clock.wind_to(at("18:00"))
    village.finds(detection(Level.RED, "14:00", 1))
    await village.reads()
    assert [row.episode.historic for row in await episodes(archive)] == [True]
    warning = await village.only()
    await village.desk.confirm(warning.id, "the officer")
    assert [row.episode.historic for row in await episodes(archive)] == [False]


async def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "hub.sqlite").write_bytes(b"no database" * 100)
    broken = Archive(tmp_path / "hub.sqlite")
    with pytest.raises(TransientError, match="not a database"):
        await broken.episodes(Wanted(), None, 1)
    broken.close()


async def test_pages_need_no_sorting(village: Village) -> None:
    """Whatever ten years hold, one page costs one page."""
    for sql in (
        "SELECT state FROM warnings WHERE json_extract(state, '$.opened_at') < 9"
        " ORDER BY json_extract(state, '$.opened_at') DESC, id DESC LIMIT 5",
        "SELECT state FROM episodes WHERE station = 'x' AND id < 9 ORDER BY id DESC LIMIT 5",
    ):
        plan = [row[3] for row in village.database.connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert [step for step in plan if "TEMP B-TREE" in step or "SCAN" in step] == []


