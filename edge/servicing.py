"""Work at a station: service mode of a device or of one series.

In service mode readings are kept and count for nothing; all other series stay live. It is refused while anything is
above clear, so that nobody takes a warning for his own work, and it ends by itself.
"""

from collections.abc import Sequence
from typing import Any

from edge.calibration import Tabled, given_of
from edge.config import Device, StationFile
from edge.decider import LONGEST_SERVICE_MS
from edge.pipeline import Pipeline
from tocsin.inputs import Service
from tocsin.levels import Level
from tocsin.messages import EventKind

LONGEST_MIN = LONGEST_SERVICE_MS / 60_000


class Servicing:
    """Methods return a sentence for who asked, and raise ValueError with one where it is refused."""

    def __init__(self, devices: Sequence[Device], pipeline: Pipeline) -> None:
        self._devices = {one.table.name: one for one in devices if one.series}
        self._pipeline = pipeline

    def service(self, device: str, minutes: float, who: str, series: str = "") -> str:
        """Readings of the device, or of one series (`device/quantity`), count for nothing for so long; 0 ends that.

        Without a name it is said of every device.
        """
        if not device and not series:
            return self._all(minutes, who)
        device, series = self.named(device, series)
        if not 0 <= minutes <= LONGEST_MIN:
            raise ValueError(f"{minutes:g} minutes are not allowed; use 0 to {LONGEST_MIN:g}")
        now_ms = self._pipeline.now_ms()
        if minutes:
            self._refuse_in_a_warning()
        self._refuse_what_is_so(device, series, now_ms, ends=not minutes)
        served = self._pipeline.decider.service
        if not (minutes or series or device in served):    # its other series are live: their counters go on
            return "\n".join(self.service("", 0, who, key) for key in [*served] if key.startswith(f"{device}/"))
        until = now_ms + round(minutes * 60_000) if minutes else 0
        self._pipeline.decide(Service("", 0, now_ms, device, until, who, series, anew=not minutes))
        detail = f"{who} works on it for at most {minutes:g} min" if minutes else f"{who} ended service mode"
        self._pipeline.told(EventKind.SERVICE, detail, device="" if series else device, series=series)
        return f"{series or device}: {detail}"

    def toggle(self, minutes: float, who: str) -> None:
        """All devices into service, or out of it where any is. Refused, it is told: nobody sees a terminal there."""
        minutes = 0 if self._pipeline.decider.service else minutes
        try:
            self._all(minutes, who)
        except ValueError as err:
            self._pipeline.told(EventKind.SERVICE, f"{who}: refused, {err}")

    def _all(self, minutes: float, who: str) -> str:
        served = {name.partition("/")[0] for name in self._pipeline.decider.service}
        names = [name for name in self._devices if minutes or name in served]
        if not names:
            raise ValueError("nothing is in service")
        return "\n".join(self.service(name, minutes, who) for name in names)

    def named(self, device: str, series: str) -> tuple[str, str]:
        """Device and series, of which one may be left out. Raises ValueError for what is not here."""
        if "/" in device and not series:
            device, series = "", device
        name = device or series.partition("/")[0]
        if name not in self._devices:
            raise ValueError(f'"{name}" is not a device that measures here; use {", ".join(self._devices)}')
        keys = [plan.series.key for plan in self._devices[name].series.values()]
        if series and series not in keys:
            raise ValueError(f'"{series}" is not a series of {name}; use {", ".join(keys)}')
        return name, series

    def given(self, series: str, file: StationFile, now_ms: int) -> dict[str, Any]:
        """What station.toml says of a series that may be calibrated now. Refused where it is not in service."""
        if "/" not in series:
            raise ValueError(f'"{series}" is no series; say which: device/quantity')
        device, _ = self.named("", series)
        if not self._pipeline.decider.in_service(series, now_ms):
            raise ValueError(f'"{series}" is not in service: its numbers will jump, and must count for nothing then')
        table = next(one for one in file.device if one.name == device)
        return given_of(Tabled(device, table.settings, table.series), series.partition("/")[2])

    def _refuse_in_a_warning(self) -> None:
        state = self._pipeline.decider.live
        above = [f'"{track.rule.name}" on {track.series.key} is at {Level(level).word}' for track, level
                 in zip(state.plan.tracks, state.memory.level.tolist(), strict=True) if level]
        if above:
            raise ValueError(f"not while a warning is open: {'; '.join(above)}; "
                             "wait until it is clear, or clear it first")

    def _refuse_what_is_so(self, device: str, series: str, now_ms: int, *, ends: bool) -> None:
        decider = self._pipeline.decider
        if series and decider.in_service(device, now_ms):
            raise ValueError(f'"{device}" is in service as a whole; end that first')
        inside = [device, *(key for key in decider.service if key.startswith(f"{device}/"))]
        if ends and not any(decider.in_service(name, now_ms) for name in ([series] if series else inside)):
            raise ValueError(f'"{series or device}" is not in service')
