"""A whole sweep: candidates over histories, scored against events. No pages, no tables; files only to resume."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from thresholds.replay.history import History
from thresholds.rule import Rule, Rules
from thresholds.rulefile import OFF_KEYS
from thresholds.tables import STALE_PERIODS, Bools
from thresholds.tune import choose
from thresholds.tune.choose import Counts, counts_of
from thresholds.tune.evaluate import evaluate
from thresholds.tune.events import Event, EventError
from thresholds.tune.features import Work, sheet_of, work
from thresholds.tune.grid import Values, defaults
from thresholds.tune.resume import Results
from thresholds.tune.score import Field, Span, Tally, Terms, field_of, tally
from thresholds.tune.sweep import Candidate, Target, candidates

TOGETHER = 6       # variants of a rule whose features are worked out in one go
CHUNK = 256        # settings between two looks at the clock, and two savings
Progress = Callable[[str, int, int], None]    # what is being done, how far, of how much


@dataclass(frozen=True, slots=True)
class Problem:
    """What is tuned, on which histories, against which events, and how it is scored."""

    target: Target
    rules: Rules
    histories: tuple[History, ...]
    events: tuple[Event, ...]
    terms: Terms
    values: Values


@dataclass(frozen=True, slots=True)
class Prepared:
    """A problem with all that is tried: candidates (the file's own first), why others were refused, events in reach."""

    problem: Problem
    tried: tuple[Candidate, ...]
    refused: tuple[str, ...]
    field: Field
    outside: int
    first: Work

    @property
    def task(self) -> str:
        """Tells this sweep from every other: 32 hex digits over all that goes into it."""
        total = hashlib.blake2b(digest_size=16)
        problem = self.problem
        for part in (problem.rules.hash, self.problem.target.rule.name, int(problem.target.level), problem.terms,
                     self.field.events, [(one.rule, one.setting) for one in self.tried]):
            total.update(msgspec.json.encode(part))
        for history in problem.histories:
            total.update(msgspec.json.encode((history.station, history.series)))
            for array in (history.t_ms, history.raw, history.quality):
                total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()


@dataclass(frozen=True, slots=True)
class Study:
    """What came out. `counts` has a row a candidate."""

    prepared: Prepared
    counts: Counts


def prepare(problem: Problem, progress: Progress) -> Prepared:
    """Works out what to try. Raises ConfigError or EventError."""
    target = problem.target
    own = _compared(target)
    first = work([own], _members(target, problem.rules), problem.rules, problem.histories,
                 _rows(problem, progress, "readings", 0, 1))
    values = dict(problem.values)
    field, outside = _field(problem, first)
    wanted = defaults(target.rule, _own_on(target), sheet_of(first, 0, target.level), _share(field))
    for key, found in wanted.items():
        if key not in values and not (key in OFF_KEYS and set(OFF_KEYS) & set(values)):
            values[key] = found
    tried, refused = candidates(target, values)
    return Prepared(problem, tuple(tried), tuple(refused), field, outside, first)


def _share(field: Field) -> float:
    """The part of the time that is events."""
    total = sum(span.end_ms - span.start_ms for span in field.spans)
    return sum(event.end_ms - event.start_ms for event in field.events) / max(total, 1)


def _compared(target: Target) -> Rule:
    found, _ = candidates(target, {})
    return found[0].compared


def _own_on(target: Target) -> float:
    own = target.rule.at_level(target.level)
    return own.on / target.rule.scale if own else 0.0


def _members(target: Target, rules: Rules) -> list[Rule]:
    return [rule for rule in rules.rules if rule.name == target.rule.of]


def _rows(problem: Problem, progress: Progress, words: str, done: int, of: int) -> Callable[[int], None]:
    total = sum(len(history.t_ms) for history in problem.histories)
    return lambda rows: progress(words, done * total + rows, of * total)


def _field(problem: Problem, first: Work) -> tuple[Field, int]:
    """Events within the records, and how many were not."""
    station = np.array([place.station for place in first.places], dtype=np.int64)
    spans: list[Span] = []
    for number, history in enumerate(problem.histories):
        times = [one.t for one, place in zip(first.strands, first.places, strict=True)
                 if place.station == number and len(one.t)]
        if not times:
            raise EventError(f"{history.station}: holds no good reading of what the rule judges")
        spans.append(Span(history.station, min(int(t[0]) for t in times), max(int(t[-1]) for t in times)))
    order = {span.name: number for number, span in enumerate(spans)}
    inside = [event for event in problem.events if event.station in order
              and spans[order[event.station]].start_ms <= event.start_ms <= spans[order[event.station]].end_ms]
    if not inside:
        raise EventError("no event lies within the time that the records cover")
    inside.sort(key=lambda event: (order[event.station], event.start_ms))
    blind = [_blind(problem.terms, event, first, order[event.station]) for event in inside]
    return field_of(problem.terms, spans, station, inside, blind), len(problem.events) - len(inside)


def _blind(terms: Terms, event: Event, first: Work, station: int) -> bool:
    """Whether every series that the rule judges was silent at the last moment at which a warning was in time."""
    latest = event.at(terms.moment) - terms.floor_ms
    for strand, place in zip(first.strands, first.places, strict=True):
        if place.station == station:
            last = int(np.searchsorted(strand.t, latest, side="right")) - 1
            if last >= 0 and latest - int(strand.t[last]) <= STALE_PERIODS * strand.period:
                return False
    return True


def run(prepared: Prepared, results: Results, progress: Progress) -> Study:
    """Tries what is not yet in `results`. Raises ConfigError, and OSError where the results cannot be written."""
    problem = prepared.problem
    by_variant: dict[Rule, list[int]] = {}
    for number, one in enumerate(prepared.tried):
        if number not in results.done:
            by_variant.setdefault(one.compared, []).append(number)
    variants = list(by_variant)
    blocks = [variants[at:at + TOGETHER] for at in range(0, len(variants), TOGETHER)]
    for number, block in enumerate(blocks):
        found = prepared.first if block == list(prepared.first.variants) else work(
            block, _members(problem.target, problem.rules), problem.rules, problem.histories,
            _rows(problem, progress, "features", number, len(blocks)))
        for at, variant in enumerate(block):
            _settings(prepared, found, at, by_variant[variant], results, progress)
    return Study(prepared, counts_of([_again(prepared, results, number) for number in range(len(prepared.tried))]))


def _settings(prepared: Prepared, found: Work, at: int, numbers: Sequence[int], results: Results, progress: Progress
              ) -> None:
    """All settings of one variant, in chunks. With a confirming slope and without are sheets apart."""
    level = prepared.problem.target.level
    for robust in (False, True):
        of = [number for number in numbers if prepared.tried[number].rule.robust is robust]
        if not of:
            continue
        lowest = min(prepared.tried[number].setting.on for number in of)
        sheet = sheet_of(found, at, level, lowest if robust else None)
        for begin in range(0, len(of), CHUNK):
            chunk = of[begin:begin + CHUNK]
            episodes = evaluate(sheet, [prepared.tried[number].setting for number in chunk])
            results.add(chunk, [tally(prepared.field, one) for one in episodes])
            progress("combinations", len(results.done), len(prepared.tried))


def _again(prepared: Prepared, results: Results, number: int) -> Tally:
    return results.tally(number, len(prepared.field.cells), len(prepared.field.terms.floors))


@dataclass(frozen=True, slots=True)
class Answer:
    """The choice: by number of candidate, in the part that tunes and in the part that judges."""

    number: int
    tuned_on: Bools
    judged_on: Bools
    folds: tuple[choose.Fold, ...]


def answer(study: Study, judged: Callable[[str, str], bool]) -> Answer:
    """Chooses on what is not to be judged; `judged` is asked for each station and part. Raises EventError."""
    field = study.prepared.field
    judge = np.array([judged(field.spans[cell.station].name, cell.part) for cell in field.cells], dtype=np.bool_)
    if not (~judge)[field.event_cell].any():
        raise EventError("no event is left to tune on: all of them lie in what is only judged")
    settings = [one.setting for one in study.prepared.tried]
    number = choose.best(field, study.counts, settings, ~judge)
    folds = choose.leave_out(field, study.counts, settings, ~judge)
    return Answer(number, ~judge, judge, tuple(folds))
