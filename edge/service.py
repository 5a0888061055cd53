"""`tocsin service STATION.toml ...`: work at a station that runs: service mode, calibration, commissioning."""

import argparse
import math
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from edge.at_hand import station_file
from edge.calibration import KEYS
from edge.config import StationFile
from edge.lock import WALK, Lock
from edge.operate import Reply, ask, away, told
from edge.sayings import say
from edge.sheet import in_words, opened
from edge.walk import BrokenOffError, Walk
from edge.walk_words import TABLE
from edge.words import Words
from tocsin.config import ConfigError
from tocsin.said import LANGS, language, reason_of, said_of
from tocsin.signing import SealError

_USAGE = """tocsin service STATION.toml DEVICE[/QUANTITY] --minutes N --who NAME
       tocsin service STATION.toml all --minutes N --who NAME
       tocsin service STATION.toml end [DEVICE[/QUANTITY]] --who NAME
       tocsin service STATION.toml calibrate DEVICE/QUANTITY --offset M ... --who NAME [--why WORDS]
       tocsin service STATION.toml --commission --who NAME
       tocsin service STATION.toml --verify SHEET.json"""


def run(argv: list[str]) -> int:
    """Exit code: 0 done and proved, 1 refused, not proved or no agent there, 2 the command line is off."""
    parser = _parser()
    args = parser.parse_intermixed_args(argv)  # the names may stand behind options
    args.lang = language(args.lang)
    try:
        file = station_file(args.station, args.lang)
        folder = args.station.parent / file.station.data
        if args.verify is not None:
            return _verify(args.verify, file, args.lang)
        if not args.who.strip():
            parser.error(say("who").in_(args.lang))
        if args.commission:
            return _commission(folder, args)
        return told(ask(folder, _asked(parser, args)), args.lang)
    except (ConfigError, ValueError) as err:
        print(said_of(err).in_(args.lang), file=sys.stderr)
    except OSError as err:
        print(away(args.station, err).in_(args.lang), file=sys.stderr)
    return 1


def _asked(parser: argparse.ArgumentParser, args: argparse.Namespace) -> dict[str, Any]:
    match args.what:
        case ["end"]:
            return {"do": "service", "minutes": 0, "who": args.who}
        case ["all"] if args.minutes is not None:
            return {"do": "service", "minutes": args.minutes, "who": args.who}
        case ["end", name]:
            return {"do": "service", "device": name, "minutes": 0, "who": args.who}
        case ["calibrate", series]:
            numbers = {key: value for key in KEYS if (value := getattr(args, key)) is not None}
            return {"do": "calibrate", "series": series, "set": numbers, "who": args.who, "why": args.why}
        case [name] if args.minutes is not None:
            return {"do": "service", "device": name, "minutes": args.minutes, "who": args.who}
        case [_]:
            raise SystemExit(parser.error(say("how_long").in_(args.lang)))
        case _:
            raise SystemExit(parser.error(say("on_what").in_(args.lang)))


def _commission(folder: Path, args: argparse.Namespace) -> int:
    """One at a time: two would ask the station to do two things at once, and each write over what the other proved."""
    words = Words(TABLE, args.lang)
    lock = None
    try:
        lock = Lock(folder, WALK)
    except BlockingIOError:
        print(words("walks"), file=sys.stderr)
        return 1
    except OSError:    # nothing can be kept there either: the walk says so
        pass
    try:
        return _walk(folder, args, words)
    finally:
        if lock is not None:
            lock.close()


def _walk(folder: Path, args: argparse.Namespace, words: Words) -> int:

    def asked(what: dict[str, Any]) -> Reply:
        return ask(folder, what)

    walk = Walk(folder, args.who, args.lang, say=asked, ask=_answer, tell=_tell)
    try:
        sheet = walk.run()
    except (BrokenOffError, KeyboardInterrupt):
        missing = walk.sheet().missing
        print(f"\n{words('broken', missing=_list(map(words, missing), args.lang))}")
        return 1
    text = msgspec.json.encode(sheet).decode()
    reply = asked({"do": "commission", "sheet": text, "who": args.who})
    print(f"\n{in_words(sheet).in_(args.lang)}")
    if not reply.done:
        return told(reply, args.lang)
    print(words("sheet", place=reply.said))
    if sheet.missing:
        print(words("missing", missing=_list(map(words, sheet.missing), args.lang)))
        return 1
    walk.finished()
    return 0


def _list(parts: Iterable[str], lang: str) -> str:
    return ("、" if lang == "zh" else ", ").join(parts)


def _answer(prompt: str) -> str:
    """A line of the keyboard, or of a script that is piped in. Raises BrokenOffError at its end."""
    try:
        return input(prompt)
    except EOFError as err:
        raise BrokenOffError from err


def _tell(text: str) -> None:
    print(text, flush=True)


def _verify(place: Path, file: StationFile, lang: str) -> int:
    try:
        print(in_words(opened(place.read_bytes(), file.station.id, file.hub.key)).in_(lang))
    except OSError as err:
        print(say("unread", place=place, why=reason_of(err)).in_(lang), file=sys.stderr)
        return 1
    except ValueError as err:
        why = say("unsealed", why=err) if isinstance(err, SealError) else said_of(err)
        print(say("at", place=place, why=why).in_(lang), file=sys.stderr)
        return 1
    print(say("sealed").in_(lang))
    return 0


def _number(text: str) -> float:
    with suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    raise argparse.ArgumentTypeError(f'"{text}" is not a number; like 1.25')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tocsin service", usage=_USAGE, description="Work at a station that runs.")
    parser.add_argument("station", type=Path, metavar="STATION.toml")
    parser.add_argument("what", nargs="*")
    parser.add_argument("--minutes", type=_number, help="how long its readings count for nothing; at most 60")
    parser.add_argument("--who", default="", help="your name")
    parser.add_argument("--commission", action="store_true", help="go through the station and write a sealed sheet")
    parser.add_argument("--verify", type=Path, metavar="SHEET.json", help="whether a sheet is as it was sealed")
    parser.add_argument("--lang", choices=LANGS, default="", help="else as the terminal's LANG says")
    parser.add_argument("--why", default="", help="of a calibration")
    for key in KEYS:
        kind = str if key == "datum" else _number
        parser.add_argument(f"--{key.replace('_', '-')}", dest=key, type=kind, help="of a calibration")
    return parser
