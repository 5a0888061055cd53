"""`tocsin send HUB.toml STATION ...`: tell a station something, through the hub's database; the running hub carries it.

What is written there is kept: a hub that is down now sends it when it comes up, and a command runs out by itself.
"""

import argparse
import math
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from hub import orders
from hub.config import HubConfig, load_hub
from hub.database import Database, DatabaseError
from hub.orders import CommandState, Step
from hub.roster import Roster
from hub.sayings import say
from thresholds.rules import load_rules
from tocsin.clock import SystemClock
from tocsin.config import ConfigError
from tocsin.orders import LONGEST_COMMAND_MS
from tocsin.said import LANGS, Said, SaidError, joined, language, said_of
from tocsin.times import iso

WAIT_S = 60.0
LIVES_MIN = 10.0
_LOOK_S = 0.1
_HISTORY = 30
_STEPS = {"refused": "turned_down", "rules state": "rules_state"}    # words of the journal that are others in a table
LONGEST_NAME = 80


class SendError(SaidError):
    """Why nothing was sent, or it was refused; a sentence."""


class Sender:
    """One station of a hub. `now_ms` is the hub's time in ms UTC."""

    def __init__(self, database: Database, config: HubConfig, station: str, now_ms: Callable[[], int]) -> None:
        """Raises SendError for a station that is not of this hub."""
        self._database = database
        self._station = station
        self._now_ms = now_ms
        known = Roster(database, config.keys)
        if station not in known:
            there = ", ".join(sorted(known)) or say("enrol")
            raise SendError(say("no_station", station=station, there=there))

    def rules(self, text: str, who: str) -> int:
        """Returns the version. Raises SendError."""
        with self._database.transaction() as connection:
            try:
                return orders.put_rules(connection, self._station, text, who, self._now_ms())
            except ValueError as err:
                raise SendError(said_of(err)) from err

    def rollback(self, version: int, who: str) -> int:
        """That version's text once more, under a new number. Raises SendError."""
        known = [row[0] for row in orders.versions_of(self._database.connection, self._station)]
        order = orders.rules_of(self._database.connection, self._station, version) if version in known else None
        if order is None:
            use = ", ".join(map(str, known)) or say("rules_file")
            raise SendError(say("never_sent", version=version, station=self._station, known=use))
        return self.rules(order.text, who)

    def command(self, ask: dict[str, object], lives_min: float) -> str:
        """Returns the command's id. Raises SendError."""
        if not math.isfinite(lives_min):
            raise SendError(say("within", minutes=lives_min, most=LONGEST_COMMAND_MS / 60_000))
        with self._database.transaction() as connection:
            try:
                return orders.put_command(connection, self._station, ask, self._now_ms(), round(lives_min * 60_000)).id
            except ValueError as err:
                raise SendError(said_of(err)) from err

    def wait_rules(self, version: int, wait_s: float) -> Said:
        """The station's word on it. Raises SendError where it was refused, or nothing was heard in time."""

        def look() -> Said | None:
            state = orders.state_of(self._database.connection, self._station)
            if state is not None and state.version >= version:
                return say("in_force", version=state.version, hash=state.hash[:8])
            if state is not None and state.refused >= version:
                refused = say("refused", version=version, there=state.version)
                raise SendError(joined([refused, *orders.problems_of(state)], "\n", "\n"))
            return None

        return _wait(look, wait_s, lambda: say("rules_late", version=version))

    def wait_command(self, command: str, wait_s: float) -> Said:
        """The station's answer. Raises SendError where it was refused, or nothing was heard in time."""

        def look() -> Said | None:
            row = orders.command_of(self._database.connection, command)
            if row.state is CommandState.DONE:
                return row.words
            if row.state is CommandState.REFUSED:
                raise SendError(row.words)
            return None

        def late() -> Said:
            row = orders.command_of(self._database.connection, command)
            if row.state is CommandState.WAITS:
                return say("unsent", expires=iso(row.expires))
            return say("unanswered", expires=iso(row.expires))

        return _wait(look, wait_s, late)

    def history(self) -> Said:
        """The newest first: what was sent, by whom, and what came of it."""
        connection = self._database.connection
        answers = {row.id: row.words for row in orders.commands_of(connection, self._station, _HISTORY) if row.answered}
        steps = orders.journal_of(connection, self._station, _HISTORY)
        lines = [joined([iso(step.t), say(_STEPS.get(step.what, step.what)), *([step.who] if step.who else []),
                         _detail(step, answers)], "  ", "  ") for step in steps]
        return joined(lines, "\n", "\n") if lines else say("nothing")


def _detail(step: Step, answers: Mapping[str, Said]) -> Said | str:
    """Of an answer the journal has both languages, one behind the other: here it is the reader's."""
    if step.what == "clone":
        return say("two_contents")
    command = step.detail.partition(":")[0]
    if step.what not in (CommandState.DONE, CommandState.REFUSED) or command not in answers:
        return step.detail
    words = answers[command]
    return joined([command, Said(words.en.partition("\n")[0], words.zh.partition("\n")[0])], ": ", "：")


def _wait(look: Callable[[], Said | None], wait_s: float, late: Callable[[], Said]) -> Said:
    due_s = time.monotonic() + wait_s
    while (found := look()) is None:
        if time.monotonic() >= due_s:
            raise SendError(late())
        time.sleep(_LOOK_S)
    return found


def run(argv: list[str]) -> int:
    """Exit code: 0 done, 1 refused or no answer yet, 2 the command line is off."""
    args = _parser().parse_args(argv)
    lang = language(args.lang)
    try:
        print(_sent(args).in_(lang))
    except (ConfigError, DatabaseError, SendError) as err:
        print(said_of(err).in_(lang), file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as err:
        print(in_words(args.hub, err).in_(lang), file=sys.stderr)
        return 1
    return 0


def in_words(hub: Path, err: Exception) -> Said:
    """What keeps this user away from the hub's database."""
    return say("database", place=hub, why=err)


def _sent(args: argparse.Namespace) -> Said:
    """What the station said. Raises ConfigError, DatabaseError or SendError."""
    config = load_hub(args.hub)
    if args.what != "history":
        checked_name(args.who)
    database = open_database(args.hub, config)
    try:
        sender = Sender(database, config, args.station, SystemClock().now_ms)
        match args.what:
            case "rules":
                load_rules(args.file)
                return sender.wait_rules(sender.rules(args.file.read_text(encoding="utf-8"), args.who), args.wait)
            case "rollback":
                return sender.wait_rules(sender.rollback(args.version, args.who), args.wait)
            case "command":
                return sender.wait_command(sender.command(_ask(args), args.within), args.wait)
        return sender.history()
    finally:
        database.close()


def open_database(place: Path, config: HubConfig) -> Database:
    """The file of a hub that has run. Raises DatabaseError."""
    path = Path(config.hub.data) / "hub.sqlite"
    if not path.exists():
        raise DatabaseError(f"{place}: {path} is not there; has this hub ever run here?")
    return Database(path)


def checked_name(who: str) -> str:
    """Raises SendError. The name goes into journals as it is."""
    if not who.strip() or len(who) > LONGEST_NAME or not who.isprintable():
        raise SendError(say("who", who=ascii(who), most=LONGEST_NAME))
    return who


def _ask(args: argparse.Namespace) -> dict[str, object]:
    ask: dict[str, object] = {"do": args.do, "who": args.who}
    if args.minutes is not None:
        ask["minutes"] = args.minutes
    for pair in args.more:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise SendError(say("pair", pair=pair))
        ask[key] = _value(value)
    return ask


def _value(word: str) -> object:
    """A number or a quoted text as JSON has them; anything else is a text as it stands."""
    try:
        found = msgspec.json.decode(word)
    except ValueError:
        return word
    return found if isinstance(found, int | float | str) else word


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tocsin send", description="Tell a station something: signed by the hub, carried by it, answered.",
        epilog="tocsin send hub.toml upper-bridge command service device=radar --minutes 30 --who 'Zhao Min'")
    parser.add_argument("hub", type=Path, metavar="HUB.toml")
    parser.add_argument("station", metavar="STATION")
    parser.add_argument("--lang", choices=LANGS, default="", help="else as the terminal's LANG says")
    kinds = parser.add_subparsers(dest="what", required=True)
    rules = kinds.add_parser("rules", help="other rules: a rules file")
    rules.add_argument("file", type=Path)
    back = kinds.add_parser("rollback", help="rules of an earlier version once more")
    back.add_argument("version", type=int)
    command = kinds.add_parser("command", help="one thing to do, as in tocsin operate")
    command.add_argument("do", metavar="DO", help="service, ack, shelve, reload, levels, ...")
    command.add_argument("more", nargs="*", metavar="KEY=VALUE", help="rule=, series=, device=, ...")
    command.add_argument("--minutes", type=float, help="for how long, where it has a length")
    command.add_argument("--within", type=float, default=LIVES_MIN, metavar="MIN",
                         help=f"it runs out after so many minutes; {LIVES_MIN:g} unless given")
    for kind in (rules, back, command):
        kind.add_argument("--who", required=True, help="your name")
        kind.add_argument("--wait", type=float, default=WAIT_S, metavar="S",
                          help=f"wait so many seconds for the answer; {WAIT_S:g} unless given")
    kinds.add_parser("history", help="what was sent, by whom, and what came of it")
    for kind in kinds.choices.values():    # here too, where everybody writes it
        kind.add_argument("--lang", choices=LANGS, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser
