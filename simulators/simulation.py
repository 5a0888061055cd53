"""A scenario come alive: its wires, instruments and player."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

from simulators.devices import AsciiLevel, Relay
from simulators.instruments import Instrument, ModbusDevice
from simulators.player import Feed, Player
from simulators.scenario import DeviceTable, ScenarioTable, WireKind, WireTable
from simulators.sources import sampled, window
from simulators.wire import Wire
from simulators.wires import AsciiPty, ModbusRtuPty, ModbusTcp
from tocsin import records
from tocsin.clock import Clock
from tocsin.config import ConfigError, convert

T = TypeVar("T")


class Simulation:
    """Wires and instruments by name. `player` is None where the scenario plays nothing."""

    def __init__(self, wires: dict[str, Wire], devices: dict[str, Instrument], player: Player | None,
                 shift_ms: int) -> None:
        self.wires = wires
        self.devices = devices
        self.player = player
        self.shift_ms = shift_ms

    async def __aenter__(self) -> Self:
        """Starts every wire, or none. Raises OSError that names the wire."""
        started: list[Wire] = []
        try:
            for name, wire in self.wires.items():
                try:
                    await wire.start()
                except OSError as err:
                    raise OSError(err.errno, f'wire "{name}": {err.strerror or err}') from err
                started.append(wire)
        except OSError:
            for wire in started:
                await wire.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for wire in self.wires.values():
            await wire.stop()

    async def play(self, clock: Clock) -> None:
        """Plays the scenario's record or hazards to the end."""
        if self.player is not None:
            await self.player.run(clock, self.shift_ms)


class _Builder:
    """Collects every problem before it gives up. `place` is the file's name."""

    def __init__(self, scenario: ScenarioTable, place: str, folder: Path, clock: Clock) -> None:
        self._scenario = scenario
        self._place = place
        self._folder = folder
        self._clock = clock
        self._origin_ms = clock.now_ms()
        self.problems: list[str] = []

    def build(self) -> Simulation:
        self._names("wire", [table.name for table in self._scenario.wire])
        self._names("device", [table.name for table in self._scenario.device])
        devices = self._devices()
        wires = self._wires(devices)
        record, shift_ms = self._source()
        feeds = self._feeds(devices, record) if record is not None else []
        if record is None and not self.problems:
            self.problems += [f'{self._place}: device "{table.name}": plays: there is no record and no hazards to play'
                              for table in self._scenario.device if table.plays]
        if self.problems:
            raise ConfigError(self.problems)
        return Simulation(wires, devices, Player(record, feeds) if record is not None else None, shift_ms)

    def _try(self, place: str, make: Callable[[], T]) -> T | None:
        """What `make` gives, or None and a problem."""
        try:
            return make()
        except ConfigError as err:
            self.problems += err.problems
        except (ValueError, records.RecordError) as err:
            self.problems.append(f"{self._place}: {place}: {err}")
        return None

    def _names(self, what: str, names: list[str]) -> None:
        self.problems += [f'{self._place}: {what} "{name}": the name is there {count} times; use another'
                          for name, count in Counter(names).items() if count > 1]

    def _devices(self) -> dict[str, Instrument]:
        devices: dict[str, Instrument] = {}
        for table in self._scenario.device:
            place = f'device "{table.name}"'
            device = self._try(place, partial(_made, table, f"{self._place}: {place}: settings"))
            if device is not None:
                devices[table.name] = device
        return devices

    def _wires(self, devices: dict[str, Instrument]) -> dict[str, Wire]:
        wires: dict[str, Wire] = {}
        names = [table.name for table in self._scenario.wire]
        for device in self._scenario.device:
            if device.wire not in names:
                self.problems.append(f'{self._place}: device "{device.name}": wire: "{device.wire}" is not a wire; '
                                     f"use {', '.join(names)}")
        for table in self._scenario.wire:
            place = f'wire "{table.name}"'
            on_it = [(device, devices[device.name]) for device in self._scenario.device
                     if device.wire == table.name and device.name in devices]
            wire = self._try(place, partial(self._wire, table, on_it))
            if wire is not None:
                wires[table.name] = wire
        return wires

    def _wire(self, table: WireTable, on_it: list[tuple[DeviceTable, Instrument]]) -> Wire:
        link = self._folder / table.link if table.link else None
        if table.kind is WireKind.ASCII:
            instruments = [device for _, device in on_it]
            if len(instruments) != 1 or not isinstance(instruments[0], AsciiLevel):
                raise ValueError("an ascii wire has one device of kind ascii_level, and no other")
            return AsciiPty(instruments[0], link, table.period_s, self._clock)
        units: dict[int, ModbusDevice] = {}
        for device_table, device in on_it:
            if not isinstance(device, ModbusDevice):
                raise ValueError(f'device "{device_table.name}" does not speak Modbus; use a wire of kind ascii')  # noqa: TRY004 # a file's problem
            if device_table.unit is None or device_table.unit in units:
                raise ValueError(f'device "{device_table.name}": unit: {device_table.unit or "none"} is not allowed; '
                                 "use a number from 1 to 247 that is free on this wire")
            units[device_table.unit] = device
        if table.kind is WireKind.RTU:
            return ModbusRtuPty(units, link)
        return ModbusTcp(units, table.host or "127.0.0.1", table.port)

    def _source(self) -> tuple[records.Record | None, int]:
        """What is played, and how much later than its own times (ms)."""
        hazards, table = self._scenario.hazards, self._scenario.record
        if hazards is not None:
            return self._try("hazards", partial(sampled, hazards, self._origin_ms)), 0
        if table is None:
            return None, 0
        record = self._try("record", partial(window, table, self._folder))
        if record is None or table.begins == "as recorded":
            return record, 0
        return record, self._origin_ms - record.t_ms[0]

    def _feeds(self, devices: dict[str, Instrument], record: records.Record) -> list[Feed]:
        feeds: list[Feed] = []
        for table in self._scenario.device:
            for quantity, column in table.plays.items() if table.name in devices else ():
                feed = Feed(column, devices[table.name], quantity)
                self._try(f'device "{table.name}": plays', partial(Player, record, [feed]))
                feeds.append(feed)
        return feeds


def _made(table: DeviceTable, place: str) -> Instrument:
    return convert(table.settings, table.kind.table, place).make()


def build(scenario: ScenarioTable, place: str, folder: Path, clock: Clock) -> Simulation:
    """Paths in the file start at `folder`. Raises ConfigError with every problem; starts nothing."""
    return _Builder(scenario, place, folder, clock).build()


def relays(simulation: Simulation) -> dict[str, Relay]:
    """The sirens, by name."""
    return {name: device for name, device in simulation.devices.items() if isinstance(device, Relay)}
