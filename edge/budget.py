"""The data budget: what the link has taken, and how much of the calm goes up.

    [uplink] monthly_mb = 30      0: no budget, everything goes up

Bytes are what the network counts (tocsin.traffic), both ways, per day UTC; they survive a restart. With a budget the
station sends, in calm, readings with news and a summary of all series every `summary_s`. Where the month goes faster
than the budget it thins more, in steps, and says so; warnings and everything while something is above clear or on its
way there go up whatever the budget says.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec

from edge.news import Thinner
from edge.sayings import say
from tocsin.link import KEEPALIVE_S
from tocsin.log import replace_file
from tocsin.messages import EventKind, Summary
from tocsin.said import Said
from tocsin.times import utc
from tocsin.traffic import Traffic

FILE = "traffic"
SAVE_EVERY_MS = 1_800_000
_DAYS_KEPT = 62
_MONTH_DAYS = 30
_HEARTBEAT_S = 60.0       # without a budget

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """How much is left out in calm. Deadbands are `factor` times as wide."""

    summary_s: float
    heartbeat_s: float
    factor: float


STEPS = (Step(300, 600, 1.0), Step(900, 900, 4.0), Step(3600, 3600, float("inf")))


class Meter:
    """Bytes per day, in a small file that `save_due` writes every half an hour: a crash forgets so much at most."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._days = self._read()
        self._seen = 0
        self._saved_ms: int | None = None

    def update(self, traffic: Traffic, now_ms: int) -> None:
        """Takes what has come since the last time."""
        day = f"{utc(now_ms):%Y-%m-%d}"
        self._days[day] = self._days.get(day, 0) + traffic.network - self._seen
        self._seen = traffic.network
        for old in sorted(self._days)[:-_DAYS_KEPT]:
            del self._days[old]

    def today(self, now_ms: int) -> int:
        """Bytes of that day so far, UTC."""
        return self._days.get(f"{utc(now_ms):%Y-%m-%d}", 0)

    def month(self, now_ms: int) -> int:
        """Bytes of that month so far, UTC."""
        return sum(count for day, count in self._days.items() if day.startswith(f"{utc(now_ms):%Y-%m}"))

    def save_due(self, now_ms: int) -> None:
        """Not on the loop: the disk may hang."""
        if self._saved_ms is None or abs(now_ms - self._saved_ms) >= SAVE_EVERY_MS:
            self._saved_ms = now_ms
            self.save()

    def save(self) -> None:
        """A disk that refuses is told in the log of the process alone."""
        try:
            replace_file(self._path, msgspec.json.encode(self._days), sync=False)
        except OSError as err:  # the recorder tells of the disk
            log.error("%s: cannot be written: %s", self._path, err)

    def _read(self) -> dict[str, int]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, int])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as err:
            log.warning("%s: counts of the link begin anew: %s", self._path, err)
            return {}


class Budget:
    """`thinner` is for the uplink, None without a budget. `calm`: nothing is above clear or on its way there."""

    def __init__(self, monthly_mb: float, folder: Path, calm: Callable[[], bool]) -> None:
        self.thinner = Thinner(calm) if monthly_mb else None
        self.traffic: Traffic | None = None
        self.meter = Meter(folder)
        self.month_bytes = round(monthly_mb * 1e6)
        self.step = 0

    @property
    def heartbeat_s(self) -> float:
        """From heartbeat to heartbeat."""
        return STEPS[self.step].heartbeat_s if self.thinner else _HEARTBEAT_S

    @property
    def summary_s(self) -> float:
        """0.0 without a budget."""
        return STEPS[self.step].summary_s if self.thinner else 0.0

    @property
    def keepalive_s(self) -> int:
        """A ping each 10 s is 40 MB a month. A warning on a link that is dead notices that by itself, in 15 s."""
        return 60 if self.thinner else KEEPALIVE_S

    def tick(
        self, now_ms: int, record: Callable[[Summary], int], tell: Callable[[EventKind, Said], None]
    ) -> None:
        """Counts, ends a window that is over, and thins more or less; every few seconds."""
        if self.traffic is not None:
            self.meter.update(self.traffic, now_ms)
        if self.thinner is None:
            return
        summary = self.thinner.close(now_ms, round(self.summary_s * 1000))
        if summary is not None:
            record(summary)
        step = step_of(self.meter.month(now_ms), self.month_bytes, now_ms, self.step)
        if step != self.step:
            self.step = step
            self.thinner.factor = STEPS[step].factor
            tell(EventKind.BUDGET, say(f"budget_{step}"))


def step_of(used: int, budget: int, now_ms: int, before: int) -> int:
    """0, 1 or 2. A day's share may be used ahead of time; half of it must be there again to thin less."""
    now = utc(now_ms)
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (begin + timedelta(days=32)).replace(day=1)
    share = budget * ((now - begin) / (end - begin)) + budget / _MONTH_DAYS
    if used >= budget:
        return 2
    if used > share or (before and used > share - budget / _MONTH_DAYS / 2):
        return 1
    return 0
