"""The siren obeys what is wanted now, whatever became of the command before."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from edge import siren as sirens
from edge.patterns import Program
from edge.siren import Siren, Told
from edge.siren_table import SirenTable
from edge.sounding import Sound
from tests.lines import settle, until
from tests.stations import START_MS
from tocsin.clock import WoundClock
from tocsin.levels import Hazard, Level, Stage
from tocsin.readings import Reason, RejectedError
from tocsin.said import Said


def sound(level: Level, stage: Stage = Stage.MOVE, *, answered: bool = False, quiet: bool = False) -> Sound:
    return Sound("stage", "gauge/stage_m", level, stage, Hazard.FLOOD, answered, quiet)


class Box:
    """An output that answers as told; `writes` are its commands, `is_on` what its feedback says."""

    def __init__(self) -> None:
        self.name = "siren"
        self.hold_s = 0.001
        self.tells = True
        self.answers = True
        self.reads = True
        self.stuck: bool | None = None
        self.on: bool | None = None
        self.hangs = False
        self.writes: list[bool] = []

    async def switch(self, *, on: bool, stage: Stage) -> None:
        self.writes.append(on)
        await asyncio.sleep(0)
        if not self.answers:
            raise RejectedError(Reason.SILENT, "no answer")
        self.on = on

    async def guard(self) -> None:
        """Nothing to set."""

    async def is_on(self) -> bool | None:
        if self.hangs:
            await asyncio.Event().wait()
        if not self.reads:
            raise RejectedError(Reason.EXCEPTION, "exception 2: illegal data address")
        return self.on if self.stuck is None else self.stuck

    async def is_whole(self) -> bool | None:
        return None

    def close(self) -> None:
        """Nothing to close."""


class Talk:
    """What would be said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.spoken: list[str] = []
        self.hushed = 0
        self.on_end: Callable[[], None] = self.hush

    def say(self, program: Program) -> None:
        self.said.append(program.name)
        self.spoken.append(f"{program.stage} {program.spoken.word}")

    def hush(self) -> None:
        self.hushed += 1


class Stand:
    """A siren on a hand-wound clock; `told` and `faults` are what it says of itself."""

    def __init__(self, table: SirenTable | None = None, *, voice: bool = True) -> None:
        self.box, self.clock, self.talk = Box(), WoundClock(START_MS), Talk()
        self.told: list[tuple[str, str]] = []
        self.faults: list[str] = []
        table = table or SirenTable(device="siren")
        self.siren = Siren(table, self.box, self.clock, self._tell, self._failed, self.talk if voice else None)

    def _failed(self, said: Said) -> None:
        self.faults.append(said.en)

    def _tell(self, told: Told) -> None:
        self.told.append((told.level.word, told.pattern))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Stand"]:
        task = asyncio.create_task(self.siren.run())
        self.command()
        await until(lambda: self.box.on is False)
        yield self
        assert not task.done()
        task.cancel()

    def command(self, *sounds: Sound) -> None:
        self.siren.command(sounds, "why", 0.0)

    async def passes(self, seconds: float) -> None:
        """The clock goes on in tenths of a second, and the siren keeps up."""
        for _ in range(round(seconds * 10)):
            self.clock.wind_to(self.clock.now_ms() + 100)
            for _ in range(6):
                await asyncio.sleep(0)

    async def rhythm(self, seconds: int) -> str:
        """What was heard in each second: # on, . off."""
        heard = ""
        for _ in range(seconds):
            await self.passes(0.5)
            heard += "#" if self.box.on else "."
            await self.passes(0.5)
        return heard


async def test_a_siren_that_obeyed_without_an_answer_is_silenced_all_the_same() -> None:
    async with Stand().running() as stand:
        stand.box.answers = False
        stand.command(sound(Level.RED))
        await until(lambda: len(stand.faults) == 1)
        stand.box.answers = True
        stand.command()
        await until(lambda: stand.box.on is False and stand.box.writes[-1] is False)
    assert stand.box.writes == [False, True, False]
    assert stand.faults == ["cannot be switched on: silent: no answer"]


async def test_a_siren_that_must_sound_is_told_so_again_and_a_silent_one_is_left_alone() -> None:
    async with Stand().running() as stand:
        stand.command(sound(Level.RED))
        await until(lambda: stand.box.writes.count(True) > 3)
        stand.command()
        await until(lambda: stand.box.writes[-1] is False)
        before = list(stand.box.writes)
        stand.command()
        for _ in range(50):
            await asyncio.sleep(0)
        assert stand.box.writes == before
    assert stand.told == [("clear", ""), ("red", "move"), ("clear", "")]


async def test_a_dead_siren_is_told_once_and_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sirens, "_AGAIN_S", 0.0)
    async with Stand().running() as stand:
        stand.box.answers = False
        stand.command(sound(Level.RED))
        await until(lambda: len(stand.box.writes) > 5)
        assert stand.faults == ["cannot be switched on: silent: no answer"]
        assert stand.siren.level.word == "clear"
        stand.box.answers = True
        await until(lambda: len(stand.told) == 2)
        assert stand.siren.level.word == "red"
        assert stand.siren.faults == []


# the rhythm


@pytest.mark.parametrize(("sounds", "heard"), [
    ([sound(Level.ORANGE, Stage.WATCH)], "###" + 57 * "."),
    ([sound(Level.ORANGE, Stage.PREPARE)], 36 * "#" + 24 * "."),
    ([sound(Level.RED, Stage.MOVE)], 3 * (6 * "#" + 6 * ".") + 6 * "#" + 18 * "."),
    ([sound(Level.RED, Stage.MOVE, answered=True)], "#" + 59 * "."),
    ([sound(Level.YELLOW, Stage.MOVE)], 60 * "."),
    ([sound(Level.RED, quiet=True)], 60 * "."),
    ([sound(Level.RED, answered=True), sound(Level.ORANGE, Stage.PREPARE)], 36 * "#" + 24 * "."),
    ([sound(Level.RED, quiet=True), sound(Level.ORANGE, Stage.PREPARE)], 36 * "#" + 24 * "."),
])
async def test_each_stage_has_its_rhythm_and_repeats_it(sounds: Sequence[Sound], heard: str) -> None:
    async with Stand().running() as stand:
        stand.command(*sounds)
        assert await stand.rhythm(180) == 3 * heard


async def test_a_rise_sounds_at_once_and_a_fall_of_the_level_alone_keeps_the_rhythm() -> None:
    async with Stand().running() as stand:
        stand.command(sound(Level.ORANGE, Stage.PREPARE))
        assert await stand.rhythm(40) == 36 * "#" + 4 * "."
        stand.command(sound(Level.RED))
        assert await stand.rhythm(8) == 6 * "#" + 2 * "."
        stand.command(sound(Level.ORANGE))
        assert await stand.rhythm(6) == 4 * "." + 2 * "#"
    assert stand.told == [("clear", ""), ("orange", "prepare"), ("red", "move"), ("orange", "move")]


async def test_the_rhythm_does_not_drift_in_a_day() -> None:
    async with Stand().running() as stand:
        stand.command(sound(Level.RED))
        for _ in range(24 * 60 - 1):
            await stand.passes(0.1)
            stand.clock.wind_to(stand.clock.now_ms() + 59_900)
        await stand.passes(0.1)
        stand.clock.wind_to(stand.clock.now_ms() + 59_900)
        for _ in range(20):
            await asyncio.sleep(0)
        assert await stand.rhythm(18) == 6 * "#" + 6 * "." + 6 * "#"


async def test_words_are_said_once_in_each_long_pause_and_end_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Stand().running() as stand:
        stand.command(sound(Level.RED))
        await stand.passes(41.0)
        assert stand.talk.said == []
        await stand.passes(1.5)
        hushed = stand.talk.hushed
        await stand.passes(17.0)
        assert (stand.talk.said, stand.talk.hushed) == (["move"], hushed)
        await stand.passes(1.5)
        assert stand.talk.hushed > hushed
        monkeypatch.setattr(sirens, "_LOOKS_S", (0.0,))
        stand.box.stuck = True
        await stand.passes(58.0)
        assert stand.talk.said == ["move", "move"], "a contact that is stuck keeps nobody from the words"


async def test_an_answer_takes_effect_once_the_rhythm_was_heard_in_full() -> None:
    full = 3 * (6 * "#" + 6 * ".") + 6 * "#" + 18 * "."
    async with Stand().running() as stand:
        stand.command(sound(Level.RED))
        assert await stand.rhythm(20) == full[:20]
        stand.command(sound(Level.RED, answered=True))
        stand.command(sound(Level.RED, answered=True))
        assert await stand.rhythm(159) == (3 * full)[20:179]
        assert stand.told == [("clear", ""), ("red", "move")]
        assert await stand.rhythm(1) == "."
        assert await stand.rhythm(120) == 2 * ("#" + 59 * ".")
        assert stand.told[2:] == [("red", "answered")]
        stand.command(sound(Level.RED))
        assert await stand.rhythm(60) == full
        stand.command(sound(Level.RED, answered=True))
        stand.command()
        assert await stand.rhythm(200) == 200 * "."


# feedback


async def test_a_contact_that_says_otherwise_is_a_fault_at_once_and_the_command_is_given_again(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sirens, "_AGAIN_S", 0.0)
    monkeypatch.setattr(sirens, "_LOOKS_S", (0.0, 0.0))
    async with Stand().running() as stand:
        stand.box.stuck = False
        stand.command(sound(Level.RED))
        await until(lambda: stand.box.writes.count(True) > 3)
        assert stand.faults == ["was switched on, but its feedback says off"]
        assert list(map(str, stand.siren.faults)) == stand.faults
        stand.box.stuck = None
        await until(lambda: len(stand.faults) == 2)
        assert stand.faults[1] == "its feedback says again what it does"
        assert stand.siren.faults == []


async def test_a_feedback_that_cannot_be_read_is_told_once_and_changes_nothing() -> None:
    async with Stand().running() as stand:
        stand.box.reads = False
        stand.command(sound(Level.RED))
        assert await stand.rhythm(60) == 3 * (6 * "#" + 6 * ".") + 6 * "#" + 18 * "."
        assert stand.faults == ["its feedback cannot be read: exception: exception 2: illegal data address"]


async def test_a_feedback_that_hangs_does_not_hold_up_the_next_command() -> None:
    async with Stand().running() as stand:
        stand.command(sound(Level.RED))
        await until(lambda: stand.box.on is True)
        stand.box.hangs = True
        stand.command()
        await until(lambda: stand.box.on is False)
        stand.command(sound(Level.RED))
        await until(lambda: stand.box.on is True)


async def test_a_feedback_that_hangs_holds_up_neither_the_rhythm_nor_the_repeats() -> None:
    async with Stand().running() as stand:
        stand.box.hangs = True
        stand.command(sound(Level.RED))
        assert await stand.rhythm(60) == 3 * (6 * "#" + 6 * ".") + 6 * "#" + 18 * "."
        await until(lambda: stand.box.on is True)
        told = stand.box.writes.count(True)
        await until(lambda: stand.box.writes.count(True) > told + 3)


async def test_a_siren_whose_feedback_says_that_it_sounds_on_is_told_again_until_it_is_silent(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sirens, "_AGAIN_S", 0.0)
    monkeypatch.setattr(sirens, "_LOOKS_S", (0.0,))
    async with Stand().running() as stand:
        stand.command(sound(Level.RED))
        await until(lambda: stand.box.on is True)
        stand.box.stuck = True
        stand.command()
        told = stand.box.writes.count(False)
        await until(lambda: stand.box.writes.count(False) > told + 3)
        assert stand.faults == ["was switched off, but its feedback says on"]
        stand.box.stuck = None
        await until(lambda: len(stand.faults) == 2)
        told = len(stand.box.writes)
        await settle()
        assert len(stand.box.writes) == told, "a person may sound it by other means"


# the test


async def test_an_audible_test_sounds_for_its_time_and_says_whether_the_feedback_agreed() -> None:
    async with Stand().running() as stand:
        test = asyncio.create_task(stand.siren.test(3.0))
        assert await stand.rhythm(6) == "###..."
        assert await test
        stand.box.reads = False
        test = asyncio.create_task(stand.siren.test(3.0))
        assert await stand.rhythm(6) == "###..."
        assert not await test
    assert stand.told == [("clear", "")], "a test is no warning"


async def test_a_warning_that_comes_in_a_test_goes_on_from_there() -> None:
    async with Stand().running() as stand:
        test = asyncio.create_task(stand.siren.test(3.0))
        assert await stand.rhythm(1) == "#"
        stand.command(sound(Level.RED))
        await settle()
        assert stand.told == [("clear", ""), ("red", "move")], "not only when the test would have ended"
        assert await stand.rhythm(8) == 6 * "#" + 2 * "."
        assert not await test
