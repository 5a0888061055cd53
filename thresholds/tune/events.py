"""What really happened: events from a file, or made of a record where a column stands above a level."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from thresholds.tune.sweep import Candidate, Target
from tocsin.records import Record
from tocsin.times import ms_of

Said = tuple[str, str]    # in English and in Chinese
NEEDED = ("file", "column", "start", "peak", "end", "threshold", "basis")
CHOSEN = "chosen here"


class EventError(Exception):
    """Events that cannot be used: which, why, and what would help."""


class Moment(StrEnum):
    """Before which moment of an event a warning must be there."""

    ONSET = "onset"
    PEAK = "peak"
    END = "end"


@dataclass(frozen=True, slots=True)
class Event:
    """One event at a station (the record's name). `level` is the level that made it one, None for labels."""

    station: str
    column: str
    start_ms: int
    peak_ms: int
    end_ms: int
    level: float | None
    basis: str

    @property
    def made_here(self) -> bool:
        """Whether its truth is a threshold that somebody chose, no outside truth."""
        return self.basis.startswith(CHOSEN)

    def at(self, moment: Moment) -> int:
        """That moment in ms UTC."""
        return {Moment.ONSET: self.start_ms, Moment.PEAK: self.peak_ms, Moment.END: self.end_ms}[moment]


def read_events(path: Path) -> list[Event]:
    """The events of a file in the format of the shared records' events.csv. Raises EventError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise EventError(f"{path}: cannot be read: {err}") from err
    missing = [name for name in NEEDED if rows and name not in rows[0]]
    if missing or not rows:
        raise EventError(f"{path}: {'column ' + missing[0] + ' is missing' if missing else 'holds no event'}; "
                         f"the columns are {', '.join(NEEDED)}")
    return [_event(path, line, row) for line, row in enumerate(rows, 2)]


def _event(path: Path, line: int, row: dict[str, str | None]) -> Event:
    cells = {name: row[name] or "" for name in NEEDED}
    times: list[int] = []
    for name in ("start", "peak", "end"):
        try:
            times.append(ms_of(cells[name] or cells["start"]))
        except ValueError:
            raise EventError(f'{path}:{line}: {name} "{cells[name]}"; write ISO 8601 in UTC: 2024-08-08T07:20:00Z'
                             ) from None
    start, peak, end = times
    if not start <= peak <= end:
        raise EventError(f"{path}:{line}: start, peak and end are not in this order")
    try:
        level = float(cells["threshold"]) if cells["threshold"] else None
    except ValueError:
        raise EventError(f'{path}:{line}: threshold "{cells["threshold"]}" is not a number') from None
    return Event(cells["file"], cells["column"], start, peak, end, level, cells["basis"])


def chosen(events: Sequence[Event], stations: Sequence[str], column: str, level: float | None) -> list[Event]:
    """The events of these stations that the command line asks for. Raises EventError where it does not say enough."""
    here = [event for event in events if event.station in stations
            and column in {"", event.column} and level in {None, event.level}]
    if not here:
        there = sorted({event.station for event in events})
        asked = "".join([f" of column {column}" if column else "", f" at level {level:g}" if level is not None else ""])
        raise EventError(f"no event{asked} for {', '.join(stations)}; the events are for {', '.join(there)}")
    for station in stations:
        kinds = sorted({(event.column, event.level) for event in here if event.station == station},
                       key=lambda kind: (kind[0], kind[1] or 0.0))
        if len(kinds) > 1:
            listed = ", ".join(f"{name} at {at:g}" if at is not None else name for name, at in kinds)
            raise EventError(f"{station}: the events are of {len(kinds)} kinds ({listed}); "
                             "say which with --event-column and --event-level")
    return here


def made(record: Record, column: str, level: float, merge_ms: int, *, low: bool = False) -> list[Event]:
    """Times of a column at or beyond a level, merged where less than `merge_ms` apart. Raises EventError."""
    values = record.columns.get(column)
    if values is None:
        raise EventError(f'{record.name}: no column "{column}" of numbers; use {", ".join(record.columns)}')
    sign = -1 if low else 1
    above = ((t, value) for t, value in zip(record.t_ms, values, strict=True)
             if value is not None and sign * value >= sign * level)
    return [Event(record.name, column, start, peak, end, level, f"{CHOSEN}: {column} at {level:g}")
            for start, peak, end in _merged(above, merge_ms, sign)]


def _merged(above: Iterable[tuple[int, float]], merge_ms: int, sign: int) -> Iterator[tuple[int, int, int]]:
    start = end = peak = None
    worst = 0.0
    for t, value in above:
        if start is None or end is None or t - end >= merge_ms:
            if start is not None and peak is not None and end is not None:
                yield start, peak, end
            start, peak, worst = t, t, sign * value
        elif sign * value > worst:
            peak, worst = t, sign * value
        end = t
    if start is not None and peak is not None and end is not None:
        yield start, peak, end


def doubts(events: Sequence[Event], target: Target, columns: Iterable[str], tried: Sequence[Candidate]) -> list[Said]:
    """What a reader of the scores must know about the truth behind them; `columns` are those that the rule judges."""
    found: list[Said] = []
    made_here = sum(event.made_here for event in events)
    if made_here:
        found.append((
            f"{made_here} of {len(events)} events are peaks over a level that was chosen, no outside truth: the scores "
            "tell how early a rule sees that level coming, not how often people were in danger",
            f"{len(events)}次事件中有{made_here}次是超过自选水平的峰值，并非外部事实：评分说明规则能多早预见该水平，而非人员遇险次数"))
    ons = [own.on / one.rule.scale for one in tried if (own := one.rule.at_level(target.level))]
    judged = set(columns)
    same = sorted({event.level for event in events if event.level is not None and event.column in judged
                   and min(ons) <= event.level <= max(ons)})
    if same and target.rule.feature == "value":
        listed = ", ".join(f"{at:g}" for at in same)
        found.append((
            f"the events are made of the column that the rule judges, at {listed}, inside the thresholds tried: a rule "
            "at that level finds every event by construction, with no lead; only scores at a lead floor above 0 mean "
            "anything",
            f"事件取自规则所判断的同一列（{listed}），且在试验阈值范围内：取该阈值必然命中全部事件而无提前量；仅当要求正的提前量时评分才有意义"))
    return found
