"""A series: one quantity of one device at one station, as the kernel needs to know it."""

from dataclasses import dataclass

from tocsin.quantities import QUANTITIES, SUMMED


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a station.

    `key` is `device/quantity`. `period_ms` is the nominal time from reading to reading. `plausible` is the lowest and
    highest value that the site allows, in the quantity's unit. `datum` names the zero of a level, "" where it has none.
    `scale` is how values come from what the instrument says: with another one the same numbers mean something else.
    """

    key: str
    quantity: str
    period_ms: int
    plausible: tuple[float, float]
    datum: str = ""
    scale: str = ""

    @property
    def device(self) -> str:
        return self.key.rpartition("/")[0]

    @property
    def counter(self) -> bool:
        """Whether the values are a running total (of rain)."""
        return QUANTITIES[self.quantity].increments != ""

    @property
    def judged_as(self) -> str:
        """The quantity that rules on this series name: for a counter that of its increments."""
        return QUANTITIES[self.quantity].increments or self.quantity

    @property
    def summed(self) -> bool:
        """Whether readings are amounts that add up (rain), as increments or as a running total."""
        return self.judged_as in SUMMED
