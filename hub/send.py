"""`tocsin send HUB.toml STATION ...`: tell a station something, through the hub's database; the running hub carries it.

What is written there is kept: a hub that is down now sends it when it comes up, and a command runs out by itself.
"""

import argparse
import math
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from hub import orders
from hub.config import HubConfig, load_hub
from hub.database import Database, DatabaseError
from hub.orders import CommandState
from hub.roster import Roster
from thresholds.rules import load_rules
from tocsin.clock import SystemClock
from tocsin.config import ConfigError
from tocsin.orders import LONGEST_COMMAND_MS
from tocsin.times import iso

WAIT_S = 60.0
LIVES_MIN = 10.0
_LOOK_S = 0.1
_HISTORY = 30
LONGEST_NAME = 80


class SendError(Exception):
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
            there = ", ".join(sorted(known)) or "tocsin enrol"
            raise SendError(f'"{station}" is not a station of this hub; use {there}')

    def rules(self, text: str, who: str) -> int:
        """Returns the version. Raises SendError."""
        with self._database.transaction() as connection:
            try:
                return orders.put_rules(connection, self._station, text, who, self._now_ms())
            except ValueError as err:
                raise SendError(str(err)) from err

    def rollback(self, version: int, who: str) -> int:
        """That version's text once more, under a new number. Raises SendError."""
        known = [row[0] for row in orders.versions_of(self._database.connection, self._station)]
        order = orders.rules_of(self._database.connection, self._station, version) if version in known else None
        if order is None:
            use = ", ".join(map(str, known)) or "rules FILE"
            raise SendError(f'version {version} was never sent to "{self._station}"; use {use}')
        return self.rules(order.text, who)

    def command(self, ask: dict[str, object], lives_min: float) -> str:
        """Returns the command's id. Raises SendError."""
        if not math.isfinite(lives_min):
            raise SendError(f"--within {lives_min} is not allowed; use minutes, up to {LONGEST_COMMAND_MS / 60_000:g}")
        with self._database.transaction() as connection:
            try:
                return orders.put_command(connection, self._station, ask, self._now_ms(), round(lives_min * 60_000)).id
            except ValueError as err:
                raise SendError(str(err)) from err

    def wait_rules(self, version: int, wait_s: float) -> str:
        """The station's word on it. Raises SendError where it was refused, or nothing was heard in time."""

        def look() -> str | None:
            state = orders.state_of(self._database.connection, self._station)
            if state is not None and state.version >= version:
                return f"version {state.version} is in force, rules {state.hash[:8]}"
            if state is not None and state.refused >= version:
                raise SendError("\n".join([f"version {version} is refused; version {state.version} stays in force",
                                           *state.problems]))
            return None

        return _wait(look, wait_s, lambda: f"no answer from the station yet: version {version} waits for it")

    def wait_command(self, command: str, wait_s: float) -> str:
        """The station's answer. Raises SendError where it was refused, or nothing was heard in time."""

        def look() -> str | None:
            row = orders.command_of(self._database.connection, command)
            if row.state is CommandState.DONE:
                return row.said
            if row.state is CommandState.REFUSED:
                raise SendError(row.said)
            return None

        def late() -> str:
            row = orders.command_of(self._database.connection, command)
            if row.state is CommandState.WAITS:
                return f"the hub has not sent it yet: is it running, and its broker? It is sent till {iso(row.expires)}"
            return f"no answer from the station yet; it will do it until {iso(row.expires)} if it hears of it"

        return _wait(look, wait_s, late)

    def history(self) -> str:
        """The newest first: what was sent, by whom, and what came of it."""
        steps = orders.journal_of(self._database.connection, self._station, _HISTORY)
        lines = [f"{iso(step.t)}  {step.what}{f'  {step.who}' if step.who else ''}  {step.detail}" for step in steps]
        return "\n".join(lines) or "nothing was ever sent"


def _wait(look: Callable[[], str | None], wait_s: float, late: Callable[[], str]) -> str:
    due_s = time.monotonic() + wait_s
    while (found := look()) is None:
        if time.monotonic() >= due_s:
            raise SendError(late())
        time.sleep(_LOOK_S)
    return found


def run(argv: list[str]) -> int:
    """Exit code: 0 done, 1 refused or no answer yet, 2 the command line is off."""
    args = _parser().parse_args(argv)
    try:
        print(_sent(args))
    except (ConfigError, DatabaseError, SendError) as err:
        print(err, file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as err:
        print(in_words(args.hub, err), file=sys.stderr)
        return 1
    return 0


def in_words(hub: Path, err: Exception) -> str:
    """What keeps this user away from the hub's database."""
    return f"{hub}: the hub's database: {err}; run this as the user who runs the hub, and see that its disk has room"


def _sent(args: argparse.Namespace) -> str:
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
        raise SendError(f"--who {who!a} is not allowed; use your name, up to {LONGEST_NAME} letters on one line")
    return who


def _ask(args: argparse.Namespace) -> dict[str, object]:
    ask: dict[str, object] = {"do": args.do, "who": args.who}
    if args.minutes is not None:
        ask["minutes"] = args.minutes
    for pair in args.more:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise SendError(f'"{pair}" is not allowed; use KEY=VALUE, as in device=gauge')
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
    return parser
