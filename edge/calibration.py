"""Dated calibration: what a technician found at the site, beside station.toml and without a change of it.

`calibration.toml` in the station's data folder has one `[[entry]]` a finding. Of each key the newest entry counts, as
long as station.toml still says what the entry replaced: who edits station.toml later has the last word.

    [[entry]]
    at = "2026-11-22T03:40:00Z"
    who = "Li Wei"
    series = "radar/stage_m"
    set = { offset = 0.05 }
    instead_of = { offset = 0.02 }
    why = "staff gauge 1.25, shown 1.22"

The entries that were in force last are kept in `calibration-good`: an agent that starts on a broken file takes them,
and says so.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from edge.sayings import say
from edge.series import SeriesTable
from tocsin.config import ConfigError, Table, convert, load
from tocsin.log import replace_file
from tocsin.said import Said, SaidError, joined
from tocsin.times import iso, ms_of

FILE = "calibration.toml"
KNOWN = "calibration-known"
GOOD = "calibration-good"
ASIDE = "calibration.toml.damaged"
Key = Literal["offset", "datum", "gauge_zero_m", "sensor_height_m", "mm_per_tip"]
KEYS: tuple[str, ...] = get_args(Key)
_OF_DEVICE = {"mm_per_tip"}


class Entry(Table, frozen=True):
    """[[entry]]. `instead_of` has no key that station.toml does not give."""

    at: str
    who: str
    series: str
    set: dict[Key, float | str]
    instead_of: dict[Key, float | str] = {}
    why: str = ""

    def __post_init__(self) -> None:
        ms_of(self.at)


class CalibrationFile(Table, frozen=True):
    """A whole calibration.toml."""

    entry: list[Entry] = []


class Tabled(msgspec.Struct, frozen=True):
    """The part of a device's table that calibration may change."""

    name: str
    settings: dict[str, Any]
    series: dict[str, SeriesTable]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The entries that count. `problems` say why these do and not those of calibration.toml."""

    entries: Sequence[Entry] = ()
    problems: tuple[Said | str, ...] = ()

    @property
    def text(self) -> str:
        """As a file."""
        return "".join(map(text_of, self.entries))


_NOTHING = Calibration()


def read_entries(folder: Path, name: str = FILE) -> list[Entry]:
    """Those of a data folder, as they stand. Raises ConfigError, also for an empty file: a power cut leaves those."""
    place = folder / name
    if not place.exists():
        return []
    entries = load(place, CalibrationFile).entry
    if not entries:
        raise ConfigError([f"{place}: holds no [[entry]]; take the file away if nothing is calibrated"])
    return entries


def instead(folder: Path, problems: Sequence[str]) -> Iterator[Calibration]:
    """What may count where calibration.toml has problems, best first: the last good entries, or none."""
    with suppress(ConfigError):
        if entries := read_entries(folder, GOOD):
            yield Calibration(entries, (*problems, say("last_good")))
    yield Calibration((), (*problems, say("no_calibration")))


def keep_good(folder: Path, calibration: Calibration) -> None:
    """It is in force, and nothing is wrong with it. Raises OSError."""
    place, content = folder / GOOD, calibration.text.encode()
    if not content:
        place.unlink(missing_ok=True)
    elif not place.exists() or place.read_bytes() != content:
        replace_file(place, content, sync=True)


def calibrated(table: Tabled, entries: Iterable[Entry]) -> Tabled:
    """The device's table with what the entries say of it. Raises ConfigError where that is no number, or is too far."""
    newest: dict[tuple[str, Key], Entry] = {}
    for entry in entries:
        device, _, quantity = entry.series.rpartition("/")
        if device == table.name:
            newest |= {(quantity, key): entry for key in entry.set}
    for (quantity, key), entry in newest.items():
        given = given_of(table, quantity).get(key)
        if given == entry.instead_of.get(key):
            table = _with(table, quantity, key, entry.set[key], f'{FILE}: entry of {entry.at}: series "{entry.series}"')
    return table


def entry_of(
    now_ms: int, who: str, series: str, numbers: dict[Key, float | str], given: dict[str, Any], why: str
) -> Entry:
    """An entry of now. `given`: what station.toml says. Raises SaidError where it says nothing."""
    if not numbers:
        raise SaidError(say("say_scale", series=series, keys=", ".join(KEYS)))
    return Entry(iso(now_ms), who, series, numbers, {key: given[key] for key in numbers if key in given}, why)


def given_of(table: Tabled, quantity: str) -> dict[str, Any]:
    """What the table gives of the keys that calibration may change; what is left out has no key."""
    defaults = SeriesTable()
    series = table.series.get(quantity, defaults)
    found = {key: getattr(series, key) for key in SeriesTable.__struct_fields__ if key in KEYS}
    found = {key: value for key, value in found.items() if value != getattr(defaults, key)}
    return found | {key: table.settings[key] for key in _OF_DEVICE if key in table.settings}


def _with(table: Tabled, quantity: str, key: str, value: float | str, place: str) -> Tabled:
    if key in _OF_DEVICE:
        return msgspec.structs.replace(table, settings=table.settings | {key: value})
    given = msgspec.to_builtins(table.series.get(quantity, SeriesTable()))
    series = convert({name: one for name, one in given.items() if one is not None} | {key: value}, SeriesTable, place)
    return msgspec.structs.replace(table, series=table.series | {quantity: series})


def text_of(entry: Entry) -> str:
    """As it is written into the file."""
    lines = [f"{key} = {_toml(value)}" for key, value in msgspec.to_builtins(entry).items() if value not in ("", {})]
    return "\n".join(["[[entry]]", *lines, "", ""])


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(one)}' for key, one in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def add_entry(folder: Path, entry: Entry, known: Calibration = _NOTHING) -> bytes | None:
    """Puts it behind the others, on the disk itself. Returns what stood there before. Raises OSError.

    `known` is what is in force. Where the file has problems it is set aside, and begins anew with that.
    """
    place = folder / FILE
    before = place.read_bytes() if place.exists() else None
    others = before or b""
    if known.problems:
        replace_file(folder / ASIDE, others, sync=True)
        others = known.text.encode()
    elif others and not others.endswith(b"\n"):    # written by hand
        others += b"\n"
    replace_file(place, others + text_of(entry).encode(), sync=True)
    return before


def put_back(folder: Path, before: bytes | None) -> None:
    """Undoes `add_entry`. Raises OSError."""
    if before is None:
        (folder / FILE).unlink(missing_ok=True)
    else:
        replace_file(folder / FILE, before, sync=True)


# --- what is in force, and what was ----------------------------------------------------------------------------------

Scales = dict[str, dict[str, Any]]
_SCALES = msgspec.json.Decoder(Scales)


def changes(folder: Path, now: Scales) -> list[tuple[str, Said]]:
    """Series, and in words what is another number than when the agent last looked. Raises OSError."""
    try:
        before = _SCALES.decode((folder / KNOWN).read_bytes())
    except (FileNotFoundError, ValueError):    # torn, it may not even be text
        before = now
    return [(key, words) for key, scale in now.items() if (words := _words(before.get(key, scale), scale)).en]


def remember(folder: Path, now: Scales) -> None:
    """For `changes`. Raises OSError."""
    replace_file(folder / KNOWN, msgspec.json.encode(now), sync=True)


def _words(before: dict[str, Any], after: dict[str, Any]) -> Said:
    moved = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return joined((say("scale", key=key, before=_shown(before.get(key)), after=_shown(after.get(key)))
                   for key in moved), ", ", "，")


def _shown(value: object) -> Said | str:
    return say("not_given") if value is None else f"{value:g}" if isinstance(value, float) else str(value)
