"""Other processes of a bench: `python -m benchmarks._children serve|bare ...`. They end when their input is closed."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator

from pymodbus.client import AsyncModbusTcpClient

from simulators.devices import RadarLevel
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.shared_data import REPOSITORY

GAUGE, RELAY = 1, 9
POLL_S = 0.05
SHOWN_M = 1.234


@contextlib.contextmanager
def child(*words: str) -> Iterator[str]:
    """Runs one of the commands below; gives the first line that it says."""
    command = [sys.executable, "-m", "benchmarks._children", *words]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait()


@contextlib.contextmanager
def beside(*words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs python with these words, and what it says is not heard."""
    with subprocess.Popen([sys.executable, *words], cwd=REPOSITORY, stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


async def serve(count: int = GAUGE) -> None:
    """Simulated radars on Modbus TCP, units from 1 on; says its port."""
    radars = {unit: RadarLevel(Measures.LEVEL) for unit in range(GAUGE, GAUGE + count)}
    for radar in radars.values():
        radar.set("depth_m", SHOWN_M)
    async with ModbusTcp(radars) as wire:
        print(wire.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def bare(port: int, on_mm: int) -> None:
    """A bare loop with pymodbus: reads the gauge, switches the relay at `on_mm`."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    print("connected", flush=True)
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    sounding = False
    while not ended.done():
        answer = await client.read_input_registers(0, count=4, device_id=GAUGE)
        on = (answer.registers[0] << 16 | answer.registers[1]) >= on_mm
        if on != sounding:
            await client.write_coil(0, on, device_id=RELAY)
            sounding = on
        await asyncio.sleep(POLL_S)
    client.close()


if __name__ == "__main__":
    given = map(int, sys.argv[2:])
    asyncio.run(serve(*given) if sys.argv[1] == "serve" else bare(*given))
