"""Scores of one setting: which events it warned of in time, what it said besides, when and where.

An *alarm* is a time over which at least one episode of the rule lasts at a station. An event has a window: from
`early_ms` before its onset to its end. A warning is *in time* that was raised in the window, at least `floor_ms` before
the event's reference moment, and was not over before that (nor before the onset, where that comes first). An alarm
raised in no window is *false*. docs/tuning.md says it for people.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thresholds.rule import DAY_MS, HOUR_MS
from thresholds.tables import I64, NEVER, Bools
from thresholds.tune.events import Event, Moment
from thresholds.tune.sheet import Episodes

APART_MS = 400 * DAY_MS     # between two stations, so that no window reaches from one into the next
NOT = NEVER           # the lead of an event without a warning in time
FLOORS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)    # of the lead floor: for the curve of CSI over lead
YEARS_FROM, MONTHS_FROM = 18, 2    # months of record from which years, or months, are left out
OWN_FLOOR = FLOORS.index(1.0)
I32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Terms:
    """How scores are counted. `floor_ms` may be below 0: then a warning may come so long after the moment."""

    floor_ms: int
    moment: Moment = Moment.ONSET
    early_ms: int = DAY_MS

    @property
    def floors(self) -> tuple[int, ...]:
        """The lead floors that are counted, the one that decides at OWN_FLOOR."""
        unit = self.floor_ms or HOUR_MS
        return tuple(self.floor_ms if part == 1.0 else round(part * unit) for part in FLOORS)


@dataclass(frozen=True, slots=True)
class Span:
    """A station's record: from its first to its last taken reading."""

    name: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A part of the time at a station; everything is counted in cells, so that parts and stations can be left out.

    `part` is a year as in 2018; of records of less than 18 months a month (2018-08), of less than 2 a day.
    """

    station: int
    part: str
    hours: float


@dataclass(frozen=True, slots=True)
class Field:
    """Stations, cells and events; what is the same for all settings. Events are in order of station and onset."""

    terms: Terms
    spans: tuple[Span, ...]
    strand_station: I64          # which station a strand of the timeline belongs to
    cells: tuple[Cell, ...]
    events: tuple[Event, ...]
    event_cell: I64
    blind: Bools
    shift: I64                  # puts the stations one behind the other
    begins: I64                 # of parts, on that axis
    opens: I64
    refs: I64
    onsets: I64
    closes: I64                 # the latest end of an event up to this one


@dataclass(frozen=True, slots=True)
class Tally:
    """One setting's counts. Arrays a cell: int32; `lead`: ms, an event, NOT without a warning in time.

    `reach`: events with a warning in time, a cell and lead floor of `Terms.floors`. `worst_hour`: most episodes raised
    in an hour at a station.
    """

    lead: I64
    reach: I32
    alarms: I32
    false: I32
    episodes: I32
    in_events: I32
    worst_hour: int


def field_of(
    terms: Terms, spans: Sequence[Span], strand_station: I64, events: Sequence[Event], blind: Sequence[bool]
) -> Field:
    """`events` must lie within the record of their station and stand in order of station and onset."""
    number = {span.name: index for index, span in enumerate(spans)}
    unit = _unit(max((span.end_ms - span.start_ms for span in spans), default=0))
    cells = [Cell(index, part, hours) for index, span in enumerate(spans) for part, hours in _parts(span, unit)]
    place = {(cell.station, cell.part): index for index, cell in enumerate(cells)}
    station = np.array([number[event.station] for event in events], dtype=np.int64)
    length = max((span.end_ms - span.start_ms for span in spans), default=0) + 4 * abs(terms.early_ms) + APART_MS
    shift = np.array([index * 2 * length - span.start_ms for index, span in enumerate(spans)], dtype=np.int64)
    ref = np.array([event.at(terms.moment) for event in events], dtype=np.int64)
    onset = np.array([event.start_ms for event in events], dtype=np.int64)
    end = np.array([event.end_ms for event in events], dtype=np.int64)
    by = shift[station] if len(events) else onset
    return Field(
        terms, tuple(spans), strand_station, tuple(cells), tuple(events),
        event_cell=np.array([place[int(at), _part(event.start_ms, unit)]
                             for at, event in zip(station, events, strict=True)], dtype=np.int64),
        blind=np.array(blind, dtype=np.bool_), shift=shift,
        begins=np.array([max(_begin(cell.part), spans[cell.station].start_ms) + int(shift[cell.station])
                         for cell in cells], dtype=np.int64),
        opens=onset - terms.early_ms + by, refs=ref + by, onsets=onset + by,
        closes=np.maximum.accumulate(np.maximum(end, ref - terms.floor_ms) + by))


def _unit(span_ms: int) -> str:
    """In which parts the time is counted, as numpy names them."""
    months = span_ms / (30 * DAY_MS)
    return "Y" if months >= YEARS_FROM else "M" if months >= MONTHS_FROM else "D"


def _parts(span: Span, unit: str) -> list[tuple[str, float]]:
    """Every part of a record, with its hours."""
    first, last = (np.datetime64(t, "ms").astype(f"datetime64[{unit}]") for t in (span.start_ms, span.end_ms))
    found = []
    for part in np.arange(first, last + 1).astype(str).tolist():
        begin, end = max(span.start_ms, _begin(part)), min(span.end_ms, _begin(str(np.datetime64(part) + 1)))
        found.append((part, max(end - begin, 0) / HOUR_MS))
    return found


def _part(t_ms: int, unit: str) -> str:
    return str(np.datetime64(t_ms, "ms").astype(f"datetime64[{unit}]"))


def _begin(part: str) -> int:
    return int(np.datetime64(part, "ms").astype(np.int64))


def tally(field: Field, found: Episodes) -> Tally:
    """Counts one setting's episodes."""
    station = field.strand_station[found.strand]
    shift = field.shift[station]
    ends = np.array([span.end_ms for span in field.spans], dtype=np.int64)[station]
    raised = found.raised + shift
    # what still lasts at the end of a record lasts for good
    cleared = np.where(found.cleared == NEVER, ends + 1, found.cleared) + shift
    order = np.argsort(raised, kind="stable")
    raised, cleared = raised[order], cleared[order]
    begin, end = _alarms(raised, cleared)
    of_alarm, alarm_false = _cell_of(field, begin), ~_in_window(field, begin)
    of_episode, episode_in = _cell_of(field, raised), _in_window(field, raised)
    count = len(field.cells)
    leads = _leads(field, begin, end)
    return Tally(
        lead=leads[OWN_FLOOR], reach=np.array([np.bincount(field.event_cell[lead != NOT], minlength=count)
                                               for lead in leads], dtype=np.int32).T.copy(),
        alarms=np.bincount(of_alarm, minlength=count).astype(np.int32),
        false=np.bincount(of_alarm[alarm_false], minlength=count).astype(np.int32),
        episodes=np.bincount(of_episode, minlength=count).astype(np.int32),
        in_events=np.bincount(of_episode[episode_in], minlength=count).astype(np.int32),
        worst_hour=int((np.searchsorted(raised, raised + HOUR_MS) - np.arange(len(raised))).max(initial=0)))


def _alarms(raised: I64, cleared: I64) -> tuple[I64, I64]:
    """Episodes of a station that overlap or touch are one alarm."""
    if not len(raised):
        return raised, cleared
    until = np.maximum.accumulate(cleared)
    first = np.append(True, raised[1:] > until[:-1])
    last = np.append(first[1:], True)
    return raised[first], until[last]


def _cell_of(field: Field, t: I64) -> I64:
    return np.searchsorted(field.begins, t, side="right") - 1


def _in_window(field: Field, t: I64) -> Bools:
    last = np.searchsorted(field.opens, t, side="right")
    return t <= np.append(NEVER, field.closes)[last]


def _leads(field: Field, begin: I64, end: I64) -> I64:
    """int64[floors, events]: from the warning that counts to the reference moment, NOT where there is none in time."""
    latest = field.refs - np.array(field.terms.floors, dtype=np.int64)[:, None]
    standing = np.searchsorted(end, np.minimum(latest, field.onsets), side="right")
    raised = np.append(begin, -NEVER)[np.maximum(np.searchsorted(begin, field.opens), standing)]
    return np.where(raised <= latest, field.refs - raised, NOT)
