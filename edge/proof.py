"""Proof that the siren works, before it is needed: a silent line check each day, and an audible test now and then.

The line check asks what can be asked without a sound: whether the relay answers, whether its feedback says off, and
whether the supervised line to the siren is whole. The audible test comes by itself every `test_every_days` at noon,
announced by an event and in words, or when a person asks for it; never while anything is above clear. A siren that
sounded in earnest and whose feedback said so is proven too. A proof that is missing too long is an alarm of its own.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from edge.sayings import rejected, say
from edge.siren import Siren
from edge.siren_table import SirenTable
from edge.speech import Speaker
from edge.timekeeper import EARLIEST_MS
from tocsin.clock import Clock
from tocsin.log import replace_file
from tocsin.messages import SirenHealth
from tocsin.readings import RejectedError
from tocsin.said import Said, SaidError, joined

FILE = "siren-proof"
LINE, TESTED, SOUNDED = "line", "test", "sounded"
FAILED, OVERDUE = "failed", "overdue"
_HOUR_MS = 3_600_000
DAY_MS = 24 * _HOUR_MS
_FIRST_S = 30.0  # what a station that died left on is off by then
_LOOK_S = 600.0
_ANSWER_S = 300.0  # real seconds: behind every device of a long line that does not answer; beyond it its bus stands
_DISK_S = 2.0
_LINE_LATE_MS = 2 * DAY_MS
_TEST_LATE_MS = 7 * DAY_MS
log = logging.getLogger(__name__)

Tell = Callable[[str, Said], None]
"""tell(reason, detail): an event of kind `proof`."""


class Known(msgspec.Struct):
    """What is remembered over restarts, times in ms UTC. `begun`: when proofs were first asked for."""

    begun: int
    line: int = 0
    test: int = 0
    sounded: int = 0


class Proof:
    """`run` looks after it; `audible_test` is for people too. `is_calm`: nothing is above clear."""

    def __init__(
        self, table: SirenTable, siren: Siren, speaker: Speaker | None, clock: Clock, folder: Path,
        *, is_calm: Callable[[], bool], tell: Tell,
    ) -> None:  # fmt: skip
        self._table = table
        self._siren = siren
        self._speaker = speaker
        self._clock = clock
        self._path = folder / FILE
        self._is_calm = is_calm
        self._tell = tell
        self._testing = asyncio.Lock()
        self._line_tried = self._test_tried = 0
        self._line_fault: Said | None = None
        self._late = Said("", "")
        self._dirty = False
        self._writing: asyncio.Future[None] | None = None
        self._known = self._read()
        siren.on_proved = self.sounded

    async def run(self) -> None:
        """Until cancelled."""
        due_s = self._clock.monotonic_s() + _FIRST_S
        while True:
            await self._clock.sleep_until(due_s)
            await self.look()
            due_s += _LOOK_S * max(1, int((self._clock.monotonic_s() - due_s) // _LOOK_S))

    async def look(self) -> None:
        """What is due now is done now."""
        now_ms = self._clock.now_ms()
        if self._known.begun < EARLIEST_MS <= now_ms:  # begun before the clock was set for the first time
            self._known.begun, self._dirty = now_ms, True
        _not_after(self._known, now_ms)
        self._test_tried = min(self._test_tried, now_ms)
        if abs(now_ms - self._line_tried) >= DAY_MS or self._line_fault:
            await self._check_line(now_ms)
        if self._test_is_due(now_ms):
            self._test_tried = now_ms
            with suppress(SaidError):  # refused in a warning, or told as an event already: the next day
                await self.audible_test(say("timetable"))
        self._look_for_late()
        await self._write()

    async def audible_test(self, who: str | Said) -> Said:
        """Announced, heard, and written down. Raises SaidError where it is refused, or where it proved nothing."""
        if self._testing.locked():
            raise SaidError(say("test_runs"))
        async with self._testing:
            self._refuse_in_a_warning()
            self._tell(TESTED, say("testing", who=who, seconds=self._table.test_s))
            if self._speaker is not None:
                await self._speaker.announce_test()
                self._refuse_in_a_warning()
            proved, hangs = await self._sounded_in_time()
        if not proved:
            unsaid = "line_hangs" if hangs else "unconfirmed" if self._is_calm() else "broke_in"
            why = joined(self._siren.faults or [say(unsaid, seconds=_ANSWER_S)])
            self._tell(FAILED, say("test_failed", why=why))
            raise SaidError(say("proved_nothing", why=why))
        self._known.test, self._dirty = self._clock.now_ms(), True
        await self._write()
        self._tell(TESTED, say("tested", who=who, seconds=self._table.test_s))
        return say("obeyed", seconds=self._table.test_s)

    def sounded(self) -> None:
        """It sounds in earnest, and says so."""
        now_ms = self._clock.now_ms()
        if abs(now_ms - self._known.sounded) >= _HOUR_MS:
            self._known.sounded, self._dirty = now_ms, True

    def health(self) -> SirenHealth:
        """For the heartbeat."""
        known = self._known
        proven, how = max((known.line, LINE), (known.test, TESTED), (known.sounded, SOUNDED))
        faults = [*self._siren.faults, *([self._line_fault] if self._line_fault else [])]
        if self._speaker is not None and self._speaker.fault:
            faults.append(say("no_words", why=self._speaker.fault))
        fault = joined(faults)
        late = self._late_words()
        return SirenHealth(proven, how if proven else "", max(known.test, known.sounded), late.en, fault.en,
                           late.zh, fault.zh)

    async def _sounded_in_time(self) -> tuple[bool, bool]:
        """Whether it was proved, and whether it hangs: a bus that stands must not keep the next test from beginning."""
        try:
            async with asyncio.timeout(self._table.test_s + _ANSWER_S):
                return await self._siren.test(self._table.test_s), False
        except TimeoutError:
            return False, True

    def _refuse_in_a_warning(self) -> None:
        if not self._is_calm():
            raise SaidError(say("not_calm"))

    async def _check_line(self, now_ms: int) -> None:
        if self._is_busy():
            return
        self._line_tried = now_ms
        try:
            async with asyncio.timeout(_ANSWER_S):
                is_on, is_whole = await self._siren.output.is_on(), await self._siren.output.is_whole()
        except RejectedError as err:
            self._line_is(say("line_dumb", why=rejected(err)))
            return
        except TimeoutError:
            self._line_is(say("line_dumb", why=say("line_hangs", seconds=_ANSWER_S)))
            return
        if self._is_busy():
            return
        if not self._siren.output.tells:
            self._line_fault = None  # it answers: that is no proof of a sound
        elif is_on:
            self._line_is(say("line_on"))
        elif is_whole is False:
            self._line_is(say("line_broken"))
        else:
            self._siren.agrees(on=False)
            self._line_is(None)

    def _is_busy(self) -> bool:
        return self._siren.program is not None or self._testing.locked()

    def _line_is(self, fault: Said | None) -> None:
        """Good is told each time, once a day; a fault once."""
        if fault is None:
            self._known.line = self._clock.now_ms()
            self._tell(LINE, say("line_good"))
        elif fault != self._line_fault:
            self._tell(FAILED, say("line_failed", why=fault))
        self._line_fault, self._dirty = fault, True

    def _test_is_due(self, now_ms: int) -> bool:
        if not self._table.test_every_days:
            return False
        hour = int((now_ms / _HOUR_MS + self._table.utc_offset_h) % 24)
        every_ms = self._table.test_every_days * DAY_MS
        last = max(self._known.test, self._known.begun, self._test_tried + DAY_MS - every_ms)  # what failed: next day
        return hour == self._table.test_hour and now_ms - last >= every_ms - _HOUR_MS

    def _late_words(self) -> Said:
        known, now_ms = self._known, self._clock.now_ms()
        heard = max(known.test, known.sounded, known.begun)
        days = self._table.test_every_days
        words = []
        line_late = now_ms - max(known.line, known.begun) > _LINE_LATE_MS
        if self._siren.output.tells and line_late and self._siren.program is None:
            words.append(say("line_late"))
        if days and now_ms - heard > days * DAY_MS + _TEST_LATE_MS:
            words.append(say("test_late", days=days + _TEST_LATE_MS // DAY_MS))
        return joined(words)

    def _look_for_late(self) -> None:
        late = self._late_words()
        if late.en and late != self._late:
            self._tell(OVERDUE, late)
        self._late = late

    def _read(self) -> Known:
        now_ms = self._clock.now_ms()
        with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
            known = msgspec.json.decode(self._path.read_bytes(), type=Known)
            _not_after(known, now_ms)
            return known
        self._dirty = True
        return Known(now_ms)

    async def _write(self) -> None:
        """Small, and a few times a day; a disk that refuses is told by the log's writer, and one that hangs is not
        waited for."""
        if self._writing is None and self._dirty:
            self._dirty = False
            self._writing = asyncio.ensure_future(
                asyncio.to_thread(replace_file, self._path, msgspec.json.encode(self._known), sync=True))
        if (writing := self._writing) is None:
            return
        await asyncio.wait({writing}, timeout=_DISK_S)
        if writing.done() and writing is self._writing:
            self._writing = None
            if err := writing.exception():
                self._dirty = True
                log.warning("%s: cannot be written: %s", self._path, err)


def _not_after(known: Known, now_ms: int) -> None:
    """What was written with a clock that was ahead must not hold up tests, nor the alarm that they are missing."""
    if now_ms >= EARLIEST_MS:
        for name in ("begun", "line", "test", "sounded"):
            setattr(known, name, min(getattr(known, name), now_ms))
