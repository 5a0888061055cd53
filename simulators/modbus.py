"""What a Modbus slave says: request frame in, answer frames out, with faults. The codec is pymodbus."""

from collections import Counter
from collections.abc import Callable, Mapping

from pymodbus.framer import FramerBase
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsResponse, ReadDiscreteInputsResponse, WriteSingleCoilResponse
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersResponse,
    ReadInputRegistersResponse,
    WriteSingleRegisterResponse,
)

from simulators.faults import Echo, Fault, Foreign, Garbage, Late, Noise, Refuses, Silent, WrongCheck
from simulators.instruments import Code, ModbusDevice

Served = Callable[[int, int, int, tuple[int, ...]], None]
"""on_served(unit, function, address, words): a good answer with these words (or bits) went onto the wire."""

Later = Callable[[float, Callable[[], None]], None]
"""Does something so many seconds of real time later."""

READS: dict[int, type[ModbusPDU]] = {
    1: ReadCoilsResponse,
    2: ReadDiscreteInputsResponse,
    3: ReadHoldingRegistersResponse,
    4: ReadInputRegistersResponse,
}
WRITES: dict[int, type[ModbusPDU]] = {5: WriteSingleCoilResponse, 6: WriteSingleRegisterResponse}
REQUEST_BYTES = 5
COIL = {b"\xff\x00": 1, b"\x00\x00": 0}


class Slaves:
    """The instruments on one wire, by unit id. `faults` is the wire's own table; `asked` counts requests by unit."""

    def __init__(self, units: Mapping[int, ModbusDevice], faults: Mapping[int, Fault], framer: FramerBase,
                 on_served: Served | None = None) -> None:
        self.units = dict(units)
        self.faults = faults
        self.asked: Counter[int] = Counter()
        self.on_served = on_served
        self._framer = framer

    def answer(self, request: bytes, unit: int, transaction: int, pdu: bytes,
               send: Callable[[bytes], None], later: Later) -> None:
        """Sends what the unit says to one request, given whole (`request`) and as its `pdu`."""
        self.asked[unit] += 1
        fault = self.faults.get(unit)
        if isinstance(fault, Silent):
            return
        if isinstance(fault, Refuses):
            send(self._frame(ExceptionResponse(pdu[0], fault.code), unit, transaction))
            return
        reply, read = self._reply(unit, pdu)
        frame = self._frame(reply, unit, transaction)

        def serve(data: bytes) -> None:
            send(data)
            if read:
                self._served(unit, *read)

        match fault:
            case Late(seconds):
                later(seconds, lambda: serve(frame))
            case Echo():
                serve(request + frame)
            case Noise(data):
                serve(data + frame)
            case None:
                serve(frame)
            case _:
                send(self._spoilt(fault, frame, reply))

    def _spoilt(self, fault: Garbage | WrongCheck | Foreign, frame: bytes, reply: ModbusPDU) -> bytes:
        match fault:
            case Garbage(data):
                return data
            case WrongCheck():
                return frame[:-1] + bytes([frame[-1] ^ 0xFF])
            case Foreign(other):
                return self._frame(reply, other, reply.transaction_id)

    def _reply(self, unit: int, pdu: bytes) -> tuple[ModbusPDU, tuple[int, int, tuple[int, ...]] | None]:
        """The answer, and (function, address, words) if it carries values."""
        function, device = pdu[0], self.units.get(unit)
        if device is None:
            return ExceptionResponse(function, Code.NO_TARGET), None
        if function not in READS and function not in WRITES:
            return ExceptionResponse(function, Code.ILLEGAL_FUNCTION), None
        request = DecodePDU(is_server=True).decode(pdu) if len(pdu) == REQUEST_BYTES else None
        if request is None:
            return ExceptionResponse(function, Code.ILLEGAL_VALUE), None
        if function in WRITES:
            return _write(device, request, pdu[3:]), None
        words = device.read(function, request.address, request.count)
        if isinstance(words, Code):
            return ExceptionResponse(function, words), None
        return _values(function, words), (function, request.address, tuple(words))

    def _served(self, unit: int, function: int, address: int, words: tuple[int, ...]) -> None:
        self.units[unit].served += 1
        if self.on_served:
            self.on_served(unit, function, address, words)

    def _frame(self, pdu: ModbusPDU, unit: int, transaction: int) -> bytes:
        pdu.dev_id, pdu.transaction_id = unit, transaction
        return self._framer.buildFrame(pdu)


def _values(function: int, words: list[int]) -> ModbusPDU:
    if function in {1, 2}:
        return READS[function](bits=[bool(word) for word in words])
    return READS[function](registers=words)


def _write(device: ModbusDevice, request: ModbusPDU, raw: bytes) -> ModbusPDU:
    function = request.function_code
    if function == 5 and raw not in COIL:
        return ExceptionResponse(function, Code.ILLEGAL_VALUE)
    value = COIL[raw] if function == 5 else request.registers[0]
    refusal = device.write(function, request.address, value)
    if refusal is not None:
        return ExceptionResponse(function, refusal)
    return WRITES[function](address=request.address, bits=request.bits, registers=request.registers)
