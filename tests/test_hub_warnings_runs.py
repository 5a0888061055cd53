"""Which run of a station tells the newer word, where numbers were lost and clocks were wrong."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.village import BOOT, NEXT_BOOT, Village, at, detection
from tocsin.levels import Level


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    there = Village(tmp_path)
    there.starts("upper-bridge", seq=1)
    yield there
    there.close()


@pytest.mark.parametrize("episode", ["e1", "e0"])
@pytest.mark.parametrize("told", ["14:40", "17:00"])
async def test_the_late_word_of_a_run_that_is_over_does_not_end_a_warning(
    village: Village, told: str, episode: str
) -> None:
    """Its clock was ahead, by so much that it only counts hours later, or by less."""
    village.starts("upper-bridge", boot=NEXT_BOOT, seq=20)
    village.finds(detection(Level.RED, "14:10", 5, boot=NEXT_BOOT, seq=21))
    await village.reads()
    before = await village.only()
    village.clock.wind_to(at("16:30"))
    village.finds(detection(Level.CLEAR, told, 4, previous=Level.YELLOW, episode=episode, seq=9))
    await village.reads()
    assert await village.only() == before


@pytest.mark.parametrize("seq", [1, 9])
async def test_the_word_of_a_run_whose_memory_was_lost_is_heard(village: Village, seq: int) -> None:
    """Its numbers begin again, in part or whole; the hub has heard of the other run first."""
    village.starts("upper-bridge", boot=NEXT_BOOT, seq=10)
    village.finds(detection(Level.YELLOW, "14:10", 5, boot=NEXT_BOOT, seq=12))
    await village.reads()
    third = "00000000000000c3"
    village.starts("upper-bridge", boot=third, seq=seq)
    village.finds(detection(Level.RED, "14:20", 3, boot=third, seq=seq + 1))
    await village.reads()
    assert (await village.only()).level == Level.RED


async def test_a_backlog_that_comes_newest_first_mutes_nobody(village: Village) -> None:
    """The run of now is heard before the one that it followed, and its numbers were lost."""
    village.starts("upper-bridge", boot=NEXT_BOOT, seq=20)
    village.starts("upper-bridge", boot="00000000000000c3", seq=10)
    village.finds(detection(Level.YELLOW, "14:05", 4, boot="00000000000000c3", seq=12))
    village.finds(detection(Level.RED, "14:10", 3, boot=NEXT_BOOT, seq=21))
    await village.reads()
    assert (await village.only()).level == Level.RED


async def test_without_the_starts_time_alone_tells(village: Village) -> None:
    village.finds(detection(Level.YELLOW, "14:05", 4, boot=NEXT_BOOT))
    village.finds(detection(Level.RED, "14:10", 3, boot=BOOT, seq=30))
    await village.reads()
    assert (await village.only()).level == Level.RED
