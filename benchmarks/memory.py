"""The agent's memory, with all that a station has: TLS, signatures and the shipped rules for every register

20 devices of 10 registers each second on one Modbus TCP connection (the harness of the shared data), calm, a real
Mosquitto that speaks TLS alone, the hub's public key pinned, the rules of the starter sets for each of the ten
quantities, the log, and something that answers `committed`. *At the most* is the process's own high-water mark (VmHWM)
over two checkpoints and more, *steady* its resident memory in the middle of that time. The floor is an interpreter
that has imported the agent, and does nothing. Nothing is tuned: `tocsin edge station.toml`.
"""

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks._children import beside
from benchmarks._contender import find_harness
from benchmarks._rows import BenchError, Row
from edge.watch import CHECKPOINT_S
from tests.services import ServiceError, free_port
from tests.shared_data import REPOSITORY
from tests.tls import Authority, TlsMosquitto
from thresholds.starter_command import starters
from tocsin.signing import new_signing_key, new_station_key

STATION = "bench"
BAR_MIB = 60.0
_DEVICES = 20
_SETS = ("gas_gbt50493", "river_stage", "slope", "tank_level", "tailings_pond")
_QUANTITIES = ("stage_m", "pore_pressure_kpa", "phreatic_depth_m", "tank_level_m", "ch4_pct_lel", "h2s_ppm", "co_ppm",
               "nh3_ppm", "cl2_ppm", "so2_ppm")  # displacement_mm is no reading of each second: its rules refuse that
# the harness's registers from 2 on are slow waves from 500 to 1500: made so small that all stays calm
_SCALE = {"phreatic_depth_m": 0.02, "tank_level_m": 0.005, "stage_m": 1e-5, "cl2_ppm": 1e-4}
_USUAL_SCALE = 1e-3
_PROBE = ("import edge.command, edge.agent, drivers.registers\n"
          "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))")
_WHY = "the high-water mark is that of a checkpoint, or of the start"


def run(quick: bool) -> list[Row]:
    """Rows of both marks. Raises MissingPeerError without the harness, BenchError where the agent does not run."""
    harness, seconds = find_harness(), 6.0 if quick else 2 * CHECKPOINT_S + 30.0
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        try:
            authority = Authority(folder)
            broker = TlsMosquitto(folder, authority.sign("broker", "127.0.0.1"))
            broker.start()
        except (ServiceError, subprocess.CalledProcessError) as err:
            raise BenchError(str(err)) from err
        stack.callback(broker.stop)
        field, key = free_port(), new_station_key()
        stack.enter_context(beside(str(harness / "sim.py"), str(field), "1.0"))
        stack.enter_context(
            beside("-m", "benchmarks._committer", str(broker.port), STATION, key, str(authority.cert)))
        _write_files(folder, field, broker.url, authority.cert, key)
        agent = stack.enter_context(beside("-m", "tocsin", "edge", str(folder / "station.toml")))
        found = _watched(agent, seconds)
    steady = statistics.median(one["VmRSS"] for one in found)
    idle = int(subprocess.run([sys.executable, "-c", _PROBE], cwd=REPOSITORY, check=True, capture_output=True,
                              text=True).stdout) / 1024
    floor = "its imports alone"
    return [Row("at the most", max(one["VmHWM"] for one in found), idle, floor, "MiB", 1, floor=True, bar=BAR_MIB,
                why=_WHY),
            Row("steady", steady, idle, floor, "MiB", 1, floor=True)]


def _watched(agent: "subprocess.Popen[bytes]", seconds: float) -> list[dict[str, float]]:
    """MiB of its resident memory, each second; the marks of /proc/PID/status."""
    ends_s = time.monotonic() + seconds
    found = []
    while time.monotonic() < ends_s:
        time.sleep(1.0)
        if agent.poll() is not None:
            raise BenchError(f"the agent ended with {agent.returncode}")
        lines = Path(f"/proc/{agent.pid}/status").read_text().splitlines()
        words = [line.split() for line in lines]
        found.append({one[0][:-1]: int(one[1]) / 1024 for one in words if one[0] in {"VmRSS:", "VmHWM:"}})
    return found


def _write_files(folder: Path, field: int, broker: str, ca: Path, key: str) -> None:
    entries = ", ".join(f'{{ quantity = "{name}", address = {2 + at}, span = [0.0, 65535.0], '
                        f"scale = {_SCALE.get(name, _USUAL_SCALE)} }}" for at, name in enumerate(_QUANTITIES))
    head = f"""[station]
id = "{STATION}"
name = "Bench"
area = "431129101203"
latitude = 25.2
longitude = 111.6
[hub]
broker = "{broker}"
key = "{key}"
public_key = "{new_signing_key()[1]}"
ca = "{ca}"
[[bus]]
name = "field"
speaks = "modbus-tcp"
port = "tcp://127.0.0.1:{field}"
"""
    devices = [f'[[device]]\nname = "d{unit}"\nbus = "field"\ndriver = "registers"\nunit = {unit}\nevery_s = 1.0\n'
               f"[device.settings]\nregisters = [{entries}]\n"
               f"[device.series.stage_m]\nplausible = [-1.0, 10.0]\n" for unit in range(1, _DEVICES + 1)]
    (folder / "station.toml").write_text(head + "".join(devices))
    (folder / "rules.toml").write_text("".join(_rules()))


def _rules() -> Iterator[str]:
    """Every rule and check of the sets that is about our quantities."""
    known = starters()
    for name in _SETS:
        for table in known[name].text.split("\n[[")[1:]:
            if any(f'quantity = "{one}"' in table for one in _QUANTITIES):
                yield f"\n[[{table}\n"
