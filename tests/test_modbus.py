"""The agent's Modbus codec, held against pymodbus, and what it makes of a line that misbehaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse
from pymodbus.pdu.bit_message import ReadCoilsResponse, ReadDiscreteInputsResponse
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse, ReadInputRegistersResponse

from edge import modbus
from tocsin.devices import Request, Write
from tocsin.readings import Reason

UNITS = st.integers(1, 247)
WORDS = st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125)
RESPONSES = {3: ReadHoldingRegistersResponse, 4: ReadInputRegistersResponse}
RTU = FramerRTU(DecodePDU(is_server=True))
TCP = FramerSocket(DecodePDU(is_server=True))


def rtu_answer(unit: int, function: int, words: list[int]) -> bytes:
    return RTU.buildFrame(RESPONSES[function](registers=words, dev_id=unit))


@given(st.one_of(
    st.builds(Request, st.sampled_from([1, 2, 3, 4]), st.integers(0, 0xFFFF), st.integers(1, 100)),
    st.builds(Write, st.just(5), st.integers(0, 0xFFFF), st.integers(0, 1)),
    st.builds(Write, st.just(6), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))), UNITS)
def test_pymodbus_reads_our_questions(ask: Request | Write, unit: int) -> None:
    for framer, frame in ((RTU, modbus.rtu_frame(unit, modbus.question(ask))),
                          (TCP, modbus.tcp_frame(7, unit, modbus.question(ask)))):
        used, pdu = framer.handleFrame(frame, 0, 0)
        assert used == len(frame)
        assert pdu is not None
        assert (pdu.function_code, pdu.address, pdu.dev_id) == (ask.function, ask.address, unit)
        if isinstance(ask, Request):
            assert pdu.count == ask.count
        else:
            assert (pdu.bits[0] if ask.function == 5 else pdu.registers[0]) == ask.value


@given(UNITS, st.sampled_from([3, 4]), WORDS)
def test_we_read_the_registers_pymodbus_answers(unit: int, function: int, words: list[int]) -> None:
    ask = Request(function, 10, len(words))
    found = modbus.rtu_find(rtu_answer(unit, function, words), unit, ask)
    assert found is not None
    assert modbus.values(ask, found.data) == words
    response = RESPONSES[function](registers=words, dev_id=unit, transaction_id=9)
    found = modbus.tcp_find(TCP.buildFrame(response), 9, unit, ask)
    assert found is not None
    assert modbus.values(ask, found.data) == words


@given(UNITS, st.sampled_from([1, 2]), st.lists(st.booleans(), min_size=1, max_size=40))
def test_we_read_the_bits_pymodbus_answers(unit: int, function: int, bits: list[bool]) -> None:
    ask = Request(function, 0, len(bits))
    response = {1: ReadCoilsResponse, 2: ReadDiscreteInputsResponse}[function](bits=bits, dev_id=unit)
    found = modbus.rtu_find(RTU.buildFrame(response), unit, ask)
    assert found is not None
    assert modbus.values(ask, found.data) == [int(bit) for bit in bits]


def test_an_exception_is_named() -> None:
    frame = RTU.buildFrame(ExceptionResponse(3, 2, device_id=5))
    found = modbus.rtu_find(frame, 5, Request(3, 0, 2))
    assert found is not None
    assert found.refused is not None
    assert (found.refused.reason, found.refused.detail) == (Reason.EXCEPTION, "exception 2: illegal data address")


@given(st.binary(max_size=12), WORDS, UNITS, st.booleans())
def test_an_answer_is_found_behind_noise_and_echo(noise: bytes, words: list[int], unit: int, echo: bool) -> None:
    ask = Request(3, 0, len(words))
    start = modbus.rtu_frame(unit, modbus.question(ask)) if echo else noise
    found = modbus.rtu_find(start + rtu_answer(unit, 3, words), unit, ask)
    assert found is not None
    assert found.refused is not None or modbus.values(ask, found.data) == words


@given(WORDS, UNITS)
def test_an_answer_is_not_taken_before_it_is_whole(words: list[int], unit: int) -> None:
    ask = Request(4, 3, len(words))
    frame = rtu_answer(unit, 4, words)
    assert all(modbus.rtu_find(frame[:cut], unit, ask) is None for cut in range(len(frame)))
    tcp = modbus.tcp_frame(3, unit, frame[1:-2])
    assert all(modbus.tcp_find(tcp[:cut], 3, unit, ask) is None for cut in range(len(tcp)))


@given(WORDS, st.integers(0), st.integers(1, 255))
def test_a_flipped_bit_is_never_a_value(words: list[int], at: int, flip: int) -> None:
    frame = bytearray(rtu_answer(7, 3, words))
    frame[at % len(frame)] ^= flip
    found = modbus.rtu_find(bytes(frame), 7, Request(3, 0, len(words)))
    assert found is None or found.refused is not None


@pytest.mark.parametrize(("frame", "detail"), [
    (rtu_answer(9, 3, [1, 2]), "a frame of unit 9 while unit 7 was asked"),
    (rtu_answer(7, 3, [1, 2, 3]), "unit 7, function 3, 6 bytes; unit 7 was asked otherwise"),
    (rtu_answer(7, 4, [1, 2]), "unit 7, function 4, 4 bytes; unit 7 was asked otherwise"),
])
def test_answers_to_other_questions_are_foreign(frame: bytes, detail: str) -> None:
    found = modbus.rtu_find(frame, 7, Request(3, 0, 2))
    assert found is not None
    assert found.used == len(frame)
    assert found.refused is not None
    assert (found.refused.reason, found.refused.detail) == (Reason.FOREIGN, detail)


def test_a_late_answer_over_tcp_is_known_by_its_transaction() -> None:
    late = modbus.tcp_frame(4, 1, bytes([3, 2, 0, 99]))
    right = modbus.tcp_frame(5, 1, bytes([3, 2, 0, 42]))
    ask = Request(3, 0, 1)
    first = modbus.tcp_find(late + right, 5, 1, ask)
    assert first is not None
    assert first.refused is not None
    assert first.refused.reason is Reason.FOREIGN
    second = modbus.tcp_find((late + right)[first.used:], 5, 1, ask)
    assert second is not None
    assert modbus.values(ask, second.data) == [42]


def test_a_stream_that_is_no_modbus_is_refused() -> None:
    found = modbus.tcp_find(b"HTTP/1.1 400 Bad Request", 1, 1, Request(3, 0, 1))
    assert found is not None
    assert found.stray
    assert str(found.refused).startswith("format: not a Modbus TCP header: ")


@given(st.binary(min_size=1, max_size=60), st.booleans())
def test_a_stream_finds_its_step_again_at_the_answer(babble: bytes, refuses: bool) -> None:
    """Whatever one device says through a gateway, what it says is not taken and the next answer is."""
    ask = Request(3, 0, 2)
    answer = modbus.tcp_frame(513, 7, bytes([0x83, 4]) if refuses else bytes([3, 4, 0, 1, 0, 2]))
    buffer = babble + answer
    while (found := modbus.tcp_find(buffer, 513, 7, ask)) is not None and found.stray:
        assert found.used > 0
        buffer = buffer[found.used:]
    assert found is not None
    assert found.data == (b"" if refuses else bytes([0, 1, 0, 2]))
    assert isinstance(found.refused, modbus.DeviceRefusedError) is refuses


@given(UNITS, WORDS, st.binary(max_size=8))
def test_a_late_answer_is_known_by_its_whole_frame_behind_noise_too(unit: int, words: list[int], noise: bytes) -> None:
    length = 2 + 2 * len(words)
    assert (unit, 3, length) in modbus.rtu_frames(noise + rtu_answer(unit, 3, words)) or modbus.rtu_frames(noise)
    assert (unit, 4, length) in modbus.rtu_frames(rtu_answer(unit, 4, words) + noise)
    assert modbus.rtu_frames(modbus.rtu_frame(unit, modbus.question(Write(5, 0, 1)))) == [(unit, 5, 5)]
    assert modbus.rtu_frames(RTU.buildFrame(ExceptionResponse(3, 4, device_id=unit))) == [(unit, 0x83, 2)]


@given(UNITS, WORDS)
def test_a_torn_answer_or_a_byte_of_noise_names_no_unit(unit: int, words: list[int]) -> None:
    assert modbus.rtu_frames(bytes([unit])) == []
    assert {frame.unit for frame in modbus.rtu_frames(rtu_answer(unit, 3, words)[:-1])} <= {0}
