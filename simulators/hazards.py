"""Synthetic hazards as pure functions of time: the same parameters and seed give the same values, asked in any order.

They are shapes to rehearse with, not forecasts: right in order (rain, runoff, stage), in mass and in smoothness, but
fitted to no catchment.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from tocsin.records import Record

HOUR_MS = 3_600_000
RESERVOIRS = 3


@dataclass(frozen=True)
class Storm:
    """One burst of rain over a catchment, and its runoff.

    Rain: a triangular hyetograph (Yen & Chow 1980, J. Hydraul. Div. ASCE 106 HY6) with its peak at `peak_at` of the
    duration, in blocks of `block_s`; `seed` roughens the blocks, sorted so that they still only rise to the peak and
    fall after it. Runoff: Nash's cascade of three equal linear reservoirs (Nash 1957, IAHS Publ. 45), whose unit
    hydrograph u(t) = (t/k)^(n-1) e^(-t/k) / (k (n-1)!) has k = `storage_s`. A unimodal rain through a log-concave unit
    hydrograph gives a unimodal runoff (Ibragimov 1956): one rise, one peak, one fall.
    """

    start_ms: int
    duration_s: float
    total_mm: float
    seed: int = 1
    block_s: float = 300.0
    peak_at: float = 0.4
    storage_s: float = 1800.0
    runoff_fraction: float = 0.6

    def __post_init__(self) -> None:
        for name in ("duration_s", "total_mm", "block_s", "storage_s"):
            _above_zero(name, getattr(self, name))
        for name in ("peak_at", "runoff_fraction"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)} is not allowed; use a number above 0 and up to 1")

    def rain_mm_per_h(self, t_ms: int) -> float:
        """Rate of rain at that moment."""
        block = (t_ms - self.start_ms) / 1000 / self._block_s
        return self._blocks_mm[int(block)] / self._block_s * 3600 if 0 <= block < len(self._blocks_mm) else 0.0

    def rain_total_mm(self, t_ms: int) -> float:
        """Rain since the start."""
        block = min(max((t_ms - self.start_ms) / 1000 / self._block_s, 0.0), len(self._blocks_mm))
        whole = int(block)
        part = self._blocks_mm[whole] * (block - whole) if whole < len(self._blocks_mm) else 0.0
        return self._fallen_mm[whole] + part

    def runoff_mm_per_h(self, t_ms: int) -> float:
        """Runoff at the outlet as depth over the catchment; its integral is `runoff_fraction` of the rain."""
        t_s = (t_ms - self.start_ms) / 1000
        if t_s <= 0:
            return 0.0
        shares = [_nash((t_s - number * self._block_s) / self.storage_s) for number in range(len(self._blocks_mm) + 1)]
        rates = (mm * _leaving(old, young) for mm, (old, young) in zip(self._blocks_mm, pairwise(shares), strict=True))
        return self.runoff_fraction * math.fsum(rates) / self._block_s * 3600

    @cached_property
    def peak_ms(self) -> int:
        """When the runoff is highest, to the millisecond (ternary search: the runoff has one peak)."""
        low, high = self.start_ms, self.start_ms + round((self.duration_s + 10 * RESERVOIRS * self.storage_s) * 1000)
        while high - low > 2:
            third = (high - low) // 3
            if self.runoff_mm_per_h(low + third) < self.runoff_mm_per_h(high - third):
                low += third
            else:
                high -= third
        return max(range(low, high + 1), key=self.runoff_mm_per_h)

    @cached_property
    def _block_s(self) -> float:
        return self.duration_s / max(1, round(self.duration_s / self.block_s))

    @cached_property
    def _blocks_mm(self) -> list[float]:
        count = round(self.duration_s / self._block_s)
        draw = random.Random(self.seed)
        middles = [(number + 0.5) / count for number in range(count)]
        weights = [min(x / self.peak_at, (1 - x) / (1 - self.peak_at) if self.peak_at < 1 else 1.0) for x in middles]
        rough = [weight * draw.uniform(0.6, 1.4) for weight in weights]
        top = bisect_right(middles, self.peak_at)
        rough = sorted(rough[:top]) + sorted(rough[top:], reverse=True)
        scale = self.total_mm / math.fsum(rough)
        return [weight * scale for weight in rough]

    @cached_property
    def _fallen_mm(self) -> list[float]:
        return [0.0, *accumulate(self._blocks_mm)]


@dataclass(frozen=True)
class Gauge:
    """A river gauge under a storm, `travel_s` downstream of the outlet (pure translation, no attenuation).

    Stage over `base_m` grows with runoff to the power 3/5: Manning's formula for a wide channel has flow ~ depth^(5/3).
    It reaches `peak_m` at the runoff's peak.
    """

    storm: Storm
    base_m: float
    peak_m: float
    travel_s: float = 0.0

    def __post_init__(self) -> None:
        if self.travel_s < 0:
            raise ValueError(f"travel_s: {self.travel_s} is not allowed; use a number of at least 0")
        if self.peak_m <= self.base_m:
            raise ValueError(f"peak_m: {self.peak_m} is not allowed; use a number above base_m = {self.base_m}")

    @property
    def peak_ms(self) -> int:
        """When the stage is highest."""
        return self.storm.peak_ms + round(self.travel_s * 1000)

    def stage_m(self, t_ms: int) -> float:
        """Stage at that moment."""
        share = self.storm.runoff_mm_per_h(t_ms - round(self.travel_s * 1000)) / self._peak_mm_per_h
        return self.base_m + (self.peak_m - self.base_m) * math.pow(min(share, 1.0), 0.6)

    @cached_property
    def _peak_mm_per_h(self) -> float:
        return self.storm.runoff_mm_per_h(self.storm.peak_ms)


@dataclass(frozen=True)
class Plume:
    """A puff of gas that the wind carries past a detector `distance_m` away.

    Gaussian puff (Turner 1970, Workbook of Atmospheric Dispersion Estimates): along the wind the share of the peak is
    exp(-(x - u t)^2 / (2 s^2)), with s = `spread_m`. Methane displaces air: at 100 % LEL it is 5 % vol.
    """

    start_ms: int
    distance_m: float = 120.0
    wind_mps: float = 1.5
    spread_m: float = 40.0
    ch4_peak_pct_lel: float = 40.0
    h2s_peak_ppm: float = 0.0
    co_peak_ppm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("distance_m", "wind_mps", "spread_m"):
            _above_zero(name, getattr(self, name))

    def share(self, t_ms: int) -> float:
        """Concentration as a share of the peak; before the release there is none."""
        t_s = (t_ms - self.start_ms) / 1000
        if t_s <= 0:
            return 0.0
        return math.exp(-((self.distance_m - self.wind_mps * t_s) ** 2) / (2 * self.spread_m**2))

    def ch4_pct_lel(self, t_ms: int) -> float:
        return self.ch4_peak_pct_lel * self.share(t_ms)

    def h2s_ppm(self, t_ms: int) -> float:
        return self.h2s_peak_ppm * self.share(t_ms)

    def co_ppm(self, t_ms: int) -> float:
        return self.co_peak_ppm * self.share(t_ms)

    def o2_pct_vol(self, t_ms: int) -> float:
        return 20.9 * (1 - 0.05 * self.ch4_pct_lel(t_ms) / 100)


@dataclass(frozen=True)
class Filling:
    """A tank that is filled and not stopped: its level rises evenly to the brim and stays there."""

    start_ms: int
    start_level_m: float = 6.0
    brim_m: float = 10.0
    area_m2: float = 80.0
    inflow_m3_per_h: float = 120.0
    temp_c: float = 18.0

    def __post_init__(self) -> None:
        _above_zero("area_m2", self.area_m2)

    def tank_level_m(self, t_ms: int) -> float:
        hours = max(0, t_ms - self.start_ms) / HOUR_MS
        return min(self.brim_m, self.start_level_m + self.inflow_m3_per_h * hours / self.area_m2)

    def tank_pressure_kpa(self, t_ms: int) -> float:
        """The breather valve holds 0.5 kPa while vapour is pushed out; else the tank is at rest."""
        return 0.5 if self.start_ms <= t_ms and self.tank_level_m(t_ms) < self.brim_m else 0.0

    def tank_temp_c(self, t_ms: int) -> float:  # noqa: ARG002 # constant, but asked like the others
        return self.temp_c


def sample(name: str, t_ms: Sequence[int], columns: Mapping[str, Callable[[int], float]]) -> Record:
    """A record of these columns at these times."""
    return Record(name, list(t_ms), {key: [value(t) for t in t_ms] for key, value in columns.items()}, {})


def rain_steps(storm: Storm, t_ms: Sequence[int]) -> list[float | None]:
    """A `rain_mm` column: the rain from the row before to each row; what fell before the first row is in the first."""
    totals = [storm.rain_total_mm(t) for t in t_ms]
    return [late - early for early, late in pairwise([0.0, *totals])]


def _above_zero(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name}: {value} is not allowed; use a number above 0")


def _nash(x: float) -> tuple[float, float]:
    """Shares of a unit of rain that have left the cascade after x = t/k, and that are still in it (gamma distribution).

    The small one of the two is summed, not subtracted, so that the first and last trickle are smooth.
    """
    if x <= 0:
        return 0.0, 1.0
    if x < RESERVOIRS:
        gone = math.exp(-x) * math.fsum(x**i / math.factorial(i) for i in range(RESERVOIRS, RESERVOIRS + 25))
        return gone, 1.0 - gone
    left = math.exp(-x) * math.fsum(x**i / math.factorial(i) for i in range(RESERVOIRS))
    return 1.0 - left, left


def _leaving(old: tuple[float, float], young: tuple[float, float]) -> float:
    """How much more of the old rain has left than of the young; both as `_nash` gives them."""
    return max(0.0, old[0] - young[0] if old[0] < old[1] else young[1] - old[1])
