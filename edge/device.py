"""A configured device, as it is polled or told."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.calibration import Scales, Tabled, given_of
from edge.series import SeriesPlan
from tocsin.devices import ListeningDriver, OutputDriver, PolledDriver

if TYPE_CHECKING:
    from edge.config import DeviceTable


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
