"""Scenario files: the sample runs, and what is wrong with a file is said by name."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from typing import get_args

import pytest
from pymodbus.client import AsyncModbusTcpClient

from simulators import devices, faults, hazards, scenario
from simulators.command import check, run
from simulators.devices import RadarLevel, RainCounter
from simulators.scenario import DeviceKind, WireKind, read
from simulators.simulation import Simulation, build
from simulators.wires import ModbusTcp
from tests.lines import settle
from tocsin.clock import WoundClock
from tocsin.config import Table

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "simulators" / "sample.toml"
MINUTE = 60_000

RADAR = """
[[wire]]
name = "bus"
kind = "modbus_rtu"
link = "bus"
[[device]]
name = "bridge"
kind = "radar_level"
wire = "bus"
unit = 1
plays = { depth_m = "stage_m" }
settings = { measures = "level" }
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return path


def built(path: Path, clock: WoundClock) -> Simulation:
    return build(read(path), str(path), path.parent, clock)


def test_the_sample_is_right() -> None:
    assert check(SAMPLE) == []


def test_the_sample_names_every_key() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    tables = [value for value in vars(scenario).values() if isinstance(value, type) and issubclass(value, Table)]
    keys = {key for table in tables for key in table.__struct_fields__}
    assert len(keys) > 40
    missing = [key for key in keys if not re.search(rf"^\W*{key}\b|\[{key}\]|[.\[]{key}\]", text, re.MULTILINE)]
    assert missing == []


def test_every_kind_of_device_is_in_the_sample_and_can_be_made() -> None:
    assert {device.kind for device in read(SAMPLE).device} == set(DeviceKind)
    made = {type(device).__name__ for device in built(SAMPLE, WoundClock(0)).devices.values()}
    assert made == {name for name, value in vars(devices).items()
                    if isinstance(value, type) and value.__module__ == devices.__name__ and not name.startswith("_")}


async def test_the_sample_plays_its_storm_on_its_wires() -> None:
    clock = WoundClock(1_700_000_000_000)
    simulation = built(SAMPLE, clock)
    rain, bridge, cabinet = simulation.devices["rain"], simulation.devices["bridge"], simulation.wires["cabinet"]
    assert isinstance(rain, RainCounter)
    assert isinstance(bridge, RadarLevel)
    assert isinstance(cabinet, ModbusTcp)
    async with simulation:
        playing = asyncio.create_task(simulation.play(clock))
        await settle()
        assert (rain.pulses, bridge.read(4, 0, 3)) == (0, [0, 11_200, 0])
        clock.wind_to(clock.now_ms() + 600_000)
        await settle()
        assert rain.pulses == 0
        clock.wind_to(clock.now_ms() + 5 * MINUTE)
        await settle()
        assert rain.pulses > 0
        clock.wind_to(clock.now_ms() + 6 * 60 * MINUTE)
        await playing
        assert rain.pulses in {699, 700}
        async with AsyncModbusTcpClient(cabinet.host, port=cabinet.port) as client:
            assert (await client.read_holding_registers(0, count=3, device_id=1)).registers == [rain.pulses, 0, 0]
            assert (await client.read_input_registers(0, count=2, device_id=3)).registers == [0, 10_000]


def test_a_record_window_begins_now_or_as_recorded(tmp_path: Path) -> None:
    (tmp_path / "record.csv").write_text(
        "time,stage_m\n" + "".join(f"2024-08-08T00:0{minute}:00Z,{minute}.5\n" for minute in range(6)))
    source = '[record]\nfile = "record.csv"\nstart = "2024-08-08T00:02:00Z"\nend = "2024-08-08T00:05:00Z"\n'
    now = built(write(tmp_path, RADAR + source), WoundClock(1_000_000))
    assert now.player is not None
    assert len(now.player) == 3
    assert now.player.t_ms[0] + now.shift_ms == 1_000_000
    then = built(write(tmp_path, RADAR + source + 'begins = "as recorded"\n'), WoundClock(1_000_000))
    assert then.shift_ms == 0
    assert then.player is not None
    then.player.go_to(0)
    assert isinstance(radar := then.devices["bridge"], RadarLevel)
    assert radar.read(4, 0, 3) == [0, 2500, 0]


async def test_links_stand_beside_the_scenario(tmp_path: Path) -> None:
    bare = RADAR.replace('plays = { depth_m = "stage_m" }', "")
    async with built(write(tmp_path, bare), WoundClock(0)) as simulation:
        link = tmp_path / "bus"
        assert simulation.wires["bus"].where == f"modbus rtu {link.readlink()}"
        assert simulation.player is None
        await simulation.play(WoundClock(0))
    assert not link.is_symlink()


async def test_one_wire_that_cannot_be_had_stops_the_others(tmp_path: Path) -> None:
    text = RADAR.replace('plays = { depth_m = "stage_m" }', "") + """
[[wire]]
name = "cabinet"
kind = "modbus_tcp"
host = "203.0.113.7"
"""
    with pytest.raises(OSError, match='wire "cabinet"'):
        async with built(write(tmp_path, text), WoundClock(0)):
            pytest.fail("an address that is not this machine's was had")
    assert not (tmp_path / "bus").is_symlink()


STORM = "[hazards]\nlasts_s = 60.0\nstorm = { after_s = 0.0, duration_s = 60.0, total_mm = 5.0 }\n"


@pytest.mark.parametrize(("text", "problem"), [
    ("wire = []", "wire: there is none"),
    (RADAR.replace('"radar_level"', '"radar"'), 'device "bridge": kind: "radar" is not allowed; use rain_counter, '),
    (RADAR.replace("unit = 1", "unit = 248"), 'device "bridge": unit: 248 is not allowed'),
    (RADAR.replace("unit = 1\n", ""), 'wire "bus": device "bridge": unit: none is not allowed; use a number from 1'),
    (RADAR.replace('wire = "bus"', 'wire = "buss"'), 'device "bridge": wire: "buss" is not a wire; use bus'),
    (RADAR.replace("measures", "measure"), 'device "bridge": settings: "measure" is not a key; did you mean "measures'),
    (RADAR, 'device "bridge": plays: there is no record and no hazards to play'),
    (RADAR + STORM, 'device "bridge": plays: hazards: "stage_m" is not a column; use rain_mm'),
    (RADAR.replace("depth_m", "distance_m") + STORM.replace("]\n", ']\ngauge = [{ column = "stage_m", base_m = 0, '
                                                            "peak_m = 1 }]\n", 1),
     'device "bridge": plays: RadarLevel has no "distance_m"; use stage_m, depth_m'),
    (RADAR + STORM.replace("5.0", "-5.0"), "hazards: total_mm: -5.0 is not allowed; use a number above 0"),
    (RADAR + "[record]\nfile = 'none.csv'\n", "none.csv: cannot be read"),
    (RADAR + "[record]\nfile = 'none.csv'\n" + STORM, "record and hazards are both there; use one of them"),
    (RADAR.replace('link = "bus"', "port = 502"), 'wire "bus": modbus_rtu has no host and port; use link'),
    (RADAR.replace("modbus_rtu", "modbus_tcp"), 'wire "bus": modbus_tcp has no link; use host and port'),
    (RADAR.replace("modbus_rtu", "ascii"), 'wire "bus": period_s is for ascii wires, which need it above 0'),
    (RADAR.replace('"modbus_rtu"', '"ascii"\nperiod_s = 1'), 'wire "bus": an ascii wire has one device of kind ascii'),
    (RADAR + RADAR, 'wire "bus": the name is there 2 times'),
    (RADAR + RADAR, 'device "bridge": the name is there 2 times'),
])
def test_what_is_wrong_is_said_by_name(tmp_path: Path, text: str, problem: str) -> None:
    path = write(tmp_path, text)
    problems = check(path)
    assert any(problem in line for line in problems), problems
    assert all(line.startswith(str(path)) for line in problems)


def test_command_says_what_is_wrong_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(write(tmp_path, "wire = []"))]) == 1
    assert "wire: there is none" in capsys.readouterr().err
    assert run([str(SAMPLE), "--clock", "fast"]) == 1
    assert 'clock "fast"' in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_command_says_where_its_wires_are_and_ends_when_told(tmp_path: Path, number: signal.Signals) -> None:
    text = """
[[wire]]
name = "cabinet"
kind = "modbus_tcp"
[[device]]
name = "siren"
kind = "relay_output"
wire = "cabinet"
unit = 10
[hazards]
lasts_s = 3600
storm = { after_s = 0, duration_s = 3600, total_mm = 5 }
"""
    code = "import sys; from simulators.command import run; sys.exit(run(sys.argv[1:]))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(write(tmp_path, text)), "--clock", "scaled:0:1",
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            said = (await process.stdout.readline()).decode()
            where = re.fullmatch(r"wire cabinet modbus tcp 127\.0\.0\.1:(\d+)\n", said)
            assert where
            assert await process.stdout.readline() == b"ready\n"
            async with AsyncModbusTcpClient("127.0.0.1", port=int(where[1])) as client:
                await client.write_coil(0, True, device_id=10)
            said = (await process.stdout.readline()).decode()
            assert re.fullmatch(r"relay siren on at 1970-01-01T00:00:\S+Z monotonic \d+\.\d{6}\n", said)
            process.send_signal(number)
            assert await process.wait() == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def test_defaults_in_the_sample_are_the_real_ones() -> None:
    """Lines like `# seed = 1` under a table show what the class has."""
    shown = dict(re.findall(r"^# (\w+) = ([\d.]+)", SAMPLE.read_text(encoding="utf-8"), re.MULTILINE))
    for kind in (hazards.Storm, hazards.Gauge, hazards.Plume, hazards.Filling):
        for name, field in kind.__dataclass_fields__.items():
            if name in shown:
                assert float(shown[name]) == field.default, name


def test_the_document_names_every_instrument_wire_and_fault() -> None:
    text = (ROOT / "docs" / "simulators.md").read_text(encoding="utf-8")
    words = {*DeviceKind, *WireKind, *(fault.__name__ for fault in get_args(faults.Fault))}
    words |= {quantity for device in built(SAMPLE, WoundClock(0)).devices.values() for quantity in device.quantities}
    assert [word for word in sorted(words) if f"`{word}" not in text] == []
