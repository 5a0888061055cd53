"""A copy of the station file that an agent has polled with, for a start on one that an edit has broken.

It stands in the data folder as `good-station`, with its secrets, so that only its owner may read it. It is a copy for
one file at one place, and for one station: a card that was taken over for another station must not sound and report as
the first. A file that does not hold may not even tell its data folder: then that of the systemd unit and the folders
beside the file are looked through; one with another name than its copy gives was put aside, and counts for nothing.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from edge.sayings import say
from tocsin.log import replace_file
from tocsin.messages import encode
from tocsin.said import Said
from tocsin.times import iso

GOOD_STATION = "good-station"
DATA = "station-data"  # where the station file names no other folder
_DATA = re.compile(r"""^[ \t]*data[ \t]*=[ \t]*["']([^"'\n\0]+)["']""", re.MULTILINE)
_ID = re.compile(r"""^[ \t]*id[ \t]*=[ \t]*["']([a-z0-9-]+)["']""", re.MULTILINE)
_LINE = re.compile(r"\(at line (\d+), column \d+\)")


class Good(msgspec.Struct, frozen=True):
    """`place`: the file it is a copy of, the whole path. `t`: since when it stands, ms UTC."""

    place: str
    t: int
    text: str

    def said(self, problems: Sequence[str]) -> tuple[Said | str, ...]:
        """That it is in force, and why."""
        line = _LINE.search(problems[0])
        key = "good_station_line" if line else "good_station"
        return say(key, place=self.place, line=line[1] if line else "", t=iso(self.t)), *problems


def keep_station(folder: Path, place: Path, text: str, now_ms: int) -> None:
    """An agent polls with this text. Raises OSError."""
    before = _read(folder, place)
    if before is None or before.text != text:
        replace_file(folder / GOOD_STATION, encode(Good(_name(place), now_ms, text)), sync=True, private=True)


def kept_station(place: Path) -> Good | None:
    """The copy of this file: in the folder that it or the unit names, else the newest beside it. None where there is
    none, or where the file tells the id of another station."""
    broken = ""
    with suppress(OSError):
        broken = place.read_bytes().decode(errors="replace")
    units = filter(None, os.environ.get("STATE_DIRECTORY", "").split(":"))
    named = [place.parent / name for name in (*_DATA.findall(broken), *units)]
    good = next(_copies(named, place), None) or max(_copies(_beside(place), place), key=lambda one: one.t, default=None)
    told = _ID.search(broken)
    return good if good is None or told is None or told[1] == _station(good)["id"] else None


def _copies(folders: Iterable[Path], place: Path) -> Iterator[Good]:
    """Those that stand where they themselves say."""
    for folder in folders:
        good = _read(folder, place)
        with suppress(ValueError, TypeError, KeyError, OSError):
            if good and (place.parent / _station(good).get("data", DATA)).samefile(folder):
                yield good


def _read(folder: Path, place: Path) -> Good | None:
    with suppress(OSError, ValueError):
        good = msgspec.json.decode((folder / GOOD_STATION).read_bytes(), type=Good)
        return good if good.place == _name(place) else None
    return None


def _station(good: Good) -> dict[str, str]:
    """Its table [station]. Raises ValueError, TypeError and KeyError where it has none."""
    station: dict[str, str] = tomllib.loads(good.text)["station"]
    return station | {"id": station["id"]}


def _beside(place: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from [found.parent for found in place.parent.glob(f"*/{GOOD_STATION}")]


def _name(place: Path) -> str:
    """Its whole path, also where it is a link, which may point to another version after each change."""
    return str(place.parent.resolve() / place.name)
