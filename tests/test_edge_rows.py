"""The readings of the last day, as the kernel is given them when rules change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import rows
from edge.recorder import KINDS
from edge.rows import HISTORY_MS, Recent, block_of
from thresholds.kernel import Block
from tocsin.inputs import ClockStep
from tocsin.log import Entry
from tocsin.messages import Readings, encode
from tocsin.readings import Quality

NAMES = ["a/stage_m", "b/stage_m", "c/rain_mm"]
COLUMNS = {"c/rain_mm": 0, "a/stage_m": 1}
T0 = 10**12

readings = st.builds(
    lambda t, cells: Readings("", 0, [t] * len(cells), [name for name, _, _ in cells], [value for _, value, _ in cells],
                              [bits for _, _, bits in cells]),
    st.integers(T0, T0 + 2 * HISTORY_MS),
    st.lists(st.tuples(st.sampled_from(NAMES), st.floats(-1e3, 1e3), st.integers(0, 255)), min_size=1, max_size=3,
             unique_by=lambda cell: cell[0]),
)


def joined(blocks: list[Block]) -> list[tuple[list[int], list[int], list[int]]]:
    """(t, raw, quality) of every row, empty cells as they are."""
    return [(block.t_ms[row].tolist(), block.raw[row].tolist(), block.quality[row].tolist())
            for block in blocks for row in range(len(block.now_ms))]


@settings(deadline=None)
@given(st.lists(readings, max_size=30), st.integers(1, 5), st.integers(0, 5))
def test_every_row_of_the_last_day_comes_once_in_its_order_however_it_is_cut(
    records: list[Readings], size: int, spare: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_ROWS", size)
        patch.setattr(rows, "_SPARE_ROWS", spare)
        records.sort(key=lambda record: record.t[0])
        recent = Recent(Entry(number, KINDS[Readings], encode(one)) for number, one in enumerate(records, 1))
        t_ms = T0 + 2 * HISTORY_MS
        blocks = list(recent.blocks(COLUMNS, t_ms))
    wanted = [block_of(one, COLUMNS) for one in records if one.t[0] > t_ms - HISTORY_MS]
    assert joined(blocks) == joined(wanted)
    assert all(len(block.now_ms) <= size for block in blocks)


def test_a_row_has_the_bits_that_a_reading_brings_along_and_no_others() -> None:
    block = block_of(Readings("", 0, [T0] * 2, ["a/stage_m", "b/stage_m"], [1.25, 7.0], [255, 255]), COLUMNS)
    assert block.t_ms.tolist() == [[0, T0]]
    assert block.raw.tolist() == [[0, 1250]]
    assert block.quality.tolist() == [[1, int(Quality.CLOCK | Quality.SERVICE)]]


def test_a_day_of_readings_each_second_fits_a_small_machine() -> None:
    recent = Recent()
    for second in range(3 * 3600):
        recent.take(Readings("", 0, [T0 + 1000 * second] * 4, [*NAMES, "d/x"], [1.0] * 4, [0] * 4))
    held = sum(column.itemsize * len(column) for column in (
        recent._t, recent._end, recent._series, recent._value, recent._bits))
    assert held * 8 < 8 << 20, "24 h of 4 series: 8 MB"
    first = next(recent.blocks(COLUMNS, T0))
    assert first.raw.shape == (4096, 2)
    assert bool(np.all(first.raw == 1000 * np.array([1, 1])))


def test_a_new_epoch_forgets_what_was_before() -> None:
    before, after = (Readings("", 0, [T0 + one], ["a/stage_m"], [1.0], [0]) for one in (5, 3))
    step = ClockStep("", 0, T0, -1, epoch=True)
    little = ClockStep("", 0, T0, -1, epoch=False)
    records = enumerate((before, step, after, little), 1)
    entries = [Entry(number, KINDS[type(one)], encode(one)) for number, one in records]
    assert joined(list(Recent(entries).blocks(COLUMNS, T0))) == joined([block_of(after, COLUMNS)])
