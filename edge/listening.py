"""Serves a port whose instrument speaks by itself."""

import asyncio
from collections.abc import Callable

from edge.config import BusTable
from edge.port import Port
from tocsin.devices import ListeningDriver
from tocsin.readings import Reading, Reason, RejectedError, Rejection
from tocsin.said import reason_of

_REOPEN_S = 1.0

Heard = Callable[[list[Reading | Rejection]], None]


async def listen(table: BusTable, driver: ListeningDriver, heard: Heard) -> None:
    """Serves a port whose instrument speaks by itself, until cancelled; a port that broke is opened again."""
    while True:
        port = Port(table)
        try:
            await port.open()
            await _hear(port, driver, heard)
        except OSError as err:
            heard([Rejection(Reason.LINK, f"bus {table.name}, {table.port}: {reason_of(err)}")])
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
