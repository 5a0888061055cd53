"""Up to where the hub has the log: written down, though not at every answer, and in a thread of its own."""

import logging
from concurrent.futures import Future

from tocsin.beside import Threads
from tocsin.log import Log

EVERY_S = 900.0        # a card takes 53 KB for it, as for the records of a minute; a crash only repeats them
_MOST_BEHIND = 20_000  # records: of a log that drains not all goes up again
_LEAST_S = 5.0

log = logging.getLogger(__name__)


class Cursor:
    """A disk that refuses only makes a harmless repeat after the next start; one that hangs keeps nobody waiting.

    `seq` and `hub` are what was said last, `storage` has what was written last.
    """

    def __init__(self, storage: Log) -> None:
        self.seq, self.hub = storage.cursor, storage.cursor_hub
        self._log = storage
        self._saved_s = 0.0
        self._thread = Threads(1, "cursor")
        self._writing: Future[None] | None = None

    def save(self, seq: int, hub: str, now_s: float) -> None:
        """That hub has everything up to `seq`. `now_s`: monotonic seconds."""
        if self._writing is not None and not self._writing.done():
            return  # the next answer says it again
        since_s = now_s - self._saved_s
        many = seq - self.seq >= _MOST_BEHIND and since_s >= _LEAST_S
        if seq > self.seq and (since_s >= EVERY_S or many or not self.hub):
            self.move(seq, hub)
            self._saved_s = now_s

    def move(self, seq: int, hub: str) -> None:
        """Written at once, in the thread. `seq` 0: everything is offered again."""
        self.seq, self.hub = seq, hub
        self._writing = self._thread.submit(self._write, seq, hub)

    def _write(self, seq: int, hub: str) -> None:
        try:
            self._log.move_cursor(seq, hub)
        except OSError as err:
            log.error("the log's cursor cannot be written: %s", err)

    def close(self, seq: int) -> None:
        """Writes where the hub has the log, and waits for that as long as its thread may."""
        if seq > self.seq and self.hub:
            self.move(seq, self.hub)
        self._thread.shutdown(wait=True)
