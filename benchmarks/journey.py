"""From the sensor to the siren and to the broadcast

Agent and hub are processes of their own, on a real Mosquitto (where it is not installed, on the hub's embedded broker)
and with the embedded store. The agent polls a simulated gauge over Modbus TCP; the gauge jumps over the siren's level.
The clock starts when the gauge's answer with the new value is on the wire. *Sensor to siren* ends when the relay
switches, *sensor to broadcast* when the signed bulletin has reached a loudspeaker's MQTT client: on that way the record
was written, landed on the hub's disk (a synced commit), weighed, journalled (another) and signed. The wait for the next
poll is in neither.

Floors: a loop that reads with pymodbus and writes the coil, a process of its own too, knows nothing of rules, levels
or logs; one publish and its arrival through the same broker (QoS 1) is one of the two passes that a bulletin needs.
*Start* is from the agent's start to its first reading on the hub's disk, beside a Python that imports numpy and ends.
"""

import asyncio
import contextlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiomqtt

from benchmarks._children import POLL_S, child
from benchmarks._rows import BenchError, Row, repeats_of
from benchmarks._village import HIGH_M, SIREN_M, WITHIN_S, Village, village
from tocsin.broker import Broker

SIREN_OVER_MS = 20.0  # what decision and queue may add at p99
FLOOR_TOPIC = "tocsin-bench/floor"
FLOOR_BYTES = 800  # about a signed bulletin


def run(quick: bool) -> list[Row]:
    """Rows of both ways and of the start. Raises BenchError where a step does not happen in time."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        try:
            return asyncio.run(_measure(Path(folder), 2 if quick else 50, repeats_of(quick, slow=True)))
        except TimeoutError as err:
            raise BenchError(f"a step of the journey did not happen within {WITHIN_S:g} s") from err


async def _measure(folder: Path, cycles: int, repeats: int) -> list[Row]:
    found: list[list[list[float]]] = []
    async with village(folder) as place, _floor_client(place.broker) as one_pass:
        for number in range(repeats):
            siren_ms, broadcast_ms = await _agent_cycles(place, cycles)
            bare_ms = await _bare_cycles(place, cycles)
            pass_ms = [await one_pass() for _ in range(cycles)]
            start_ms, import_ms = await place.start_another(f"start-{number}"), await asyncio.to_thread(_import_ms)
            found.append([siren_ms, broadcast_ms, bare_ms, pass_ms, [start_ms], [import_ms]])
    sirens, broadcasts, bare_sirens, passes, starts, imports = map(list, zip(*found, strict=True))
    return [
        *_percentiles("sensor to siren", sirens, bare_sirens, "pymodbus read and coil write", over_ms=SIREN_OVER_MS),
        *_percentiles("sensor to broadcast", broadcasts, passes, f"one publish and its arrival, {place.broker_name}"),
        Row("start to first reading at the hub", _median(starts, 0.5), _median(imports, 0.5), "python, import numpy",
            "ms", repeats, floor=True),
    ]


async def _agent_cycles(place: Village, cycles: int) -> tuple[list[float], list[float]]:
    """Milliseconds from sensor to siren and to broadcast."""
    siren_ms, broadcast_ms = [], []
    for _ in range(cycles):
        async with asyncio.timeout(WITHIN_S):
            served_s, sounded_s, said_s = await place.rise()
            await place.fall()
        siren_ms.append((sounded_s - served_s) * 1000)
        broadcast_ms.append((said_s - served_s) * 1000)
        await _out_of_step()
    return siren_ms, broadcast_ms


async def _bare_cycles(place: Village, cycles: int) -> list[float]:
    """The floor of the siren, on a wire of its own."""
    wire, siren_ms = place.bare, []
    with child("bare", str(wire.port), str(round(SIREN_M * 1000))):
        for _ in range(cycles):
            async with asyncio.timeout(WITHIN_S):
                served_s = await wire.show(HIGH_M)
                siren_ms.append((await wire.switched(on=True) - served_s) * 1000)
                await wire.show(0.0)
                await wire.switched(on=False)
            await _out_of_step()
    return siren_ms


async def _out_of_step() -> None:
    """Polls come on a grid: the next jump must not be tied to it."""
    await asyncio.sleep(random.uniform(0, POLL_S))


@contextlib.asynccontextmanager
async def _floor_client(broker: Broker) -> AsyncIterator[Callable[[], Awaitable[float]]]:
    """Milliseconds of one pass through the broker."""
    version = aiomqtt.ProtocolVersion.V5
    async with (
        aiomqtt.Client(broker.host, broker.port, protocol=version) as sender,
        aiomqtt.Client(broker.host, broker.port, protocol=version) as listener,
    ):
        await listener.subscribe(FLOOR_TOPIC, qos=1)
        messages = aiter(listener.messages)

        async def one_pass() -> float:
            began_s = time.monotonic()
            sending = asyncio.create_task(sender.publish(FLOOR_TOPIC, bytes(FLOOR_BYTES), qos=1))
            async with asyncio.timeout(WITHIN_S):
                await anext(messages)
                took_s = time.monotonic() - began_s
                await sending
            return took_s * 1000

        yield one_pass


def _import_ms() -> float:
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    return (time.monotonic() - began_s) * 1000


def _percentiles(what: str, ours: list[list[float]], peer: list[list[float]], name: str,
                 over_ms: float | None = None) -> list[Row]:
    least = _median(peer, 0.99)
    bar = None if over_ms is None else least + over_ms
    return [Row(f"{what}, p50", _median(ours, 0.5), _median(peer, 0.5), name, "ms", len(ours), floor=True),
            Row(f"{what}, p99", _median(ours, 0.99), least, name, "ms", len(ours), floor=True, bar=bar)]


def _median(repeats: list[list[float]], share: float) -> float:
    """The median, over the repeats, of a percentile by nearest rank."""
    return statistics.median(sorted(times)[min(len(times) - 1, int(share * len(times)))] for times in repeats)
