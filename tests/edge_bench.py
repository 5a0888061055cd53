"""An agent without its tasks: everything is done by hand, also its death, and the clock is set as one likes."""

import asyncio
from pathlib import Path
from typing import TypeVar

from edge.agent import Agent
from edge.checkpoint import Checkpoints
from edge.config import load_station
from edge.operations import Operations
from tests.stations import STAGE_RULES, START_MS, SetClock, StationFiles, radar_device, rain_device
from tocsin.levels import Level
from tocsin.messages import Detection, Event, EventKind, Record, encode, record_of
from tocsin.readings import Reading, Reason, Rejection

MINUTE_MS = 60_000
GAUGE, BUCKET = "gauge/stage_m", "bucket/rain_total_mm"
T = TypeVar("T")

STAGE = STAGE_RULES
LATCHED = STAGE.replace("orange = 2.5", "orange = { on = 2.5, latch = true }")
AFTER = STAGE + 'hold_s = 100\n[rule.authority]\nred = "after"\n'
RAIN = '[[rule]]\nname = "rain"\nquantity = "rain_mm"\nover_min = 60\nblue = 4\n'
CHECK = '[[check]]\nquantity = "stage_m"\nmax_rate_per_min = 0.1\nspike_floor = 0.5\n'


class Bench:
    """A station with a radar and a tipping bucket; its records are written when the test says so."""

    def __init__(self, folder: Path, rules: str = STAGE + RAIN, shadow: str = "", public_key: str = "") -> None:
        """Begins to run."""
        self.clock = SetClock(START_MS)
        self.files = StationFiles(folder, "tcp://127.0.0.1:9", devices=radar_device("gauge") + rain_device("bucket"))
        self.files.rules, self.files.shadow_rules, self.files.public_key = rules, shadow, public_key
        self.folder = folder / "station-data"
        self.total = 0.0
        self.path = self.files.write()
        self.agent = self._start()

    def _start(self) -> Agent:
        return Agent(load_station(self.path), self.clock)

    @property
    def operations(self) -> Operations:
        return self.agent.operations

    def read(
        self, stage: float | None, rain_mm: float = 0.0, after_ms: int = MINUTE_MS, *, again: bool = True
    ) -> None:
        """Both instruments are read, and again where a reading is held; the stage may be silent."""
        self.clock.pass_ms(after_ms)
        self.total += rain_mm
        gauge, bucket = self.agent._station.devices[:2]
        item = Rejection(Reason.SILENT, "no answer") if stage is None else Reading("depth_m", stage)
        if self.agent.pipeline.heard(gauge, [item], 0.0) and stage is not None and again:
            self.agent.pipeline.heard(gauge, [Reading("depth_m", round(stage + 0.001, 3))], 0.0)
        if self.agent.pipeline.heard(bucket, [Reading("rain_total_mm", self.total)], 0.0) and again:
            self.agent.pipeline.heard(bucket, [Reading("rain_total_mm", self.total)], 0.0)

    def tick(self) -> None:
        self.agent.pipeline.tick()

    def reload(self, rules: str) -> str:
        """What the agent says to other rules; those that it refused do not stay in the file."""
        file = self.files.folder / "rules.toml"
        before = file.read_text()
        file.write_text(rules)
        try:
            return str(asyncio.run(self.operations.reload()))
        except ValueError as err:
            file.write_text(before)
            return str(err)

    def settle(self) -> None:
        """As the watch does after a tick."""
        if self.agent.pipeline.retired_may_go:
            asyncio.run(self.operations.settle())

    def flush(self, count: int | None = None) -> None:
        """The recorder's thread comes to write that many of what waits."""
        pending = self.agent.recorder._pending
        written = pending[:count]
        self.agent._log.append(written)
        del pending[: len(written)]

    def checkpoint(self) -> None:
        self.flush()
        decider = self.agent.pipeline.decider
        checkpoints = Checkpoints(self.folder)
        checkpoints.prepare(self.agent.recorder.last_seq, encode(decider.config), decider.parts(), keep=False)
        checkpoints.publish()

    def kill(self, written: int = 0) -> None:
        """kill -9 when so many of the waiting records had been written; then the next start."""
        self.flush(written)
        self.agent._log.close()
        self.agent._lock.close()
        self.agent.recorder._thread.shutdown()
        self.agent = self._start()

    def stop(self) -> None:
        self.agent.recorder.close()
        self.agent._lock.close()

    @property
    def sounds(self) -> str:
        """The level that the siren was told last."""
        return max((sound.level for sound in self.agent.pipeline._asked if not sound.quiet), default=Level.CLEAR).word

    def of(self, kind: type[T]) -> list[T]:
        """Records of a kind, written or not yet."""
        waiting: list[Record] = [record_of(entry.payload) for entry in self.agent.recorder._pending]
        return [record for record in [*self.files.log(), *waiting] if isinstance(record, kind)]

    def levels(self) -> list[tuple[str, int]]:
        """Rule and level of every detection."""
        return [(record.rule, record.level) for record in self.of(Detection)]

    def events(self, what: EventKind) -> list[tuple[str, str]]:
        """Reason and detail of every event of a kind."""
        return [(event.reason, event.detail) for event in self.of(Event) if event.what is what]
