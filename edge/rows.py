"""Readings of the log as rows for the kernel."""

from collections.abc import Sequence

import numpy as np

from thresholds.kernel import Block, quantize
from tocsin.messages import Readings
from tocsin.readings import Quality

GIVEN = Quality.SERVICE | Quality.CLOCK   # what a reading brings along; all other bits are found


def block_of(records: Sequence[Readings], columns: dict[str, int]) -> Block:
    """Records as rows; series that have no column are left out. Raises ValueError for a time that cannot be."""
    block = Block.blank(len(records), len(columns))
    cells = [(row, columns[key], record.t[0], value, bits & GIVEN) for row, record in enumerate(records)
             for key, value, bits in zip(record.series, record.value, record.quality, strict=True) if key in columns]
    if cells:
        rows, places, times, values, bits = zip(*cells, strict=True)
        at = np.array(rows), np.array(places)
        raw, good = quantize(np.array(values, np.float64))
        block.t_ms[at], block.raw[at] = times, raw
        block.quality[at] = np.where(good, np.array(bits, np.int64), int(Quality.MISSING))
    return block
