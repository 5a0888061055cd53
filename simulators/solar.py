"""A simulated solar charge controller, as EPEVER's register table has it."""

from collections.abc import Mapping, Sequence

from simulators.instruments import ModbusDevice, Number, whole

_FAULT = 4
_NAMES = ("battery_v", "battery_pct", "battery_temp_c", "cabinet_temp_c")


class Charger(ModbusDevice):
    """Function 4, four blocks at 0x3104, 0x3110, 0x311A and 0x3200. No value = a battery fault in the status."""

    def __init__(self, battery_v: Number = 12.8) -> None:
        super().__init__()
        self._values: dict[str, float] = {"battery_v": float(battery_v), "battery_pct": 90.0,
                                          "battery_temp_c": 25.0, "cabinet_temp_c": 30.0}
        self._status = 0

    @property
    def quantities(self) -> tuple[str, ...]:
        return _NAMES

    def _show(self, quantity: str, value: Number | None) -> None:
        self._status = _FAULT if value is None else 0
        if value is not None:
            self._values[quantity] = float(value)

    def table(self) -> Mapping[int, Mapping[int, Sequence[int]]]:
        volts, charge, battery_c, cabinet_c = (self._values[name] for name in _NAMES)
        temperatures = [whole("temperature", celsius, 100, 16) & 0xFFFF for celsius in (battery_c, cabinet_c)]
        return {4: {0x3104: [round(volts * 100)], 0x3110: temperatures, 0x311A: [round(charge)],
                    0x3200: [self._status]}}
