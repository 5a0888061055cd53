"""The sheet of a station that a technician has gone through: what was proved, what was not, and by whom.

It is sealed with the key that the hub shares with this station (tocsin.signing), because that key is at both ends from
the first day on: the hub, or anybody with the station file, can tell whether a word of it was changed. It is no proof
towards somebody who has the key too.
"""

from pathlib import Path

import msgspec

from edge.sayings import say
from edge.walk_words import TABLE
from tocsin.log import replace_file
from tocsin.said import LANGS, Said, SaidError, Sayings, joined
from tocsin.signing import seal, unseal
from tocsin.times import iso

FOLDER = "sheets"
STEPS = ("probe", "rain", "staff", "siren", "echo")
_VERSION = 1
_say = Sayings(TABLE)
_MARKS = {True: "line_proved", False: "line_not", None: "line_none"}


class Result(msgspec.Struct, frozen=True):
    """What became of a step at `t` (ms UTC). `proved` is None where the station has nothing of that kind.

    `zh`: the detail in Chinese, "" where it is the same. `who` went through it, in a walk that others went on with.
    """

    step: str
    proved: bool | None
    detail: str
    t: int
    zh: str = ""
    who: str = ""

    @property
    def words(self) -> Said:
        return Said(self.detail, self.zh or self.detail)


class Sheet(msgspec.Struct, frozen=True):
    """One walk. Times are ms UTC. `scales`: of each series what calibration may change, as it is in force."""

    v: int
    station: str
    name: str
    who: str
    began: int
    ended: int
    version: str
    rules: str
    scales: dict[str, dict[str, float | str]]
    results: list[Result]
    name_zh: str = ""

    @property
    def missing(self) -> list[str]:
        """Steps that were not proved."""
        good = {result.step for result in self.results if result.proved is not False}
        return [step for step in STEPS if step not in good]


def sheet_of(text: str) -> Sheet:
    """Raises ValueError."""
    sheet = msgspec.json.decode(text, type=Sheet)
    if sheet.v != _VERSION or {result.step for result in sheet.results} - set(STEPS):
        raise SaidError(say("old_sheet"))
    return sheet


def in_words(sheet: Sheet) -> Said:
    """As people read it."""
    if sheet.missing:
        state = _say("missing_steps", missing=joined(map(_say, sheet.missing), ", ", "、"))
    else:
        state = _say("all_proved")
    name = Said(sheet.name, sheet.name_zh or sheet.name)
    lines = [_say("head", name=name, station=sheet.station, state=state),
             _say("walked", who=sheet.who, began=iso(sheet.began), ended=iso(sheet.ended)),
             _say("in_force", version=sheet.version, rules=sheet.rules),
             *(_say(_MARKS[one.proved], step=_say(one.step), detail=one.words, t=iso(one.t),
                    who=_say("other", who=one.who) if one.who not in {"", sheet.who} else "")
               for one in sheet.results)]
    for series, scale in sheet.scales.items():
        numbers = ", ".join(f"{key} {value}" for key, value in scale.items())
        lines.append(_say("scale", series=series, scale=numbers or _say("as_measured")))
    return joined(lines, "\n", "\n")


def keep(folder: Path, sheet: Sheet, key: str) -> tuple[Path, bytes]:
    """Writes the sealed sheet and its words. Returns the sealed one's place and content. Raises OSError."""
    place = folder / FOLDER / f"{iso(sheet.ended // 1000 * 1000).replace(':', '')}.json"
    place.parent.mkdir(exist_ok=True)
    sealed = seal(msgspec.json.encode(sheet), topic_of(sheet.station), key)
    replace_file(place, sealed, sync=True)
    words = "\n\n".join(in_words(sheet).in_(lang) for lang in LANGS)
    replace_file(place.with_suffix(".txt"), f"{words}\n\nseal 签封: {place.name}\n".encode(), sync=True)
    return place, sealed


def opened(sealed: bytes, station: str, key: str) -> Sheet:
    """A sealed sheet's content. Raises ValueError (SealError) where a word of it was changed."""
    return sheet_of(unseal(sealed, topic_of(station), key).decode())


def topic_of(station: str) -> str:
    """What the seal covers beside the sheet, so that nothing else that was sealed can be taken for one."""
    return f"tocsin/1/{station}/sheet"
