"""Looks after the log on the disk: its size, its damages, and warnings in it that the hub never confirmed."""

import asyncio
import logging
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

from edge.pipeline import Pipeline
from edge.recorder import URGENT_KINDS, Ranges, Recorder
from edge.sayings import say
from edge.thinning import MB, Freed, Limits, Step, thin, used_bytes
from edge.uplink import Uplink
from tocsin.clock import Clock
from tocsin.log import Entry, Log, Mended
from tocsin.log_words import say as unread
from tocsin.messages import EventKind, LogHealth
from tocsin.said import Said, said_of

EVERY_S = 60.0

log = logging.getLogger(__name__)


class Tidy:
    """`run` serves until cancelled. Nobody waits for it: a disk that hangs holds up nothing else."""

    def __init__(
        self, storage: Log, limits: tuple[int, int], clock: Clock,
        *, pipeline: Pipeline, recorder: Recorder, uplink: Uplink,
    ) -> None:  # fmt: skip
        """`limits`: megabytes that the log may take, and that are kept free for others (edge.thinning.Limits)."""
        self._log = storage
        self._limits = limits
        self._clock = clock
        self._pipeline = pipeline
        self._recorder = recorder
        self._uplink = uplink
        self._used = 0
        self._most = 0
        self._step = 0
        self._looked = Path()
        self._refused = False
        self._unreadable: set[Path] = set()
        self._given_up = 0
        self.removed_upto = 0   # the last record that was taken out of the log
        recorder.on_gone = uplink.gone

    @property
    def health(self) -> LogHealth:
        """For the heartbeat: it goes where no record can be written."""
        status = self._recorder.status
        return LogHealth(round(self._used / MB, 1), round(self._most / MB, 1), self._step, status.pending,
                         status.given_up, str(status.error or ""))

    async def run(self) -> None:
        """Until cancelled."""
        due_s = self._clock.monotonic_s()
        await self._find_urgent(self._recorder.last_seq)
        while True:
            self.tell_writing()
            await self._quietly(self._make_room)
            await self._quietly(self._mend)
            due_s += EVERY_S * max(1, int((self._clock.monotonic_s() - due_s) // EVERY_S))
            await self._clock.sleep_until(due_s)

    async def _find_urgent(self, before: int) -> None:
        """Detections and answers of earlier runs, wherever they stand in a log that was weeks without a hub."""
        def old() -> list[Entry]:
            entries = self._log.read(self._log.cursor, URGENT_KINDS, strict=False)
            return list(takewhile(lambda entry: entry.seq <= before, entries))

        self._uplink.restore_urgent(await asyncio.to_thread(old))

    async def _quietly(self, part: Callable[[], list[tuple[EventKind, Said, Ranges]]]) -> None:
        """In a thread. What it found is told; a disk that refuses is the recorder's to report."""
        try:
            told = await asyncio.to_thread(part)
        except OSError as err:
            log.error("the log cannot be looked after: %s", err)
            return
        for kind, words, gone in told:
            self._uplink.gone(gone)
            self.removed_upto = max([self.removed_upto, *(last for _, last in gone)])
            self._pipeline.now_ms()
            self._pipeline.told(kind, words)

    def tell_writing(self) -> None:
        """Whether the log can be written, and what there was no room for meanwhile."""
        status = self._recorder.status
        if (status.error is not None) != self._refused:
            self._pipeline.now_ms()
            lost = status.given_up - self._given_up
            self._pipeline.told(EventKind.DISK, say("log_refused", why=status.error) if status.error else
                                say("log_written", count=lost))
            self._given_up = status.given_up
        self._refused = status.error is not None

    def _make_room(self) -> list[tuple[EventKind, Said, Ranges]]:
        limits = Limits.of(self._log.folder, *self._limits)
        done: dict[int, list[Freed]] = {}
        try:
            for freed in thin(self._log, limits, self._clock.now_ms() / 1000):
                done.setdefault(freed.step, []).append(freed)
        except OSError as err:  # what was done is told all the same: the uplink must not wait for what is gone
            log.error("the log cannot be thinned as it should be: %s", err)
        self._used, self._most = used_bytes(self._log.folder), limits.most
        self._step = max(done, default=self._step if self._used > limits.most * 0.8 else 0)
        return [(EventKind.THINNED, _words(step, parts), [one for part in parts for one in part.removed])
                for step, parts in done.items()]

    def _mend(self) -> list[tuple[EventKind, Said, Ranges]]:
        """Files that a reader found damaged, and the next one in turn."""
        sealed = self._log.sealed
        following = [path for path in sealed if path > self._looked] or sealed
        suspects = [path for path in sealed if path in self._log.suspects]
        told: list[tuple[EventKind, Said, Ranges]] = []
        for path in [*suspects, *following[:1]]:
            mended = self._mended(path)
            if mended is not None:
                told.append((EventKind.DISK, mended.words, mended.holes))
        self._log.suspects.clear()
        self._looked = following[0] if following else Path()
        return told

    def _mended(self, path: Path) -> Mended | None:
        """A file that cannot be read at all is told once; it stays, for the disk may come back."""
        try:
            mended = self._log.mend(path)
            self._unreadable.discard(path)
        except OSError as err:
            known = path in self._unreadable
            self._unreadable.add(path)
            return None if known else Mended(unread("unread", name=path.name, why=said_of(err)), [])
        return mended


def _words(step: int, parts: list[Freed]) -> Said:
    records = sum(last - first + 1 for part in parts for first, last in part.removed)
    freed = sum(part.bytes for part in parts) / MB
    first, last = parts[0].removed[0][0], parts[-1].removed[-1][1]
    return say("thinned", step=step, all=len(Step), what=say(f"thin_{step}"), records=records, first=first, last=last,
               freed=freed)
