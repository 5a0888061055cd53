"""Features at every taken reading of whole histories, from the kernel, and the sheets that settings are tried on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from thresholds.binding import bind, fitting_checks
from thresholds.bounds import slot_ms, time_unit_ms
from thresholds.detectors.trend import robust_slope
from thresholds.kernel import Block
from thresholds.plan import Plan, Track
from thresholds.replay.history import History
from thresholds.rule import HOUR_MS, TRENDS, Feature, Rule, Rules
from thresholds.tables import I64, NEVER, Bools
from thresholds.tune.recorded import Recorded, record
from thresholds.tune.sheet import UNKNOWN, Sheet
from thresholds.tune.timeline import Strand, Timeline, joined, timeline
from tocsin.levels import Level

ROWS = 2**15    # of a history at once: measured
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


def _blocks(history: History) -> Iterator[Block]:
    """Rows of a history without the ticks between them: only silences hang on these."""
    for first in range(0, len(history.t_ms), ROWS):
        rows = slice(first, first + ROWS)
        t = history.t_ms[rows]
        yield Block(np.broadcast_to(t[:, None], history.raw[rows].shape), history.raw[rows], history.quality[rows], t)


def work(variants: Sequence[Rule], members: Sequence[Rule], rules: Rules, histories: Sequence[History],
         progress: Progress | None = None) -> Work:
    """Takes the readings of every history as the kernel does; `progress` is told the rows done so far.

    Raises ConfigError.
    """
    places: list[Place] = []
    strands: list[Strand] = []
    columns: list[list[Recorded]] = [[] for _ in variants]
    done = 0
    for station, history in enumerate(histories):
        plan = plan_of(variants, members, rules, history)
        own = [[index for index, track in enumerate(plan.tracks) if track.rule.name == f"{rule.name} #{number}"]
               for number, rule in enumerate(variants)]
        found = record(plan, _blocks(history))
        for at, tracks in zip(columns, own, strict=True):
            at += [found[track] for track in tracks]
        places += [Place(station, plan.tracks[track]) for track in own[0]]
        strands += [found[track].strand for track in own[0]]
        done += len(history.t_ms)
        if progress:
            progress(done)
    return Work(tuple(places), timeline(strands), tuple(strands), tuple(map(tuple, columns)), tuple(variants))


@dataclass(frozen=True, slots=True)
class _Joined:
    """A feature of all strands, on their timeline."""

    columns: tuple[Recorded, ...]
    begins: I64

    def reaching(self, least: int) -> tuple[I64, I64]:
        found = [one.reaching(least) for one in self.columns]
        return (joined([begin + readings for begin, (readings, _) in zip(self.begins, found, strict=False)]),
                joined([values for _, values in found]))

    def unsure(self, min_valid: int) -> I64:
        return joined([begin + one.unsure(min_valid) for begin, one in zip(self.begins, self.columns, strict=False)])

    def lone(self, readings: I64) -> Bools:
        cuts = np.searchsorted(readings, self.begins)
        parts = [one.lone(readings[first:last] - begin) for one, first, last, begin
                 in zip(self.columns, cuts, cuts[1:], self.begins, strict=False)]
        return np.concatenate([np.zeros(0, dtype=np.bool_), *parts])


def sheet_of(found: Work, variant: int, level: Level, lowest_on: int | None = None) -> Sheet:
    """One variant's sheet for a level. `lowest_on` (with the sign): from there on the confirming slope is asked for."""
    rule = found.variants[variant]
    made = Sheet(found.line, _Joined(found.recorded[variant], found.line.begins),
                 severe=rule.feature is Feature.SUM and level >= Level.ORANGE,
                 early=rule.sign if rule.feature is Feature.VALUE else 0)
    return made if lowest_on is None else replace(made, agrees=_agrees(found, rule, made.reaching(lowest_on)[0]))


def _agrees(found: Work, rule: Rule, high: I64) -> I64:
    """The robust feature at these readings, where the plain one reaches the lowest threshold; UNKNOWN elsewhere."""
    agrees = np.full(len(found.line), UNKNOWN, dtype=np.int64)
    cuts = np.searchsorted(high, found.line.begins).tolist()
    for number, strand in enumerate(found.strands):
        begin = int(found.line.begins[number])
        slot = slot_ms(found.places[number].track.series)
        for index in high[cuts[number]:cuts[number + 1]].tolist():
            agrees[index] = _robust(rule, strand, slot, index - begin)
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
