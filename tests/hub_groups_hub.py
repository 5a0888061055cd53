"""A village with group rules for the tests of the hub: both go through landing together."""

from pathlib import Path

import msgspec

from hub import groups_log
from hub.config import GroupsTable
from hub.groups_run import Groups
from tests.village import NEXT_VILLAGE, VILLAGE, Village, at, detection
from tocsin.levels import Level

NET = f"""
[[group]]
name = "two bridges"
kind = "coincidence"
hazard = "flood"
area = "{NEXT_VILLAGE}"
stations = ["upper-bridge", "mill-creek"]
at = "orange"
orange = 2
off_delay_min = 10
place = "Next Village"
place_zh = "邻村"
text_en = "Water from both bridges is on its way."
text_zh = "上游两处来水正在下泄。"
"""
SILENT = f"""
[[group]]
name = "nobody hears"
kind = "silence"
hazard = "flood"
area = "{VILLAGE}"
stations = ["upper-bridge", "mill-creek", "next-door"]
silent_min = 10
"""


class GroupHub:
    """A village with group rules: both go through landing together."""

    def __init__(self, folder: Path, text: str) -> None:
        self.rules = folder / "groups.toml"
        self.rules.write_text(text, encoding="utf-8")
        self.village = Village(folder)
        self.config = msgspec.structs.replace(self.village.config, groups=GroupsTable(str(self.rules)))
        for station in ("upper-bridge", "mill-creek", "next-door"):
            self.village.starts(station)
        self.hears = True
        self.open()

    def open(self) -> None:
        self.groups = Groups(self.village.database, self.config, self.village.clock, self.village.desk.wake,
                             lambda: self.hears)

    def restart(self) -> None:
        self.village.restart()
        self.open()

    async def reads(self) -> None:
        while await self.groups.process() or await self.groups.rebuilder.process():
            pass
        await self.village.reads()

    async def ticks(self, until: str, every_s: int = 20) -> None:
        while self.village.clock.now_ms() < at(until):
            self.village.clock.wind_to(min(at(until), self.village.clock.now_ms() + every_s * 1000))
            await self.groups.tick()
            while await self.groups.rebuilder.process():
                pass
            await self.village.desk.process()
            await self.village.desk.tick()

    async def finds(self, level: Level, when: str, revision: int, station: str, **more: object) -> None:
        self.village.clock.wind_to(max(at(when), self.village.clock.now_ms()))
        self.village.finds(detection(level, when, revision, **more), station)  # type: ignore[arg-type]
        await self.reads()

    def bodies(self) -> list[bytes]:
        return groups_log.decided(self.village.database.connection)


async def night(hub: GroupHub, *, kill_after: int | None = None) -> None:
    """Floods come and go over hours; the hub is stopped after each step where asked."""
    script = [("upper-bridge", Level.ORANGE, "14:01"), ("mill-creek", Level.RED, "14:03"),
              ("next-door", Level.BLUE, "14:10"), ("mill-creek", Level.CLEAR, "14:30"),
              ("upper-bridge", Level.YELLOW, "15:20"),
              ("mill-creek", Level.ORANGE, "15:50"), ("upper-bridge", Level.RED, "16:00")]
    for step, (station, level, when) in enumerate(script):
        await hub.ticks(when, every_s=47)
        await hub.finds(level, when, step + 1, station)
        if kill_after is not None and step % (kill_after + 1) == 0:
            hub.restart()
    await hub.ticks("17:30", every_s=47)
