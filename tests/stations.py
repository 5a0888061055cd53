"""A station's files and its agent on a hand-wound clock, for tests of the edge and of the whole journey."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edge.agent import Agent
from edge.config import load_station
from tests.tasks import beside
from tocsin.clock import Clock, WoundClock
from tocsin.log import read_log
from tocsin.messages import Record, record_of
from tocsin.signing import new_station_key

START_MS = 1_723_075_200_000  # 2024-08-08T00:00:00Z
AREA = "330112001001"

STAGE_RULES = """
[[rule]]
name = "stage"
quantity = "stage_m"
datum = "gauge zero"
n = 1
m = 1
off_below = 0.2
off_delay_min = 0
yellow = 2.0
orange = 2.5
red = 3.0
"""


class SetClock(WoundClock):
    """A wound clock whose UTC can be set; what is waited for does not notice."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self._ahead_ms = 0
        self.in_sync: bool | None = None

    def now_ms(self) -> int:
        return super().now_ms() + self._ahead_ms

    def synchronized(self) -> bool | None:
        return self.in_sync

    def set_by(self, step_ms: int) -> None:
        """As if somebody, or the network, had set it."""
        self._ahead_ms += step_ms

    def pass_ms(self, passed_ms: int) -> None:
        """That much time goes by."""
        self.wind_to(super().now_ms() + passed_ms)


@dataclass
class StationFiles:
    """What `write` puts into `folder`: station.toml and rules.toml."""

    folder: Path
    port: str
    broker: str = "mqtt://127.0.0.1:9"
    id: str = "bridge"
    key: str = field(default_factory=new_station_key)
    speaks: str = "modbus-tcp"
    devices: str = ""
    rules: str = STAGE_RULES
    shadow_rules: str = ""
    siren: bool = True
    public_key: str = ""
    siren_keys: str = ""
    relay_settings: str = ""
    uplink: str = ""

    def write(self) -> Path:
        siren = '[siren]\ndevice = "siren"\nfrom_level = "orange"\n' + self.siren_keys if self.siren else ""
        relay = '[[device]]\nname = "siren"\nbus = "field"\ndriver = "relay_output"\nunit = 9\n'
        relay = f"{relay}settings = {{ {self.relay_settings} }}\n" if self.siren else ""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "rules.toml").write_text(self.rules)
        shadow = 'shadow_rules = "shadow.toml"' if self.shadow_rules else ""
        (self.folder / "shadow.toml").write_text(self.shadow_rules)
        path = self.folder / "station.toml"
        path.write_text(f"""
[station]
id = "{self.id}"
name = "Upper bridge"
name_zh = "上桥"
area = "{AREA}"
latitude = 30.2
longitude = 119.7
{shadow}

[hub]
broker = "{self.broker}"
key = "{self.key}"
public_key = "{self.public_key}"

[[bus]]
name = "field"
speaks = "{self.speaks}"
port = "{self.port}"

{self.devices or radar_device()}
{relay}
{siren}
{self.uplink}
""")
        return path

    def log(self) -> list[Record]:
        """Every record that is in the log now."""
        return [record_of(entry.payload) for entry in read_log(self.folder / "station-data" / "log")]


def rain_device(name: str = "bucket", unit: int = 3, every_s: float = 60.0) -> str:
    """A tipping bucket of 0.5 mm."""
    return f"""
[[device]]
name = "{name}"
bus = "field"
driver = "rain_counter"
unit = {unit}
every_s = {every_s}
settings = {{ mm_per_tip = 0.5 }}
"""


def radar_device(name: str = "gauge", unit: int = 1, every_s: float = 60.0, deadline_s: float = 2.0) -> str:
    """A radar over the water, whose depth reading is the stage."""
    return f"""
[[device]]
name = "{name}"
bus = "field"
driver = "radar_level"
unit = {unit}
every_s = {every_s}
deadline_s = {deadline_s}
settings = {{ measures = "level", span_m = [-5.0, 30.0] }}
[device.series.stage_m]
sensor_height_m = 0.0
plausible = [-2.0, 10.0]
"""


@asynccontextmanager
async def running(path: Path, clock: Clock) -> AsyncIterator[Agent]:
    """An agent until the end of the block; its own failure is raised there."""
    agent = Agent(load_station(path), clock)
    async with beside(agent.run()):
        yield agent


async def wind(agent: Agent, clock: WoundClock, to_ms: Sequence[int], polls: int = 1) -> None:
    """Winds the clock to each moment and waits until that many polls of it have gone through."""
    for now_ms in to_ms:
        wanted = agent.pipeline.handled + polls
        clock.wind_to(now_ms)
        async with asyncio.timeout(30):
            await agent.pipeline.wait_handled(wanted)
