"""A hub of plain data for the tests of its pages: a storm on its way down one valley, seen at 15:20 local time."""

import asyncio
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
from litestar import Litestar
from lxml import html

from hub import authority
from hub.archive import Archive
from hub.config import CapTable, HubConfig, HubTable, PersonTable, StationTable
from hub.groups_state import Decision
from hub.health import Health
from hub.model import Call, Episode, Tier, WarningState, Why
from hub.model import Warning as HubWarning
from hub.orders import StationOrders
from hub.stations import StationView
from hub.web.app import app
from hub.web.view import JournalRow
from tests.hub_web_archive import archive_of
from tests.hub_web_held import Holding
from tests.hub_web_orders import orders_at
from tests.hub_web_store import MemoryStore
from tocsin.clock import WoundClock
from tocsin.levels import Authority, Hazard, Level, Stage
from tocsin.messages import (
    VERSION,
    Bulletin,
    BulletinKind,
    DeviceHealth,
    Heartbeat,
    RuleCard,
    SeriesCard,
    StationCard,
)
from tocsin.times import ms_of

NOW = ms_of("2024-08-08T07:20:00Z")
MINUTE, HOUR = 60_000, 3_600_000
AREA = "330185101203"
KEY = "5" * 64


@dataclass
class PlainView(Holding):
    """The View that the pages see; change its lists as a test needs."""

    cap_folder: Path
    config: HubConfig
    clock: WoundClock = field(default_factory=lambda: WoundClock(NOW))
    store: MemoryStore = field(default_factory=MemoryStore)
    stations_: list[StationView] = field(default_factory=list)
    warnings: dict[str, HubWarning] = field(default_factory=dict)
    rows: list[JournalRow] = field(default_factory=list)
    said: list[Bulletin] = field(default_factory=list)
    answers: list[tuple[str, str, str, str]] = field(default_factory=list)
    confirmations: list[tuple[str, str]] = field(default_factory=list)
    orders_: dict[str, StationOrders] = field(default_factory=dict)
    decided: list[Decision] = field(default_factory=list)
    refuse_answers: str = ""
    health_: Health = field(default_factory=Health)
    changes: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def counts(self) -> dict[str, int]:
        return {"landed": 12_345, "quarantined: unknown station": 2}

    def health(self) -> Health:
        return self.health_

    async def metrics(self) -> bytes:
        return b"tocsin_hub_ready 1.0\n"

    def station_ids(self) -> list[str]:
        return sorted(station.id for station in self.stations_)

    async def stations(self, only: Collection[str] | None = None) -> list[StationView]:
        asked = [station for station in self.stations_ if only is None or station.id in only]
        found = asked if only is None else sorted(asked, key=lambda station: station.id)
        if self.store.down:
            return [replace(station, latest=None) for station in found]
        return [replace(station, latest=await self.store.latest(station.id)) for station in found]

    async def cards(self) -> dict[str, StationCard]:
        return {station.id: station.card for station in self.stations_ if station.card}

    async def behind(self) -> int:
        return 3

    @property
    def archive(self) -> Archive:
        """A real one, of what warnings and decisions are now."""
        return archive_of(self.cap_folder.parent / "archive", list(self.warnings.values()), self.decided)

    async def orders(self, station: str) -> StationOrders:
        return self.orders_.get(station, StationOrders(0, "", 0, None, []))

    async def open_warnings(self) -> list[HubWarning]:
        return [warning for warning in self.warnings.values() if warning.state is WarningState.OPEN]

    async def recent_warnings(self, limit: int) -> list[HubWarning]:
        closed = [warning for warning in self.warnings.values() if warning.state is WarningState.CLOSED]
        return sorted(closed, key=lambda warning: -warning.closed_at)[:limit]

    async def warning(self, warning_id: str) -> HubWarning | None:
        return self.warnings.get(warning_id)

    async def journal(self, warning_id: str) -> list[JournalRow]:
        return self.rows

    async def bulletins(self, warning_id: str) -> list[Bulletin]:
        return [bulletin for bulletin in self.said if bulletin.warning == warning_id]

    async def answer(self, person: str, warning_id: str, how: str, note: str) -> None:
        if self.refuse_answers:
            raise ValueError(self.refuse_answers)
        self.answers.append((person, warning_id, how, note))
        warning = self.warnings[warning_id]
        asked = warning.calls.get(person) or Call(person, "", Tier.HOUSEHOLD, warning.level, 0, 0, 0)
        call = msgspec.structs.replace(asked, answered_at=self.clock.now_ms(), how=how, note=note)
        self.warnings[warning_id] = msgspec.structs.replace(warning, calls=warning.calls | {person: call})
        await self.change()

    async def confirm(self, warning_id: str, by: str) -> None:
        if self.refuse_answers:
            raise ValueError(self.refuse_answers)
        self.confirmations.append((warning_id, by))
        confirmed = {"confirmed_by": by, "confirmed_at": self.clock.now_ms(), "stage": Stage.MOVE}
        self.warnings[warning_id] = msgspec.structs.replace(self.warnings[warning_id], **confirmed)
        await self.change()

    async def hold(self, warning_id: str, by: str) -> None:
        if self.refuse_answers:
            raise ValueError(self.refuse_answers)
        self.warnings[warning_id] = authority.held(self.warnings[warning_id], by, self.clock.now_ms(), NOW)
        await self.change()

    async def group_decisions(self, limit: int) -> list[Decision]:
        return self.decided[:limit]

    async def wait_changed(self, since: int) -> int:
        async with self.changed:
            await self.changed.wait_for(lambda: self.changes > since)
        return self.changes

    async def change(self) -> None:
        async with self.changed:
            self.changes += 1
            self.changed.notify_all()


def client_of(view: PlainView, application: Litestar | None = None) -> httpx.AsyncClient:
    """Without lifespan, as the hub serves it; a failure inside is answered, not raised."""
    served = cast("Any", application or app(view))  # two libraries' words for the same ASGI
    transport = httpx.ASGITransport(served, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://hub", follow_redirects=True)


PEOPLE = [
    PersonTable("Wang Jianguo", "village head", Tier.VILLAGE, AREA, "+86 571 0000 0001"),
    PersonTable("Li Mei", "group leader, lower hamlet", Tier.HOUSEHOLD, AREA, "+86 571 0000 0002"),
    PersonTable("陈志强", "网格员", Tier.HOUSEHOLD, AREA),
    PersonTable("Zhao Min", "town duty desk", Tier.TOWN, "330185101000", "+86 571 0000 0003"),
]


def config(stations: Sequence[str] = (), people: Sequence[PersonTable] = PEOPLE) -> HubConfig:
    return HubConfig(
        hub=HubTable("Lin'an county", "embedded:1883", "7" * 64, name_zh="临安区预警中心"),
        cap=CapTable("warning.example.org"),
        station=[StationTable(station, KEY) for station in stations],
        person=list(people),
    )


def card(name: str, name_zh: str, series: list[SeriesCard], rules: list[RuleCard]) -> StationCard:
    return StationCard(name, name_zh, AREA, 30.21, 119.33, series, rules, "0" * 16)


STAGE = SeriesCard("radar/stage_m", "stage_m", 60.0, (0.0, 12.0), "1985 national")
RAIN = SeriesCard("gauge/rain_total_mm", "rain_total_mm", 60.0, (0.0, 1e6))
OXYGEN = SeriesCard("fence-2/o2_pct_vol", "o2_pct_vol", 5.0, (0.0, 30.0))
METHANE = SeriesCard("fence-2/ch4_pct_lel", "ch4_pct_lel", 5.0, (0.0, 100.0))
RULES = [
    RuleCard("stage", STAGE.key, "stage_m", Hazard.FLOOD, {"blue": 2.0, "yellow": 2.6, "orange": 3.4, "red": 4.0}),
    RuleCard("rain-1h", RAIN.key, "rain_mm", Hazard.FLOOD, {"blue": 35, "yellow": 45, "orange": 60, "red": 80}, 3600),
    RuleCard("rain-3h", RAIN.key, "rain_mm", Hazard.FLOOD, {"yellow": 75, "orange": 100, "red": 120}, 10_800),
]
GAS_RULES = [
    RuleCard("ch4", METHANE.key, "ch4_pct_lel", Hazard.GAS, {"yellow": 25.0, "red": 50.0}),
    RuleCard("o2-low", OXYGEN.key, "o2_pct_vol", Hazard.GAS, {"red": 19.5}, low=True),
]


def station(name: str, described: StationCard | None, heard_ago_ms: int = 4_000, **more: object) -> StationView:
    devices = [series.key.partition("/")[0] for series in described.series] if described else []
    health = [DeviceHealth(device, 5000, 0, NOW) for device in devices]
    beat = Heartbeat(VERSION, name, NOW - heard_ago_ms, online=True, boot="0" * 16, devices=health)
    return StationView(name, described, msgspec.structs.replace(beat, **more), NOW - heard_ago_ms, [])


def _storm(store: MemoryStore) -> None:
    """Rain from 12:00 local on, the stage after it; radar silent from 13:10 to 13:40."""
    total, rain, stage = 812.4, [], []
    for minute in range(-26 * 60, 1):
        t = NOW + minute * MINUTE
        total += round(1.1 * math.exp(-(((minute + 95) / 55) ** 2)), 1) if minute > -240 else 0.0
        rain.append((t, round(total, 1)))
        level = 0.42 + 3.9 * math.exp(-((min(0, minute + 8) / 62) ** 2)) + 0.02 * math.sin(minute / 3)
        if not -130 < minute < -100:
            stage.append((t, round(level, 3)))
    store.points["longtan-upper", "gauge", "rain_total_mm"] = rain
    store.points["longtan-upper", "radar", "stage_m"] = stage
    store.points["longtan-lower", "radar", "stage_m"] = [(t, v - 0.3) for t, v in stage[:-25]]
    ago = range(700, -1, -1)
    store.points["plant", "fence-2", "o2_pct_vol"] = [(NOW - n * 5_000, 20.9 - 0.01 * (n % 7)) for n in ago]
    store.points["plant", "fence-2", "ch4_pct_lel"] = [(NOW - n * 5_000, 1.5 + 0.4 * (n % 5)) for n in ago]


def _flood() -> HubWarning:
    raised = NOW - 41 * MINUTE
    episodes = [
        Episode("e1", "longtan-upper", STAGE.key, "stage", 4, 3, Stage.MOVE, raised, NOW - 9 * MINUTE, 4.28, 4.0),
        Episode("e2", "longtan-upper", RAIN.key, "rain-3h", 2, 2, Stage.PREPARE, raised, raised, 82.4, 75.0, 10800),
    ]
    head, leader, grid, town = (person.name for person in PEOPLE)
    calls = [
        Call(head, "village head", Tier.VILLAGE, 4, raised, NOW - 9 * MINUTE, 1, NOW - 8 * MINUTE, "answer page"),
        Call(leader, "group leader, lower hamlet", Tier.HOUSEHOLD, 4, raised, NOW - 2 * MINUTE, 3),
        Call(grid, "网格员", Tier.HOUSEHOLD, 4, raised, NOW - 2 * MINUTE, 3),
        Call(town, "town duty desk", Tier.TOWN, 4, NOW - MINUTE, NOW - MINUTE, 1),
    ]
    return HubWarning(
        "w-flood", AREA, Hazard.FLOOD, WarningState.OPEN, 4, 4, Stage.MOVE, raised, NOW - 9 * MINUTE,
        episodes={f"{e.station}/{e.series}/{e.rule}": e for e in episodes},
        calls={call.person: call for call in calls}, bulletins=[f"{AREA}-8"],
    )


def _past(ident: str, level: Level, hazard: Hazard, ago_ms: int, *, historic: bool = False) -> HubWarning:
    start = NOW - ago_ms
    episode = Episode("p", "plant", METHANE.key, "ch4", 0, 4, Stage.WATCH, start, start + HOUR, 3.0, 25.0)
    call = Call("Li Mei", "", Tier.HOUSEHOLD, 2, start, start, 1, start + MINUTE, "button")
    calls = {} if historic else {call.person: call}
    return HubWarning(
        ident, AREA, hazard, WarningState.CLOSED, 0, level, Stage.WATCH, start, start + HOUR, start + HOUR,
        historic=historic, episodes={"plant/x/ch4": episode}, calls=calls,
    )


def _gas() -> HubWarning:
    """Its rule asks to move people, and waits for a person."""
    past = _past("w-gas", Level.YELLOW, Hazard.GAS, 5 * MINUTE)
    (episode,) = past.episodes.values()
    raised = msgspec.structs.replace(
        episode, level=2, stage=Stage.MOVE, authority=Authority.CONFIRM, value=27.5, rule="ch4-fence")
    return msgspec.structs.replace(
        past, state=WarningState.OPEN, level=2, stage=Stage.PREPARE, closed_at=0,
        episodes={"plant/fence-2/ch4_pct_lel/ch4-fence": raised},
    )


def _bulletin(flood: HubWarning) -> Bulletin:
    return Bulletin(
        VERSION, flood.bulletins[0], 8, flood.id, AREA, BulletinKind.UPDATE, Hazard.FLOOD, 4, Stage.MOVE,
        NOW - 9 * MINUTE, NOW + 6 * HOUR, "Longtan, upper bridge", "龙潭村上桥",
        "Red flood warning for Longtan, upper bridge. Move now. The water stands at 4.28 m, above 4.00 m. "
        "Go to the shelter by the agreed path now. Do not cross the water.",
        "龙潭村上桥山洪红色预警。立即转移。水位4.28米，超过4.00米。请立即沿预定路线前往安置点，不要涉水过河。",
    )


def calm(folder: Path) -> PlainView:
    """Two stations, nothing wrong."""
    view = PlainView(folder, config(["longtan-upper", "plant"]))
    _storm(view.store)
    view.stations_ = [
        station("longtan-upper", card("Longtan, upper bridge", "龙潭村上桥", [STAGE, RAIN], RULES)),
        station("plant", card("Gas plant, east fence", "东侧气站", [METHANE, OXYGEN], GAS_RULES)),
    ]
    return view


def storm(folder: Path) -> PlainView:
    """A red flood, a yellow gas warning that waits for a person, a late sensor, stations cut off and never heard."""
    view = calm(folder)
    view.config = config(["longtan-upper", "longtan-lower", "plant", "quarry", "new-one"])
    flood = _flood()
    quarry = station("quarry", card("Quarry slope", "采石场边坡", [], []), 3 * HOUR)
    assert quarry.heartbeat is not None
    silent = DeviceHealth("radar", 4000, 31, NOW - 25 * MINUTE, "silent")
    view.stations_ = [
        station("longtan-upper", card("Longtan, upper bridge", "龙潭村上桥", [STAGE, RAIN], RULES), siren=4),
        station("longtan-lower", card("Longtan, lower mill", "龙潭村磨坊", [STAGE], RULES[:1]), devices=[silent]),
        view.stations_[1],
        replace(quarry, heartbeat=msgspec.structs.replace(quarry.heartbeat, online=False)),
        StationView("new-one", None, None, 0, []),
    ]
    past = [
        _past("w-old", Level.ORANGE, Hazard.FLOOD, 30 * HOUR),
        _past("w-late", Level.BLUE, Hazard.FLOOD, 50 * HOUR, historic=True),
    ]
    view.warnings = {warning.id: warning for warning in (_gas(), flood, *past)}
    view.said = [_bulletin(flood)]
    view.orders_["longtan-upper"] = orders_at(NOW)
    view.rows = [
        JournalRow(NOW - 41 * MINUTE, Why.FIRST, "longtan-upper radar/stage_m: yellow, 2.71 m, threshold 2.60 m"),
        JournalRow(NOW - 9 * MINUTE, Why.HIGHER, "longtan-upper radar/stage_m: red, 4.28 m, threshold 4.00 m"),
        JournalRow(NOW - 8 * MINUTE, Why.ANSWERED, "Wang Jianguo by answer page"),
        JournalRow(NOW - 2 * MINUTE, Why.REPEAT, "Li Mei <third call>"),
    ]
    return view


async def page_of(client: httpx.AsyncClient, path: str, headers: dict[str, str] | None = None) -> html.HtmlElement:
    """The page at that address, which must be one."""
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return html.document_fromstring(answer.text)


def text_of(element: html.HtmlElement) -> str:
    """What a reader sees, white space folded."""
    return re.sub(r"\s+", " ", element.text_content()).strip()
