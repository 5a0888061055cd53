"""Work at a station: service mode of a device or of one series.

In service mode readings are kept and count for nothing; all other series stay live. It is refused while anything is
above clear, so that nobody takes a warning for his own work, and it ends by itself.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from edge.calibration import Tabled, given_of
from edge.config import StationFile
from edge.decider import LONGEST_SERVICE_MS
from edge.device import Device
from edge.pipeline import Pipeline
from edge.sayings import say
from tocsin.inputs import Service
from tocsin.levels import Level
from tocsin.messages import EventKind
from tocsin.said import Said, SaidError, joined

LONGEST_MIN = LONGEST_SERVICE_MS / 60_000


class Servicing:
    """Methods return a sentence for who asked, and raise SaidError with one where it is refused."""

    def __init__(self, devices: Sequence[Device], pipeline: Pipeline) -> None:
        self._devices = {one.table.name: one for one in devices if one.series}
        self._pipeline = pipeline

    def service(self, device: str, minutes: float, who: str | Said, series: str = "") -> Said:
        """Readings of the device, or of one series (`device/quantity`), count for nothing for so long; 0 ends that.

        Without a name it is said of every device.
        """
        if not device and not series:
            return self._all(minutes, who)
        device, series = self.named(device, series)
        if not 0 <= minutes <= LONGEST_MIN:
            raise SaidError(say("minutes", minutes=minutes, most=LONGEST_MIN))
        now_ms = self._pipeline.now_ms()
        if minutes:
            self._refuse_in_a_warning()
        self._refuse_what_is_so(device, series, now_ms, ends=not minutes)
        served = self._pipeline.decider.service
        if not (minutes or series or device in served):    # its other series are live: their counters go on
            return _lines(self.service("", 0, who, key) for key in [*served] if key.startswith(f"{device}/"))
        until = now_ms + round(minutes * 60_000) if minutes else 0
        self._pipeline.decide(Service("", 0, now_ms, device, until, str(who), series, anew=not minutes))
        detail = say("works" if minutes else "worked", who=who, minutes=minutes)
        self._pipeline.told(EventKind.SERVICE, detail, device="" if series else device, series=series)
        return say("of", name=series or device, what=detail)

    def toggle(self, minutes: float, who: Said) -> None:
        """All devices into service, or out of it where any is. Refused, it is told: nobody sees a terminal there."""
        minutes = 0 if self._served() else minutes
        try:
            self._all(minutes, who)
        except SaidError as err:
            self._pipeline.told(EventKind.SERVICE, say("refused", who=who, why=err.said))

    def _all(self, minutes: float, who: str | Said) -> Said:
        served = self._served()
        names = [name for name in self._devices if minutes or name in served]
        if not names:
            raise SaidError(say("no_service"))
        return _lines(self.service(name, minutes, who) for name in names)

    def _served(self) -> set[str]:
        """Devices that are in service now, or a series of which is; what is over may not have been ended yet."""
        now_ms = self._pipeline.now_ms()
        return {name.partition("/")[0] for name, until in self._pipeline.decider.service.items() if until > now_ms}

    def named(self, device: str, series: str) -> tuple[str, str]:
        """Device and series, of which one may be left out. Raises SaidError for what is not here."""
        if "/" in device and not series:
            device, series = "", device
        name = device or series.partition("/")[0]
        if name not in self._devices:
            raise SaidError(say("no_device", name=name, there=", ".join(self._devices)))
        keys = [plan.series.key for plan in self._devices[name].series.values()]
        if series and series not in keys:
            raise SaidError(say("not_of", series=series, name=name, there=", ".join(keys)))
        return name, series

    def given(self, series: str, file: StationFile, now_ms: int) -> dict[str, Any]:
        """What station.toml says of a series that may be calibrated now. Refused where it is not in service."""
        if "/" not in series:
            raise SaidError(say("which", series=series))
        device, _ = self.named("", series)
        if not self._pipeline.decider.in_service(series, now_ms):
            raise SaidError(say("not_calibrated", series=series))
        table = next(one for one in file.device if one.name == device)
        return given_of(Tabled(device, table.settings, table.series), series.partition("/")[2])

    def _refuse_in_a_warning(self) -> None:
        state = self._pipeline.decider.live
        above = [say("is_at", rule=track.rule.name, series=track.series.key, level=Level(level)) for track, level
                 in zip(state.plan.tracks, state.memory.level.tolist(), strict=True) if level]
        if above:
            raise SaidError(say("open", what=joined(above)))

    def _refuse_what_is_so(self, device: str, series: str, now_ms: int, *, ends: bool) -> None:
        decider = self._pipeline.decider
        if series and decider.in_service(device, now_ms):
            raise SaidError(say("whole", device=device))
        inside = [device, *(key for key in decider.service if key.startswith(f"{device}/"))]
        if ends and not any(decider.in_service(name, now_ms) for name in ([series] if series else inside)):
            raise SaidError(say("not_served", name=series or device))


def _lines(parts: Iterable[Said]) -> Said:
    return joined(parts, "\n", "\n")
