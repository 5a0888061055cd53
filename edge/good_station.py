"""A copy of the station file that an agent has polled with, for a start on one that an edit has broken.

It stands in the data folder as `good-station`, with its secrets, so that only its owner may read it. It is a copy for
one file at one place. A file that does not hold may not even tell its data folder: then that of the systemd unit and
the folders beside the file are looked through.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from edge.sayings import say
from tocsin.log import replace_file
from tocsin.messages import encode
from tocsin.said import Said
from tocsin.times import iso

GOOD_STATION = "good-station"
_DATA = re.compile(r"""^[ \t]*data[ \t]*=[ \t]*["']([^"'\n\0]+)["']""", re.MULTILINE)
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
        replace_file(folder / GOOD_STATION, encode(Good(str(place.resolve()), now_ms, text)), sync=True, private=True)


def kept_station(place: Path) -> Good | None:
    """The copy of this file; None where there is none."""
    return next(filter(None, (_read(folder, place) for folder in _folders(place))), None)


def _read(folder: Path, place: Path) -> Good | None:
    with suppress(OSError, ValueError):
        good = msgspec.json.decode((folder / GOOD_STATION).read_bytes(), type=Good)
        return good if good.place == str(place.resolve()) else None
    return None


def _folders(place: Path) -> Iterator[Path]:
    with suppress(OSError):
        for name in _DATA.findall(place.read_bytes().decode(errors="replace")):
            yield place.parent / name
    yield from map(Path, filter(None, os.environ.get("STATE_DIRECTORY", "").split(":")))
    with suppress(OSError):
        yield from sorted(found.parent for found in place.parent.glob(f"*/{GOOD_STATION}"))
