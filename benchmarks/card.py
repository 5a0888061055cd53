"""What a whole agent writes to its card, a day of calm

20 radars read every 10 s over Modbus TCP, each poll a record unless some come at once, under the shipped rules for a
river's stage; a real Mosquitto, and something that answers `committed`. Nothing is tuned: `tocsin edge station.toml`.
The station's folder lies on an ext4 of its own (in a file, on a loop device), so that the sectors written are the
agent's alone, the journal among them: once mounted with `commit=300`, as `deploy/tocsin-edge.service` does it, and
beside it with ext4's own 5 s.

Five minutes are counted, from a quarter of a minute after the first checkpoint on the disk, and reckoned up to a day.
What is written more seldom is taken out, measured by itself on the same file system, and put in as often as a day has
it: the checkpoint, the cursor, the count of the link's bytes. Once a day the log also takes what the agent remembers;
compressed, twice, since zeros were written ahead. Zeros that stand ready at the end are left out, for they are counted
when records take their place. The floor is the records alone, as packed.

Without root, or without loop devices, the rows of the device are left out, and it is said so. *Charged* are the pages
that the agent makes dirty, as the kernel counts them for the process.
"""

import contextlib
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks._children import GAUGE, beside, child
from benchmarks._disk import Device, ahead, filesystem_of_our_own, folder_on_disk, sync_filesystem
from benchmarks._rows import BenchError, Row
from edge.budget import FILE as TRAFFIC
from edge.budget import SAVE_EVERY_MS
from edge.checkpoint import CHECKPOINT, KEPT
from edge.cursor import EVERY_S
from edge.watch import CHECKPOINT_S, KEPT_S
from tests.services import Mosquitto, ServiceError
from tests.stations import StationFiles, radar_device
from thresholds.starter_command import starters
from tocsin.early import NAME as EARLY
from tocsin.log import read_log, replace_file
from tocsin.segment import pack

DEVICES = 20
POLL_S = 10.0
BAR_MB = 100.0
COUNTED_S, QUICK_S = 300.0, 12.0
MOUNTS = {"as the unit mounts it, commit=300": "loop,commit=300", "with ext4's own 5 s": "loop"}
UNIT = "as the unit mounts it, commit=300"
# what is written seldom, how often by plan (s), and whether it is synced
SELDOM = {KEPT: (KEPT_S, True), "log/cursor": (EVERY_S, False), TRAFFIC: (SAVE_EVERY_MS / 1000, False)}
_DAY_S = 86_400.0
_SETTLED_S, _QUICK_SETTLED_S = 15.0, 3.0
_STARTED_S = 30.0
_TRIES = 4
_FLOOR = "its records alone"
_WHY = "every 5 s ext4 writes the times of the files through its journal: that is why the unit mounts it otherwise"


@dataclass(frozen=True, slots=True)
class Taken:
    """MB of a day: by the device (it counts us alone on a file system of our own), charged, and of the records."""

    device: float
    charged: float
    records: float


def run(quick: bool) -> list[Row]:
    """Rows of both mounts. Raises BenchError where the agent does not run."""
    with contextlib.ExitStack() as stack:
        own = {} if quick else _mounted(stack)
        if not own:
            print("card: the rows of the device are left out: they need root, a loop device and the full run",
                  file=sys.stderr)
        found = _measured(own or {UNIT: stack.enter_context(folder_on_disk())}, QUICK_S if quick else COUNTED_S)
    unit = found[UNIT]
    rows = [Row("charged bytes", unit.charged, unit.records, _FLOOR, "MB a day", 1, floor=True, bar=BAR_MB)]
    return rows + [Row(f"device bytes, {name}", one.device, one.records, _FLOOR, "MB a day", 1, floor=True,
                       bar=BAR_MB if name == UNIT else None, why=_WHY)
                   for name, one in found.items() if own]


def _mounted(stack: contextlib.ExitStack) -> dict[str, Path]:
    """A file system of its own for each; none where one cannot be had."""
    folders = {name: stack.enter_context(filesystem_of_our_own(options)) for name, options in MOUNTS.items()}
    return {name: folder for name, folder in folders.items() if folder} if all(folders.values()) else {}


def _measured(folders: dict[str, Path], seconds: float) -> dict[str, Taken]:
    """All agents at once, each with its own file system."""
    with contextlib.ExitStack() as stack:
        broker = Mosquitto(stack.enter_context(folder_on_disk()) / "broker")
        try:
            broker.start()
        except ServiceError as err:
            raise BenchError(str(err)) from err
        stack.callback(broker.stop)
        field = stack.enter_context(child("serve", str(DEVICES)))
        cards = {name: stack.enter_context(_card(f"card{number}", folder / "site", broker, field))
                 for number, (name, folder) in enumerate(folders.items())}
        full = seconds > CHECKPOINT_S
        time.sleep(CHECKPOINT_S + POLL_S + _SETTLED_S if full else _QUICK_SETTLED_S)
        for card in cards.values():
            card.begin()
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            time.sleep(1.0)
            for card in cards.values():
                card.look()
        return {name: card.taken(seconds) for name, card in cards.items()}


@contextlib.contextmanager
def _card(station: str, folder: Path, broker: Mosquitto, field: str) -> Iterator["_Card"]:
    devices = "".join(radar_device(f"gauge-{unit:02}", unit, POLL_S) for unit in range(GAUGE, GAUGE + DEVICES))
    files = StationFiles(folder, f"tcp://127.0.0.1:{field}", broker.url, station, devices=devices, siren=False,
                         rules=starters()["river_stage"].text)
    path = files.write()
    with beside("-m", "benchmarks._committer", str(broker.port), station, files.key), \
            beside("-m", "tocsin", "edge", str(path)) as agent:
        card = _Card(folder / "station-data", agent)
        card.wait()
        yield card
    for name in (CHECKPOINT, f"log/{EARLY}"):    # what outlives a process in memory
        (folder / "station-data" / name).resolve().unlink(missing_ok=True)


class _Card:
    """One agent's folder: `begin`, `look` each second, `taken` at the end."""

    def __init__(self, folder: Path, agent: "subprocess.Popen[bytes]") -> None:
        self._folder = folder
        self._agent = agent
        self._device = Device(folder.parent)
        self._seen: dict[str, set[int]] = {name: set() for name in SELDOM}
        self._before = (0, 0, 0)
        self._last = 0

    def wait(self) -> None:
        """Until it logs. Raises BenchError where it does not within half a minute."""
        ends_s = time.monotonic() + _STARTED_S
        while next(read_log(self._folder / "log"), None) is None:
            if time.monotonic() > ends_s:
                raise BenchError(f"{self._folder}: the agent logged nothing")
            self.look()
            time.sleep(0.1)

    def begin(self) -> None:
        self._before = self._counts()
        self._last = max((entry.seq for entry in read_log(self._folder / "log")), default=0)
        self.look()

    def look(self) -> None:
        """Raises BenchError where the agent has ended."""
        if self._agent.poll() is not None:
            raise BenchError(f"the agent ended with {self._agent.returncode}")
        for name, times in self._seen.items():
            with contextlib.suppress(FileNotFoundError):
                times.add((self._folder / name).stat().st_mtime_ns)

    def taken(self, seconds: float) -> Taken:
        """MB of a day, reckoned from what was counted since `begin`."""
        device, charged, zeros = (after - before for after, before in zip(self._counts(), self._before, strict=True))
        entries = [entry for entry in read_log(self._folder / "log") if entry.seq > self._last]
        if not entries:
            raise BenchError(f"{self._folder}: the agent logged nothing")
        daily, often = self._seldom()
        a_day = _DAY_S / seconds / 1e6
        return Taken((device - zeros - often) * a_day + daily / 1e6, (charged - zeros) * a_day,
                     sum(len(pack(entry)) for entry in entries) * a_day)

    def _seldom(self) -> tuple[float, float]:
        """Bytes that what is written seldom takes in a day, and that it took while it was counted."""
        daily = often = 0.0
        for name, (every_s, synced) in SELDOM.items():
            path = self._folder / name
            if path.exists():
                cost = self._cost_of(path.read_bytes(), synced=synced)
                daily += cost * _DAY_S / every_s
                often += cost * (len(self._seen[name]) - 1)
        kept = self._folder / KEPT
        remembered = len(zlib.compress(kept.read_bytes(), 1)) if kept.exists() else 0
        return daily + 2 * remembered, often

    def _cost_of(self, data: bytes, *, synced: bool) -> int:
        """Bytes that the device takes for a file that is replaced. One that is not synced waits for a commit of the
        journal that comes anyway: what such a commit takes without it is not counted."""
        path = self._folder.parent / "probe"
        own = self._least(lambda: replace_file(path, data, sync=synced))
        return own if synced else max(0, own - self._least(path.touch))

    def _least(self, write: Callable[[], None]) -> int:
        """Bytes that the device takes for that and a commit: the least, for the agent writes on beside."""
        found = []
        for _ in range(_TRIES):
            sync_filesystem(self._folder)
            before = self._device.written_bytes()
            write()
            sync_filesystem(self._folder)
            found.append(self._device.written_bytes() - before)
        return min(found)

    def _counts(self) -> tuple[int, int, int]:
        """Bytes of the device, bytes charged to the agent, and zeros that stand ready."""
        sync_filesystem(self._folder)
        lines = Path(f"/proc/{self._agent.pid}/io").read_text().splitlines()
        charged = int(dict(line.split(": ") for line in lines)["write_bytes"])
        return self._device.written_bytes(), charged, ahead(self._folder / "log")
