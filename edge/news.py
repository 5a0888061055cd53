"""What of the readings waits for a summary, with a data budget and in calm. Pure.

In calm a record of readings goes up at once only where it has news: a series moved by more than its deadband since it
was last told, rain fell, a mark of quality changed, or the series was not told yet. The others are held back; they are
settled when the hub has the summary that stands for them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from edge.entries import readings_of
from tocsin.deadbands import deadband_of
from tocsin.log import Entry
from tocsin.messages import Readings, Summary
from tocsin.quantities import SUMMED
from tocsin.readings import EXCLUDED

MOST_RECORDS = 5_000  # of one window: who reads the log need look no farther ahead for the summary of a record
_ROUNDING = 1e-9


class Changes:
    """What the hub was told last of each series. `factor` widens every deadband; infinite, rain alone is news."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, int]] = {}

    def news(self, record: Readings, factor: float) -> bool:
        """Whether the record must go up; if so it counts as told."""
        rows = zip(record.series, record.value, record.quality, strict=True)
        found = any(self._is_news(*row, factor) for row in rows)
        if found:
            self.tell(record)
        return found

    def tell(self, record: Readings) -> None:
        """It goes up in any case."""
        for series, value, quality in zip(record.series, record.value, record.quality, strict=True):
            self._told[series] = (value, quality)

    def _is_news(self, series: str, value: float, quality: int, factor: float) -> bool:
        quantity = series.rpartition("/")[2]
        if quantity in SUMMED:    # amounts add up: none may be missing where they are summed
            return value != 0
        if factor == float("inf"):
            return False
        told = self._told.get(series)
        if told is None or told[1] != quality:
            return True
        return abs(value - told[0]) > deadband_of(quantity) * factor + _ROUNDING


@dataclass(slots=True)
class _Row:
    t: int = 0
    count: int = 0
    least: float = 0.0
    most: float = 0.0
    total: float = 0.0
    last: float = 0.0
    quality: int = 0


@dataclass(slots=True)
class Window:
    """Readings since `since` (ms UTC), one row a series."""

    since: int
    first_seq: int
    last_seq: int = 0
    records: int = 0
    rows: dict[str, _Row] = field(default_factory=dict)

    def add(self, record: Readings, seq: int) -> None:
        """The record with that number; least, most and mean are of readings that count."""
        self.last_seq = seq
        self.records += 1
        for t, series, value, quality in zip(record.t, record.series, record.value, record.quality, strict=True):
            row = self.rows.setdefault(series, _Row())
            row.t, row.last, row.quality = t, value, quality
            if not quality & EXCLUDED:
                row.least = min(row.least, value) if row.count else value
                row.most = max(row.most, value) if row.count else value
                row.total += value
                row.count += 1

    def summary(self) -> Summary:
        """Without boot and seq, which the recorder gives. A mean has nine digits: what is behind is rounding."""
        rows = list(self.rows.values())
        return Summary(
            "", 0, self.since, self.first_seq, self.last_seq,
            t=[row.t for row in rows],
            series=list(self.rows),
            count=[row.count for row in rows],
            min=[row.least for row in rows],
            max=[row.most for row in rows],
            mean=[float(f"{row.total / row.count:.9g}") if row.count else 0.0 for row in rows],
            last=[row.last for row in rows],
            quality=[row.quality for row in rows],
        )  # fmt: skip


class Thinner:
    """The live readings of a station, in the order of the log. `calm` says whether nothing is above clear or on its way
    there; `factor` widens the deadbands."""

    def __init__(self, calm: Callable[[], bool]) -> None:
        self.factor = 1.0
        self._calm = calm
        self._changes = Changes()
        self._window: Window | None = None

    @property
    def open_from(self) -> int | None:
        """The first record of the window that is not over yet; None where there is none, as while not calm."""
        return self._window.first_seq if self._window else None

    def keeps(self, entry: Entry) -> bool:
        """Takes the next record of readings. Whether it waits for its summary. When it stops being calm the open window
        is gone, and what was held back for it must go up."""
        record = readings_of(entry)
        if not self._calm():
            self._window = None
            self._changes.tell(record)
            return False
        if self._window is None:
            self._window = Window(record.t[0] if record.t else 0, entry.seq)
        self._window.add(record, entry.seq)
        return not self._changes.news(record, self.factor)

    def close(self, now_ms: int, length_ms: int) -> Summary | None:
        """The summary of a window that is over: at whole multiples of its length, or full."""
        window = self._window
        if window is None or not self._calm():
            return None
        if window.since // length_ms == now_ms // length_ms and window.records < MOST_RECORDS:
            return None
        self._window = None
        return window.summary()
