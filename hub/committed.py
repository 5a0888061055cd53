"""The hub's answer `committed`: which records are on its disk. At most five messages a second to a station."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hub.checks import RecordId
from hub.publish import Publish
from tocsin import topics
from tocsin.link import LinkDownError
from tocsin.messages import VERSION, Committed, Range, digest_of_digests, encode
from tocsin.signing import seal

APART_S = 0.2
_AT_ONCE = 500  # answers under way to the broker
MOST_RANGES = 500  # some 50 kB of one message; what is left goes with the next

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    """What one station has not been told: ids of which ranges can be made, and ranges made already."""

    ids: dict[RecordId, None] = field(default_factory=dict)
    ranges: list[Range] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ids or self.ranges)

    def close_ranges(self) -> None:
        self.ranges += ranges_of(list(self.ids))
        self.ids.clear()

    def take(self) -> list[Range]:
        self.close_ranges()
        taken, self.ranges = self.ranges[:MOST_RANGES], self.ranges[MOST_RANGES:]
        return taken


def ranges_of(ids: Sequence[RecordId]) -> list[Range]:
    """Runs of rising seq of one boot, each with the digest of its records' digests in order."""
    runs: list[list[RecordId]] = []
    for one in sorted(ids, key=lambda one: (one.boot, one.seq)):
        if runs and runs[-1][-1].boot == one.boot and runs[-1][-1].seq + 1 == one.seq:
            runs[-1].append(one)
        else:
            runs.append([one])
    return [
        Range(run[0].boot, run[0].seq, run[-1].seq, digest_of_digests([one.digest for one in run])) for run in runs
    ]


class Answers:
    """Collects what is on disk and says it. An answer that cannot be sent is dropped: the station will ask again.

    Each station's answers wait for the broker by themselves: one that is not taken holds up no other station.
    """

    def __init__(
        self, hub_id: str, keys: Mapping[str, str], publish: Publish, now_ms: Callable[[], int] = lambda: 0
    ) -> None:
        """`now_ms`: the hub's time, by which a station sees whether its own drifts."""
        self.dropped = 0
        self._now_ms = now_ms
        self._hub_id = hub_id
        self._keys = keys
        self._publish = publish
        self._waiting: dict[str, _Waiting] = {}
        self._under_way = asyncio.Semaphore(_AT_ONCE)
        self._tasks: asyncio.TaskGroup | None = None
        self._answered: set[str] = set()  # stations that have a task

    def add(self, station: str, ids: Sequence[RecordId], *, clone: bool) -> None:
        """`ids` of one message. Where a card was cloned two senders share ids: each needs digests of its own."""
        waiting = self._waiting.setdefault(station, _Waiting())
        if clone:
            waiting.close_ranges()
        waiting.ids.update(dict.fromkeys(ids))
        if clone:
            waiting.close_ranges()
        self._begin(station)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for station in self._waiting:
                    self._begin(station)
                await asyncio.Event().wait()
        finally:
            self._tasks = None
            self._answered.clear()  # also of tasks that were cancelled before they began

    def _begin(self, station: str) -> None:
        if self._tasks is not None and station not in self._answered:
            self._answered.add(station)
            self._tasks.create_task(self._answer(station), name=f"answers to {station}")

    async def _answer(self, station: str) -> None:
        """All that waits for it, and what comes meanwhile; then nothing is kept of it."""
        waiting = self._waiting[station]
        while waiting:
            async with self._under_way:
                await self._send(station, waiting.take())
            await asyncio.sleep(APART_S)
        del self._waiting[station]
        self._answered.discard(station)

    async def _send(self, station: str, ranges: list[Range]) -> None:
        topic, key = topics.committed(station), self._keys.get(station)
        if key is None:  # it was taken from the roster meanwhile: the answers of all others must not end for it
            return
        body = encode(Committed(VERSION, self._hub_id, ranges, self._now_ms()))
        try:
            await self._publish(topic, seal(body, topic, key))
        except LinkDownError as err:
            self.dropped += 1
            log.info("%s: not answered, the station will ask again: %s", station, err)
