"""The only place that touches a port (`edge.port`): one owner a port, one exchange at a time, a deadline for each.

After a timeout the line is drained until it is silent, and the unit that owed the answer is not asked again before its
answer came or is too late to come: a late reply is never taken for the answer to another question. A command to a relay
does not wait for that: a late answer to it is no wrong value. A port that broke is opened again by its owner; a single
device's silence never re-opens it.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from edge import modbus
from edge.config import BusTable
from edge.port import Port
from tocsin.devices import ListeningDriver, Request, Write
from tocsin.readings import Reading, Reason, RejectedError, Rejection

SIREN_FIRST, POLL = 0, 1
_REOPEN_S = 1.0
_SILENCE_S = 0.03        # USB adapters deliver in lumps of 16 ms
_SILENCE_CHARS = 4       # at 300 baud that is longer; Modbus over Serial Line 1.02, 2.5.1.1 has 3.5
_DRAIN_AT_MOST_S = 0.5   # a babbling line is scanned all the same
_TOO_LATE_FACTOR = 4     # a reply later than this many deadlines is held to be lost


@dataclass(order=True)
class _Job:
    priority: int
    number: int
    unit: int = field(compare=False)
    ask: Request | Write = field(compare=False)
    deadline_s: float = field(compare=False)
    answer: "asyncio.Future[list[int]]" = field(compare=False)


class Bus:
    """A Modbus line with its queue. `run` is its owner; others call `exchange`."""

    def __init__(self, table: BusTable) -> None:
        self.name = table.name
        self._table = table
        self._port = Port(table)
        self._open = False
        self._jobs: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._numbers = itertools.count(1)
        self._owes: dict[int, float] = {}
        bits = 11  # of a character with start, parity and stop
        self._silence_s = _SILENCE_S if table.address else max(_SILENCE_S, _SILENCE_CHARS * bits / table.baud)

    async def exchange(self, unit: int, ask: Request | Write, deadline_s: float, priority: int = POLL) -> list[int]:
        """The answer's bits or words. Raises RejectedError with the reason why there is none."""
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait(_Job(priority, next(self._numbers), unit, ask, deadline_s, answer))
        return await answer

    async def run(self) -> None:
        """Serves the queue until cancelled; may be run again after it failed."""
        try:
            while True:
                job = await self._jobs.get()
                if not job.answer.done():
                    await self._serve(job)
        finally:
            self._hang_up()

    async def _serve(self, job: _Job) -> None:
        result: list[int] | RejectedError = RejectedError(Reason.LINK, f"bus {self.name}: the exchange was broken off")
        try:
            result = await self._exchange(job)
        except RejectedError as err:
            result = err
        except OSError as err:
            self._hang_up()
            result = RejectedError(Reason.LINK, f"bus {self.name}, {self._table.port}: {err}")
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
        loop = asyncio.get_running_loop()
        number = job.number & 0xFFFF
        is_tcp = self._table.speaks == "modbus-tcp"
        if not is_tcp:
            await self._settle(job)
        pdu = modbus.question(job.ask)
        self._port.write(modbus.tcp_frame(number, job.unit, pdu) if is_tcp else modbus.rtu_frame(job.unit, pdu))
        until = loop.time() + job.deadline_s
        refused: RejectedError | None = None
        while True:
            found = self._find(is_tcp, number, job)
            if found is None:
                if loop.time() >= until or not await self._port.more(until - loop.time()):
                    raise self._no_answer(job, refused, is_tcp)
                continue
            del self._port.buffer[: found.used]
            if found.refused is None:
                return modbus.values(job.ask, found.data)
            if found.refused.reason is not Reason.FOREIGN:
                raise found.refused
            refused = found.refused

    def _find(self, is_tcp: bool, number: int, job: _Job) -> modbus.Found | None:
        buffer = bytes(self._port.buffer)
        if not is_tcp:
            found = modbus.rtu_find(buffer, job.unit, job.ask)
            if found is None:  # what is longer than a frame is noise before it, to be looked at once only
                del self._port.buffer[: -modbus.MAX_FRAME]
            return found
        try:
            return modbus.tcp_find(buffer, number, job.unit, job.ask)
        except RejectedError:  # the stream is out of step for good: only a new connection mends it
            self._hang_up()
            raise

    def _no_answer(self, job: _Job, refused: RejectedError | None, is_tcp: bool) -> RejectedError:
        if not is_tcp:
            self._owes[job.unit] = asyncio.get_running_loop().time() + _TOO_LATE_FACTOR * job.deadline_s
        if self._port.buffer:
            came = bytes(self._port.buffer[:32]).hex()
            return RejectedError(Reason.CHECKSUM, f"no whole frame within {job.deadline_s:g} s, only {came}")
        return refused or RejectedError(Reason.SILENT, f"no answer within {job.deadline_s:g} s")

    async def _settle(self, job: _Job) -> None:
        """Drains what is still coming, and waits out a unit that owes an answer to an earlier question."""
        loop = asyncio.get_running_loop()
        if not self._owes and not self._port.buffer:
            return
        until = loop.time() + _DRAIN_AT_MOST_S
        while self._port.buffer or self._owes:
            self._forget_frames()
            if loop.time() >= until or not await self._port.more(self._silence_s):
                break
        self._forget_frames()
        now = loop.time()
        self._owes = {other: late for other, late in self._owes.items() if late > now}
        if job.unit in self._owes and isinstance(job.ask, Request):
            raise RejectedError(Reason.SILENT, f"still owes an answer that {job.deadline_s:g} s were given for")

    def _forget_frames(self) -> None:
        """What came between questions answers none; a unit heard so owes nothing any more."""
        for unit in modbus.rtu_units(bytes(self._port.buffer)) if self._owes else ():
            self._owes.pop(unit, None)
        self._port.buffer.clear()

    async def _connect(self) -> None:
        await self._port.open()
        self._open = True
        self._owes.clear()

    def _hang_up(self) -> None:
        self._port.close()
        self._open = False


Heard = Callable[[list[Reading | Rejection]], None]


async def listen(table: BusTable, driver: ListeningDriver, heard: Heard) -> None:
    """Serves a port whose instrument speaks by itself, until cancelled; a port that broke is opened again."""
    while True:
        port = Port(table)
        try:
            await port.open()
            await _hear(port, driver, heard)
        except OSError as err:
            heard([Rejection(Reason.LINK, f"bus {table.name}, {table.port}: {err}")])
        finally:
            port.close()
        await asyncio.sleep(_REOPEN_S)


async def _hear(port: Port, driver: ListeningDriver, heard: Heard) -> None:
    rest = b""
    while True:
        await port.more(3600.0)
        frames, rest = driver.split(rest + bytes(port.buffer))
        port.buffer.clear()
        for frame in frames:
            try:
                heard(driver.decode(frame))
            except RejectedError as err:
                heard([Rejection(err.reason, err.detail)])
