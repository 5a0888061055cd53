"""What the bus decides without a wire: deadlines, breaker, blocks, what is owed, whether a line keeps up."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import blocks, load, modbus
from edge.breaker import PATIENCE, Breaker, probe_of
from edge.bus import Bus
from edge.config import BusTable
from edge.load import Load
from edge.modbus import DeviceRefusedError, Frame
from edge.owed import Owed
from edge.replies import ReplyTimes
from tocsin.devices import Request, Write
from tocsin.readings import Reason, RejectedError
from tocsin.said import Said

REQUESTS = st.builds(Request, st.sampled_from([1, 3, 4]), st.integers(0, 300), st.integers(1, 125))
SILENT = RejectedError(Reason.SILENT, "no answer")
TIMES = st.floats(0.0, 10.0)


# --- deadlines


def test_the_deadline_is_that_of_rfc_6298_worked_by_hand() -> None:
    times = ReplyTimes()
    for _ in range(7):
        times.heard(0.2)
        assert times.deadline_s(2.0) == 2.0, "the first few are given all that is configured"
    times.heard(0.6)
    spread = 0.1 * 0.75**6
    spread += (0.4 - spread) / 4
    assert times.deadline_s(2.0) == pytest.approx(0.2 + 0.4 / 8 + 4 * spread)
    assert times.deadline_s(0.3) == 0.3, "never more than configured"


@given(st.lists(TIMES, min_size=8, max_size=20), TIMES)
def test_a_deadline_is_never_less_than_the_floor_nor_more_than_configured(took: list[float], most_s: float) -> None:
    times = ReplyTimes()
    for one in took:
        times.heard(one)
    assert min(0.2, most_s) <= times.deadline_s(most_s) <= most_s


@given(TIMES)
def test_a_device_that_is_always_the_same_is_given_its_own_time(took_s: float) -> None:
    times = ReplyTimes()
    for _ in range(100):
        times.heard(took_s)
    assert times.deadline_s(100.0) == pytest.approx(max(0.2, took_s), rel=1e-3)


def test_a_device_that_became_slower_is_known_by_its_late_answers() -> None:
    times = ReplyTimes()
    for took_s in [0.01] * 50 + [0.3] * 3:
        times.heard(took_s)
    assert times.deadline_s(0.5) > 0.3


# --- breaker


def after(*failures: RejectedError, every_s: float = 1.0) -> Breaker:
    breaker = Breaker(every_s)
    for failure in failures:
        breaker.failed(failure)
    return breaker


def test_after_some_silences_a_device_is_asked_at_growing_pauses_and_at_once_again_when_it_answers() -> None:
    breaker = Breaker(1.0)
    periods = []
    for _ in range(8):
        breaker.failed(SILENT)
        periods.append(breaker.periods(0.2))
    assert periods == [1, 1, 2, 4, 8, 10, 10, 10], "a probe of 0.2 s each 10 s is a fiftieth of the line"
    breaker.good()
    assert (breaker.periods(0.2), breaker.open, breaker.doubtful) == (1, False, False)


@pytest.mark.parametrize(("why", "opens"), [
    (SILENT, True),
    (RejectedError(Reason.CHECKSUM, "noise"), True),
    (RejectedError(Reason.FORMAT, "no header"), True),
    (DeviceRefusedError(11), True),
    (DeviceRefusedError(2), False),
    (RejectedError(Reason.LINK, "no port"), False)])
def test_only_what_costs_line_time_opens_it(why: RejectedError, opens: bool) -> None:
    assert after(*[why] * PATIENCE).open is opens


def test_a_port_that_is_away_says_nothing_of_the_device() -> None:
    assert after(SILENT, SILENT, RejectedError(Reason.LINK, "no port"), SILENT).open
    assert not after(SILENT, SILENT, DeviceRefusedError(4), SILENT).open


@given(REQUESTS)
def test_a_probe_is_short_inside_the_addresses_and_no_late_answer_fits_it(request: Request) -> None:
    probe = probe_of(request)
    assert modbus.answer_length(probe) != modbus.answer_length(request)
    assert modbus.answer_length(probe) <= 6
    assert probe.function == request.function
    assert probe_of(Request(3, 0xFFFF, 1)) == Request(3, 0xFFFE, 2)


# --- blocks


def answered(block: blocks.Block) -> list[int]:
    """A device whose registers hold their own addresses."""
    return list(range(block.request.address, block.request.address + block.request.count))


@given(st.lists(REQUESTS, max_size=20), st.integers(1, 125))
def test_every_request_gets_exactly_what_it_asked_for(requests: list[Request], most: int) -> None:
    found: dict[int, list[int]] = {}
    for block in blocks.blocks_of(requests, most):
        found |= blocks.cut(requests, block, answered(block))
        single = blocks.singles(requests, block)
        assert sorted(one.parts[0][0] for one in single) == sorted(i for i, _ in block.parts)
        assert all(one.request == requests[one.parts[0][0]] for one in single)
    assert found == {i: list(range(one.address, one.address + one.count)) for i, one in enumerate(requests)}


@given(st.lists(REQUESTS, max_size=20), st.integers(1, 125))
def test_no_block_is_too_long_has_a_wide_gap_or_overlaps_another(requests: list[Request], most: int) -> None:
    whole = blocks.blocks_of(requests, most)
    for block in whole:
        members = [requests[i] for i, _ in block.parts]
        bits = block.request.function == 1
        limit = min(most * 16, 2000) if bits else most
        assert block.request.count <= max(limit, max(one.count for one in members))
        ends = sorted((one.address, one.address + one.count) for one in members)
        reach = ends[0][1]
        for begin, end in ends:
            assert begin - reach <= (128 if bits else 8)
            reach = max(reach, end)
    firsts = [min(i for i, _ in block.parts) for block in whole]
    assert firsts == sorted(firsts)


def test_what_lies_side_by_side_is_one_read_and_the_rest_is_not() -> None:
    asked = [Request(3, 0, 1), Request(4, 1, 1), Request(3, 5, 2), Request(3, 40, 1), Request(3, 1, 1)]
    whole = [block.request for block in blocks.blocks_of(asked)]
    assert whole == [Request(3, 0, 7), Request(4, 1, 1), Request(3, 40, 1)]
    assert len(blocks.blocks_of(asked, 1)) == 5
    assert blocks.blocks_of([Request(3, 0, 9)], 4) == [blocks.Block(Request(3, 0, 9), ((0, 0),))], "never cut"


# --- what is owed

ONE, TWO, OTHER = Request(3, 0, 1), Request(3, 0, 2), Request(3, 9, 2)


def test_a_unit_that_owes_is_asked_only_what_the_late_answer_cannot_be_taken_for() -> None:
    owed = Owed()
    owed.add(1, TWO, 0.0, 0.5, 0.5)
    assert not owed.may_ask(1, TWO, 1.0)
    assert not owed.may_ask(1, OTHER, 1.0)
    assert owed.may_ask(1, ONE, 1.0)
    assert owed.may_ask(1, Request(4, 0, 2), 1.0)
    assert owed.may_ask(1, Write(6, 0, 1), 1.0), "the siren does not wait"
    assert owed.may_ask(2, TWO, 1.0)
    assert owed.may_ask(1, OTHER, 2.6), "too late to come"


def test_a_later_answer_proves_that_the_owed_one_is_lost() -> None:
    owed = Owed()
    owed.add(1, TWO, 0.0, 0.5, 0.5)
    owed.answered(1)
    assert owed.may_ask(1, TWO, 1.0)
    assert not owed.may_ask(1, OTHER, 1.0), "of another register: not before it is too late"


def test_of_two_late_answers_the_first_does_not_settle_the_second() -> None:
    owed = Owed()
    owed.add(1, TWO, 0.0, 0.5, 0.5)
    owed.add(1, ONE, 0.6, 0.5, 1.1)
    assert owed.came(Frame(1, 3, 6)) == 0.0
    assert not owed.may_ask(1, Request(3, 9, 1), 1.2)
    assert owed.came(Frame(1, 3, 6)) is None
    assert owed.came(Frame(2, 3, 4)) is None
    assert owed.came(Frame(1, 0x83, 2)) == 0.6
    assert owed.may_ask(1, Request(3, 9, 1), 1.2)


# --- whether a line keeps up


class WoundLoop:
    """Stands for the loop's clock."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def time(self) -> float:
        return self.now_s


def test_an_overload_is_told_once_with_what_it_would_need_and_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, told = WoundLoop(), list[Said]()
    monkeypatch.setattr(load, "asyncio", SimpleNamespace(get_running_loop=lambda: clock))
    bus = Bus(BusTable("mast", "modbus-rtu", "/dev/ttyS9"))
    watched = Load(bus, told.append)

    def minute(missed: int, busy: float) -> None:
        for _ in range(60):
            clock.now_s += 1.0
            bus.busy_s += busy
            watched.polled(missed)

    minute(0, 0.99)
    minute(1, 0.2)
    assert told == [], "polls that a sleeping machine left out are not the line's fault"
    minute(1, 0.96)
    minute(1, 0.96)
    assert len(told) == 1
    assert told[0].en.startswith("bus mast: ")
    assert "192%" in told[0].en
    minute(0, 0.5)
    minute(0, 0.5)
    assert [said.en for said in told[1:]] == ["bus mast: all its polls find their time again"]
