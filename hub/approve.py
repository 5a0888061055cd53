"""`tocsin hub approve hub.toml [STATION]`: which stations wait for approval; take one of them in.

A station and its hub share a key. Either the one that stands in its station.toml is told here, or one is made, which
then has to go there. Until both have the same one the station keeps what it has: nothing that it sent is lost.
"""

import argparse
import re
import sqlite3
import sys
from pathlib import Path

from hub import orders
from hub.config import HubConfig, load_hub
from hub.database import Database, DatabaseError
from hub.roster import Roster, enrol
from hub.send import SendError, checked_name, in_words, open_database
from hub.strangers import Stranger, strangers_of
from tocsin.clock import SystemClock
from tocsin.config import ConfigError
from tocsin.signing import new_station_key
from tocsin.times import iso

_KEY = re.compile(r"[0-9a-f]{64}")


class ApproveError(Exception):
    """Why a station is not approved, in a sentence."""


def main(argv: list[str]) -> int:
    """Exit code: 0 done, 1 refused, 2 the command line is off."""
    args = _parser().parse_args(argv)
    try:
        print("\n".join(_done(args)))
    except (ConfigError, DatabaseError, SendError, ApproveError) as err:
        print(err, file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as err:
        print(in_words(args.hub, err), file=sys.stderr)
        return 1
    return 0


def approve(database: Database, config: HubConfig, station: str, key: str, who: str, now_ms: int) -> str:
    """Takes it in; returns its key, a new one where `key` is "". Raises ApproveError, and nothing has changed then."""
    if station in Roster(database, config.keys):
        raise ApproveError(f'"{station}" is a station of this hub already')
    waiting = [one.station for one in strangers_of(database.connection)]
    if station not in waiting:
        raise ApproveError(f'"{station}" does not wait; use {", ".join(waiting) or "one that has spoken: none has"}, '
                           'or tocsin enrol for a station that has never spoken')
    if key and not _KEY.fullmatch(key):
        raise ApproveError("--key is not allowed; use the 64 hex digits of key in [hub] of its station.toml")
    counts = key or new_station_key()
    with database.transaction() as connection:
        enrol(connection, station, counts, now_ms)
        orders.note(connection, now_ms, station, "approved", who, "")
    return counts


def _done(args: argparse.Namespace) -> list[str]:
    config = load_hub(args.hub)
    database = open_database(args.hub, config)
    try:
        if args.station is None:
            return [_line(one) for one in strangers_of(database.connection)] or ["no station waits for approval"]
        given = sys.stdin.readline().strip() if args.key == "-" else args.key
        key = approve(database, config, args.station, given, checked_name(args.who), SystemClock().now_ms())
    finally:
        database.close()
    done = f"{args.station} is a station of this hub from now on"
    if given:
        return [done]
    return [done, "into [hub] of its station.toml, then restart it:", f'key = "{key}"',
            f'public_key = "{config.public_key}"']


def _line(one: Stranger) -> str:
    where = f"{one.card.name}, {one.card.latitude:g} {one.card.longitude:g}, area {one.card.area}" if one.card else \
        "it has not said where it stands"
    return (f"{one.station}: {where}; first heard {iso(one.first_seen)}, last {iso(one.last_seen)}; "
            f"{one.messages} messages, {one.records} records")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tocsin hub approve", description="Say which stations wait for approval, or take one of them in.")
    parser.add_argument("hub", type=Path, metavar="HUB.toml")
    parser.add_argument("station", nargs="?", metavar="STATION", help="its id; without it those that wait are listed")
    parser.add_argument("--key", default="", help="the key in its station.toml, or - to read it from a line of input; "
                                                  "without it a new one is made")
    parser.add_argument("--who", default="approve", help="your name, for the journal")
    return parser
