"""The bus against pymodbus's client, on one simulated device

One exchange reads 4 input registers over Modbus TCP on loopback, one after the other; the device is a process of its
own. CPU is that of the asking process alone. The floor writes a ready frame to an asyncio stream and reads the length
of the answer, without looking at it. The bus is asked as the poller asks it: through its queue, with a deadline.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from pymodbus.client import AsyncModbusTcpClient

from benchmarks._children import GAUGE, SHOWN_M, child
from benchmarks._rows import BenchError, Row, medians_of_awaited, repeats_of
from edge import modbus
from edge.bus import Bus
from edge.config import BusTable
from tocsin.devices import Request

ASK = Request(function=4, address=0, count=4)
DEADLINE_S = 2.0
ANSWER_BYTES = 7 + 2 + 2 * ASK.count
WHY = "each exchange passes a queue and two tasks, so that the siren comes first and a late answer is nobody's"
Exchange = Callable[[], Awaitable[list[int]]]


def run(quick: bool) -> list[Row]:
    """Rows of rate and CPU. Raises BenchError where a side reads something else than is shown."""
    with child("serve") as port:
        return asyncio.run(_measure(int(port), repeats_of(quick), 20 if quick else 2_000))


async def _measure(port: int, repeats: int, count: int) -> list[Row]:
    async with contextlib.AsyncExitStack() as stack:
        sides = [await stack.enter_async_context(side(port)) for side in (_bus, _pymodbus, _stream)]
        for side in sides[:2]:
            if (words := await side())[:3] != [0, round(SHOWN_M * 1000), 0]:
                raise BenchError(f"{words} was read; the gauge shows {SHOWN_M} m")
        ours, peer, floor = await medians_of_awaited(repeats, *(partial(_timed, side, count) for side in sides))
    rows = []
    for (rate, cpu_us), name, is_floor in ((peer, "pymodbus client", False), (floor, "bare stream", True)):
        rows += [
            Row("exchanges", ours[0], rate, name, "1/s", repeats, more_is_better=True, floor=is_floor,
                why=WHY),
            Row("CPU of one exchange", ours[1], cpu_us, name, "us", repeats, floor=is_floor, why=WHY),
        ]
    return rows


async def _timed(exchange: Exchange, count: int) -> list[float]:
    """Exchanges a second, and microseconds of CPU of each."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for _ in range(count):
        await exchange()
    return [count / (time.perf_counter() - began_s), (time.process_time() - began_cpu_s) / count * 1e6]


@contextlib.asynccontextmanager
async def _bus(port: int) -> AsyncIterator[Exchange]:
    bus = Bus(BusTable("field", "modbus-tcp", f"tcp://127.0.0.1:{port}"))
    task = asyncio.create_task(bus.run())
    yield lambda: bus.exchange(GAUGE, ASK, DEADLINE_S)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@contextlib.asynccontextmanager
async def _pymodbus(port: int) -> AsyncIterator[Exchange]:
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=DEADLINE_S)
    await client.connect()

    async def read() -> list[int]:
        return list((await client.read_input_registers(ASK.address, count=ASK.count, device_id=GAUGE)).registers)

    yield read
    client.close()


@contextlib.asynccontextmanager
async def _stream(port: int) -> AsyncIterator[Exchange]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    frame = modbus.tcp_frame(1, GAUGE, modbus.question(ASK))

    async def read() -> list[int]:
        writer.write(frame)
        return list(await reader.readexactly(ANSWER_BYTES))

    yield read
    writer.close()
    await writer.wait_closed()
