"""Words from the local sound card, in the pauses of the siren: what to do, what comes, and where.

Synthesis (edge.voice) and the player are processes of their own, begun aside. One that fails or hangs is killed and
told once; the next pause tries again. The siren never waits for words.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from edge.aside import Aside
from edge.noise import kill_all
from edge.patterns import Program
from edge.sayings import say
from edge.siren_table import SpeechTable
from tocsin.said import Said, SaidError, reason_of

_SYNTHESIS_S = 20.0  # a small computer under load, the first time
_PLAY_S = 60.0
_LEFT_S = 5.0  # what does not even begin, or die, within that is left alone
_KEPT = 8            # texts whose sound is kept, about 0.4 MB each
TESTS = {"zh": "这是试验，这是试验，请不要惊慌。", "en": "This is a test. This is only a test."}
log = logging.getLogger(__name__)


class SpeechError(SaidError):
    """Why nothing was said, in a sentence."""


def words_of(program: Program, place_en: str, place_zh: str, language: str) -> str:
    """What to do comes first: the pause may be short."""
    if language == "zh":
        return f"{program.stage.zh}！{place_zh}，{program.hazard.zh}{program.spoken.zh}预警，请{program.stage.zh}！"
    stage = program.stage.en
    return f"{stage.capitalize()}! {place_en}: {program.hazard.en}, {program.spoken.en} warning. {stage.capitalize()}!"


def _nobody() -> None:
    """Nobody waits for the end of words."""


class Speaker:
    """`say` and `hush` return at once; `run` speaks. `on_fault` is told of each new fault once, `fault` has it as long
    as nothing was said since.

    `on_end` is called when what was to be said is said, could not be, or was hushed.
    """

    def __init__(self, table: SpeechTable, place_en: str, place_zh: str, on_fault: Callable[[Said], None]) -> None:
        self._table = table
        self._places = place_en, place_zh
        self._fault = on_fault
        self._wanted: list[tuple[str, str]] = []
        self._wake = asyncio.Event()
        self._aside = Aside("speech")
        self._talks: set[asyncio.Task[None]] = set()
        self._sounds: dict[tuple[str, str], bytes] = {}
        self.fault: Said | None = None
        self.said = 0
        self.on_end: Callable[[], None] = _nobody

    def say(self, program: Program) -> None:
        self._wanted = [(language, words_of(program, *self._places, language)) for language in self._table.languages]
        self._wake.set()

    def hush(self) -> None:
        self._wanted = []
        for talk in self._talks:
            talk.cancel()

    async def announce_test(self) -> None:
        """Says that a test comes; returns when it was said, or could not be."""
        await self._hushable([(language, TESTS[language]) for language in self._table.languages])

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            wanted, self._wanted = self._wanted, []
            if wanted:
                await self._hushable(wanted)
                if not self._wanted:
                    self.on_end()
            if not self._wanted:
                await self._wake.wait()

    async def _hushable(self, texts: Sequence[tuple[str, str]]) -> None:
        """Returns when they were said, could not be, or were hushed."""
        talk = asyncio.create_task(self._speak(texts), name="words")
        self._talks.add(talk)
        try:
            await asyncio.wait({talk})
        finally:
            talk.cancel()
            self._talks.discard(talk)

    async def _speak(self, texts: Sequence[tuple[str, str]]) -> None:
        try:
            for language, text in texts:
                await self._run(self._table.player, await self._sound(language, text), _PLAY_S)
            self.said += 1
            self.fault = None
        except SpeechError as err:
            if err.said != self.fault:
                log.error("speech: %s", err)
                self._fault(err.said)
            self.fault = err.said

    async def _sound(self, language: str, text: str) -> bytes:
        sound = self._sounds.get((language, text))
        if sound is None:
            command = (sys.executable, "-m", "edge.voice", language, str(self._table.words_per_min))
            sound = await self._run(command, text.encode(), _SYNTHESIS_S)
            while len(self._sounds) >= _KEPT:
                self._sounds.pop(next(iter(self._sounds)))
            self._sounds[language, text] = sound
        return sound

    async def _run(self, command: tuple[str, ...], given: bytes, within_s: float) -> bytes:
        try:
            return await self._aside.do(run_process(command, given, within_s), within_s + _LEFT_S)
        except TimeoutError as err:
            raise SpeechError(say("voice_left", name=_name(command))) from err


async def run_process(command: tuple[str, ...], given: bytes, within_s: float) -> bytes:
    """What the command writes when it is given that. It is killed after `within_s`, or when this is cancelled,
    with all that it began: what holds its pipes would be waited for without end.

    Raises SpeechError.
    """
    name = _name(command)
    pipe = asyncio.subprocess.PIPE
    beginning = asyncio.ensure_future(asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True))
    try:
        process = await asyncio.shield(beginning)
    except OSError as err:
        raise SpeechError(say("voice_unrun", name=name, why=reason_of(err))) from err
    except asyncio.CancelledError:  # asyncio would end the command, and not what that has begun by now
        with suppress(OSError):
            process = await beginning
            kill_all(process)
            await asyncio.shield(process.wait())
        raise
    told = None
    try:
        async with asyncio.timeout(within_s):
            told = await process.communicate(given)
    except TimeoutError as err:
        raise SpeechError(say("voice_hung", name=name, seconds=within_s)) from err
    finally:
        if told is None:  # it may have ended, and what it began hold its pipes
            kill_all(process)
            await asyncio.shield(process.wait())
    out, err_text = told
    if process.returncode:
        last = err_text.decode(errors="replace").strip().splitlines()[-1:]
        raise SpeechError(say("at", place=name, why=last[0] if last else say("voice_ended", code=process.returncode)))
    return out


def _name(command: tuple[str, ...]) -> str:
    return command[2] if command[1:2] == ("-m",) else command[0]
