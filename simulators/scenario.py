"""A scenario file: which wires, which instruments on them, and what they show. `sample.toml` explains every key."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from simulators import devices
from simulators.instruments import Instrument, Measures
from tocsin.config import Table, load

Address = Annotated[int, Meta(ge=0, le=0xFFFF)]
Seconds = Annotated[float, Meta(ge=0)]
Above0 = Annotated[float, Meta(gt=0)]


class WireKind(StrEnum):
    """What `simulators.wires` has."""

    TCP = "modbus_tcp"
    RTU = "modbus_rtu"
    ASCII = "ascii"


class WireTable(Table, frozen=True, kw_only=True):
    """One wire. A TCP wire has host and port, the others a link; only an instrument that speaks by itself a period."""

    name: Annotated[str, Meta(min_length=1)]
    kind: WireKind
    host: str = ""
    port: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0
    link: str = ""
    period_s: Seconds = 0.0

    def __post_init__(self) -> None:
        if self.kind is not WireKind.TCP and (self.host or self.port):
            raise ValueError(f"{self.kind} has no host and port; use link")
        if self.kind is WireKind.TCP and self.link:
            raise ValueError(f"{self.kind} has no link; use host and port")
        if (self.kind is WireKind.ASCII) != (self.period_s > 0):
            raise ValueError("period_s is for ascii wires, which need it above 0; no other wire has one")


class RainCounterTable(Table, frozen=True, kw_only=True):
    """Settings of `simulators.devices.RainCounter`."""

    mm_per_tip: Above0
    address: Address = 0
    pulses: Annotated[int, Meta(ge=0, lt=2**32)] = 0

    def make(self) -> Instrument:
        return devices.RainCounter(self.mm_per_tip, self.address, self.pulses)


class RadarLevelTable(Table, frozen=True, kw_only=True):
    """Settings of `simulators.devices.RadarLevel`."""

    measures: Measures
    zero_m: float = 0.0
    address: Address = 0

    def make(self) -> Instrument:
        return devices.RadarLevel(self.measures, self.zero_m, self.address)


class PressureLevelTable(Table, frozen=True, kw_only=True):
    """Settings of `simulators.devices.PressureLevel`."""

    span_m: tuple[float, float]
    zero_m: float = 0.0
    address: Address = 0

    def make(self) -> Instrument:
        return devices.PressureLevel(self.span_m, self.zero_m, self.address)


class GasDetectorTable(Table, frozen=True, kw_only=True):
    """Settings of `simulators.devices.GasDetector`."""

    gases: list[Literal["ch4", "h2s", "co", "o2"]] = msgspec.field(default_factory=lambda: ["ch4", "h2s", "co", "o2"])
    address: Address = 0

    def make(self) -> Instrument:
        return devices.GasDetector(self.gases, self.address)


class TankGaugeTable(Table, frozen=True, kw_only=True):
    """Settings of `simulators.devices.TankGauge`."""

    temperature: bool = True
    address: Address = 0

    def make(self) -> Instrument:
        return devices.TankGauge(self.temperature, self.address)


class RelayTable(Table, frozen=True, kw_only=True):
    """Settings of `simulators.devices.Relay`."""

    coil: Address = 0
    feedback_input: Annotated[int, Meta(ge=-1, le=0xFFFF)] = 0

    def make(self) -> Instrument:
        return devices.Relay(self.coil, self.feedback_input)


class AsciiLevelTable(Table, frozen=True, kw_only=True):
    """Settings of `simulators.devices.AsciiLevel`."""

    measures: Measures
    address: str = "01"
    zero_m: float = 0.0

    def make(self) -> Instrument:
        return devices.AsciiLevel(self.measures, self.address, self.zero_m)


AnyDeviceTable = (
    RainCounterTable | RadarLevelTable | PressureLevelTable | GasDetectorTable | TankGaugeTable | RelayTable
    | AsciiLevelTable
)


class DeviceKind(StrEnum):
    """What `simulators.devices` has, under the names that drivers have as well."""

    RAIN_COUNTER = "rain_counter"
    RADAR_LEVEL = "radar_level"
    PRESSURE_LEVEL = "pressure_level"
    GAS_DETECTOR = "gas_detector"
    TANK_GAUGE = "tank_gauge"
    RELAY_OUTPUT = "relay_output"
    ASCII_LEVEL = "ascii_level"

    @property
    def table(self) -> type[AnyDeviceTable]:
        """The class of its `[device.settings]`."""
        tables: dict[DeviceKind, type[AnyDeviceTable]] = {
            DeviceKind.RAIN_COUNTER: RainCounterTable, DeviceKind.RADAR_LEVEL: RadarLevelTable,
            DeviceKind.PRESSURE_LEVEL: PressureLevelTable, DeviceKind.GAS_DETECTOR: GasDetectorTable,
            DeviceKind.TANK_GAUGE: TankGaugeTable, DeviceKind.RELAY_OUTPUT: RelayTable,
            DeviceKind.ASCII_LEVEL: AsciiLevelTable,
        }
        return tables[self]


class DeviceTable(Table, frozen=True, kw_only=True):
    """One instrument. `plays` maps a quantity to the column that it shows."""

    name: Annotated[str, Meta(min_length=1)]
    kind: DeviceKind
    wire: str
    unit: Annotated[int, Meta(ge=1, le=247)] | None = None
    plays: dict[str, str] = {}
    settings: dict[str, Any] = {}


class RecordTable(Table, frozen=True, kw_only=True):
    """A record file; `start` and `end` (ISO 8601 with zone) cut a window out of it, the end not included."""

    file: str
    start: str = ""
    end: str = ""
    begins: Literal["now", "as recorded"] = "now"


class StormTable(Table, frozen=True, kw_only=True):
    """`simulators.hazards.Storm`; its column is rain_mm."""

    after_s: Seconds
    duration_s: float
    total_mm: float
    seed: int | None = None
    block_s: float | None = None
    peak_at: float | None = None
    storage_s: float | None = None
    runoff_fraction: float | None = None


class GaugeTable(Table, frozen=True, kw_only=True):
    """`simulators.hazards.Gauge`; its column has the name given."""

    column: str
    base_m: float
    peak_m: float
    travel_s: float | None = None


class PlumeTable(Table, frozen=True, kw_only=True):
    """`simulators.hazards.Plume`; its columns are ch4_pct_lel, h2s_ppm, co_ppm and o2_pct_vol."""

    after_s: Seconds
    distance_m: float | None = None
    wind_mps: float | None = None
    spread_m: float | None = None
    ch4_peak_pct_lel: float | None = None
    h2s_peak_ppm: float | None = None
    co_peak_ppm: float | None = None


class FillingTable(Table, frozen=True, kw_only=True):
    """`simulators.hazards.Filling`; its columns are tank_level_m, tank_pressure_kpa and tank_temp_c."""

    after_s: Seconds
    start_level_m: float | None = None
    brim_m: float | None = None
    area_m2: float | None = None
    inflow_m3_per_h: float | None = None
    temp_c: float | None = None


class HazardsTable(Table, frozen=True, kw_only=True):
    """Synthetic hazards, sampled every `step_s` for `lasts_s` from the start of the simulation."""

    step_s: Above0 = 10.0
    lasts_s: Above0
    storm: StormTable | None = None
    gauge: list[GaugeTable] = []
    plume: PlumeTable | None = None
    filling: FillingTable | None = None

    def __post_init__(self) -> None:
        if self.gauge and self.storm is None:
            raise ValueError("gauge is there but no storm; a gauge shows a storm's runoff")


class ScenarioTable(Table, frozen=True, kw_only=True):
    """The file. With neither record nor hazards the instruments keep what they show when made."""

    wire: list[WireTable]
    device: list[DeviceTable] = []
    record: RecordTable | None = None
    hazards: HazardsTable | None = None

    def __post_init__(self) -> None:
        if not self.wire:
            raise ValueError("wire: there is none; give at least one")
        if self.record is not None and self.hazards is not None:
            raise ValueError("record and hazards are both there; use one of them")


def read(path: Path) -> ScenarioTable:
    """Raises tocsin.config.ConfigError with every problem of the file's form."""
    return load(path, ScenarioTable)
