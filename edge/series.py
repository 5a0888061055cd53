"""From what an instrument measures to the series of a station: heights, offsets, datum, plausible range.

    stage from a distance:  stage_m = sensor_height_m - distance_m + offset + gauge_zero_m
    stage from a depth:     stage_m = sensor_height_m + depth_m    + offset + gauge_zero_m
    anything else:          value + offset

`sensor_height_m` is the height of the instrument's reference point above the gauge's zero, `gauge_zero_m` the height of
the gauge's zero above the datum (zero where stages are read from the gauge itself).
"""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from thresholds.series import Series
from tocsin.config import ConfigError, Table
from tocsin.quantities import quantity
from tocsin.readings import Reading

GAUGE_ZERO = "gauge zero"
_STAGE = "stage_m"
_SIGN = {"distance_m": -1.0, "depth_m": 1.0}
_LEVELLING = ("sensor_height_m", "gauge_zero_m", "datum")
_DIGITS = 6  # a micrometre: takes float noise away, no instrument's resolution

# no place on Earth is higher or lower, and `inf` and `nan` are numbers to TOML
Height = Annotated[float, msgspec.Meta(ge=-20_000, le=20_000)]
Offset = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]


class SeriesTable(Table, frozen=True):
    """[device.series.<quantity>]"""

    offset: Offset = 0.0
    plausible: tuple[float, float] | None = None
    sensor_height_m: Height | None = None
    gauge_zero_m: Height | None = None
    datum: Annotated[str, msgspec.Meta(min_length=1)] = GAUGE_ZERO


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """How one quantity of a driver becomes one series: value = constant + sign * measured."""

    series: Series
    sign: float
    constant: float

    def value(self, reading: Reading) -> float:
        """In the unit of the series, to six decimals."""
        return round(self.constant + self.sign * reading.value, _DIGITS)


def plan_series(
    device: str, every_s: float, measured: tuple[str, ...], tables: dict[str, SeriesTable], place: str
) -> dict[str, SeriesPlan]:
    """For each quantity that the driver gives, the series it becomes. Raises ConfigError."""
    problems: list[str] = []
    plans: dict[str, SeriesPlan] = {}
    for name in measured:
        target = _STAGE if name in _SIGN and _STAGE in tables else name
        table = tables.get(target, SeriesTable())
        problems += _table_problems(name, target, table, f"{place}: series: {target}")
        plans[name] = _plan(device, every_s, name, target, table)
    unused = set(tables) - {plan.series.quantity for plan in plans.values()}
    use = ", ".join(sorted(_possible(measured)))
    problems += [
        f'{place}: series: "{name}" becomes "{_STAGE}", which is given too; use one of them'
        if name in plans
        else f'{place}: series: "{name}" is not what this driver gives; use {use}'
        for name in sorted(unused)
    ]
    if problems:
        raise ConfigError(problems)
    return plans


def scaled(plan: SeriesPlan, instrument: str) -> SeriesPlan:
    """With its scale: height and offset, and how the instrument's driver is set."""
    scale = f"{instrument} * {plan.sign:g} + {plan.constant!r}"
    return replace(plan, series=replace(plan.series, scale=scale))


def _possible(measured: tuple[str, ...]) -> set[str]:
    return set(measured) | ({_STAGE} if any(name in _SIGN for name in measured) else set())


def _table_problems(name: str, target: str, table: SeriesTable, place: str) -> list[str]:
    problems = []
    if target == _STAGE and name in _SIGN and table.sensor_height_m is None:
        problems.append(f'{place}: key "sensor_height_m" is missing; give its height over the gauge zero in m')
    if target != _STAGE:
        defaults = SeriesTable()
        given = [key for key in _LEVELLING if getattr(table, key) != getattr(defaults, key)]
        problems += [f"{place}: {key} is not allowed here; it belongs to series.{_STAGE}" for key in given]
    elif table.datum == GAUGE_ZERO and table.gauge_zero_m:
        problems.append(f'{place}: gauge_zero_m: {table.gauge_zero_m:g} is not allowed with datum "{GAUGE_ZERO}"; '
                        "name the datum that this height counts from")
    elif table.datum != GAUGE_ZERO and table.gauge_zero_m is None:
        problems.append(f'{place}: key "gauge_zero_m" is missing; give the height of the gauge\'s zero '
                        f'over "{table.datum}" in m')
    if table.plausible is not None:
        low, high = table.plausible
        widest = quantity(target).plausible
        if not widest[0] <= low < high <= widest[1]:
            problems.append(f"{place}: plausible: [{low:g}, {high:g}] is not allowed; "
                            f"use [low, high] inside [{widest[0]:g}, {widest[1]:g}]")
    return problems


def _plan(device: str, every_s: float, name: str, target: str, table: SeriesTable) -> SeriesPlan:
    of_stage = target == _STAGE and name in _SIGN
    constant = table.offset + (table.gauge_zero_m or 0.0) + ((table.sensor_height_m or 0.0) if of_stage else 0.0)
    series = Series(
        key=f"{device}/{target}",
        quantity=target,
        period_ms=round(every_s * 1000),
        plausible=table.plausible or quantity(target).plausible,
        datum=table.datum if target == _STAGE else "",
    )
    return SeriesPlan(series, _SIGN[name] if of_stage else 1.0, constant)
