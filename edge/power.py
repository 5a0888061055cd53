"""What the battery allows: normal, saving, critical, off. Pure: voltages and seconds in, a state out.

A state is entered when the voltage was below its first bound for DOWN_S, and left when it was at its second or above
for UP_S. A battery that nobody reads stays what it was. While the siren sounds it pulls the voltage down: that says
nothing of the charge, and brings no state down.
"""

from collections.abc import Collection, Sequence
from enum import IntEnum
from itertools import pairwise
from typing import Annotated, Literal

import msgspec

from thresholds.series import Series
from tocsin.config import Table
from tocsin.health_words import POWER
from tocsin.said import Said

DOWN_S = 300.0
UP_S = 600.0
_FORGOTTEN_S = 900.0  # readings further apart than this make no "for so long"
_MISSED = 3           # and as many periods of a battery that is read less often
_NOMINAL_V = 12.0

# open-circuit voltage and charge of a 12 V lead-acid battery (Renogy, Wanderer manual, 2.x V a cell)
_CHARGE = ((10.5, 0.0), (11.31, 0.1), (11.58, 0.2), (11.75, 0.3), (11.9, 0.4), (12.06, 0.5), (12.2, 0.6), (12.32, 0.7),
           (12.42, 0.8), (12.5, 0.9), (12.7, 1.0))

Bounds = tuple[float, float]
Command = list[Annotated[str, msgspec.Meta(min_length=1)]]
Slower = Annotated[int, msgspec.Meta(ge=1, le=60)]
Minutes = Annotated[float, msgspec.Meta(gt=0, le=1440)]
AtLeast0 = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class PowerState(IntEnum):
    """Ordered from best to worst."""

    NORMAL = 0
    SAVING = 1
    CRITICAL = 2
    OFF = 3

    @property
    def word(self) -> str:
        return self.name.lower()

    @property
    def said(self) -> Said:
        """For people."""
        return Said(self.word, POWER[self.word][1])


class PowerTable(Table, frozen=True):
    """[power]. Voltages are those of a 12 V battery, [enter below, leave from], and count nominal_v / 12 times.

    Defaults for lead-acid: 12.0 and 12.2 V are where charge controllers warn and end their warning, 12.6 V is where
    they give the load back that they took at 11.1 V (EPEVER Tracer manuals). Off lies 0.2 V above that: the station
    stops cleanly before its power is cut.
    """

    series: str = ""
    nominal_v: Literal[12, 24, 36, 48] = 12
    saving_v: Bounds = (12.0, 12.2)
    critical_v: Bounds = (11.6, 12.2)
    off_v: Bounds = (11.3, 12.6)
    saving_slower: Slower = 2
    critical_slower: Slower = 5
    link_up_min: Minutes = 5.0
    saving_link_every_min: Minutes = 30.0
    critical_link_every_min: Minutes = 120.0
    modem_on: Command = []
    modem_off: Command = []
    off_command: Command = []
    battery_ah: AtLeast0 = 0.0
    siren_w: AtLeast0 = 100.0
    siren_min: AtLeast0 = 30.0

    def __post_init__(self) -> None:
        bounds = {"saving_v": self.saving_v, "critical_v": self.critical_v, "off_v": self.off_v}
        for key, (enter, leave) in bounds.items():
            if not 6.0 <= enter < leave <= 18.0:
                raise ValueError(f"{key}: [{enter}, {leave}] is not allowed; use [enter below, leave from] of a 12 V "
                                 "battery, from 6.0 to 18.0, the first below the second")
        for (upper, above), (lower, below) in pairwise(bounds.items()):
            if below[0] >= above[0]:
                raise ValueError(f"{lower}: {below[0]} is not allowed; it is entered below {upper}, "
                                 f"use less than {above[0]}")
        if self.link_up_min > min(self.saving_link_every_min, self.critical_link_every_min):
            raise ValueError(f"link_up_min: {self.link_up_min:g} is not allowed; it is longer than the time from one "
                             "to the next, use less")

    def slower(self, state: PowerState) -> int:
        """How many periods on the next poll is."""
        return {PowerState.NORMAL: 1, PowerState.SAVING: self.saving_slower}.get(state, self.critical_slower)

    def link_every_s(self, state: PowerState) -> float:
        """From one window of the link to the next; 0: it is always up."""
        every = {PowerState.NORMAL: 0.0, PowerState.SAVING: self.saving_link_every_min}
        return 60.0 * every.get(state, self.critical_link_every_min)

    def bounds(self, state: PowerState) -> Bounds:
        """Below which voltage a state begins, and from which on it ends, in V of this battery."""
        enter, leave = {PowerState.SAVING: self.saving_v, PowerState.CRITICAL: self.critical_v,
                        PowerState.OFF: self.off_v}[state]
        if state is PowerState.CRITICAL:
            enter = max(enter, min(self.reserve_v, self.saving_v[0]))
        times = self.nominal_v / _NOMINAL_V
        return enter * times, max(leave, enter + 0.1) * times

    def problems(self, series: Sequence[Series], refused: Collection[str]) -> list[str]:
        """Where `series` is none of these, and of no device that was refused already."""
        volts = [one.key for one in series if one.quantity in {"battery_v", "supply_v"}]
        if not self.series or self.series in volts or self.series.partition("/")[0] in refused:
            return []
        return [f'power: series: "{self.series}" is not a voltage of this file; '
                f"use {', '.join(volts) or 'a series battery_v or supply_v'}"]

    @property
    def reserve_v(self) -> float:
        """Voltage of a 12 V battery from which the siren can still sound `siren_min` before `off`; 0 where unknown."""
        if not self.battery_ah:
            return 0.0
        needed = self.siren_w * self.siren_min / 60 / (self.battery_ah * self.nominal_v)
        return _volts_at(_charge_at(self.off_v[0]) + needed)


class Power:
    """The state that the voltage has brought; `volts` is the last one, None before the first."""

    def __init__(self, table: PowerTable, every_s: float = 0.0) -> None:
        """`every_s`: from reading to reading by plan."""
        self._table = table
        self._forgotten_s = max(_FORGOTTEN_S, _MISSED * every_s)
        self.state = PowerState.NORMAL
        self.volts: float | None = None
        self.heard_s: float | None = None
        self._below: dict[PowerState, float] = {}
        self._above: dict[PowerState, float] = {}

    def take(self, volts: float, now_s: float, *, sounding: bool = False) -> bool:
        """A good reading at that monotonic second. True when the state is another one now."""
        if self.heard_s is not None and now_s - self.heard_s > self._forgotten_s:
            self._below.clear()
            self._above.clear()
        self.volts, self.heard_s = volts, now_s
        for state in list(PowerState)[1:]:
            enter, leave = self._table.bounds(state)
            _mark(self._below, state, now_s, on=volts < enter and not sounding)
            _mark(self._above, state, now_s, on=volts >= leave)
        before = self.state
        self.state = max([before, *(state for state, since in self._below.items() if now_s - since >= DOWN_S)])
        while self.state > PowerState.NORMAL and now_s - self._above.get(self.state, now_s) >= UP_S:
            self.state = PowerState(self.state - 1)
        return self.state is not before


def _mark(since: dict[PowerState, float], state: PowerState, now_s: float, *, on: bool) -> None:
    if on:
        since.setdefault(state, now_s)
    else:
        since.pop(state, None)


def _charge_at(volts: float) -> float:
    return _between(volts, _CHARGE)


def _volts_at(charge: float) -> float:
    return _between(charge, [(charged, volts) for volts, charged in _CHARGE])


def _between(x: float, points: Sequence[tuple[float, float]]) -> float:
    """Along the line through the points; beyond its ends, its ends."""
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return points[-1][1]
