"""What a bench gives, and how it repeats itself."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

REPEATS = 7
SLOW_REPEATS = 5


class BenchError(RuntimeError):
    """A bench cannot measure here, or both sides did not do the same; says why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number beside a peer's from the same run; both are medians of `repeats`.

    `floor`: the peer is the least that could be done, so to be above it is no fault. `bar` is what `ours` may be at
    most (at least, where `more_is_better`), `ratio_bar` what `ratio` may be at most. `why` says why we are worse than
    the peer or miss a bar, where we do.
    """

    what: str
    ours: float
    peer: float
    peer_name: str
    unit: str
    repeats: int
    more_is_better: bool = False
    floor: bool = False
    bar: float | None = None
    ratio_bar: float | None = None
    why: str = ""

    @property
    def ratio(self) -> float:
        """Ours over the peer's."""
        return self.ours / self.peer

    @property
    def worse(self) -> bool:
        """Whether the peer, if it is more than a floor, did better."""
        return not self.floor and (self.ratio < 1 if self.more_is_better else self.ratio > 1)

    @property
    def missed(self) -> bool:
        """Whether a bar was not met."""
        over = self.bar is not None and (self.ours < self.bar if self.more_is_better else self.ours > self.bar)
        return over or (self.ratio_bar is not None and self.ratio > self.ratio_bar)


def repeats_of(quick: bool, slow: bool = False) -> int:
    """How often a bench measures each side."""
    if quick:
        return 1
    return SLOW_REPEATS if slow else REPEATS


def medians(repeats: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each. They take turns, so that what else the machine does meets them all."""
    rounds = [[measure() for measure in measures] for _ in range(repeats)]
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


async def medians_of_awaited(repeats: int, *measures: Callable[[], Awaitable[list[float]]]) -> list[list[float]]:
    """The same for measures that are awaited and give several numbers each."""
    rounds = [[await measure() for measure in measures] for _ in range(repeats)]
    return [[statistics.median(values) for values in zip(*several, strict=True)]
            for several in zip(*rounds, strict=True)]


def us_per_call(action: Callable[[], object], count: int) -> float:
    """Microseconds of one call, over `count` of them."""
    began_s = time.perf_counter()
    for _ in range(count):
        action()
    return (time.perf_counter() - began_s) / count * 1e6
