"""The station's configuration file, station.toml. `edge/sample.toml` shows every key with its default."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec

from edge.bus_table import BusTable as BusTable
from edge.bus_table import Name as Name
from edge.calibration import Calibration, Entry, Tabled, calibrated, instead, read_entries
from edge.config_problems import bus_problems, siren_problems
from edge.device import Device, device_of
from edge.faults import HealthTable
from edge.good_station import DATA, kept_station
from edge.power import PowerTable
from edge.rule_source import (
    RuleFiles,
    Source,
    keep_order,
    on_series,
    own_problems,
    own_source,
    read_source,
    source_at_start,
    source_of,
)
from edge.series import SeriesTable
from edge.service_table import ServiceTable, service_problems
from edge.siren_table import SirenTable
from thresholds.plan import Plan
from thresholds.series import Series
from tocsin.broker import Broker, problems_of
from tocsin.config import (
    AREA,
    ConfigError,
    FileName,
    FileOrNone,
    HexKey,
    StationId,
    Table,
    convert,
    read_text,
    tables_of,
    twice,
)
from tocsin.devices import ListeningDriver
from tocsin.orders import RulesOrder
from tocsin.said import Said
from tocsin.signing import EXAMPLE_KEY, EXAMPLE_KEY_WARNING

Seconds = Annotated[float, msgspec.Meta(ge=0.02, le=86400.0)]
KeyOrNone = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?\Z", description='64 hex digits, or "" for none')]


class StationTable(Table, frozen=True):
    """[station]"""

    id: StationId
    name: str
    area: Annotated[str, msgspec.Meta(pattern=AREA, description="12 digits, the area this station warns")]
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    name_zh: str = ""
    data: FileName = DATA
    rules: FileName = "rules.toml"
    shadow_rules: FileOrNone = ""


class HubTable(Table, frozen=True):
    """[hub]"""

    broker: str
    key: HexKey
    public_key: KeyOrNone = ""
    ca: FileOrNone = ""
    cert: FileOrNone = ""
    cert_key: FileOrNone = ""

    def __post_init__(self) -> None:
        Broker.of(self.broker, self.ca, self.cert, self.cert_key)


class UplinkTable(Table, frozen=True):
    """[uplink]"""

    monthly_mb: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.0


class DeviceTable(Table, frozen=True):
    """[[device]]: one instrument or relay on a bus."""

    name: Name
    bus: Name
    driver: str
    unit: Annotated[int, msgspec.Meta(ge=1, le=247)] = 1
    every_s: Seconds = 60.0
    deadline_s: Seconds = 0.5
    max_registers: Annotated[int, msgspec.Meta(ge=1, le=125)] = 125
    settings: dict[str, Any] = {}
    series: dict[str, SeriesTable] = {}


class LogTable(Table, frozen=True):
    """[log]: how much of the disk it may take."""

    most_mb: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    keep_free_mb: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0

    @property
    def limits(self) -> tuple[int, int]:
        return self.most_mb, self.keep_free_mb


class StationFile(Table, frozen=True):
    """A whole station.toml."""

    station: StationTable
    hub: HubTable
    bus: list[BusTable]
    device: list[DeviceTable]
    siren: SirenTable | None = None
    service: ServiceTable | None = None
    uplink: UplinkTable = UplinkTable()
    log: LogTable = LogTable()
    power: PowerTable = PowerTable()
    health: HealthTable = HealthTable()


# devices, what is wrong with the others, and the calibration that they have
_Devices = tuple[list[Device], list[str], Calibration]


@dataclass(frozen=True, slots=True)
class Station:
    """Everything that an agent needs, checked. `place` is the station file, `candidate` that of its shadow rules.

    `text`: the station file's, or of its copy that was good last; then `problems` say why.
    """

    file: StationFile
    text: str
    place: Path
    folder: Path
    buses: dict[str, BusTable]
    devices: list[Device]
    source: Source
    calibration: Calibration
    problems: tuple[Said | str, ...] = ()

    @property
    def plan(self) -> Plan:
        return self.source.plan

    @property
    def candidate(self) -> Plan | None:
        return self.source.candidate

    @property
    def series(self) -> tuple[Series, ...]:
        return tuple(self.plan.series)

    def recalibrated(self) -> "Station":
        """The station as it was read, with its calibration as it is now. Raises ConfigError."""
        devices, problems, calibration = _own_devices(self.file, self.place, self.buses)
        if problems:
            raise ConfigError(problems)
        series = [plan.series for device in devices for plan in device.series.values()]
        return replace(self, devices=devices, source=on_series(self.source, series), calibration=calibration)

    @property
    def broker(self) -> Broker:
        """Where the hub is met; files are named beside the station file."""
        hub = self.file.hub
        return Broker.of(hub.broker, hub.ca, hub.cert, hub.cert_key).beside(self.place.parent)

    def reloaded(self) -> "Station":
        """The station with its rules files as they are now. Raises ConfigError with every problem."""
        return replace(self, source=read_source(self.files, self.series))

    def ordered(self, order: RulesOrder) -> "Station":
        """The station with the hub's rules, which are kept for the next start. Raises ConfigError and OSError."""
        source = source_of(order, self.files, self.series)
        keep_order(self.files, order)
        return replace(self, source=source)

    @property
    def files(self) -> RuleFiles:
        """Where its rules stand."""
        return rule_files(self.file, self.place)


def load_station(path: Path) -> Station:
    """A station to run. Raises ConfigError with every problem, and for the key of the sample files.

    Rules that are broken are no reason to stay silent, nor is a broken calibration, or station file: where the last
    good ones are still there they are taken, and `source.problems`, `calibration.problems` and `problems` say why.
    """
    try:
        return _to_run(path, read_text(path))
    except ConfigError as err:
        good, problems = kept_station(path), err.problems
    with suppress(ConfigError):
        if good is not None:
            return replace(_to_run(path, good.text), problems=good.said(problems))
    raise ConfigError(problems)


def _to_run(path: Path, text: str) -> Station:
    station = _read_station(path, text, source_at_start, _devices_at_start)
    if station.file.hub.key == EXAMPLE_KEY:
        raise ConfigError([f"{path}: hub: key: {EXAMPLE_KEY_WARNING}"])
    return station


def check(path: Path) -> list[str]:
    """Problems of a station.toml and the files it names, for `tocsin check`.

    An agent runs without what TLS needs - it sounds alone - and says in its log what is missing.
    """
    try:
        station = _read_station(path, read_text(path), own_source, _own_devices)
    except ConfigError as err:
        return err.problems
    return [f"{path}: hub: {problem}" for problem in problems_of(station.broker)]


def rule_files(file: StationFile, place: Path) -> RuleFiles:
    """Where this station's rules stand."""
    table = file.station
    return RuleFiles(place, table.rules, table.shadow_rules, place.parent / table.data, bool(file.hub.public_key))


def _read_station(
    path: Path, text: str, read: Callable[[RuleFiles, Sequence[Series]], Source],
    make: Callable[[StationFile, Path, dict[str, BusTable]], _Devices],
) -> Station:  # fmt: skip
    """station.toml, its rules, its drivers' settings, and whether they fit together. Raises ConfigError."""
    place = str(path)
    file = convert(tables_of(text, place), StationFile, place)
    buses = {bus.name: bus for bus in reversed(file.bus)}  # of two with one name the first is meant
    problems = bus_problems(file, buses, place)
    problems += twice(place, "device", [device.name for device in file.device])
    devices, refused, calibration = make(file, path, buses)
    problems += refused
    problems += siren_problems(file, devices, place)
    listening = {device.table.name for device in devices if isinstance(device.driver, ListeningDriver)}
    problems += service_problems(file.service, [one.name for one in file.device if one.name not in listening], place)
    series = [plan.series for device in devices for plan in device.series.values()]
    unread = {table.name for table in file.device} - {device.table.name for device in devices}
    problems += [f"{place}: {problem}" for problem in file.power.problems(series, unread)]
    files = rule_files(file, path)
    if problems:
        raise ConfigError(problems + own_problems(files))
    return Station(file, text, path, files.folder, buses, devices, read(files, series), calibration)


def _own_devices(file: StationFile, path: Path, buses: dict[str, BusTable]) -> _Devices:
    """By calibration.toml as it is."""
    try:
        entries = read_entries(path.parent / file.station.data)
    except ConfigError as err:
        return [], err.problems, Calibration()
    devices, refused = _devices(file, path, buses, entries)
    return devices, refused, Calibration(entries)


def _devices_at_start(file: StationFile, path: Path, buses: dict[str, BusTable]) -> _Devices:
    """By calibration.toml; where that is broken or fits no more, by the last good one, or without any."""
    own = _own_devices(file, path, buses)
    if own[1]:
        for other in instead(path.parent / file.station.data, own[1]):
            devices, refused = _devices(file, path, buses, other.entries)
            if not refused:
                return devices, [], other
    return own


def _devices(
    file: StationFile, path: Path, buses: dict[str, BusTable], entries: Sequence[Entry]
) -> tuple[list[Device], list[str]]:
    """Each as the file and these entries say, and what is wrong with the others."""
    devices: list[Device] = []
    refused: list[str] = []
    for table in file.device:
        try:
            tabled = calibrated(Tabled(table.name, table.settings, table.series), entries)
            known = msgspec.structs.replace(table, settings=tabled.settings, series=tabled.series)
            devices.append(device_of(known, buses, f'{path}: device "{table.name}"'))
        except ConfigError as err:
            refused += err.problems
    return devices, refused
