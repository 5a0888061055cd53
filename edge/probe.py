"""`tocsin probe tcp://HOST:502 | serial:/dev/ttyUSB0`: what answers on a bus, or speaks on it by itself.

Nothing is written to any device: registers, inputs and coils are only read. No agent may run on a serial port
meanwhile.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

from edge.bus import Bus
from edge.config import BusTable
from edge.modbus import DeviceRefusedError
from edge.port import Port
from tocsin.config import ConfigError, convert
from tocsin.devices import Request
from tocsin.readings import Reason, RejectedError

KINDS = {4: "input registers", 3: "holding registers", 2: "discrete inputs", 1: "coils"}
_MOST_SHOWN = 64


def run(argv: list[str]) -> int:
    """Exit code: 0 something answered or spoke, 1 nothing did or the port cannot be had, 2 the command line is off."""
    args = _parser().parse_args(argv)
    try:
        units = _units(args.units)
        table = _table(args)
    except (ConfigError, ValueError) as err:
        print(f"tocsin probe: {err}", file=sys.stderr)
        return 2
    with suppress(KeyboardInterrupt):
        return asyncio.run(_listen(table, args.listen) if args.listen else _ask(table, units, args))
    print("\nstopped; what answered until here stands above", file=sys.stderr)
    return 1


async def _ask(table: BusTable, units: Sequence[int], args: argparse.Namespace) -> int:
    bus, found = Bus(table), 0
    print(f"{table.port}, {table.speaks}{'' if table.address else f', {table.baud} baud, parity {table.parity}'}: "
          f"units {args.units}, address {args.address}", flush=True)
    serving = asyncio.create_task(bus.run())
    try:
        for unit in units:
            _progress(f"unit {unit} ...")
            lines = await answers(bus, unit, args.address, args.count, args.deadline)
            _progress("")
            found += bool(lines)
            for line in lines:
                print(f"unit {unit:3d}  {line}", flush=True)
    except RejectedError as err:
        _progress("")
        print(f"tocsin probe: {err.detail}", file=sys.stderr)
        return 1
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    if not found:
        print("nothing answered; look at wires, baud, parity and unit numbers, or let it listen: --listen 10")
    return 0 if found else 1


async def answers(bus: Bus, unit: int, address: int, count: int, deadline_s: float) -> list[str]:
    """What a unit says to a read of each kind, in words; empty where it is silent. Raises RejectedError for a port that
    cannot be had."""
    said: list[str] = []
    for function, kind in KINDS.items():
        try:
            words = await _read(bus, unit, Request(function, address, count), deadline_s)
        except RejectedError as err:
            if err.reason is Reason.LINK:
                raise
            if err.reason is Reason.SILENT or (isinstance(err, DeviceRefusedError) and err.by_gateway):
                return said
            said.append(f"{kind}: {err.reason}: {err.detail}")
        else:
            said.append(f"{kind}: {' '.join(map(str, words))}")
    return said


async def _read(bus: Bus, unit: int, request: Request, deadline_s: float) -> list[int]:
    """A device that has not so many is asked for one. Raises RejectedError."""
    try:
        return await bus.exchange(unit, request, deadline_s)
    except DeviceRefusedError as err:
        if request.count == 1 or not err.not_so_many:
            raise
    return await bus.exchange(unit, Request(request.function, request.address, 1), deadline_s)


async def _listen(table: BusTable, for_s: float) -> int:
    """What comes by itself on a line that is not asked."""
    port, heard = Port(table), b""
    print(f"{table.port}: listening for {for_s:g} s", flush=True)
    try:
        await port.open()
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                while True:
                    await port.more(for_s)
                    heard += bytes(port.buffer)
                    port.buffer.clear()
    except OSError as err:
        print(f"tocsin probe: {table.port}: {err.strerror or err}", file=sys.stderr)
        return 1
    finally:
        port.close()
    for line in _shown(heard):
        print(line)
    return 0 if heard else 1


def _shown(heard: bytes) -> Iterator[str]:
    if not heard:
        yield "nothing was heard"
        return
    yield f"{len(heard)} bytes; the first {min(len(heard), _MOST_SHOWN)}:"
    yield f"  {heard[:_MOST_SHOWN].hex(' ')}"
    yield f"  {heard[:_MOST_SHOWN]!r}"


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<20}\r", end="", file=sys.stderr, flush=True)


def _units(text: str) -> list[int]:
    """`1-16`, `1,5,9` or both. Raises ValueError."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f'--units "{text}" is not allowed; use numbers from 1 to 247, like 1-16 or 1,5,9')
        found += range(int(first), int(last if dash else first) + 1)
    if not found or min(found) < 1 or max(found) > 247:
        raise ValueError(f'--units "{text}" is not allowed; use numbers from 1 to 247, like 1-16 or 1,5,9')
    return found


def _table(args: argparse.Namespace) -> BusTable:
    port = args.port.removeprefix("serial:")
    speaks = "lines" if args.listen else "modbus-rtu" if args.rtu or not port.startswith("tcp://") else "modbus-tcp"
    given = {"name": "probe", "speaks": speaks, "port": port, "baud": args.baud, "parity": args.parity,
             "stop_bits": args.stop_bits}
    return convert(given, BusTable, args.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tocsin probe", description="Say what answers on a bus. Only reads.")
    parser.add_argument("port", help="tcp://host:502, or serial:/dev/ttyUSB0")
    parser.add_argument("--units", default="1-32", help="1-247, or 1,5,9 (1-32 unless given)")
    parser.add_argument("--address", type=int, default=0, choices=range(65536), metavar="N",
                        help="the first register, counted from 0")
    parser.add_argument("--count", type=int, default=4, choices=range(1, 126), metavar="N", help="how many (4)")
    parser.add_argument("--deadline", type=float, default=0.3, metavar="S", help="seconds for an answer (0.3)")
    parser.add_argument("--rtu", action="store_true", help="RTU frames over TCP, as serial servers pass them on")
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--parity", default="N", help="N, E or O")
    parser.add_argument("--stop-bits", type=int, default=1)
    parser.add_argument("--listen", type=float, default=0.0, metavar="S",
                        help="ask nothing; show what comes by itself within so many seconds")
    return parser
