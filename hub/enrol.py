"""`tocsin enrol`: a new station's keys and files, or those of the successor of a station that is dead.

The station counts for a running hub at once: what is enrolled stands in the hub's database beside its hub.toml.
"""

import argparse
import shutil
import sqlite3
import sys
from pathlib import Path

from hub import orders, succession
from hub.config import HubConfig, load_hub
from hub.database import Database, DatabaseError
from hub.roster import Roster, enrol, enrolled, revoke
from hub.sayings import say
from hub.send import SendError, checked_name, in_words, open_database
from hub.station_files import DEFAULT_RULES, NewStation, files_of, rules_known
from hub.succession import SuccessionError
from tocsin.broker import Broker
from tocsin.clock import SystemClock
from tocsin.config import ConfigError
from tocsin.said import LANGS, Said, SaidError, joined, language, said_of
from tocsin.signing import new_station_key
from tocsin.topics import AREA_CODE, STATION_ID


class EnrolError(SaidError):
    """Every reason why a station is not enrolled, a sentence each."""

    def __init__(self, problems: list[Said]) -> None:
        super().__init__(joined(problems, "\n", "\n"))


def enrol_new(
    database: Database, config: HubConfig, station: NewStation, rules: str, out: Path, who: str, now_ms: int
) -> None:
    """Writes the files and registers the station. Raises EnrolError, and nothing has changed then."""
    problems = _problems(station) + _taken(database, config, station.id, out)
    if rules not in rules_known():
        problems.append(say("rule_set", rules=rules, there=", ".join(rules_known())))
    if problems:
        raise EnrolError(problems)
    key = new_station_key()
    _make(out, files_of(station, rules, key, config.public_key))
    _register(database, station.id, key, "", out, who, now_ms)


def enrol_successor(
    database: Database, config: HubConfig, station: str, broker: str, out: Path, who: str, now_ms: int
) -> list[Said]:
    """Writes the successor's folder and gives it the only key that counts from now on. Returns what is left to do.

    Raises EnrolError, and nothing has changed then.
    """
    known = Roster(database, config.keys)
    if station not in known:
        there = ", ".join(sorted(known)) or say("without")
        raise EnrolError([say("no_station", station=station, there=there)])
    if problems := _not_empty(out) + _broker_problems(broker):
        raise EnrolError(problems)
    key = new_station_key()
    try:
        found = succession.of(database, station, key, config.public_key, broker)
    except SuccessionError as err:
        raise EnrolError([err.said]) from err
    _make(out, found.files)
    _register(database, station, key, known[station], out, who, now_ms)
    return found.to_do


def _problems(station: NewStation) -> list[Said]:
    problems = []
    if not STATION_ID.fullmatch(station.id):
        problems.append(say("station_id", station=station.id))
    if not AREA_CODE.fullmatch(station.area):
        problems.append(say("area", area=station.area))
    for key, name in (("--name", station.name), ("--name-zh", station.name_zh)):
        if not name.isprintable() or (key == "--name" and not name.strip()):
            problems.append(say("name", key=key, name=ascii(name)))
    for key, value, most in (("--lat", station.latitude, 90), ("--lon", station.longitude, 180)):
        if not -most <= value <= most:
            problems.append(say("degrees", key=key, value=value, most=most))
    return problems + _broker_problems(station.broker)


def _broker_problems(broker: str) -> list[Said]:
    try:
        if broker:
            Broker.of(broker)
    except ValueError as err:
        return [say("broker_url", why=err)]
    return [] if broker.isprintable() else [say("broker", broker=ascii(broker))]


def _taken(database: Database, config: HubConfig, station: str, out: Path) -> list[Said]:
    problems = _not_empty(out)
    if station in Roster(database, config.keys):
        problems.append(say("taken", station=station))
    return problems


def _not_empty(out: Path) -> list[Said]:
    try:
        there = out.exists() and (not out.is_dir() or any(out.iterdir()))
    except OSError as err:
        return [say("out", out=out, why=err.strerror)]
    return [say("not_empty", out=out)] if there else []


def _make(out: Path, files: dict[str, str]) -> None:
    """For the eyes of one user alone: a key is in it. Raises EnrolError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        out.chmod(0o700)
        for name, text in files.items():
            place = out / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
            place.chmod(0o600)
    except OSError as err:
        shutil.rmtree(out, ignore_errors=True)
        raise EnrolError([say("unwritten", out=out, why=err.strerror)]) from err


def _register(database: Database, station: str, key: str, before: str, out: Path, who: str, now_ms: int) -> None:
    """The files first: a key that stands in no file would be of no use to anybody. `before`: "" for a new station."""
    try:
        with database.transaction() as connection:
            _give_key(connection, station, key, before, now_ms)
            orders.note(connection, now_ms, station, "replaced" if before else "enrolled", who, "")
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


def _give_key(connection: sqlite3.Connection, station: str, key: str, before: str, now_ms: int) -> None:
    """Another one may be at it too: what counts is what stands there now. Raises EnrolError."""
    there = enrolled(connection).get(station, before)
    if there and not before:
        raise EnrolError([say("taken", station=station)])
    enrol(connection, station, key, now_ms)
    if before:
        revoke(connection, station, there, now_ms)


def run(argv: list[str]) -> int:
    """Exit code: 0 done, 1 refused, 2 the command line is off."""
    parser = _parser()
    args = parser.parse_args(argv)
    lang = language(args.lang)
    missing = [f"--{key}" for key in ("name", "area", "lat", "lon", "broker") if getattr(args, key) is None]
    if missing and not args.replace:
        parser.error(say("needs", missing=", ".join(missing)).in_(lang))
    try:
        to_do = _enrolled(args)
    except (ConfigError, DatabaseError, SendError, EnrolError) as err:
        print(said_of(err).in_(lang), file=sys.stderr)
        return 1
    except (OSError, sqlite3.Error) as err:
        print(in_words(args.hub, err).in_(lang), file=sys.stderr)
        return 1
    print(joined([say("ready", station=args.station, out=args.out), *to_do], "\n", "\n").in_(lang))
    return 0


def _enrolled(args: argparse.Namespace) -> list[Said]:
    config = load_hub(args.hub)
    who, now_ms = checked_name(args.who), SystemClock().now_ms()
    path = Path(config.hub.data) / "hub.sqlite"
    database = open_database(args.hub, config) if args.replace else Database(path)
    try:
        if args.replace:
            to_do = enrol_successor(database, config, args.station, args.broker or "", args.out, who, now_ms)
            old = [say("take_out", hub=args.hub, station=args.station)] if args.station in config.keys else []
            return [*to_do, *old]
        name_zh = args.name_zh or args.name
        station = NewStation(args.station, args.name, name_zh, args.area, args.lat, args.lon, args.broker)
        enrol_new(database, config, station, args.rules, args.out, who, now_ms)
        return [say("then")]
    finally:
        database.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tocsin enrol", description="Make the keys and files of a new station, or of the successor of a dead one.")
    parser.add_argument("hub", type=Path, metavar="HUB.toml")
    parser.add_argument("station", metavar="STATION", help="its id: small letters, digits, -")
    parser.add_argument("--replace", action="store_true",
                        help="the successor of a station that is dead: its configuration, calibration and place in "
                             "the sequence, with another key; the old key counts no more")
    parser.add_argument("--lang", choices=LANGS, default="", help="else as the terminal's LANG says")
    parser.add_argument("--name", help="what people read")
    parser.add_argument("--name-zh", help="the same in Chinese")
    parser.add_argument("--area", help="12 digits, the area it warns")
    parser.add_argument("--lat", type=float, help="degrees north, WGS 84")
    parser.add_argument("--lon", type=float, help="degrees east")
    parser.add_argument("--broker", help="where it meets the hub: mqtts://user:password@host:8883")
    parser.add_argument("--rules", default=DEFAULT_RULES, metavar="SET",
                        help=f"starter set: {', '.join(rules_known())}; {DEFAULT_RULES} unless given")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder for its files")
    parser.add_argument("--who", default="enrol", help="your name, for the journal")
    return parser
