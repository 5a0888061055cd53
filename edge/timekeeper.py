"""One time for everything the agent records: UTC where the clock is sound, never backward where it is not."""

from tocsin.clock import Clock

STEP_MS = 2000
EPOCH_MS = 3_600_000
EARLIEST_MS = 1_704_067_200_000  # the beginning of 2024: a clock that is set back to before is not right either


class Timekeeper:
    """Logical time in ms UTC, never before `not_before_ms`, never standing still between two calls that record.

    A step is |dUTC - dmonotonic| > 2 s. Backward, time goes on with the monotonic count until UTC passes it and
    `doubtful` is true meanwhile; forward, the new time is taken. Each step is told once by `step_ms`. Where a step
    leaves the clock more than an hour behind, the time before was wrong: `epoch` is told once, and UTC is taken. So it
    is where a clock that is found behind by that much, as after a start, is a synchronized one.
    """

    def __init__(self, clock: Clock, not_before_ms: int = 0) -> None:
        self._clock = clock
        self._last_s = clock.monotonic_s()
        self._last_ms = max(clock.now_ms(), not_before_ms + 1)
        self._last_utc_ms = clock.now_ms()
        self.doubtful = self._last_ms > self._last_utc_ms
        self.step_ms = 0
        self.epoch = False

    def peek_ms(self) -> int:
        """The time, for a record that is no input: a step of the clock is left for `now_ms` to find."""
        return self._last_ms + round((self._clock.monotonic_s() - self._last_s) * 1000)

    def now_ms(self) -> int:
        """Sets `doubtful`, and `step_ms` and `epoch` when the clock has stepped since the last call (else 0, False)."""
        utc_ms, mono_s = self._clock.now_ms(), self._clock.monotonic_s()
        passed_ms = round((mono_s - self._last_s) * 1000)
        step_ms = utc_ms - self._last_utc_ms - passed_ms
        self.step_ms = step_ms if abs(step_ms) > STEP_MS else 0
        expected_ms = self._last_ms + passed_ms
        behind = EARLIEST_MS <= utc_ms < expected_ms - EPOCH_MS
        if behind and not self.step_ms and self._clock.synchronized():
            self.step_ms = utc_ms - expected_ms
        self.epoch = behind and self.step_ms != 0
        self.doubtful = not self.epoch and utc_ms < expected_ms - STEP_MS
        going_on_ms = expected_ms if self.doubtful else max(utc_ms, self._last_ms)
        now_ms = utc_ms if self.epoch else going_on_ms
        self._last_ms, self._last_s, self._last_utc_ms = now_ms, mono_s, utc_ms
        return now_ms
