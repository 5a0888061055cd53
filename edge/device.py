"""A configured device, as it is polled or told."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

import drivers
from edge.calibration import Scales, Tabled, given_of
from edge.series import SeriesPlan, plan_series, scaled
from tocsin import plugins
from tocsin.config import ConfigError, convert
from tocsin.devices import ListeningDriver, OutputDriver, PolledDriver

if TYPE_CHECKING:
    from edge.config import BusTable, DeviceTable

# settings of drivers that say where a number stands and how far it may go, not what it means
_NOT_OF_SCALE = {"address", "span_m"}


@dataclass(slots=True)
class Device:
    """A configured device with its driver, and for each quantity of the driver the series it becomes."""

    table: "DeviceTable"
    driver: PolledDriver | ListeningDriver | OutputDriver
    series: dict[str, SeriesPlan]

    def become(self, other: "Device") -> None:
        """Takes over the scale of the same device, calibrated anew. Who polls it holds it, and goes on."""
        self.table, self.series = other.table, other.series
        vars(self.driver).update(vars(other.driver))

    def scales(self) -> Scales:
        """Of each series what calibration may change, as it is in force."""
        tabled = Tabled(self.table.name, self.table.settings, self.table.series)
        return {plan.series.key: given_of(tabled, plan.series.quantity) for plan in self.series.values()}


def device_of(table: "DeviceTable", buses: "dict[str, BusTable]", place: str) -> Device:
    """A device with its driver and series. `place` starts every problem. Raises ConfigError."""
    bus = buses.get(table.bus)
    if bus is None:
        cure = f"use {', '.join(sorted(buses))}" if buses else "there is no [[bus]]"
        raise ConfigError([f'{place}: bus: "{table.bus}" is not a bus of this file; {cure}'])
    try:
        module = plugins.load(drivers, table.driver)
    except plugins.UnknownPluginError as err:
        raise ConfigError([f"{place}: driver: {err}"]) from err
    settings = convert(table.settings, module.Settings, f"{place}: settings")
    driver = module.Driver(settings)
    listening = isinstance(driver, ListeningDriver)
    if listening != (bus.speaks == "lines"):
        need = "lines" if listening else "modbus-tcp or modbus-rtu"
        raise ConfigError([f'{place}: driver: "{table.driver}" needs a bus that speaks {need}; '
                           f'bus "{bus.name}" speaks {bus.speaks}'])
    if isinstance(driver, OutputDriver):
        if table.series:
            raise ConfigError([f'{place}: series: is not allowed; "{table.driver}" is told and measures nothing'])
        return Device(table, driver, {})
    plans = plan_series(table.name, table.every_s, driver.quantities, table.series, place)
    meant = {key: value for key, value in msgspec.to_builtins(settings).items() if key not in _NOT_OF_SCALE}
    instrument = f"{table.driver} {msgspec.json.encode(meant, order='sorted').decode()}"
    return Device(table, driver, {name: scaled(plan, instrument) for name, plan in plans.items()})
