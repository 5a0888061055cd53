"""A history: what a station measured, as columns, and the blocks of it that the kernel takes.

Memory stays flat: a history is three arrays, and blocks are made of it one after the other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from thresholds.binding import bind, fitting_checks
from thresholds.block import MISSING, Block
from thresholds.kernel import LAST_T, quantize
from thresholds.plan import Plan
from thresholds.replay.columns import ColumnError, series_of
from thresholds.rule import Feature, Rule, Rules
from thresholds.series import Series
from thresholds.tables import HOLD_MAX_MS, I64, STALE_PERIODS
from tocsin.config import ConfigError
from tocsin.quantities import QUANTITIES
from tocsin.records import Record
from tocsin.times import iso

ROWS = 65_536
PERIOD_MS = 60_000            # where a series has too few readings to tell
LONGEST_PERIOD_MS = 366 * 86_400_000    # as --period
STAGE = "stage_m"


class HistoryError(Exception):
    """A history that cannot be judged: which one, why, and what would help."""


@dataclass(frozen=True, slots=True)
class History:
    """Readings of one station, a row an instant, in the order they came in.

    `t_ms` is int64[rows] in ms UTC. `raw` and `quality` are int64[rows, series]: thousandths of the unit, and
    tocsin.readings.Quality bits that were given from outside, MISSING where the row has no reading of the series.
    """

    station: str
    series: tuple[Series, ...]
    t_ms: I64
    raw: I64
    quality: I64

    def between(self, start_ms: int | None, end_ms: int | None) -> "History":
        """The rows with start <= time < end; None is no bound."""
        keep = np.ones(len(self.t_ms), np.bool_)
        if start_ms is not None:
            keep &= self.t_ms >= start_ms
        if end_ms is not None:
            keep &= self.t_ms < end_ms
        if keep.all():
            return self
        return replace(self, t_ms=self.t_ms[keep], raw=self.raw[keep], quality=self.quality[keep])


@dataclass(frozen=True, slots=True)
class Reading:
    """How the columns of a record are to be read, where their names do not say it.

    `columns` maps a column to QUANTITY or DEVICE/QUANTITY; `period_ms` 0 is the median step of each series;
    `plausible` narrows a quantity's range, in its unit; `datum` None is the one that the rules name.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    period_ms: int = 0
    plausible: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    datum: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A block, and where in it the rows `first` and following of the history stand; the other rows are ticks alone."""

    block: Block
    first: int
    own: I64


def history_of(record: Record, rules: Rules, reading: Reading | None = None, station: str = "") -> History:
    """The columns of a record that these rules judge. Raises HistoryError."""
    how = reading or Reading()
    wanted = frozenset({rule.quantity for rule in rules.rules} | {check.quantity for check in rules.checks})
    try:
        names = series_of([*record.columns, *record.labels], how.columns, wanted)
    except ColumnError as err:
        raise HistoryError(f"{record.name}: {err}") from None
    words = [column for column in names if column in record.labels]
    if words:
        raise HistoryError(f"{record.name}: column {words[0]} holds words, not numbers: "
                           f"{_first_word(record, words[0])}")
    if not names:
        raise HistoryError(
            f"{record.name}: no column holds what a rule of {rules.place} judges ({', '.join(sorted(wanted))}); the "
            f"columns are {', '.join(record.columns) or 'none'}; say which one it is with --column COLUMN=QUANTITY")
    t_ms = np.array(record.t_ms, np.int64)
    check_times(record.name, t_ms)
    raw = np.zeros((len(t_ms), len(names)), np.int64)
    quality = np.zeros((len(t_ms), len(names)), np.int64)
    series: list[Series] = []
    for at, (column, (device, name)) in enumerate(names.items()):
        raw[:, at], ok = quantize(np.array(record.columns[column], np.float64))
        quality[~ok, at] = MISSING
        series.append(Series(
            key=f"{device}/{name}", quantity=name, period_ms=how.period_ms or median_step_ms(t_ms[ok]),
            plausible=how.plausible.get(name, QUANTITIES[name].plausible),
            datum=datum_of(rules, name, how.datum),
        ))
    return History(station or record.name, tuple(series), t_ms, raw, quality)


def plan_for(rules: Rules, series: tuple[Series, ...]) -> tuple[Plan, list[str]]:
    """The plan of every rule and check that fits these series, and why the others do not.

    Raises HistoryError where no rule does.
    """
    rules, unfit = fitting_checks(rules, series)
    kept: list[Rule] = []
    left_out: list[str] = []
    for rule in sorted(rules.rules, key=lambda rule: rule.feature is Feature.COINCIDENCE):
        members = [other for other in kept if other.name == rule.of]
        try:
            bind(replace(rules, rules=(*members, rule)), series)
            kept.append(rule)
        except ConfigError as err:
            left_out += err.problems
    if not kept:
        raise HistoryError("no rule fits: " + "; ".join(left_out))
    order = {rule.name: number for number, rule in enumerate(rules.rules)}
    return bind(replace(rules, rules=tuple(sorted(kept, key=lambda rule: order[rule.name]))), series), unfit + left_out


def pieces(history: History, rows: int = ROWS, silent_ms: int = HOLD_MAX_MS) -> Iterator[Piece]:
    """The history as blocks of about that many rows, with the ticks that a station would have had.

    Ticks stand at whole multiples of the shortest period of the series, before the first reading beyond each. In a gap
    they go on for `silent_ms`, after which no silence is told any more; then only the last one stands.
    """
    period = min((one.period_ms for one in history.series), default=PERIOD_MS)
    longest = silent_ms // period + 2
    clock, first = 0, 0
    while first < len(history.t_ms):
        t = history.t_ms[first:first + rows]
        clocks = np.maximum.accumulate(np.maximum(t, clock))
        last = (clocks - 1) // period
        # at the very first reading the clock has come from nowhere: one tick
        before = np.concatenate([[(clock - 1) // period if clock else last[0] - 1], last[:-1]])
        passed = np.minimum(last - before, longest)
        ends = np.cumsum(np.maximum(passed, 1))
        count = max(1, int(np.searchsorted(ends, rows, "right")))
        yield _piece(history, first, period, before[:count], last[:count], passed[:count], ends[:count])
        clock, first = int(clocks[count - 1]), first + count


def longest_silence_ms(plan: Plan) -> int:
    """After how long without a reading nothing new is told of a silence."""
    stale = (check.stale_ms or STALE_PERIODS * series.period_ms
             for check, series in zip(plan.checks, plan.series, strict=True))
    return max(HOLD_MAX_MS, *stale)


def median_step_ms(t_ms: I64) -> int:
    """The median time from reading to reading in ms, at most a year; a minute where there are fewer than two."""
    steps = np.diff(t_ms)
    steps = steps[steps > 0]
    return min(int(np.median(steps)), LONGEST_PERIOD_MS) if len(steps) else PERIOD_MS


def _piece(
    history: History, first: int, period: int, before: I64, last: I64, passed: I64, ends: I64
) -> Piece:
    """Rows `first` and following, each at `ends` - 1, and in front of it the ticks after `before` up to `last`."""
    count, series = len(ends), len(history.series)
    block = Block.blank(int(ends[-1]), series)
    own = ends - 1
    block.t_ms[own] = history.t_ms[first:first + count, None]
    block.raw[own] = history.raw[first:first + count]
    block.quality[own] = history.quality[first:first + count]
    more = passed > 1
    for at, begin, number in zip(own[more].tolist(), before[more].tolist(), passed[more].tolist(), strict=True):
        block.now_ms[at - number + 1:at] = (begin + 1 + np.arange(number - 1)) * period
    ticked = passed > 0
    block.now_ms[own[ticked]] = np.maximum(last[ticked], 0) * period
    return Piece(block, first, own)


def _first_word(record: Record, column: str) -> str:
    """The first cell of the column that is no number, and its time."""
    for t_ms, cell in zip(record.t_ms, record.labels[column], strict=True):
        try:
            float(cell or 0)
        except ValueError:
            return f'"{cell}" at {iso(t_ms)}'
    return ""


def check_times(name: str, t_ms: I64) -> None:
    """Raises HistoryError for no row, or a time that the kernel does not take."""
    if not len(t_ms):
        raise HistoryError(f"{name}: holds no row")
    wrong = t_ms[(t_ms < 0) | (t_ms >= LAST_T)]
    if len(wrong):
        raise HistoryError(f"{name}: a time is {int(wrong[0])} ms; use times from {iso(0)} to the year 6429")


def datum_of(rules: Rules, name: str, said: str | None) -> str:
    """The zero that values count from where their source does not say it: what a person `said`, or that of the rules.

    Raises HistoryError where the rules on the quantity have several.
    """
    judged_as = QUANTITIES[name].increments or name
    datums = {rule.datum for rule in rules.rules
              if rule.quantity == judged_as and rule.feature is not Feature.COINCIDENCE}
    if said is not None:
        return said if name == STAGE or datums - {""} else ""
    if len(datums) > 1:
        named = ", ".join(f'"{datum}"' for datum in sorted(datums))
        raise HistoryError(f"the rules on {name} count from different zeros ({named}); "
                           "say which one the record's is with --datum")
    return datums.pop() if datums else ""
