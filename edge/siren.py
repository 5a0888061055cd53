"""The local siren: commanded first, written down beside; it needs no hub and no disk.

It plays a rhythm (edge.patterns) on one output by the agent's clock. A command that failed is given again; on is
repeated while it lasts; off is said once, so that a person can still sound the siren by other means. After each switch
the output's feedback is read: one that says otherwise is a fault at once. Nothing of that holds up the next command.

What rises and keeps its rhythm is heard too: the rhythm begins anew, words first where it has a voice.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edge.outputs import Output
from edge.patterns import ANSWERED, Moment, Program, is_rise, moment_of, program_of
from edge.rounds import Rounds
from edge.sayings import rejected, say
from edge.siren_table import SirenTable
from edge.sounding import Sound
from edge.trial import Trial
from tocsin.clock import Clock
from tocsin.levels import Level, Stage
from tocsin.readings import RejectedError
from tocsin.said import Said

_AGAIN_S = 1.0
_LOOKS_S = (0.0, 0.1, 0.4)  # a contact takes its time to pull in
_WORDS_FIRST_S = 18.0  # of a rise: as long as the shortest usual pause, into which every warning fits
log = logging.getLogger(__name__)

Failed = Callable[[Said], None]


@dataclass(frozen=True, slots=True)
class Told:
    """What the siren does from now on: a level's rhythm, or silence (level 0). `took_ms` is from the decision on."""

    level: Level
    pattern: str
    why: str
    took_ms: float


class Voice(Protocol):
    """Who speaks in the pauses. `on_end` is called when what was to be said is said, or could not be."""

    on_end: Callable[[], None]

    def say(self, program: Program) -> None:
        """Once, from now on; returns at once."""

    def hush(self) -> None:
        """Says no more."""


class Siren:
    """`command` returns at once; `run` switches. `on_done` is told of each change, `on_fault` of each fault once."""

    def __init__(
        self, table: SirenTable, output: Output, clock: Clock, on_done: Callable[[Told], None], on_fault: Failed,
        voice: Voice | None = None,
    ) -> None:  # fmt: skip
        self.output = output
        self.on_proved: Callable[[], None] | None = None
        self._table = table
        self._clock = clock
        self._done = on_done
        self._fault = on_fault
        self._voice = voice
        self._program: Program | None = None
        self._answered: tuple[float, Program] | None = None  # from which second on it plays that
        self._why: tuple[str, float] | None = None  # None: nothing is wanted yet
        self._began_s = 0.0
        self._testing: Trial | None = None
        self._on: bool | None = None  # None: not known
        self._told: tuple[Level, str] | None = None
        self._faults: dict[str, Said] = {}
        self._said_s = self._obeyed_s = -math.inf
        self._rounds = Rounds(clock)
        if voice is not None:
            voice.on_end = self._words_over

    @property
    def name(self) -> str:
        return self.output.name

    @property
    def program(self) -> Program | None:
        """What it should play now."""
        return self._program

    @property
    def level(self) -> Level:
        """What it sounds for now; CLEAR while it is silent, or cannot be switched on."""
        return self._told[0] if self._told and self._on is not None else Level.CLEAR

    @property
    def idle_s(self) -> float:
        """For how many real seconds `run` has not come round: edge.rounds.ROUND_S while all is well, or as long as the
        output takes."""
        return self._rounds.idle_s

    @property
    def faults(self) -> list[Said]:
        """What is wrong with it now, in words."""
        return list(self._faults.values())

    def command(self, sounds: Sequence[Sound], why: str, decided_s: float) -> None:
        """Returns at once. `decided_s` is the loop's monotonic second of the deciding read."""
        program = self._in_full(program_of(sounds, self._table))
        if program is not None:
            self._begin(program)
        if program != self._program and self._voice is not None:
            self._voice.hush()
            self._said_s = -math.inf
        self._program, self._why = program, (why, decided_s)
        if self._clock.monotonic_s() < self._began_s:
            self._speak()  # now: the end of what was hushed is not that of these words
        if program is not None and self._testing is not None:
            self._testing.end(proved=False)
            self._testing = None
        self._rounds.wake()

    def _begin(self, program: Program) -> None:
        """The rhythm, where it is another one or what it plays for has risen. One that has not begun is words first."""
        now_s, before = self._clock.monotonic_s(), self._program
        if before is None or before.rhythm != program.rhythm:
            self._began_s = now_s
        elif is_rise(before, program):
            self._began_s = now_s if self._voice is None else now_s + _WORDS_FIRST_S

    def _words_over(self) -> None:
        if self._began_s > self._clock.monotonic_s():
            self._began_s = self._clock.monotonic_s()
            self._rounds.wake()

    def _in_full(self, program: Program | None) -> Program | None:
        """An answer takes effect once the rhythm was heard in full for a while: the others must hear it too."""
        before, self._answered = self._program, None
        until_s = self._began_s + self._table.in_full_s
        if program is None or before is None or ANSWERED not in {program.name} - {before.name}:
            return program
        if self._clock.monotonic_s() >= until_s:
            return program
        self._answered = until_s, program
        return replace(before, level=program.level)

    async def test(self, seconds: float) -> bool:
        """Sounds for so long of the agent's clock. True: it obeyed, and its feedback, where it has one, said so.

        A warning that comes meanwhile goes on from there; False then.
        """
        self._testing = test = Trial(self._clock.monotonic_s() + seconds)
        self._rounds.wake()
        try:
            return await test.proved
        finally:
            if self._testing is test:
                self._testing = None
                self._rounds.wake()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._rounds.begin()
            now = self._moment()
            good = now is None or await self._obey(now)
            if now is not None and good:
                if now.words:  # whatever its contact says: one that is stuck must not keep people from the words
                    self._speak()
                good = await self._looked(now)
            await self._rounds.rest(now.until_s if now else math.inf, self._hold_s(now) if good else _AGAIN_S)

    def _hold_s(self, now: Moment | None) -> float:
        """How long the output may be left without a word."""
        return max(0.0, self._obeyed_s + self.output.hold_s - time.monotonic()) if now and now.on else math.inf

    async def _looked(self, now: Moment) -> bool:
        """Whether the output did it, as far as it says so in time: a slow line must not hold up rhythm or repeats."""
        look = asyncio.ensure_future(self._look(on=now.on))
        try:
            while not look.done():
                await self._rounds.rest(now.until_s, self._hold_s(now), look)
                if look.done() or self._rounds.woken or self._clock.monotonic_s() >= now.until_s:
                    break
                if not await self._obey(now):
                    return False
            return look.result() if look.done() else True
        finally:
            look.cancel()

    def _moment(self) -> Moment | None:
        now_s = self._clock.monotonic_s()
        if self._testing is not None:
            if now_s < self._testing.until_s:
                return Moment(True, self._testing.until_s)
            self._testing.end()
            self._testing = None
        if self._answered is not None and now_s >= self._answered[0]:
            (self._began_s, self._program), self._answered = self._answered, None
            self._why = self._why and (self._why[0], time.monotonic())
        if self._program is not None:
            moment = self._moment_of(self._program, now_s)
            return replace(moment, until_s=min(moment.until_s, self._answered[0])) if self._answered else moment
        return Moment(False) if self._why is not None or self._on else None

    def _moment_of(self, program: Program, now_s: float) -> Moment:
        if now_s < self._began_s:
            return Moment(False, self._began_s, words=True)
        return moment_of(program.rhythm, self._began_s, now_s)

    async def _obey(self, now: Moment) -> bool:
        if not now.on and self._on is False and "contact" not in self._faults:
            self._tell_done(now)
            return True
        program, words = self._program, "on" if now.on else "off"
        try:
            await self.output.switch(on=now.on, stage=program.stage if program else Stage.WATCH)
        except RejectedError as err:
            self._on = None  # it may have obeyed all the same: what is wanted next must be said
            self._tell_fault(words, say(f"not_{words}", why=rejected(err)))
            return False
        self._on, self._obeyed_s = now.on, time.monotonic()
        if now.on and self._voice is not None:
            self._voice.hush()
        self._tell_done(now, back=self._faults.pop(words, None) is not None)
        return True

    def _tell_done(self, now: Moment, *, back: bool = False) -> None:
        """Once it is heard: what begins in a pause sounds behind it, unless it is told in words first."""
        program = self._program
        is_heard = now.on or program is None or self._clock.monotonic_s() < self._began_s
        if self._why is None or self._testing is not None or not is_heard:
            return
        what = (program.level, program.name) if program else (Level.CLEAR, "")
        if what != self._told or back:
            why, decided_s = self._why
            self._done(Told(*what, why, (time.monotonic() - decided_s) * 1000))
        self._told = what

    async def _look(self, *, on: bool) -> bool:
        """Whether the output does what it was told, as far as it can say."""
        try:
            await self.output.guard()
            self._faults.pop("guard", None)
        except RejectedError as err:
            self._tell_fault("guard", say("unguarded", why=rejected(err)))
        try:
            for wait_s in _LOOKS_S:
                await asyncio.sleep(wait_s)
                said = await self.output.is_on()
                if said in {None, on}:
                    self.agrees(on=on)
                    return True
        except RejectedError as err:
            self._tell_fault("feedback", say("no_feedback", why=rejected(err)))
            return True  # the command itself was answered
        self._tell_fault("contact", say("on_says_off" if on else "off_says_on"))
        return False

    def agrees(self, *, on: bool) -> None:
        """Its feedback was read, and says what is so."""
        for _ in filter(None, [self._faults.pop(key, None) for key in ("contact", "feedback")]):
            self._fault(say("agrees"))
        if on and self._testing is not None:
            self._testing.agreed = True
        if on and self._testing is None and self.on_proved is not None:
            self.on_proved()

    def _tell_fault(self, key: str, words: Said) -> None:
        """Once, not at each try."""
        if key not in self._faults:
            log.error("siren %s: %s", self.name, words)
            self._fault(words)
        self._faults[key] = words

    def _speak(self) -> None:
        """Once in each pause for words."""
        if self._voice is not None and self._program is not None and self._clock.monotonic_s() >= self._said_s:
            moment = self._moment_of(self._program, self._clock.monotonic_s())
            if moment.words:
                self._said_s = moment.until_s
                self._voice.say(self._program)
