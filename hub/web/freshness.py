"""How fresh a station and its series are: a silent sensor is itself a finding. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from hub.stations import StationView
from hub.store import Point
from tocsin.faults import OpenFault
from tocsin.messages import DeviceHealth, SeriesCard

FRESH_PERIODS = 3.0   # a series without a good reading for 3 periods is stale at its station too
SILENT_PERIODS = 10.0
LEAST_S = 30.0        # the way over the network and the poll of the store are not the sensor's fault
HEARTBEATS = 3.0        # so many may be lost; a heartbeat says how often they come
HEARTBEAT_S = 60.0      # where none has come yet


class Freshness(IntEnum):
    """Ordered from best to worst."""

    FRESH = 0
    UNKNOWN = 1
    LATE = 2
    SILENT = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class SeriesState:
    """One series: its newest point, and how fresh it is."""

    series: SeriesCard
    device: str
    quantity: str
    point: Point | None
    freshness: Freshness


@dataclass(frozen=True, slots=True)
class StationState:
    """A station as the console shows it."""

    view: StationView
    series: list[SeriesState]
    faults: list[DeviceHealth]
    ills: list[OpenFault]
    freshness: Freshness
    offline: bool

    @property
    def unnamed(self) -> int:
        """Faults and devices with one that its heartbeat had no room for."""
        beat = self.view.heartbeat
        return beat.more_ill + beat.more_faults if beat else 0

    @property
    def stale(self) -> list[SeriesState]:
        """Late and silent series whose device tells no fault of its own."""
        told = {device.device for device in self.faults}
        return [one for one in self.series if one.freshness >= Freshness.LATE and one.device not in told]


def of_age(age_s: float, period_s: float) -> Freshness:
    """From the age of the newest reading; an age below zero (a clock that runs ahead) is fresh."""
    if age_s <= max(period_s * FRESH_PERIODS, LEAST_S):
        return Freshness.FRESH
    if age_s <= max(period_s * SILENT_PERIODS, 2 * LEAST_S):
        return Freshness.LATE
    return Freshness.SILENT


def of_station(view: StationView, now_ms: int) -> StationState:
    """A station is as fresh as its worst series, and silent where it said good-bye or has not been heard for long."""
    newest = None if view.latest is None else {(point.device, point.quantity): point for point in view.latest}
    series = [_of_series(view, newest, card, now_ms) for card in view.card.series] if view.card else []
    offline = view.heartbeat is not None and not view.heartbeat.online
    every_s = view.heartbeat.every_s if view.heartbeat else HEARTBEAT_S
    sleeps_s = view.heartbeat.next_s if view.heartbeat else 0.0  # a link that saves power said so before
    unheard = now_ms - view.heard_at > (HEARTBEATS * every_s + sleeps_s) * 1000
    worst = max((state.freshness for state in series), default=Freshness.UNKNOWN)
    if (offline or unheard) and view.heard_at:
        worst = Freshness.SILENT
    faults = [device for device in view.heartbeat.devices if device.fault] if view.heartbeat else []
    ills = view.heartbeat.faults if view.heartbeat else []
    return StationState(view, series, faults, ills, worst, offline)


def _of_series(
    view: StationView, newest: Mapping[tuple[str, str], Point] | None, card: SeriesCard, now_ms: int
) -> SeriesState:
    device, _, quantity = card.key.rpartition("/")
    if newest is None:
        return SeriesState(card, device, quantity, None, Freshness.UNKNOWN)
    point = newest.get((device, quantity))
    # with a data budget the newest value comes with a summary; a sensor that is silent the station tells at once
    period_s = max(card.period_s, view.heartbeat.summary_s if view.heartbeat else 0.0)
    freshness = of_age((now_ms - point.t_ms) / 1000, period_s) if point else Freshness.SILENT
    return SeriesState(card, device, quantity, point, freshness)
