"""What the kernel takes: rows of readings, with a column a series."""

from dataclasses import dataclass

import numpy as np

from thresholds.tables import I64
from tocsin.readings import Quality

MISSING = int(Quality.MISSING)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of readings.

    `t_ms`, `raw` and `quality` are int64[rows, series]: event time in ms UTC, value in thousandths of its unit
    (thresholds.kernel.quantize), and tocsin.readings.Quality bits, MISSING where there is no reading. `now_ms` is
    int64[rows]: the clock passed this time before the row's readings; 0 says nothing.
    """

    t_ms: I64
    raw: I64
    quality: I64
    now_ms: I64

    @classmethod
    def blank(cls, rows: int, series: int) -> "Block":
        """Rows without readings and ticks, to be filled in."""
        cells = (rows, series)
        zeros = np.zeros(cells, dtype=np.int64)
        return cls(zeros, zeros.copy(), np.full(cells, MISSING, dtype=np.int64), np.zeros(rows, dtype=np.int64))
