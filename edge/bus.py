"""The owner of a port (`edge.port`) on which questions are asked: one exchange at a time, a deadline for each.

The deadline of a poll is learned from the device's own answers (`edge.replies`), at most the configured one. After an
answer that failed the line is drained until it is silent, and a unit that owes one is asked only what the late answer
cannot be taken for (`edge.owed`). A command to a relay does not wait for that: a late answer to it is no wrong value.
A port that broke is opened again by its owner; a single device's silence or babble never re-opens it.
"""

import asyncio
import itertools
from collections import defaultdict
from typing import NamedTuple

from edge import modbus
from edge.breaker import is_costly, probe_of
from edge.config import BusTable
from edge.owed import Owed
from edge.port import Port
from edge.replies import ReplyTimes
from tocsin.devices import Request, Write
from tocsin.readings import Reason, RejectedError
from tocsin.said import reason_of

SIREN_FIRST, POLL = 0, 1
_SILENCE_S = 0.03        # USB adapters deliver in lumps of 16 ms
_SILENCE_CHARS = 4       # at 300 baud that is longer; Modbus over Serial Line 1.02, 2.5.1.1 has 3.5
_DRAIN_AT_MOST_S = 0.5   # a babbling line is scanned all the same
_BITS_A_CHARACTER = 11   # with start, parity and stop
_QUESTION_BYTES = 8
_APART_CHARS, _APART_S = 3.5, 0.00175   # between two frames, and from 19,200 baud on; the same, 2.5.1.1
_SLOW_S = 0.002          # an exchange that takes longer is worth waiting for what follows from its answer
_TURNS = 8               # of the loop, until what follows from an answer stands in the queue; the siren takes 4
_SLOW_OPEN_S = 0.1
_OUT_OF_STEP = 5         # answers in a row that were no Modbus TCP: it is the connection, not one device of many


class _Job(NamedTuple):
    number: int
    unit: int
    ask: Request | Write
    deadline_s: float
    answer: "asyncio.Future[list[int]]"
    probe: bool


class Bus:
    """A Modbus line with its queue. `run` is its owner; others call `exchange`.

    `busy_s` adds up how long exchanges took; `replies` has what is known of each unit's answers.
    """

    def __init__(self, table: BusTable) -> None:
        self.name = table.name
        self.busy_s = 0.0
        self.replies: defaultdict[int, ReplyTimes] = defaultdict(ReplyTimes)
        self._table = table
        self._is_tcp = table.speaks == "modbus-tcp"
        self._port = Port(table)
        self._open = False
        self._shut_until_s, self._shut_for = 0.0, ""
        self._jobs: asyncio.PriorityQueue[tuple[int, int, _Job]] = asyncio.PriorityQueue()
        self._numbers = itertools.count(1)
        self._owed = Owed()
        self._unclean = False
        self._echoes = False
        self._out_of_step = 0
        self._character_s = 0.0 if table.address else _BITS_A_CHARACTER / table.baud
        self._silence_s = max(_SILENCE_S, _SILENCE_CHARS * self._character_s)
        self._apart_s = 0.0 if table.address else max(_APART_S, _APART_CHARS * self._character_s)

    async def exchange(self, unit: int, ask: Request | Write, deadline_s: float, priority: int = POLL) -> list[int]:
        """The answer's bits or words. Raises RejectedError with the reason why there is none."""
        return await self._put(unit, ask, deadline_s, priority)

    async def probe(self, unit: int, ask: Request, deadline_s: float) -> None:
        """Returns at any sign of life, a late answer too. Raises RejectedError where there is none."""
        await self._put(unit, ask, deadline_s, POLL, probe=True)

    def _put(
        self, unit: int, ask: Request | Write, deadline_s: float, priority: int, *, probe: bool = False
    ) -> "asyncio.Future[list[int]]":
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        number = next(self._numbers)
        self._jobs.put_nowait((priority, number, _Job(number, unit, ask, deadline_s, answer, probe)))
        return answer

    def deadline_s(self, unit: int, ask: Request | Write, most_s: float) -> float:
        """How long this answer may take. A command to a relay is given all that is configured."""
        if isinstance(ask, Write):
            return most_s
        return min(most_s, self._wire_s(ask) + self.replies[unit].deadline_s(most_s))

    def may_ask(self, unit: int, ask: Request) -> bool:
        """Whether no late answer of the unit could be taken for this one's."""
        return self._is_tcp or self._owed.may_ask(unit, ask, asyncio.get_running_loop().time())

    def _wire_s(self, ask: Request | Write) -> float:
        """What question and answer take on a serial line, whoever is asked; over TCP nobody knows."""
        return self._character_s and self._character_s * (_QUESTION_BYTES + 3 + modbus.answer_length(ask))

    async def run(self) -> None:
        """Serves the queue until cancelled; may be run again after it failed."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                _, _, job = await self._jobs.get()
                if not job.answer.done():
                    began_s = loop.time()
                    await self._serve(job)
                    await self._pause(loop.time() - began_s)
                    self.busy_s += loop.time() - began_s
        finally:
            self._hang_up()

    async def _pause(self, took_s: float) -> None:
        """Frames stand apart on a serial line; what follows from an answer, a siren's command, goes before polls."""
        await self._stand_apart()
        if not self._is_tcp or took_s > _SLOW_S:
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    async def _stand_apart(self) -> None:
        wait_s = self._port.heard_s + self._apart_s - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _serve(self, job: _Job) -> None:
        result: list[int] | RejectedError = RejectedError(Reason.LINK, f"bus {self.name}: the exchange was broken off")
        try:
            result = await self._exchange(job)
        except RejectedError as err:
            result = err
        except OSError as err:
            self._hang_up()
            result = RejectedError(Reason.LINK, f"bus {self.name}, {self._table.port}: {reason_of(err)}")
        finally:  # whatever happened here: who asked must not wait for ever
            if job.answer.done():
                pass
            elif isinstance(result, RejectedError):
                job.answer.set_exception(result)
            else:
                job.answer.set_result(result)

    async def _exchange(self, job: _Job) -> list[int]:
        if self._open and self._port.broken:  # closed while idle, as gateways do: no reason to refuse this question
            self._hang_up()
        if not self._open:
            await self._connect()
        if not self._is_tcp:
            await self._settle(job)
            await self._meet(job)
        return await self._ask(job)

    async def _meet(self, job: _Job) -> None:
        """A unit that may still answer the agent before this one is probed first. Raises RejectedError."""
        if (job.probe or isinstance(job.ask, Write)
                or not self._owed.strange(job.unit, job.deadline_s, asyncio.get_running_loop().time())):
            return
        try:
            await self._ask(job._replace(ask=probe_of(job.ask), probe=True))
        except modbus.DeviceRefusedError as err:
            if is_costly(err):
                raise
        await self._stand_apart()

    async def _ask(self, job: _Job) -> list[int]:
        loop = asyncio.get_running_loop()
        pdu = modbus.question(job.ask)
        number = job.number & 0xFFFF
        self._port.write(modbus.tcp_frame(number, job.unit, pdu) if self._is_tcp else modbus.rtu_frame(job.unit, pdu))
        asked_s = loop.time()
        allowed_s = self.deadline_s(job.unit, job.ask, job.deadline_s)
        found: modbus.Found | RejectedError | None = None
        try:
            found = await self._answer(job, number, asked_s + allowed_s)
        finally:  # also where the port broke: what was asked may still be answered when it is there again
            if not isinstance(found, modbus.Found):
                self._unclean = True
                self._owed.add(job.unit, job.ask, asked_s, job.deadline_s, loop.time())
        if not isinstance(found, modbus.Found):
            if found is not None and found.reason is Reason.FORMAT:
                self._count_out_of_step()
            raise self._no_answer(found, allowed_s)
        return self._taken(job, found, asked_s)

    def _taken(self, job: _Job, found: modbus.Found, asked_s: float) -> list[int]:
        if not (isinstance(found.refused, modbus.DeviceRefusedError) and found.refused.by_gateway):
            self.replies[job.unit].heard(self._port.heard_s - asked_s - self._wire_s(job.ask))
        self._owed.answered(job.unit)
        if job.probe:
            self._owed.meet(job.unit)
        if found.refused is None:
            return modbus.values(job.ask, found.data)
        raise found.refused

    async def _answer(self, job: _Job, number: int, until_s: float) -> modbus.Found | RejectedError | None:
        """What the unit said, by its data or its exception; else what came instead, if anything."""
        loop = asyncio.get_running_loop()
        instead: RejectedError | None = None
        last_look = False
        while True:
            found = self._find(number, job) if self._port.buffer else None
            if found is None:
                left_s = until_s - loop.time()
                if last_look or not await self._port.more(left_s):
                    return instead
                last_look = left_s <= 0  # the loop was busy: what lay in the port is looked at once
                continue
            del self._port.buffer[:found.used]
            if not found.stray:
                self._out_of_step = 0
                self._echoes |= found.echoed
                return found
            instead = found.refused
            if found.frame is not None:
                self._came_late(found.frame)

    def _count_out_of_step(self) -> None:
        """What came was no frame: where others of this connection answer it goes on, else it is made anew."""
        self._out_of_step += 1
        if self._out_of_step >= _OUT_OF_STEP:
            self._hang_up()

    def _find(self, number: int, job: _Job) -> modbus.Found | None:
        buffer = bytes(self._port.buffer)
        if self._is_tcp:
            return modbus.tcp_find(buffer, number, job.unit, job.ask)
        found = modbus.rtu_find(buffer, job.unit, job.ask, echoes=self._echoes)
        if found is None:  # what is longer than a frame is noise before it, to be looked at once only
            del self._port.buffer[:-modbus.MAX_FRAME]
        return found

    def _no_answer(self, instead: RejectedError | None, allowed_s: float) -> RejectedError:
        if instead is not None:
            return instead
        if self._port.buffer:
            came = bytes(self._port.buffer[:32]).hex()
            return RejectedError(Reason.CHECKSUM, f"no whole frame within {allowed_s:.3g} s, only {came}")
        return RejectedError(Reason.SILENT, f"no answer within {allowed_s:.3g} s")

    async def _settle(self, job: _Job) -> None:
        """Drains what is still coming after an answer that failed, and refuses a question that must wait."""
        loop = asyncio.get_running_loop()
        if self._unclean or self._port.buffer:
            until_s = loop.time() + _DRAIN_AT_MOST_S
            while True:
                self._forget_frames()
                quiet_s = loop.time() - self._port.heard_s
                if quiet_s >= self._silence_s or loop.time() >= until_s:
                    break
                await self._port.more(self._silence_s - quiet_s)
            self._unclean = False
        if not job.probe and not self._owed.may_ask(job.unit, job.ask, loop.time()):
            raise RejectedError(Reason.SILENT, f"still owes an answer that {job.deadline_s:g} s were given for")

    def _forget_frames(self) -> None:
        """What came between questions answers none; what a unit owed may be among it."""
        for frame in modbus.rtu_frames(bytes(self._port.buffer)) if self._owed else ():
            self._came_late(frame)
        self._port.buffer.clear()

    def _came_late(self, frame: modbus.Frame) -> None:
        """Too late to count, but it tells how long this unit takes."""
        asked_s = self._owed.came(frame)
        if asked_s is not None:
            self.replies[frame.unit].heard(self._port.heard_s - asked_s)

    async def _connect(self) -> None:
        """A host that is away is not waited for at each question that stands in line: half of the time at most."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        if began_s < self._shut_until_s:
            raise OSError(self._shut_for)
        try:
            await self._port.open()
        except OSError as err:
            self._shut_for = str(err)
            took_s = loop.time() - began_s
            self._shut_until_s = loop.time() + (took_s if took_s > _SLOW_OPEN_S else 0.0)
            raise
        self._open = True
        self._out_of_step = 0
        self._owed.begin(loop.time())
        if self._is_tcp:    # a serial line, and a converter to one, still bring what was asked before
            self._owed.clear()

    def _hang_up(self) -> None:
        self._port.close()
        self._open = False
