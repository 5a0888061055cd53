"""What goes into the kernel, and what is kept of it: quantizing, blocks, saved state."""

import hashlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.threshold_desk import RAIN, STAGE, Desk, ms
from tests.threshold_worlds import cut, world_of
from thresholds.kernel import SCALE, Block, StateError, last_t, levels, quantize, restore, save, start, step
from thresholds.rules import bind, rules_of
from thresholds.state import DIGEST, MAGIC, VERSION
from tocsin.levels import Level

RULE = {"quantity": "stage_m", "yellow": 2.0, "off_below": 0.2, "n": 1, "m": 1}


def desk() -> Desk:
    told = Desk(STAGE, RULE)
    told.each_minute("07:00", 1.0, 2.1)
    return told


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_thousandths_come_back_whole(raw: int) -> None:
    found, ok = quantize(np.array([raw / SCALE]))
    assert ok.all()
    assert abs(int(found[0]) - raw) <= (0 if abs(raw) < 2**51 else 1)


def test_halves_go_to_the_even_neighbour() -> None:
    found, _ = quantize(np.array([[0.0005, 0.0015], [-0.0005, 0.0025]]))
    assert found.tolist() == [[0, 2], [0, 2]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 2.0**53 / 1000, -(2.0**53) / 1000, 1e308])
def test_what_is_no_number_or_too_big_is_refused(value: float) -> None:
    found, ok = quantize(np.array([value, 1.0]))
    assert ok.tolist() == [False, True]
    assert found.tolist() == [0, 1000]


def test_an_empty_block_changes_nothing() -> None:
    told = desk()
    before = save(told.state)
    outcome = step(told.state, Block.blank(0, 1))
    assert (outcome.quality.shape, outcome.changes, outcome.freshness) == ((0, 1), [], [])
    step(told.state, Block.blank(3, 1))
    assert save(told.state) == before


def test_a_block_is_not_written_to() -> None:
    told = desk()
    block = Block.blank(1, 1)
    block.quality[0, 0] = 0
    block.raw[0, 0] = 99_000
    assert step(told.state, block).quality.tolist() == [[2 | 16]]
    assert block.quality.tolist() == [[0]]


def block(t_ms: Any = None, now_ms: Any = None) -> Block:
    cells = np.zeros((1, 1), np.int64)
    return Block(cells if t_ms is None else t_ms, cells, cells, np.zeros(1, np.int64) if now_ms is None else now_ms)


@pytest.mark.parametrize(("block", "message"), [
    (Block.blank(1, 2), "block: t_ms is int64[1, 2]; use int64[1, 1]"),
    (block(t_ms=np.zeros((1, 1))), "block: t_ms is float64[1, 1]; use int64[1, 1]"),
    (block(now_ms=np.zeros((1, 1), np.int64)), "block: now_ms is int64[1, 1]; use int64[1]"),
    (block(t_ms=np.full((1, 1), 2**47)), "block: a time is not allowed; use ms UTC from 0 to 140737488355328"),
    (block(now_ms=np.full(1, -1)), "block: a time is not allowed; use ms UTC from 0 to 140737488355328"),
])
def test_a_block_that_does_not_fit_is_refused_and_nothing_changes(block: Block, message: str) -> None:
    told = desk()
    before = save(told.state)
    with pytest.raises(ValueError, match=r"^block: ") as caught:
        step(told.state, block)
    assert str(caught.value) == message
    assert save(told.state) == before


def test_a_plan_without_rules_still_says_what_is_late_and_stale() -> None:
    plan = bind(rules_of({"rule": []}, "none"), [STAGE, RAIN])
    state = start(plan)
    block = Block.blank(2, 2)
    block.t_ms[:, 0], block.quality[:, 0], block.now_ms[1] = 5, 0, 10_000_000
    outcome = step(state, block)
    assert outcome.quality.tolist() == [[0, 1], [16, 1]]
    assert [one.series.key for one in outcome.freshness] == ["radar/stage_m"]
    assert levels(state).shape == (0,)


def test_the_last_time_is_known_for_good_and_bad_readings() -> None:
    told = desk()
    assert last_t(told.state).tolist() == [ms("07:01")]
    told.read("07:02", -5.0)
    assert last_t(told.state).tolist() == [ms("07:02")]


def test_nothing_is_cleared_by_a_restart() -> None:
    told = desk()
    state = restore(told.plan, save(told.state))
    assert levels(state).tolist() == [Level.YELLOW]
    told.state = state
    told.each_minute("07:02", *[1.0] * 16)
    assert told.told() == [("07:01", Level.YELLOW), ("07:17", Level.CLEAR)]
    assert told.changes[0].episode == told.changes[1].episode     # the station's name came back too


@pytest.mark.parametrize("seed", [1, 2])
def test_saved_state_cut_or_changed_at_any_byte_is_refused(seed: int) -> None:
    told = desk()
    data = save(told.state)
    for at in range(len(data)):
        with pytest.raises(StateError, match=r"^saved state of [0-9]+ bytes is damaged or something else$"):
            restore(told.plan, data[:at])
        with pytest.raises(StateError, match=r"damaged"):
            restore(told.plan, data[:at] + bytes([data[at] ^ (1 << at * seed % 8)]) + data[at + 1:])


def signed(body: bytes) -> bytes:
    return body + hashlib.blake2b(body, digest_size=DIGEST).digest()


def with_header(data: bytes, **changed: object) -> bytes:
    begin = len(MAGIC) + 4
    end = begin + int.from_bytes(data[len(MAGIC):begin], "little")
    header = msgspec.json.encode({**msgspec.json.decode(data[begin:end]), **changed})
    return signed(MAGIC + len(header).to_bytes(4, "little") + header + data[end:-DIGEST])


def test_saved_state_of_another_version_plan_or_size_is_refused() -> None:
    told = desk()
    data = save(told.state)
    assert save(restore(told.plan, with_header(data))) == data
    other = rf"^saved state is of version {VERSION - 1}; this kernel reads version {VERSION}$"
    with pytest.raises(StateError, match=other):
        restore(told.plan, with_header(data, version=VERSION - 1))
    with pytest.raises(StateError, match=r"^saved state has [0-9]+ numbers; this plan needs [0-9]+$"):
        restore(told.plan, with_header(data, entries=3))
    with pytest.raises(StateError, match=r"^saved state has a header that cannot be read"):
        restore(told.plan, with_header(data, more=3))
    with pytest.raises(StateError, match=r"header"):
        restore(told.plan, signed(MAGIC + b"\x02\0\0\0{]"))
    another = Desk(STAGE, {**RULE, "yellow": 2.1}).plan
    with pytest.raises(StateError, match=f"saved state belongs to plan {told.plan.hash}; this one is {another.hash}"):
        restore(another, data)


def test_state_of_a_day_of_rain_is_small() -> None:
    """Five windows up to a day at one reading a minute: memory does not depend on how much was read."""
    over = [{"quantity": "rain_mm", "over_min": minutes, "red": 100.0} for minutes in (10, 60, 180, 360, 1440)]
    told = Desk(RAIN, *over)
    before = len(save(told.state))
    assert before <= 42_000
    told.each_minute("07:00", *[0.2] * 50)
    assert abs(len(save(told.state)) - before) < 10


def test_one_row_or_all_rows() -> None:
    world = world_of(7, 60)
    whole, single = start(world.plan), start(world.plan)
    step(whole, world.block)
    for row in range(60):
        step(single, cut(world.block, row, row + 1))
    assert save(whole) == save(single)
