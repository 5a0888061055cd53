"""What a person may say about a replay on the command line: which stations, which time, how columns are to be read."""

import argparse
import re
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from thresholds.replay.history import Reading
from tocsin.quantities import quantity
from tocsin.times import ms_of

UNITS_MS = {"s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which part of the records: `station` "" is all, times in ms UTC, None is no bound."""

    station: str = ""
    start_ms: int | None = None
    end_ms: int | None = None


def add_reading(parser: argparse.ArgumentParser) -> None:
    """The options that say how a CSV record is to be read."""
    parser.add_argument("--column", action="append", type=column, default=[], metavar="COLUMN=[DEVICE/]QUANTITY",
                        help="what a column of a CSV record holds, where its name does not say it: flow_m3s=stage_m")
    parser.add_argument("--period", type=duration_ms, default=0, metavar="TIME",
                        help="the nominal time from reading to reading: 5min (default: the median step of each series)")
    parser.add_argument("--plausible", action="append", type=plausible, default=[], metavar="QUANTITY=LOW:HIGH",
                        help="what the site allows; readings outside are left out (default: what nature allows)")
    parser.add_argument("--datum", help="the zero that stages of the record count from (default: that of the rules)")


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options that say which part of the records is meant."""
    parser.add_argument("--station", default="", help="name of the station (default: that of the record); of a hub's "
                        "store or a log: which one")
    parser.add_argument("--from", dest="start", type=time_ms, metavar="TIME",
                        help="from this time on: 2018-08-20 or 2018-08-20T06:00:00Z")
    parser.add_argument("--to", dest="end", type=time_ms, metavar="TIME", help="up to before this time")
    parser.add_argument("--tz", type=zone, default=UTC, metavar="ZONE",
                        help="zone of the times shown: Asia/Shanghai (default UTC); --json is always in UTC")


def reading_of(args: argparse.Namespace) -> Reading:
    return Reading(dict(args.column), args.period, dict(args.plausible), args.datum)


def choice_of(args: argparse.Namespace) -> Choice:
    return Choice(args.station, args.start, args.end)


def column(text: str) -> tuple[str, str]:
    """COLUMN=QUANTITY or COLUMN=DEVICE/QUANTITY."""
    name, equals, words = text.partition("=")
    if not (name and equals and words):
        raise argparse.ArgumentTypeError(f'"{text}" is not allowed; use COLUMN=QUANTITY or COLUMN=DEVICE/QUANTITY')
    _known(words.rpartition("/")[2])
    return name, words


def plausible(text: str) -> tuple[str, tuple[float, float]]:
    """QUANTITY=LOW:HIGH."""
    name, _, span = text.partition("=")
    low, _, high = span.partition(":")
    try:
        found = float(low), float(high)
    except ValueError:
        found = (0.0, 0.0)
    if not found[0] < found[1]:
        raise argparse.ArgumentTypeError(f'"{text}" is not allowed; use QUANTITY=LOW:HIGH, as in stage_m=0:9')
    _known(name)
    return name, found


def duration_ms(text: str) -> int:
    """A number with s, min, h or d."""
    found = _DURATION.fullmatch(text)
    ms = round(float(found[1]) * UNITS_MS[found[2]]) if found else 0
    if not 0 < ms <= 366 * UNITS_MS["d"]:
        raise argparse.ArgumentTypeError(f'"{text}" is not allowed; use a time like 30s, 5min, 1h or 1d')
    return ms


def time_ms(text: str) -> int:
    """ISO 8601 with a zone, or a date: midnight UTC."""
    try:
        return ms_of(f"{text}T00:00:00Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(f'"{text}" is not allowed; use 2018-08-20 or 2018-08-20T06:00:00Z') from err


def zone(text: str) -> tzinfo:
    """A zone by its name."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
        raise argparse.ArgumentTypeError(f'"{text}" is not known; use a name like Asia/Shanghai') from None


def is_csv(path: Path) -> bool:
    """By its name alone."""
    return path.name.endswith((".csv", ".csv.gz"))


def _known(name: str) -> None:
    try:
        quantity(name)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from None
