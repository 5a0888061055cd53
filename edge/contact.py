"""A button's contact that is looked at again and again, on a line that may lose a look."""

from collections.abc import Awaitable, Callable

from edge.sayings import rejected
from tocsin.clock import Clock
from tocsin.readings import RejectedError
from tocsin.said import Said

LASTS_S = 30.0  # what lasts shorter is not told: a noisy line would fill the log with it


class Contact:
    """`tell` is told `lost` with the reason once it could not be read for LASTS_S, and `back` once it could so long."""

    def __init__(
        self, read: Callable[[], Awaitable[bool]], clock: Clock, tell: Callable[[Said], None],
        *, lost: Callable[[Said], Said], back: Said,
    ) -> None:  # fmt: skip
        self._read = read
        self._clock = clock
        self._tell = tell
        self._words = lost, back
        self._lost = False
        self._other_since_s: float | None = None  # it is otherwise than was told

    async def closed(self) -> bool | None:
        """None where it cannot be read now."""
        try:
            closed = await self._read()
        except RejectedError as err:
            self._is(self._words[0](rejected(err)), lost=True)
            return None
        self._is(self._words[1], lost=False)
        return closed

    def _is(self, words: Said, *, lost: bool) -> None:
        now_s = self._clock.monotonic_s()
        if lost is self._lost:
            self._other_since_s = None
        elif self._other_since_s is None:
            self._other_since_s = now_s
        elif now_s - self._other_since_s >= LASTS_S:
            self._lost, self._other_since_s = lost, None
            self._tell(words)
