"""`tocsin operate STATION.toml ...`: what people do at a station, asked of its running agent.

The agent listens on a socket in the station's data folder: one line of JSON in, one out. Whoever may open that file may
operate the station; it belongs to the user that runs the agent.
"""

import argparse
import asyncio
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from edge.at_hand import station_file
from edge.calibration import Key
from edge.operations import Operations
from edge.recorder import Recorder
from edge.sayings import say
from edge.work import Work
from tocsin.config import ConfigError
from tocsin.said import LANGS, Said, SaidError, joined, language, reason_of, said_of

SOCKET = "operate"
_WITHIN_S = 30.0
# a test of the siren: words in two languages, each made and played in its time, and 30 s; what brings in other rules or
# another scale reads 25 h of the log first, in 300 s at most
_SLOW = {"siren_test", "reload", "calibrate"}
SLOW_WITHIN_S = 320.0
_SYNCED_S = 5.0
_LONGEST_LINE = 64 * 1024
VERBS = ("levels", "ack", "clear", "shelve", "service", "reload", "siren_test", "silence", "raw", "status", "calibrate",
         "echo", "commission")
LOOKS = {"levels", "status"}    # change nothing, so that nothing must be on the disk
_NOBODYS = {*LOOKS, "reload"}
# as in the names of rules; str.isprintable would refuse the wide blank of Chinese text too
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing to do, one of VERBS. `minutes`: for how long, where it has a length. `start`, `until`: ISO 8601, UTC.

    `set`, `why`: of a calibration. `page`: of a long answer to the hub (edge.answers). `sheet`: that of a walk through
    the station, as JSON (edge.sheet).
    """

    do: str
    who: str = ""
    rule: str = ""
    series: str = ""
    device: str = ""
    minutes: float = 0.0
    start: str = ""
    until: str = ""
    set: dict[Key, float | str] = {}
    why: str = ""
    sheet: str = ""
    page: int = 1

    def __post_init__(self) -> None:
        if self.do not in VERBS:
            raise SaidError(say("no_verb", do=self.do[:40], there=", ".join(VERBS)))
        if self.do not in _NOBODYS and not self.who.strip():
            raise SaidError(say("who"))
        names = (self.who, self.rule, self.series, self.device, self.start, self.until, self.why)
        for text in (*names, *map(str, self.set.values())):
            if len(text) > 200 or _UNPRINTABLE.search(text):
                raise SaidError(say("name"))


class Reply(msgspec.Struct, frozen=True):
    """Whether it was done, and a sentence in English; `zh` in Chinese, "" where it is the same."""

    done: bool
    said: str
    zh: str = ""

    @classmethod
    def of(cls, said: Said, *, done: bool) -> "Reply":
        return cls(done, said.en, said.own_zh)

    @property
    def words(self) -> Said:
        """In both languages."""
        return Said(self.said, self.zh or self.said)


class Operate:
    """`run` listens until cancelled. `work` is set once it is there."""

    def __init__(self, folder: Path, operations: Operations, recorder: Recorder) -> None:
        self._folder = folder
        self._operations = operations
        self._recorder = recorder
        self.work: Work

    async def run(self) -> None:
        """A socket that a killed agent left is taken over: this agent holds the folder's lock. Raises SaidError."""
        with _short(self._folder) as path:
            try:
                with suppress(FileNotFoundError):
                    path.unlink()
                server = await self._listening(path)
            except OSError as err:
                raise SaidError(say("no_socket", folder=self._folder, why=reason_of(err))) from err
            try:
                await server.serve_forever()
            finally:
                server.close()
                with suppress(OSError):
                    path.unlink()

    async def _listening(self, path: Path) -> asyncio.Server:
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._serve, str(path), limit=_LONGEST_LINE)
        finally:
            os.umask(before)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                line = await reader.readline()
            async with asyncio.timeout(SLOW_WITHIN_S):
                writer.write(msgspec.json.encode(await self.answer(line)) + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError):  # who asked is gone, or sends without end
            pass
        finally:
            writer.close()

    async def answer(self, line: bytes, *, afar: bool = False) -> Reply:
        """Does what a line asks for. `afar`: of the hub, where people read what programs read here."""
        try:
            asked = msgspec.json.decode(line, type=Ask)
            said = await (self.work.page() if afar and asked.do == "status" else self._do(asked))
        except (ValueError, OSError) as err:
            return Reply.of(_why(err), done=False)
        if asked.do in LOOKS:
            return Reply.of(said, done=True)
        try:
            async with asyncio.timeout(_SYNCED_S):
                await self._recorder.synced(self._recorder.last_seq)
        except TimeoutError:
            said = joined([said, say("unwritten")], "\n", "\n")
        return Reply.of(said, done=True)

    async def _do(self, ask: Ask) -> Said:
        match ask.do:
            case "levels":
                return self._operations.levels()
            case "ack":
                return self._operations.acknowledge(ask.rule, ask.series, ask.who)
            case "clear":
                return self._operations.clear(ask.rule, ask.series, ask.who)
            case "shelve":
                return self._operations.shelve(ask.rule, ask.series, ask.minutes, ask.who)
            case "service":
                return self._operations.service(ask.device, ask.minutes, ask.who, ask.series)
            case "siren_test":
                return await self._operations.siren_test(ask.who)
            case "silence":
                return self._operations.silence(ask.minutes, ask.who)
            case "raw":
                return self._operations.raw(ask.series, ask.start, ask.until, ask.who)
            case "reload":
                return await self._operations.reload()
            case _:
                return await self._serve_station(ask)

    async def _serve_station(self, ask: Ask) -> Said:
        """What who works at the station wants."""
        match ask.do:
            case "echo":
                return await self.work.echo(ask.who)
            case "commission":
                return await self.work.commission(ask.sheet, ask.who)
            case "calibrate":
                return await self.work.calibrate(ask.series, ask.set, ask.who, ask.why)
            case "status":
                return await self.work.status()
            case _:
                raise SaidError(say("not_here", do=ask.do))


def _why(err: ValueError | OSError) -> Said:
    """What knows itself in one language has a word in front of it in the other."""
    said = said_of(err)
    if said.zh != said.en:
        return said
    return say("wrong" if isinstance(err, ValueError) else "failed", problem=said)


@contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """The socket's path by way of an open folder: a socket's own path may have no more than 107 bytes."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{number}") / SOCKET
    finally:
        os.close(number)


def ask(folder: Path, what: Ask | dict[str, Any]) -> Reply:
    """Asks the agent that runs on this data folder. Raises OSError where none answers.

    What is given as a dict is looked at by the agent alone; ValueError for text that is none, as a terminal of another
    coding gives it.
    """
    try:
        asked = msgspec.json.encode(what)
    except UnicodeEncodeError as err:
        raise SaidError(say("name")) from err
    with _short(folder) as path, socket.socket(socket.AF_UNIX) as line:
        do = what.get("do") if isinstance(what, dict) else what.do
        line.settimeout(SLOW_WITHIN_S if do in _SLOW else _WITHIN_S)
        line.connect(str(path))
        line.sendall(asked + b"\n")
        with line.makefile("rb") as answers:
            answer = answers.readline()
    try:
        return msgspec.json.decode(answer, type=Reply)
    except msgspec.DecodeError as err:
        raise OSError(str(say("no_answer"))) from err


def run(argv: list[str]) -> int:
    """Exit code: 0 done, 1 refused or no agent there, 2 the command line is off."""
    args = vars(_parser().parse_args(argv))
    place, lang = args.pop("station"), language(args.pop("lang"))
    try:
        folder = place.parent / station_file(place, lang).station.data
        return told(ask(folder, Ask(**args)), lang)
    except (ConfigError, ValueError) as err:
        print(said_of(err).in_(lang), file=sys.stderr)
    except OSError as err:
        print(away(place, err).in_(lang), file=sys.stderr)
    return 1


def told(reply: Reply, lang: str) -> int:
    """Says it to who asked. Exit code: 0 done, 1 not."""
    print(reply.words.in_(lang), file=sys.stdout if reply.done else sys.stderr)
    return 0 if reply.done else 1


def away(place: Path, err: OSError) -> Said:
    """That no agent answers for this station file."""
    return say("no_agent", place=place, why=why_away(err))


def why_away(err: OSError) -> Said:
    """Why `ask` reached no agent, in words."""
    if isinstance(err, FileNotFoundError | ConnectionRefusedError):
        return say("nobody")
    if isinstance(err, PermissionError | TimeoutError):
        return say("not_yours" if isinstance(err, PermissionError) else "hangs")
    return say("no_answer") if str(err) == say("no_answer").en else reason_of(err)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tocsin operate", description="Do something at a station that is running.")
    parser.add_argument("station", type=Path, metavar="STATION.toml")
    parser.add_argument("--lang", choices=LANGS, default="", help="else as the terminal's LANG says")
    kinds = parser.add_subparsers(dest="do", required=True)
    kinds.add_parser("levels", help="which rules are above clear, or shelved")
    for name, words in (("ack", "a level was seen: what latches may fall, what waits to sound stays silent"),
                        ("clear", "take a rule to clear"),
                        ("shelve", "let a rule sound nothing for some time")):
        kind = kinds.add_parser(name, help=words)
        kind.add_argument("rule")
        kind.add_argument("series")
        if name == "shelve":
            kind.add_argument("minutes", type=float, help="0 ends it")
        kind.add_argument("--who", required=True, help="your name")
    kind = kinds.add_parser("service", help="work on a device: its readings count for nothing meanwhile")
    kind.add_argument("device", help="or one of its series, device/quantity")
    kind.add_argument("minutes", type=float, help="at most 60; 0 ends it")
    kind.add_argument("--who", required=True, help="your name")
    kind = kinds.add_parser("silence", help="silence what sounds; it sounds again when a level rises")
    kind.add_argument("minutes", type=float, help="at most what the station file allows; 0 ends it")
    kind.add_argument("--who", required=True, help="your name")
    kind = kinds.add_parser("siren_test", help="sound the siren for some seconds, announced; never in a warning")
    kind.add_argument("--who", required=True, help="your name")
    kind = kinds.add_parser("raw", help="send the readings of a time to the hub that a data budget kept back")
    kind.add_argument("start", help="as in 2024-08-08T00:00:00Z")
    kind.add_argument("until")
    kind.add_argument("--series", default="", help="DEVICE/QUANTITY; all without it")
    kind.add_argument("--who", required=True, help="your name")
    kinds.add_parser("reload", help="read the rules files again, as SIGHUP does")
    for kind in kinds.choices.values():    # here too, where everybody writes it
        kind.add_argument("--lang", choices=LANGS, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser
