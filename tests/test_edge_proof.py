"""The siren is proven before it is needed: line checks, audible tests, what is overdue; and the button at it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge import proof as proofs
from edge import siren as sirens
from edge.button import STUCK_S, ButtonWatch, Debounce, Press
from edge.proof import DAY_MS, FILE, Proof
from edge.siren import Siren
from edge.siren_table import SirenTable
from tests.lines import settle, until
from tests.stations import START_MS, SetClock
from tests.tasks import beside
from tests.test_edge_siren import Box, sound
from tocsin.clock import WoundClock
from tocsin.levels import Level
from tocsin.log import replace_file
from tocsin.readings import Reason, RejectedError

HOUR_MS = 3_600_000
MIDNIGHT_MS = START_MS + 16 * HOUR_MS  # local


class Cabinet(Box):
    """An output with a supervised line."""

    def __init__(self) -> None:
        super().__init__()
        self.hold_s = 10.0
        self.whole: bool | None = True

    async def is_whole(self) -> bool | None:
        return self.whole


class Stand:
    """A siren and its proof on a hand-wound clock, which goes on over restarts. Midnight, local time."""

    def __init__(self, folder: Path, every_days: int = 30) -> None:
        self.folder = folder
        self.clock = SetClock(MIDNIGHT_MS)
        self.box = Cabinet()
        self.table = SirenTable(device="siren", test_every_days=every_days)
        self.told: list[tuple[str, str]] = []
        self.calm = True
        self.make()

    def make(self) -> None:
        self.siren = Siren(self.table, self.box, self.clock, lambda _: None, lambda _: None)
        self.siren.command((), "start", 0.0)
        self.proof = Proof(self.table, self.siren, None, self.clock, self.folder, is_calm=lambda: self.calm,
                           tell=lambda reason, detail: self.told.append((reason, detail.en)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Stand"]:
        async with beside(self.siren.run()):
            await until(lambda: self.box.on is False)
            yield self

    async def passes(self, hours: float) -> None:
        """Time goes by, and the proof looks at the end of each hour."""
        for _ in range(round(hours)):
            self.clock.pass_ms(HOUR_MS)
            look = asyncio.create_task(self.proof.look())
            while not look.done():
                await settle()
                if self.siren._testing is not None:
                    await until(lambda: self.box.on is True or bool(self.siren.faults))
                    self.clock.pass_ms(3_000)
                await asyncio.sleep(0.001)
            await look

    @property
    def reasons(self) -> list[str]:
        return [reason for reason, _ in self.told]


# the line check


async def test_each_day_the_line_is_checked_without_a_sound(tmp_path: Path) -> None:
    async with Stand(tmp_path).running() as stand:
        await stand.passes(72)
        assert stand.reasons == ["line"] * 3
        assert stand.box.writes == [False]
        health = stand.proof.health()
        assert (health.how, health.overdue, health.fault) == ("line", "", "")
        assert stand.clock.now_ms() - health.proven <= DAY_MS


@pytest.mark.parametrize(("fault", "words"), [
    ("broken", "the line to it is broken"), ("on", "its feedback says on, and nobody switched it on"),
    ("lost", "it cannot be asked: exception: exception 2: illegal data address"),
])
async def test_a_line_that_is_not_good_is_told_once_and_is_overdue_after_two_days(
    tmp_path: Path, fault: str, words: str
) -> None:
    async with Stand(tmp_path).running() as stand:
        stand.box.whole = fault != "broken"
        stand.box.stuck = True if fault == "on" else None
        stand.box.reads = fault != "lost"
        await stand.passes(49)
        assert stand.told == [("failed", f"line check: {words}"), ("overdue", "no good line check for two days")]
        assert stand.proof.health().fault.endswith(words)
        assert stand.proof.health().overdue == "no good line check for two days"
        stand.box.whole, stand.box.stuck, stand.box.reads = True, None, True
        await stand.passes(1)
        assert stand.reasons[2:] == ["line"], "it is tried again soon, not after a day"
        assert (stand.proof.health().overdue, stand.proof.health().fault) == ("", "")


async def test_an_output_that_can_tell_nothing_is_asked_whether_it_is_there_and_proves_nothing(tmp_path: Path) -> None:
    async with Stand(tmp_path, every_days=0).running() as stand:
        stand.box.tells = False
        await stand.passes(24 * 30)
        assert (stand.told, stand.proof.health().how) == ([], "")
        stand.box.reads = False
        await stand.passes(24 * 3)
        (told,) = stand.told
        assert told == ("failed", "line check: it cannot be asked: exception: exception 2: illegal data address")
        stand.box.reads = True
        await stand.passes(1)
        assert (stand.proof.health().fault, stand.proof.health().overdue, len(stand.told)) == ("", "", 1)


async def test_a_bus_that_stands_holds_up_neither_the_next_look_nor_what_is_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "_ANSWER_S", 0.01)
    async with Stand(tmp_path).running() as stand:
        stand.box.hangs = True
        await stand.passes(49)
        assert stand.told == [("failed", "line check: it cannot be asked: its bus has not come round for 0 s"),
                              ("overdue", "no good line check for two days")]
        stand.box.hangs = False
        await stand.passes(1)
        assert stand.reasons[2:] == ["line"]


async def test_a_test_on_a_bus_that_stands_ends_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand(tmp_path)
    monkeypatch.setattr(proofs, "_ANSWER_S", 0.01 - stand.table.test_s)
    for _ in range(2):  # nobody runs the siren: it never comes round
        with pytest.raises(ValueError, match="the test proved nothing: its bus has not come round"):
            await stand.proof.audible_test("Li Wei")
    assert stand.reasons == ["test", "failed"] * 2
    assert stand.siren._testing is None


async def test_a_disk_that_hangs_holds_up_no_look_and_has_what_was_proven_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "_DISK_S", 0.01)
    free, begun = threading.Event(), []

    def hangs(path: Path, content: bytes, *, sync: bool) -> None:
        begun.append(content)
        free.wait(30)
        replace_file(path, content, sync=sync)

    monkeypatch.setattr(proofs, "replace_file", hangs)
    async with Stand(tmp_path, every_days=0).running() as stand:
        await stand.passes(49)
        assert stand.reasons == ["line"] * 3
        assert len(begun) == 1, "one at a time: each that hangs keeps a thread that others need"
        free.set()
        await until(lambda: stand.proof._writing is not None and stand.proof._writing.done())
        await stand.passes(24)
        await until((tmp_path / FILE).exists)
        stand.make()
        assert stand.proof.health().how == "line"
        assert stand.clock.now_ms() - stand.proof.health().proven <= DAY_MS


async def test_no_line_is_checked_while_it_sounds(tmp_path: Path) -> None:
    async with Stand(tmp_path, every_days=0).running() as stand:
        stand.siren.command([sound(Level.RED)], "why", 0.0)
        await until(lambda: stand.box.on is True)
        await stand.passes(72)
        assert stand.told == []
        assert stand.proof.health().how == "sounded", "that it sounded and said so is a proof"


# the audible test


async def test_a_test_comes_each_month_at_noon_and_is_announced(tmp_path: Path) -> None:
    async with Stand(tmp_path).running() as stand:
        stand.box.whole = None
        await stand.passes(24 * 75)
        tests = [detail for reason, detail in stand.told if reason == "test"]
        assert tests == ["the timetable tests the siren: it will sound for 3 s",
                         "the timetable tested the siren: it sounded for 3 s"] * 2
        assert stand.box.writes == [False, True, False, True, False]
        local_hour = (stand.proof.health().tested / HOUR_MS + 8) % 24
        assert 12 <= local_hour < 13
        assert stand.proof.health().overdue == ""


async def test_a_test_waits_for_calm_is_overdue_after_a_week_and_comes_then(tmp_path: Path) -> None:
    async with Stand(tmp_path).running() as stand:
        stand.calm = False
        await stand.passes(24 * 38)
        assert "test" not in stand.reasons
        assert [one for one in stand.told if one[0] == "overdue"] == [("overdue", "not heard for more than 37 days")]
        with pytest.raises(ValueError, match="something is above clear: no test now"):
            await stand.proof.audible_test("Li Wei")
        stand.calm = True
        await stand.passes(24)
        assert stand.reasons.count("test") == 2
        assert stand.proof.health().overdue == ""


async def test_a_test_that_nothing_confirms_is_told_and_tried_again_the_next_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sirens, "_LOOKS_S", (0.0,))
    monkeypatch.setattr(sirens, "_AGAIN_S", 0.001)
    async with Stand(tmp_path).running() as stand:
        stand.box.stuck = False
        await stand.passes(24 * 32 + 12)
        async with asyncio.timeout(30):
            await stand.proof.look()  # still noon: not again today
        failed = [detail for reason, detail in stand.told if reason == "failed"]
        assert failed == ["the audible test proved nothing: was switched on, but its feedback says off"] * len(failed)
        assert len(failed) == 3
        stand.box.stuck = None
        await stand.passes(24)
        assert stand.told[-1][0] in {"test", "line"}
        assert stand.proof.health().tested > 0


async def test_what_was_proven_outlives_the_agent(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    async with stand.running():
        await stand.passes(24 * 32)
        before = stand.proof.health()
    assert before.tested > 0
    stand.make()
    assert stand.proof.health() == before
    (tmp_path / FILE).write_bytes(b"torn")
    stand.make()
    assert stand.proof.health().proven == 0


async def test_one_test_at_a_time(tmp_path: Path) -> None:
    async with Stand(tmp_path).running() as stand:
        first = asyncio.create_task(stand.proof.audible_test("Li Wei"))
        await until(lambda: stand.box.on is True)
        with pytest.raises(ValueError, match="a test is running"):
            await stand.proof.audible_test("Wang Fang")
        await settle()
        stand.clock.wind_to(stand.clock.now_ms() + 3000)
        assert str(await first) == "the siren sounded for 3 s and obeyed"


async def test_a_feedback_that_does_not_answer_in_time_is_called_so(tmp_path: Path) -> None:
    async with Stand(tmp_path).running() as stand:
        stand.box.hangs = True
        test = asyncio.create_task(stand.proof.audible_test("Li Wei"))
        await until(lambda: stand.box.on is True)
        await settle()
        stand.clock.pass_ms(3000)
        with pytest.raises(ValueError, match="the test proved nothing: its feedback did not answer in time"):
            await test


async def test_a_clock_that_was_ahead_holds_up_neither_tests_nor_their_alarm(tmp_path: Path) -> None:
    year_ms = 366 * DAY_MS
    async with Stand(tmp_path).running() as stand:
        stand.clock.set_by(year_ms)
        await stand.passes(24)
        assert stand.reasons.count("test") == 2
        stand.clock.set_by(-year_ms)
        await stand.passes(24 * 32)
        assert stand.reasons.count("test") == 4
        stand.calm = False
        await stand.passes(24 * 38)
        assert stand.proof.health().overdue == "not heard for more than 37 days"


# the button


def looks(debounce: Debounce, closed: str, step_s: float = 0.4) -> list[Press | None]:
    """What single looks give: # closed, . open."""
    return [debounce.take(one == "#", number * step_s) for number, one in enumerate(closed)]


@pytest.mark.parametrize(("closed", "presses"), [
    ("....", 0), ("..#..", 0), ("..##..", 1), ("..#.#.#.", 0), ("..###.##..", 1), ("..##..##..", 2),
    ("####..", 0), ("####..##", 1), ("#.#.##", 0),
])
def test_a_press_is_seen_twice_and_begins_open(closed: str, presses: int) -> None:
    assert looks(Debounce(), closed).count(Press.PRESSED) == presses


def test_a_stuck_button_is_told_once_and_when_it_is_open_again() -> None:
    found = [one for one in looks(Debounce(), ".." + "#" * 400 + "..") if one]
    assert found == [Press.PRESSED, Press.STUCK, Press.FREED]
    found = [one for one in looks(Debounce(), "#" * 400 + "..") if one]
    assert found == [Press.STUCK, Press.FREED], "it was closed when the agent began"
    assert STUCK_S / 0.4 < 400


async def test_the_button_is_watched_and_its_loss_told_once() -> None:
    clock, presses, faults = WoundClock(START_MS), list[int](), list[str]()
    state: list[bool | None] = [False]

    async def contact() -> bool:
        if state[0] is None:
            raise RejectedError(Reason.SILENT, "no answer")
        return state[0]

    watch = ButtonWatch(contact, clock, is_sounding=lambda: True, on_press=lambda: presses.append(1),
                        on_fault=lambda said: faults.append(said.en))

    async def passes(seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            clock.wind_to(clock.now_ms() + 100)
            await settle()

    async with beside(watch.run()):
        await passes(2)
        state[0] = True
        await passes(1)
        assert presses == [1]
        for lost in (None, False, None, False) * 40:
            state[0] = lost
            await passes(0.8)
        assert faults == [], "a line that loses some looks does not fill the log"
        state[0] = None
        await passes(40)
        assert faults == ["the button cannot be read: silent: no answer"]
        state[0] = False
        await passes(40)
        assert faults[1:] == ["the button can be read again"]
        assert presses == [1]
