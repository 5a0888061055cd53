"""Features at every taken reading of whole histories, from the kernel, and the sheets that settings are tried on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thresholds.binding import bind, fitting_checks
from thresholds.bounds import slot_ms, time_unit_ms
from thresholds.detectors.trend import robust_slope
from thresholds.plan import Plan, Track
from thresholds.replay.history import History, blocks
from thresholds.rule import TRENDS, Feature, Rule, Rules
from thresholds.tables import HOUR_MS, I64, NEVER
from thresholds.tune.recorded import Recorded, record
from thresholds.tune.sheet import UNKNOWN, Sheet
from thresholds.tune.timeline import Strand, Timeline, timeline
from tocsin.levels import Level

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a strand of a timeline comes from."""

    station: int
    track: Track


@dataclass(frozen=True, slots=True)
class Work:
    """The same strands for all variants of a rule, and each variant's recorded features, a strand each."""

    places: tuple[Place, ...]
    line: Timeline
    strands: tuple[Strand, ...]
    recorded: tuple[tuple[Recorded, ...], ...]
    variants: tuple[Rule, ...]


def plan_of(variants: Sequence[Rule], members: Sequence[Rule], rules: Rules, history: History) -> Plan:
    """All variants of a rule on one station's series. Raises ConfigError."""
    named = tuple(replace(rule, name=f"{rule.name} #{number}") for number, rule in enumerate(variants))
    fitting, _ = fitting_checks(rules, history.series)
    try_these = replace(fitting, rules=(*members, *named))
    return bind(try_these, history.series)


def work(variants: Sequence[Rule], members: Sequence[Rule], rules: Rules, histories: Sequence[History],
         progress: Progress | None = None, *, severe: bool = False) -> Work:
    """Runs the kernel's features over every history; `progress` is told the rows done so far. `severe`: for
    levels that need a second reading of rain. Raises ConfigError.
    """
    places: list[Place] = []
    strands: list[Strand] = []
    columns: list[list[Recorded]] = [[] for _ in variants]
    done = 0
    for station, history in enumerate(histories):
        plan = plan_of(variants, members, rules, history)
        own = [[index for index, track in enumerate(plan.tracks) if track.rule.name == f"{rule.name} #{number}"]
               for number, rule in enumerate(variants)]
        found = record(plan, blocks(history), severe=severe)
        for at, tracks in zip(columns, own, strict=True):
            at += [found[track] for track in tracks]
        places += [Place(station, plan.tracks[track]) for track in own[0]]
        strands += [found[track].strand for track in own[0]]
        done += len(history.t_ms)
        if progress:
            progress(done)
    return Work(tuple(places), timeline(strands), tuple(strands), tuple(map(tuple, columns)), tuple(variants))


def sheet_of(found: Work, variant: int, level: Level, lowest_on: int | None = None) -> Sheet:
    """One variant's sheet for a level. `lowest_on` (with the sign): from there on the confirming slope is asked for."""
    rule, columns = found.variants[variant], found.recorded[variant]
    value = np.concatenate([one.value for one in columns])
    valid, span = _column(columns, "valid"), _column(columns, "span")
    if rule.feature is Feature.SUM:
        barred = [one.lone for one in columns if one.lone is not None] if level >= Level.ORANGE else []
        return Sheet(found.line, value, valid, span, barred=np.concatenate(barred) if barred else None)
    if valid is not None:
        value = np.where(valid != 0, value, UNKNOWN)
    return Sheet(found.line, value, valid, span, early=rule.sign if rule.feature is Feature.VALUE else 0,
                 agrees=None if lowest_on is None else _agrees(found, rule, value, lowest_on))


def _column(columns: Sequence[Recorded], name: str) -> I64 | None:
    """One array of all strands; None where every one of them is known throughout."""
    parts = [getattr(one, name) for one in columns]
    if all(part is None for part in parts):
        return None
    return np.concatenate([np.ones_like(one.value) if part is None else part
                           for one, part in zip(columns, parts, strict=True)])


def _agrees(found: Work, rule: Rule, value: I64, lowest_on: int) -> I64:
    """The robust feature, where the plain one reaches the lowest threshold; UNKNOWN elsewhere."""
    agrees = np.full(len(value), UNKNOWN, dtype=np.int64)
    for number, strand in enumerate(found.strands):
        begin = int(found.line.begins[number])
        slot = slot_ms(found.places[number].track.series)
        for index in np.flatnonzero(value[begin:begin + len(strand.t)] >= lowest_on).tolist():
            agrees[begin + index] = _robust(rule, strand, slot, index)
    return agrees


def _robust(rule: Rule, strand: Strand, slot: int, index: int) -> int:
    """docs/detection.md 4, robust: what must reach `off` too."""
    if rule.feature not in TRENDS:
        return -NEVER
    window = rule.over_ms
    t, x = strand.t, strand.raw
    now = int(t[index])
    left = rule.target * rule.sign - int(x[index]) * rule.sign
    if rule.feature is Feature.TIME_TO and left <= 0:
        return -NEVER
    first = int(np.searchsorted(t, now - window, side="right"))
    # what lies before a hole of more than half the window is outside it wherever the slope is known
    slots = (t[first:index + 1] - 1) // slot
    last = np.append(slots[1:] != slots[:-1], True)
    unit = time_unit_ms(window)
    slope = robust_slope(t[first:index + 1][last], x[first:index + 1][last], window, unit, rule.sign)
    if slope is None:
        return UNKNOWN
    if rule.feature is not Feature.TIME_TO:
        return slope
    return max(-left * (HOUR_MS // unit) // slope * unit, NEVER) if slope > 0 else UNKNOWN
