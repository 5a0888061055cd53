"""How long a device takes to answer, learned from its own answers.

The retransmission timer of TCP (RFC 6298, section 2): a smoothed mean of the times, and of how far they lie from it;

    first answer   mean = r             spread = r / 2
    each other     spread += (|mean - r| - spread) / 4     mean += (r - mean) / 8
    deadline       mean + 4 * spread

with the RFC's gains 1/8 and 1/4 and its K = 4. Unlike TCP nobody doubles it after a silence: an answer that comes too
late is still heard, and its time counted (`heard`), which is what a slower device is known by.
"""

_MEAN_GAIN, _SPREAD_GAIN, _SPREADS = 1 / 8, 1 / 4, 4
_ENOUGH = 8         # answers before what was learned is used
_LEAST_S = 0.2      # USB adapters deliver in lumps of 16 ms, and a small machine that is busy in lumps of more


class ReplyTimes:
    """Of one device; all times are in seconds from the question to the end of the answer."""

    def __init__(self) -> None:
        self._mean_s = self._spread_s = 0.0
        self._count = 0

    def heard(self, took_s: float) -> None:
        """An answer took so long, whether or not it came in time."""
        took_s = max(0.0, took_s)
        if self._count:
            self._spread_s += (abs(self._mean_s - took_s) - self._spread_s) * _SPREAD_GAIN
            self._mean_s += (took_s - self._mean_s) * _MEAN_GAIN
        else:
            self._mean_s, self._spread_s = took_s, took_s / 2
        self._count += 1

    def deadline_s(self, most_s: float) -> float:
        """How long the next answer may take: what was learned, at most the configured `most_s`."""
        if self._count < _ENOUGH:
            return most_s
        return min(most_s, max(_LEAST_S, self._mean_s + _SPREADS * self._spread_s))
