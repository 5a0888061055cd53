"""Many settings of one level on one feature: exactly the episodes that the kernel would tell, from candidates only.

A candidate is a reading that is not below the lowest `off`. Settings are taken in order of `off`, so that each looks
only at what is left of the candidates of the one before. docs/detection.md 5 says what is worked out here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from thresholds.tables import I64, NEVER, Bools
from thresholds.tune.falls import Falls, falls
from thresholds.tune.raises import Early, early, raises
from thresholds.tune.sheet import UNKNOWN, Episodes, Setting, Sheet, none
from thresholds.tune.timeline import Timeline

Key = tuple[int, ...]


def evaluate(sheet: Sheet, settings: Sequence[Setting]) -> list[Episodes]:
    """The episodes of each setting, as a rule with this one level has them, in the order of the settings."""
    if not settings:
        return []
    found: list[Episodes | None] = [None] * len(settings)
    sheet.reaching(min(one.off for one in settings))    # once for all of them
    order = sorted(range(len(settings)), key=lambda one: _place(settings[one]))
    good = _Good(sheet, sorted({one.on for one in settings}))
    high = _High(sheet)
    for number in order:
        setting = settings[number]
        high.rise(setting.min_valid, setting.off)
        found[number] = _episodes(sheet, setting, high, good)
    return [one for one in found if one is not None]


def _place(one: Setting) -> Key:
    return one.min_valid, one.off, one.m, one.n, one.off_delay_ms, one.on


@dataclass(slots=True)
class _Good:
    """Readings that qualify, for each `on`; what was found from them alone is kept."""

    sheet: Sheet
    ons: list[int]
    raised: dict[Key, I64] = field(default_factory=dict)
    qualify: dict[int, I64] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found, value = self.sheet.reaching(self.ons[0])
        if self.sheet.severe:
            enough = ~self.sheet.feature.lone(found)
            found, value = found[enough], value[enough]
        for on in self.ons:
            above = value >= on
            found, value = found[above], value[above]
            self.qualify[on] = found

    def of(self, setting: Setting) -> I64:
        found = self.qualify[setting.on]
        return found if self.sheet.agrees is None else found[self.sheet.agrees[found] >= setting.off]

    def raises(self, setting: Setting, high: I64) -> I64:
        """Where the level is raised. Without an on delay and a confirming slope `off` is no part of it."""
        key: Key = setting.on, setting.n, setting.m
        if setting.on_delay_ms or self.sheet.agrees is not None:
            return raises(self.sheet.timeline, self.of(setting), high, setting)
        if key not in self.raised:
            self.raised[key] = raises(self.sheet.timeline, self.of(setting), high, setting)
        return self.raised[key]


@dataclass(slots=True)
class _High:
    """Readings that are not below `off`, and those that cannot be told; what was found for it is kept until it changes.

    `value` is that of each reading, -NEVER of those that are unsure; `own` the value of the unsure ones, UNKNOWN where
    it is below the lowest `off`.
    """

    sheet: Sheet
    key: Key = ()
    reading: I64 = field(default_factory=none)
    value: I64 = field(default_factory=none)
    unsure: I64 = field(default_factory=none)
    own: I64 = field(default_factory=none)
    unknown: I64 = field(default_factory=none)
    kept: dict[Key, Falls] = field(default_factory=dict)

    def rise(self, min_valid: int, off: int) -> None:
        """`off` may only rise while `min_valid` stays."""
        if self.key == (min_valid, off):
            return
        if self.key[:1] != (min_valid,):
            self._begin(min_valid, off)
        else:
            above = np.flatnonzero(self.value >= off)
            self.reading, self.value = self.reading[above], self.value[above]
        self.unknown = self.unsure[self.own < off]
        self.key = min_valid, off
        self.kept.clear()

    def _begin(self, min_valid: int, off: int) -> None:
        reading, value = self.sheet.reaching(off)
        self.unsure = self.sheet.unsure(min_valid)
        place = np.searchsorted(reading, self.unsure)
        among = np.append(reading, -1)[place] == self.unsure
        self.own = np.where(among, np.append(value, UNKNOWN)[place], UNKNOWN)
        more = np.flatnonzero(~among)
        value = value.copy()
        value[place[among]] = -NEVER
        self.reading = np.insert(reading, place[more], self.unsure[more])
        self.value = np.insert(value, place[more], -NEVER)

    def falls(self, setting: Setting) -> Falls:
        key: Key = setting.n, setting.m, setting.off_delay_ms
        if key not in self.kept:
            self.kept[key] = falls(self.sheet.timeline, self.reading, self.unknown, *key)
        return self.kept[key]


def _episodes(sheet: Sheet, setting: Setting, high: _High, good: _Good) -> Episodes:
    line, down = sheet.timeline, high.falls(setting)
    up = good.raises(setting, high.reading)
    ahead = early(line, sheet.early, good.of(setting), high.reading, setting)
    found = Episodes(line.told[up], down.after(up, len(line)), line.strand[up])
    if len(ahead.held):
        found = _with_held(line, down, up, found, ahead, setting.off_delay_ms)
    if not len(found):
        return found
    told, fall, strand = found.raised, found.cleared, found.strand
    first = np.append(True, (fall[1:] != fall[:-1]) | (strand[1:] != strand[:-1]))
    raised, fall, strand = told[first], fall[first], strand[first]
    cleared = np.where(fall < line.begins[strand + 1], line.told[np.minimum(fall, len(line) - 1)], NEVER)
    return _told(Episodes(raised, cleared, strand))


def _with_held(line: Timeline, down: Falls, up: I64, found: Episodes, ahead: Early, off_delay_ms: int) -> Episodes:
    """Rises at readings, `up`, and by held ones, in order; `cleared` is the number of the reading that falls."""
    place = np.concatenate((2 * up + 1, 2 * ahead.after + 2))
    order = np.argsort(place, kind="stable")
    place = place[order]
    soon, inside = _after_held(line, down, ahead.after, off_delay_ms)
    fall = np.concatenate((found.cleared, soon))[order]
    strand = np.concatenate((found.strand, line.held_strand[ahead.held]))[order]
    for number in np.flatnonzero(np.concatenate((np.zeros(len(up), dtype=np.bool_), inside))[order]).tolist():
        # where the level is set already the delay goes on
        if number and strand[number - 1] == strand[number] and 2 * fall[number - 1] >= place[number]:
            fall[number] = fall[number - 1]
    return Episodes(np.concatenate((found.raised, line.held_told[ahead.held]))[order], fall, strand)


def _after_held(line: Timeline, down: Falls, after: I64, off_delay_ms: int) -> tuple[I64, Bools]:
    """The first fall behind held readings that set the level, and which stand within a stretch over which the condition
    to fall holds: for these the delay begins at the next reading.
    """
    count = len(line)
    fall = down.after(after, count)
    following = after + 1
    number = np.searchsorted(down.begin, following, side="right") - 1
    inside: Bools = (number >= 0) & (following < count)
    inside[inside] = following[inside] <= down.end[number[inside]]
    number = number[inside]
    soon = line.over(following[inside], off_delay_ms)
    able = np.append(down.able, len(down.fall))[np.searchsorted(down.able, number, "right")]
    later = np.append(down.fall, count)[able]
    fall[inside] = np.where(soon <= down.end[number], soon, later)
    return fall, inside


def _told(found: Episodes) -> Episodes:
    """What lies between two readings of one row is not told: neither a rise that fell, nor a fall that rose again."""
    there = found.raised != found.cleared
    raised, cleared, strand = found.raised[there], found.cleared[there], found.strand[there]
    if not len(raised):
        return Episodes(raised, cleared, strand)
    apart = (raised[1:] != cleared[:-1]) | (strand[1:] != strand[:-1])
    return Episodes(raised[np.append(True, apart)], cleared[np.append(apart, True)], strand[np.append(True, apart)])
