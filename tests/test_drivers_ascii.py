"""The line instrument: however its bytes arrive, the same readings; noise is refused with a reason and forgotten."""

import functools
import operator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers import ascii_level
from drivers._spans import Measures
from tocsin.devices import ListeningDriver
from tocsin.readings import Reading, Reason, RejectedError, Rejection


def listener() -> ListeningDriver:
    return ascii_level.Driver(ascii_level.Settings(measures=Measures.LEVEL, span_m=(-5.0, 20.0)))


def line(value: str, address: str = "01") -> bytes:
    body = f"LVL,{address},{value},m".encode("ascii")
    return b"$" + body + b"*%02X\r\n" % functools.reduce(operator.xor, body)


def heard(chunks: list[bytes]) -> tuple[list[Reading | Rejection | Reason], int]:
    """All that came of the chunks, refused frames as their reason, and the most bytes that were ever kept."""
    driver = listener()
    found: list[Reading | Rejection | Reason] = []
    rest, most = b"", 0
    for chunk in chunks:
        frames, rest = driver.split(rest + chunk)
        most = max(most, len(rest))
        for frame in frames:
            try:
                found.extend(driver.decode(frame))
            except RejectedError as err:
                found.append(err.reason)
    return found, most


def values(found: list[Reading | Rejection | Reason]) -> list[float]:
    return [item.value for item in found if isinstance(item, Reading)]


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    places = sorted(place % (len(stream) + 1) for place in at)
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


MM = st.integers(-5_000, 20_000)
GOOD = MM.map(lambda mm: line(f"{mm / 1000:+.3f}"))
NOISE = st.one_of(
    st.binary(max_size=100),
    st.text("$LVL,01*+.m\r\n", max_size=40).map(lambda text: text.encode("ascii")),
    st.sampled_from([line("E1"), line("+1.000", "02"), line("+1.000").replace(b"1", b"2", 1), b"\r\n", b"$" * 90]),
)
CUTS = st.lists(st.integers(0, 10_000), max_size=40)


@given(mm=MM)
@example(mm=0)
@example(mm=-5_000)
@example(mm=20_000)
def test_every_millimetre_comes_back(mm: int) -> None:
    driver = listener()
    frame = line(f"{mm / 1000:+.3f}")
    assert driver.split(frame) == ([frame], b"")
    assert driver.decode(frame) == [Reading("depth_m", mm / 1000)]


@given(parts=st.lists(st.one_of(GOOD, NOISE), max_size=12), at=CUTS)
def test_where_the_stream_is_cut_does_not_matter(parts: list[bytes], at: list[int]) -> None:
    stream = b"".join(parts)
    whole, _ = heard([stream])
    pieces, most = heard(cut(stream, at))
    assert pieces == whole
    assert heard([bytes([byte]) for byte in stream])[0] == whole
    assert most < ascii_level.LONGEST


@given(stream=st.binary(max_size=400), at=CUTS)
def test_no_byte_is_lost_or_made(stream: bytes, at: list[int]) -> None:
    driver = listener()
    frames, rest = [], b""
    for chunk in cut(stream, at):
        new, rest = driver.split(rest + chunk)
        frames += new
    assert b"".join(frames) + rest == stream
    assert all(0 < len(frame) <= ascii_level.LONGEST for frame in frames)


@given(mm=st.lists(MM, min_size=1, max_size=6), noise=st.lists(st.binary(max_size=200), min_size=6, max_size=6))
def test_good_lines_are_read_between_any_noise(mm: list[int], noise: list[bytes]) -> None:
    # A line is read whatever stands before it: its $ begins a new frame.
    stream = b"".join(before + line(f"{each / 1000:+.3f}") for before, each in zip(noise, mm, strict=False))
    assert values(heard([stream])[0]) == [each / 1000 for each in mm]


def test_a_full_length_of_garbage_is_a_frame_at_once() -> None:
    full = b"x" * ascii_level.LONGEST
    assert listener().split(full[1:]) == ([], full[1:])
    assert listener().split(full) == ([full], b"")


def test_minus_zero_is_a_plain_zero() -> None:
    assert str(values(heard([line("-0.000")])[0])) == "[0.0]"


def test_a_torn_line_costs_only_itself() -> None:
    found, _ = heard([line("+1.000")[:9], line("+2.000"), line("+3.000")[5:], line("+4.000")])
    assert found == [Reason.FORMAT, Reading("depth_m", 2.0), Reason.FORMAT, Reading("depth_m", 4.0)]


@pytest.mark.parametrize("byte", [b"x", b"$", b"\x00", b"\xff", b"*", b"\r"])
def test_very_long_garbage_is_refused_piece_by_piece_and_not_kept(byte: bytes) -> None:
    found, most = heard([byte * 1000] * 20 + [line("+1.500")])
    *refused, last = found
    assert last == Reading("depth_m", 1.5)
    assert set(refused) == {Reason.FORMAT}
    assert len(refused) >= 20_000 // ascii_level.LONGEST
    assert most < ascii_level.LONGEST


def test_a_line_of_the_longest_length_is_read_and_a_longer_one_is_refused() -> None:
    digits = ascii_level.LONGEST - len(line("+1."))
    assert values(heard([line("+1." + "0" * digits)])[0]) == [1.0]
    assert heard([line("+1." + "0" * (digits + 1))])[0] == [Reason.FORMAT, Reason.FORMAT]


@given(mm=MM, at=st.integers(1, 14), bit=st.integers(0, 7))
def test_one_wrong_bit_is_never_a_reading(mm: int, at: int, bit: int) -> None:
    frame = bytearray(line(f"{mm / 1000:+.3f}"))
    frame[at] ^= 1 << bit
    assert values(heard([bytes(frame)])[0]) == []


@pytest.mark.parametrize(("frame", "reason", "says"), [
    (b"", Reason.FORMAT, "0 bytes, a line has 17 to 82"),
    (b"$LVL,01,+1.234,m*17\n", Reason.FORMAT, "not a line of the form"),
    (b"LVL,01,+1.234,m*17\r\n", Reason.FORMAT, "not a line of the form"),
    (b"$LVL,02,+12.34,m*1a\r\n", Reason.FORMAT, "not a line of the form"),
    (b"$LVL,01,+1.234,m*18\r\n", Reason.CHECKSUM, "got 18, the bytes make 17"),
    (line("+1.234", "07"), Reason.FOREIGN, "line of address 07, not 01"),
    (line("E2"), Reason.FORMAT, "b'E2' is not a value"),
    (line("+1"), Reason.FORMAT, "is not a value"),
    (line("+1.2e3"), Reason.FORMAT, "is not a value"),
    (line("+nan"), Reason.FORMAT, "is not a value"),
    (line("+1.234", "1"), Reason.FORMAT, "not LVL,<address>,<value>,m"),
])
def test_a_refusal_says_what_was_wrong(frame: bytes, reason: Reason, says: str) -> None:
    with pytest.raises(RejectedError) as caught:
        listener().decode(frame)
    assert caught.value.reason is reason
    assert says in caught.value.detail


def test_a_detail_stays_short_and_plain_whatever_came() -> None:
    with pytest.raises(RejectedError) as caught:
        listener().decode(b"\x00\xff\n" * 10_000)
    assert len(caught.value.detail) < 500
    assert caught.value.detail.isascii()
    assert caught.value.detail.isprintable()


def test_a_sensor_fault_is_refused_as_the_device_says() -> None:
    assert listener().decode(line("E1")) == [Rejection(Reason.STATUS, "E1, sensor fault", "depth_m")]
