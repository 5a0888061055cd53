"""Up to where the hub has the log: written down, though not at every answer."""

import logging

from tocsin.log import Log

_EVERY_S = 5.0

log = logging.getLogger(__name__)


class Cursor:
    """A disk that refuses only makes a harmless repeat after the next start."""

    def __init__(self, storage: Log) -> None:
        self._log = storage
        self._saved_s = 0.0

    def save(self, seq: int, hub: str, now_s: float) -> None:
        """That hub has everything up to `seq`. `now_s`: monotonic seconds."""
        if seq > self._log.cursor and (now_s - self._saved_s >= _EVERY_S or not self._log.cursor_hub):
            self.move(seq, hub)
            self._saved_s = now_s

    def move(self, seq: int, hub: str) -> None:
        try:
            self._log.move_cursor(seq, hub)
        except OSError as err:
            log.error("the log's cursor cannot be written: %s", err)

    def close(self, seq: int) -> None:
        if seq > self._log.cursor and self._log.cursor_hub:
            self.move(seq, self._log.cursor_hub)
