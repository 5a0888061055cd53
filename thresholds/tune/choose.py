"""Which setting: the best CSI at the lead floor, and how sure one can be of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thresholds.tables import I64, Bools
from thresholds.tune.events import Said
from thresholds.tune.score import I32, NOT, OWN_FLOOR, Field, Tally
from thresholds.tune.sheet import Setting

Floats = npt.NDArray[np.float64]

# Ours: with fewer events one more or less moves POD by more than a tenth; a wider interval tells no rule from another.
FEW_EVENTS = 10
MANAGEABLE = 6.0    # alarms that an operator can handle in an hour: EEMUA publication 191
WIDE = 0.4
ROUNDS = 4000
SEED = 20260101
LOW, HIGH = 0.05, 0.95
LEAST_SHARE = 0.1    # of the usual hours of a part: the end of a record that hangs over into the next is none


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of all settings, one row a setting; columns as in Tally."""

    lead: I64
    reach: I32
    alarms: I32
    false: I32
    episodes: I32
    in_events: I32
    worst_hour: I64

    def __len__(self) -> int:
        return len(self.lead)


def counts_of(tallies: Sequence[Tally]) -> Counts:
    """One after the other; at least one."""
    return Counts(
        lead=np.array([one.lead for one in tallies]), reach=np.array([one.reach for one in tallies]),
        alarms=np.array([one.alarms for one in tallies]), false=np.array([one.false for one in tallies]),
        episodes=np.array([one.episodes for one in tallies]), in_events=np.array([one.in_events for one in tallies]),
        worst_hour=np.array([one.worst_hour for one in tallies], dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle 90 % of resampled results."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Score:
    """One setting in some cells. Ratios are nan where there is nothing to divide by; leads in ms, of hits alone."""

    events: int
    hits: int
    blind: int
    alarms: int
    false: int
    episodes: int
    in_events: int
    hours: float
    worst_hour: int
    lead_median_ms: float
    lead_low_ms: float       # a tenth of the hits has less
    leads: tuple[int, ...] = ()

    @property
    def pod(self) -> float:
        """Probability of detection: of the events, those warned of in time."""
        return _ratio(self.hits, self.events)

    @property
    def far(self) -> float:
        """False alarm ratio: of the alarms, those in no window of an event."""
        return _ratio(self.false, self.alarms)

    @property
    def csi(self) -> float:
        """Critical success index: the hits, of events and false alarms together."""
        return _ratio(self.hits, self.events + self.false)

    @property
    def per_event(self) -> float:
        """Episodes in the windows of events, an event."""
        return _ratio(self.in_events, self.events)

    @property
    def per_hour(self) -> float:
        """Episodes an operator sees in an hour, who watches these stations."""
        return _ratio(self.episodes, self.hours)


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("nan")


def score(field: Field, counts: Counts, number: int, cells: Bools) -> Score:
    """One setting over these cells (bool[cells])."""
    events = cells[field.event_cell]
    lead = counts.lead[number][events]
    hit = np.sort(lead[lead != NOT])
    return Score(
        events=int(events.sum()), hits=len(hit), blind=int(field.blind[events].sum()),
        alarms=int(counts.alarms[number][cells].sum()), false=int(counts.false[number][cells].sum()),
        episodes=int(counts.episodes[number][cells].sum()), in_events=int(counts.in_events[number][cells].sum()),
        hours=hours_of(field, cells),
        worst_hour=int(counts.worst_hour[number]),
        lead_median_ms=float(np.median(hit)) if len(hit) else float("nan"),
        lead_low_ms=float(np.quantile(hit, 0.1)) if len(hit) else float("nan"),
        leads=tuple(lead.tolist()))


def hours_of(field: Field, cells: Bools) -> float:
    """Of one operator before all stations: the mean of theirs, so that their rates add up."""
    stations: dict[int, float] = {}
    for cell, there in zip(field.cells, cells.tolist(), strict=True):
        if there:
            stations[cell.station] = stations.get(cell.station, 0.0) + cell.hours
    return sum(stations.values()) / len(stations) if stations else 0.0


def best(field: Field, counts: Counts, settings: Sequence[Setting], cells: Bools) -> int:
    """The setting with the best CSI over these cells, of those that an operator can manage if there are any.

    Of equal ones that with fewer false alarms among its alarms, then with the longer median lead, then with fewer
    episodes, then the simpler one, then the first.
    """
    hits = counts.reach[:, cells, OWN_FLOOR].sum(axis=1)
    false, alarms = counts.false[:, cells].sum(axis=1), counts.alarms[:, cells].sum(axis=1)
    csi = _ratios(hits, int(cells[field.event_cell].sum()) + false)
    episodes = counts.episodes[:, cells].sum(axis=1)
    calm = episodes <= MANAGEABLE * hours_of(field, cells)
    csi = np.where(calm | ~calm.any(), csi, -1.0)
    top = np.flatnonzero(csi == csi.max())
    far = _ratios(false, alarms)[top]
    top = top[far == far.min()]
    lead = np.array([_median_lead(counts.lead[number], cells[field.event_cell]) for number in top.tolist()])
    top = top[lead == lead.max()]
    top = top[episodes[top] == episodes[top].min()]
    equal: list[int] = top.tolist()
    return min(equal, key=lambda number: (_effort(settings[number]), number))


def _ratios(a: I64, b: I64) -> Floats:
    found: Floats = np.divide(a, b, out=np.zeros(len(a)), where=b > 0)
    return found


def _median_lead(lead: I64, events: Bools) -> float:
    hit = lead[events & (lead != NOT)]
    return float(np.median(hit)) if len(hit) else -1.0


def _effort(one: Setting) -> tuple[int, int, int]:
    return one.m, one.n, one.on_delay_ms


@dataclass(frozen=True, slots=True)
class Certainty:
    """How far results of this size scatter. `too_few`: why nothing can be said, empty where something can."""

    pod: Interval
    far: Interval
    csi: Interval
    too_few: Said


def certainty(found: Score, seed: int = SEED) -> Certainty:
    """A bootstrap with weights (D. B. Rubin 1981): each event weighs what an exponential draw gives it.

    Half a hit and half a miss are added, and half a false alarm: ten of ten is not taken for certainty. With them the
    weighted part of hits follows a beta distribution, which is drawn from at once. Alarms are Poisson numbers.
    """
    rng = np.random.default_rng(seed)
    pod = rng.beta(found.hits + 0.5, found.events - found.hits + 0.5, ROUNDS)
    false = rng.gamma(found.false + 0.5, size=ROUNDS)
    right = rng.gamma(found.alarms - found.false + 0.5, size=ROUNDS)
    csi = _interval(pod * found.events / np.maximum(found.events + false, 1e-9))
    few = ("", "")
    if found.events < FEW_EVENTS:
        few = (f"too few events to say: {found.events}, fewer than {FEW_EVENTS}",
               f"事件太少，不足以下结论：{found.events}次，少于{FEW_EVENTS}次")
    elif csi.width > WIDE:
        few = (f"too few events to say: CSI lies anywhere from {csi.low:.2f} to {csi.high:.2f}",
               f"事件太少，不足以下结论：CSI介于{csi.low:.2f}与{csi.high:.2f}之间")
    return Certainty(_interval(pod), _interval(false / (false + right)), csi, few)


def _interval(values: Floats) -> Interval:
    return Interval(float(np.quantile(values, LOW)), float(np.quantile(values, HIGH)))


@dataclass(frozen=True, slots=True)
class Fold:
    """One part left out: `name`, the setting that the rest chose, and its score on the part."""

    name: str
    number: int
    score: Score


def leave_out(field: Field, counts: Counts, settings: Sequence[Setting], cells: Bools) -> list[Fold]:
    """One part of the time left out after the other (years; months or days of short records).

    By station where one part alone has events; nothing where one station does too. A part without events that is
    hardly covered, such as the first hours of a year, is left in.
    """
    inside = [field.cells[cell] for cell in np.flatnonzero(cells).tolist()]
    with_events = [field.cells[cell] for cell in {*field.event_cell[cells[field.event_cell]].tolist()}]
    parts: list[tuple[str, list[bool]]] = []
    if len({cell.part for cell in with_events}) > 1:
        parts = [(part, [cell.part == part for cell in field.cells]) for part in sorted({cell.part for cell in inside})]
    elif len({cell.station for cell in with_events}) > 1:
        parts = [(field.spans[at].name, [cell.station == at for cell in field.cells])
                 for at in sorted({cell.station for cell in inside})]
    hours = np.array([cell.hours for cell in field.cells])
    folds = []
    for name, own in parts:
        part = cells & np.array(own)
        if part[field.event_cell].any() or hours[part].max() >= LEAST_SHARE * np.median(hours[cells]):
            number = best(field, counts, settings, cells & ~part)
            folds.append(Fold(name, number, score(field, counts, number, part)))
    return folds


def together(folds: Iterable[Fold]) -> Score | None:
    """The held-out parts as one; None where nothing was held out."""
    all_of = [fold.score for fold in folds]
    if not all_of:
        return None
    leads = tuple(lead for one in all_of for lead in one.leads)
    hit = [lead for lead in leads if lead != NOT]
    return Score(
        events=sum(one.events for one in all_of), hits=len(hit), blind=sum(one.blind for one in all_of),
        alarms=sum(one.alarms for one in all_of), false=sum(one.false for one in all_of),
        episodes=sum(one.episodes for one in all_of), in_events=sum(one.in_events for one in all_of),
        hours=sum(one.hours for one in all_of), worst_hour=max(one.worst_hour for one in all_of),
        lead_median_ms=float(np.median(hit)) if hit else float("nan"),
        lead_low_ms=float(np.quantile(hit, 0.1)) if hit else float("nan"), leads=leads)


def front(counts: Counts, cells: Bools, most: int = 12) -> list[int]:
    """Settings that no other beats in both POD and FAR, by rising POD, thinned to `most`."""
    hits = counts.reach[:, cells, OWN_FLOOR].sum(axis=1)
    false, alarms = counts.false[:, cells].sum(axis=1), counts.alarms[:, cells].sum(axis=1)
    far = _ratios(false, alarms)
    found: list[int] = []
    least = 2.0
    for number in np.lexsort((false, far, -hits)).tolist():
        if hits[number] and far[number] < least:
            least = far[number]
            found.append(number)
    found.reverse()
    if len(found) > most:
        found = [found[round(step * (len(found) - 1) / (most - 1))] for step in range(most)]
    return found
