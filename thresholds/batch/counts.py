"""How many of the last M readings have a property, for a whole block: sums of shifted bytes."""

import numpy as np

from thresholds.batch.stream import Stream
from thresholds.latches import MOST
from thresholds.tables import I64, U8, Bools


class Counts:
    """Counts among the last M readings of a stream that are not older than 2 M periods."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._old: dict[int, tuple[I64, Bools]] = {}

    def of(self, bits: I64, found: Bools, m: int) -> U8:
        """uint8[L, n]: `bits` (int64[L]) are those before the block, newest in bit 0, `found` (bool[L, n]) its own."""
        if m == 1:
            return found.view(np.uint8)
        n = found.shape[1]
        flags = np.concatenate([(bits[:, None] >> np.arange(m - 2, -1, -1) & 1).astype(np.uint8), found], axis=1,
                               dtype=np.uint8, casting="unsafe")
        counts = flags[:, m - 1:].copy()
        for back in range(1, m):
            counts += flags[:, m - 1 - back:m - 1 - back + n]
        old, young = self._ages(m)
        if old.size:
            counts[:, old] = (flags[:, old[:, None] + (m - 1 - np.arange(m))] * young).sum(axis=2)
        return counts

    def before(self, bits: int, found: Bools, at: int, t: int, m: int) -> int:
        """Of the last m - 1 readings before number `at`, not older than 2 M periods at `t`."""
        stream = self._stream
        oldest = t - 2 * m * stream.period
        count = 0
        for back in range(1, m):
            number = at - back
            place = stream.past.size + number
            if place < 0 or int(stream.times()[place]) < oldest:
                break
            count += int(found[number]) if number >= 0 else bits >> (-number - 1) & 1
        return count

    def _ages(self, m: int) -> tuple[I64, Bools]:
        """Readings whose last M are not all young, and which of these are: bool[readings, M], newest first."""
        if m not in self._old:
            self._old[m] = self._find(m)
        return self._old[m]

    def _find(self, m: int) -> tuple[I64, Bools]:
        stream, limit = self._stream, 2 * m * self._stream.period
        before = stream.past.size - m + 1
        times = stream.times()[before:]
        gaps = np.flatnonzero(times[1:] - times[:-1] > limit // (m - 1)) + 1    # a longer span has a longer step in it
        if not gaps.size:
            return gaps, np.zeros((0, m), dtype=np.bool_)
        after = np.unique(gaps[:, None] + np.arange(m - 1)) - (m - 1)
        after = after[(after >= 0) & (after < stream.t.size)]
        ages = stream.t[after, None] - times[m - 1 + after[:, None] - np.arange(m)]
        old = (ages > limit).any(axis=1)
        return after[old], ages[old] <= limit


def pushed(bits: I64, found: Bools) -> I64:
    """int64[...]: the bits after some readings, newest in bit 0; `found` is bool[..., n]."""
    newest = found[..., -MOST:]
    count = newest.shape[-1]
    packed: I64 = (newest << np.arange(count - 1, -1, -1)).sum(axis=-1)
    after: I64 = (bits << count | packed) & (1 << MOST) - 1
    return after
