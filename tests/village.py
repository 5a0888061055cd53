"""A village for the hub's tests: people, stations and a clock wound by hand, so that a test reads like a timetable."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from hub.callout import Policy
from hub.checks import inspect
from hub.config import CallTable, CapTable, HubConfig, HubTable, PersonTable, StationTable
from hub.database import Database
from hub.desk import Desk
from hub.happened import Answered, EpisodeChanged, Event, Tick
from hub.landing import land
from hub.model import Tier, Why
from hub.model import Warning as HubWarning
from hub.warnings import Say, said, step
from tocsin import topics
from tocsin.clock import WoundClock
from tocsin.levels import Authority, Hazard, Level, Stage
from tocsin.messages import VERSION, Answer, BulletinKind, Detection, Record, Start, StationCard, Upload, encode
from tocsin.times import ms_of, utc

VILLAGE = "330112100201"
NEXT_VILLAGE = "330112100202"
TOWN = "330112100000"
COUNTY = "330112000000"
BOOT = "00000000000000aa"
NEXT_BOOT = "00000000000000b2"  # the run after it
PRIVATE_KEY = "11" * 32

PEOPLE = (
    PersonTable("Li Ming", "village head", Tier.VILLAGE, VILLAGE),
    PersonTable("Wang Fang", "household", Tier.HOUSEHOLD, VILLAGE),
    PersonTable("Chen Bo", "village head", Tier.VILLAGE, NEXT_VILLAGE),
    PersonTable("Zhao Lei", "town duty desk", Tier.TOWN, TOWN),
    PersonTable("Sun Yan", "county duty desk", Tier.COUNTY, COUNTY),
)
VILLAGERS = ["Li Ming", "Wang Fang"]
STAGES = {Level.RED: Stage.MOVE, Level.ORANGE: Stage.PREPARE}
CARDS = {
    "upper-bridge": ("Upper Bridge", "上桥", VILLAGE, 30.2561, 119.7262),
    "mill-creek": ("Mill Creek", "磨坊溪", VILLAGE, 30.2702, 119.7401),
    "next-door": ("Next Door", "邻村站", NEXT_VILLAGE, 30.3, 119.8),
}


def at(clock_time: str, day: int = 8) -> int:
    """ms UTC of a local time of August 2024, as in "14:05" or "14:05:30"."""
    seconds = clock_time if clock_time.count(":") == 2 else f"{clock_time}:00"
    return ms_of(f"2024-08-{day:02d}T{seconds}+08:00")


def config(
    folder: Path | str = "hub-data",
    people: Sequence[PersonTable] = PEOPLE,
    *,
    timezone: str = "Asia/Shanghai",
    public_url: str = "",
    status: Literal["Actual", "Exercise", "Test"] = "Actual",
) -> HubConfig:
    return HubConfig(
        hub=HubTable(
            name="Lin'an flood office",
            name_zh="临安防汛办",
            broker="embedded:1883",
            private_key=PRIVATE_KEY,
            data=str(folder),
            timezone=timezone,
            public_url=public_url,
        ),
        cap=CapTable(sender="warnings@example.org", status=status),
        call=CallTable(repeat_s=60.0, times=3, too_old_s=1800.0),
        station=[StationTable(name, "22" * 32) for name in CARDS],
        person=list(people),
    )


POLICY = Policy.of(config())


def detection(
    level: Level,
    when: str,
    revision: int,
    *,
    rule: str = "stage",
    previous: Level = Level.CLEAR,
    episode: str = "e1",
    hazard: Hazard = Hazard.FLOOD,
    authority: Authority = Authority.AUTO,
    stage: Stage | None = None,
    day: int = 8,
    seq: int = 0,
    series: str = "radar/stage_m",
    value: float = 2.35,
    threshold: float = 2.0,
    over_s: int = 0,
    since: str = "",
    hold_s: float = 0.0,
    feature: str = "value",
    target: float | None = None,
    boot: str = BOOT,
) -> Detection:
    return Detection(
        boot=boot,
        seq=seq or revision,
        t=at(when, day),
        series=series,
        rule=rule,
        hazard=hazard,
        level=level.value,
        previous=previous.value,
        revision=revision,
        episode=episode,
        since=at(since or when, day),
        stage=stage or STAGES.get(level, Stage.WATCH),
        authority=authority,
        value=value,
        threshold=threshold,
        over_s=over_s,
        hold_s=hold_s,
        feature=feature,
        target=target,
    )


def changed(
    found: Detection, arrived: str = "", *, station: str = "upper-bridge", settled: bool = False, day: int = 8
) -> EpisodeChanged:
    name, name_zh, area, latitude, longitude = CARDS[station]
    arrived_at = at(arrived, day) if arrived else found.t
    return EpisodeChanged(station, area, found, arrived_at, settled, name, name_zh, latitude, longitude)


def card(station: str, area: str = "") -> StationCard:
    name, name_zh, own_area, latitude, longitude = CARDS[station]
    return StationCard(name, name_zh, area or own_area, latitude, longitude, [], [], "0")


@dataclass
class Life:
    """Steps one warning and keeps what was to be done: bulletins as (kind, why), calls as (local time, person, why)."""

    policy: Policy = POLICY
    warning: HubWarning | None = None
    says: list[tuple[BulletinKind, Why]] = field(default_factory=list)
    asks: list[tuple[str, str, Why]] = field(default_factory=list)

    def event(self, event: Event, when: str) -> None:
        now_ms = at(when)
        self.warning, actions = step(self.warning, event, now_ms, self.policy)
        for action in actions:
            if isinstance(action, Say):
                self.says.append((action.kind, action.why))
                assert self.warning is not None
                self.warning = said(self.warning, f"b{len(self.says)}", now_ms)
            else:
                self.asks.append((when, action.person, action.why))

    def found(
        self, found: Detection, arrived: str = "", station: str = "upper-bridge", *, settled: bool = False
    ) -> None:
        event = changed(found, arrived, station=station, settled=settled)
        self.event(event, arrived or f"{utc(found.t + 8 * 3_600_000):%H:%M:%S}")

    def answers(self, person: str, when: str) -> None:
        self.event(Answered(person, "answer page", "", at(when)), when)

    def ticks(self, start: str, until: str) -> None:
        for moment in range(at(start), at(until) + 1, 1000):
            when = f"{utc(moment + 8 * 3_600_000):%H:%M:%S}"
            self.event(Tick(moment), when)

    @property
    def now(self) -> HubWarning:
        assert self.warning is not None
        return self.warning

    def take_asks(self) -> list[tuple[str, str, Why]]:
        asks, self.asks = self.asks, []
        return asks


class Village:
    """A hub's database and desk on a clock wound by hand. What stations send goes the way of the real intake."""

    def __init__(self, folder: Path, people: Sequence[PersonTable] = PEOPLE, start: str = "14:00") -> None:
        self.folder = folder
        self.config = config(folder, people)
        self.clock = WoundClock(at(start))
        self.wakes = 0
        self._seq = 0
        self._open()

    def _open(self) -> None:
        self.database = Database(self.folder / "hub.sqlite")
        self.desk = Desk(self.database, self.config, self.clock, self._wake)

    def _wake(self) -> None:
        self.wakes += 1

    def restart(self) -> None:
        """The hub's process ends and another one starts on the same disk."""
        self.database.close()
        self._open()

    def close(self) -> None:
        self.database.close()

    def starts(self, station: str = "upper-bridge", area: str = "", boot: str = BOOT, seq: int = 0) -> None:
        self.lands(station, Start(boot, seq or self._next(), self.clock.now_ms(), "0.1.0", card(station, area)))

    def finds(self, found: Detection, station: str = "upper-bridge") -> None:
        """The detection reaches the disk, and nothing more."""
        self.lands(station, found)

    def answers_at_site(self, who: str, when: str, station: str = "upper-bridge", warning: str = "") -> None:
        self.lands(station, Answer(BOOT, self._next(), at(when), who, "button at the siren", warning), topics.ANSWERS)

    def lands(self, station: str, record: Record, kind: str = topics.DETECTIONS) -> None:
        upload = encode(Upload(VERSION, station, [_raw(record)]))
        delivery = inspect(topics.up(station, kind), upload, self.config.keys)
        assert not delivery.refused, delivery.refused
        with self.database.transaction() as connection:
            land(connection, [delivery], self.clock.now_ms())

    async def reads(self) -> None:
        """The desk works through everything that has landed."""
        while await self.desk.process():
            pass

    async def ticks(self, until: str, every_s: int = 1) -> None:
        """Time goes by, a second after the other."""
        end = at(until)
        while self.clock.now_ms() < end:
            self.clock.wind_to(min(self.clock.now_ms() + every_s * 1000, end))
            await self.desk.tick()

    async def only(self) -> HubWarning:
        """The one warning that is open."""
        (warning,) = await self.desk.open_warnings()
        return warning

    async def alarm(self, level: Level, revision: int, station: str = "upper-bridge") -> str:
        """The station finds this level now, and the desk decides; the id of the bulletin that follows."""
        found = detection(level, "14:00", revision)
        self.finds(msgspec.structs.replace(found, t=self.clock.now_ms()), station)
        await self.reads()
        return self.outbox()[-1][0]

    def outbox(self) -> list[tuple[str, str]]:
        """(bulletin's id, channel) of everything that was ever to be sent."""
        query = "SELECT json_extract(bulletin, '$.id'), channel FROM outbox ORDER BY id"
        rows = self.database.connection.execute(query)
        return [(name, channel) for name, channel in rows]

    def _next(self) -> int:
        self._seq += 1
        return 1_000_000 + self._seq


def _raw(record: Record) -> msgspec.Raw:
    return msgspec.Raw(encode(record))
