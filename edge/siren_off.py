"""`tocsin siren-off station.toml`: switches the siren off while no agent runs.

For the end of an agent that could not do it itself, as `ExecStopPost=` of its systemd unit; and by hand. It reads the
station file alone: rules that are wrong must not keep a siren sounding.
"""

import argparse
import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from edge.at_hand import copied, station_file
from edge.bus import Bus
from edge.config import StationFile
from edge.device import device_of
from edge.lock import Lock
from edge.outputs import Output
from edge.sayings import rejected, say
from edge.siren_parts import output_of
from tocsin.config import ConfigError
from tocsin.devices import OutputDriver
from tocsin.levels import Stage
from tocsin.readings import RejectedError
from tocsin.said import LANGS, Said, language

_TRIES = 5
_AGAIN_S = 0.5


def run(argv: list[str]) -> int:
    """Exit code: 0 it is off, or there is none; 1 it is not, or an agent runs; 2 the command line is off."""
    parser = argparse.ArgumentParser(prog="tocsin siren-off", description="Switch a siren off while no agent runs.")
    parser.add_argument("station", type=Path, metavar="STATION.toml")
    parser.add_argument("--lang", choices=LANGS, default="", help="else as the terminal's LANG says")
    args = parser.parse_args(argv)
    place, lang = args.station, language(args.lang)
    try:
        file = station_file(place, lang)
        try:
            said = _off(place, file)
        except ConfigError as err:  # an agent that ran on the copy has sounded what the copy says
            said = _off(place, copied(place, err, lang))
        print(said.in_(lang))
    except ConfigError as err:
        print(err, file=sys.stderr)
    except RejectedError as err:
        print(say("at", place=place, why=rejected(err)).in_(lang), file=sys.stderr)
    except BlockingIOError:
        print(say("runs", place=place).in_(lang), file=sys.stderr)
    else:
        return 0
    return 1


def _off(place: Path, file: StationFile) -> Said:
    if file.siren is None:
        return say("no_siren")
    folder = place.parent / file.station.data
    lock = None
    try:
        lock = Lock(folder)
    except BlockingIOError:
        raise
    except OSError as err:  # no agent runs on a folder that cannot be had, and the siren may sound all the same
        print(f"{folder}: {err.strerror}", file=sys.stderr)
    try:
        return asyncio.run(_switch_off(place, file))
    finally:
        if lock is not None:
            lock.close()


async def _switch_off(place: Path, file: StationFile) -> Said:
    """Raises RejectedError or ConfigError."""
    assert file.siren is not None  # noqa: S101 - the caller has looked
    tables = {bus.name: bus for bus in file.bus}
    own = [table for table in file.device if table.name == file.siren.device]
    if file.siren.device and not own:
        raise ConfigError([f'{place}: siren: device: "{file.siren.device}" is not a device of this file'])
    devices = [device_of(table, tables, f'{place}: device "{table.name}"') for table in own]
    if any(not isinstance(device.driver, OutputDriver) for device in devices):
        raise ConfigError([f'{place}: siren: device: "{file.siren.device}" is not an output'])
    buses = {table.bus: Bus(tables[table.bus]) for table in own}
    running = [asyncio.create_task(bus.run()) for bus in buses.values()]
    output = output_of(file.siren, devices, buses)
    try:
        return say("is_off" if await _tried(output) else "off_feedback", name=output.name)
    finally:
        output.close()
        for task in running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _tried(output: Output) -> bool:
    """Several times: the line may still carry what the agent was waiting for. False where its feedback says on.

    Raises RejectedError.
    """
    for left in reversed(range(_TRIES)):
        try:
            await output.switch(on=False, stage=Stage.WATCH)
            break
        except RejectedError:
            if not left:
                raise
            await asyncio.sleep(_AGAIN_S)
    with suppress(RejectedError):  # it obeyed; it cannot say so
        return not await output.is_on()
    return True
