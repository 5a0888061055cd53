"""The agent among the contenders of the harness in the shared data: shipped settings, and a rule for every series."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from benchmarks._extra import MissingPeerError
from benchmarks._rows import BenchError
from tests.shared_data import REPOSITORY, shared_root
from tocsin.messages import plain_of
from tocsin.quantities import quantity
from tocsin.signing import new_station_key

STATION = "bench"
LEAST_S = 0.02
# registers 0 and 1 of the harness's devices count reads and changes, the others are slow waves from 500 to 1500
_SERIES = {
    "flow_m3s": 1.0, "displacement_mm": 1.0, "supply_v": 0.1, "tank_temp_c": 0.1, "groundwater_m": 1.0,
    "stage_m": 1.0, "pressure_kpa": 1.0, "flow_l_s": 1.0, "flow_l_min": 1.0, "ch4_ppm": 1.0,
}  # fmt: skip
_NEEDS = {"floor_c": ("PEERS_FLOOR_C",), "modpoll": ("PEERS_MODPOLL",), "nodered": ("PEERS_NODE", "PEERS_NR_MODULES"),
          "thingsboard": ("PEERS_TB", "PEERS_TB_PKG")}


def find_harness() -> Path:
    """Its folder. Raises MissingPeerError where it, or the broker that it starts, is not there."""
    folder = shared_root() / "bench" / "peers_edge"
    if not folder.is_dir():
        raise MissingPeerError(f"no harness at {folder}: put the shared data beside the checkout as ../shared")
    if shutil.which("mosquitto") is None:
        raise MissingPeerError("mosquitto is not installed: it is the broker of the harness")
    return folder


def _harness() -> Any:
    """Its module `bench`, with the agent among the contenders."""
    folder = find_harness()
    os.environ.setdefault("PEERS_PY", sys.executable)
    sys.path.insert(0, str(folder))
    try:
        bench: Any = importlib.import_module("bench")
        peers: Any = importlib.import_module("peers")
    finally:
        sys.path.remove(str(folder))
    bench.CONTENDERS["tocsin"] = _class_of(peers)
    return bench


def measured(experiment: str, name: str, **asked: Any) -> dict[str, Any]:
    """One experiment of the harness in a process of its own, which ends with all that the harness started.

    Raises BenchError where it gives no numbers.
    """
    command = [sys.executable, "-m", "benchmarks._contender", experiment, name, json.dumps(asked)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    try:
        numbers: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as err:
        raise BenchError(f"{experiment} of {name}: {done.stderr.strip()[-500:]}") from err
    return numbers


def installed() -> tuple[list[str], list[str]]:
    """Peers whose programs the environment names (see the harness's README), and those left out."""
    there = [name for name, needs in _NEEDS.items() if all(os.environ.get(need) for need in needs)]
    return there, [name for name in _NEEDS if name not in there]


def _class_of(peers: Any) -> type:
    class Tocsin(peers.Proc):  # type: ignore[misc]
        """`tocsin edge`, and beside it what answers `committed`."""

        name = "tocsin"
        _committer: "subprocess.Popen[bytes] | None" = None

        def start(self, ctx: Any) -> Any:
            folder = Path(ctx.work) / "station"
            key = _files(folder, ctx)
            environment = {"PYTHONPATH": str(REPOSITORY)}
            if self._committer is None:
                command = [sys.executable, "-m", "benchmarks._committer", str(ctx.qport), STATION, key]
                self._committer = subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | environment)
            return self.spawn(ctx, [sys.executable, "-m", "tocsin", "edge", str(folder / "station.toml")], environment)

        def stop(self, kill: bool = False) -> None:
            super().stop(kill)
            if self._committer is not None and not kill:
                self._committer.kill()
                self._committer.wait()
                self._committer = None

        def parse(self, topic: str, payload: bytes) -> list[tuple[int, int, int, int]]:
            return _reads(payload) if topic == f"tocsin/1/{STATION}/readings" else []

    return Tocsin


def _reads(payload: bytes) -> list[tuple[int, int, int, int]]:
    """Unit, read counter, change counter and number of registers of every poll in a message."""
    found = []
    for record in json.loads(plain_of(payload))["records"]:
        if record["kind"] != "readings":    # an event has a series too, one
            continue
        units: dict[str, dict[str, float]] = {}
        for key, value in zip(record["series"], record["value"], strict=True):
            device, _, name = key.partition("/")
            units.setdefault(device, {})[name] = value
        found += [(int(device[1:]), round(values["flow_m3s"]), round(values["displacement_mm"]), len(values))
                  for device, values in units.items()]
    return found


def _files(folder: Path, ctx: Any) -> str:
    """Writes the station's files, once. Returns its key."""
    path = folder / "station.toml"
    if path.exists():
        return path.read_text().partition('key = "')[2][:64]
    folder.mkdir()
    names = list(_SERIES)[:ctx.nreg]
    entries = ", ".join(f'{{ quantity = "{name}", address = {at}, span = [0.0, 65535.0], scale = {_SERIES[name]} }}'
                        for at, name in enumerate(names))
    key = new_station_key()
    head = f"""[station]
id = "{STATION}"
name = "Bench"
area = "431129101203"
latitude = 25.2
longitude = 111.6
[hub]
broker = "mqtt://127.0.0.1:{ctx.qport}"
key = "{key}"
[[bus]]
name = "field"
speaks = "modbus-tcp"
port = "tcp://127.0.0.1:{ctx.mport}"
"""
    devices = [f'[[device]]\nname = "d{unit}"\nbus = "field"\ndriver = "registers"\nunit = {unit}\n'
               f"every_s = {max(ctx.period, LEAST_S)}\n[device.settings]\nregisters = [{entries}]\n"
               for unit in range(1, ctx.ndev + 1)]
    (folder / "rules.toml").write_text("".join(map(_rule, names)))
    path.write_text(head + "".join(devices))
    return key


def _rule(name: str) -> str:
    """A value rule that the harness's numbers do not reach."""
    high = quantity(name).plausible[1]
    datum = 'datum = "gauge zero"\n' if name == "stage_m" else ""
    return (f'[[rule]]\nname = "{name}"\nquantity = "{name}"\n{datum}direction = "high"\nyellow = {high * 0.98}\n'
            f"red = {high * 0.99}\noff_fraction = 0.05\n")


if __name__ == "__main__":
    print(json.dumps(getattr(_harness(), sys.argv[1])(Namespace(**json.loads(sys.argv[3])), sys.argv[2])))
