"""The hub: its parts, wired, and what its pages ask of them."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import hub.broadcast
from hub import arrivals, forward, landing, stations, troubles
from hub.archive import Archive
from hub.broadcast import cap
from hub.care import StoreCare
from hub.changes import Changes
from hub.checkpoints import Checkpoints
from hub.config import HubConfig
from hub.courier import Courier
from hub.database import Database
from hub.desk import Desk
from hub.dispatch import Dispatch
from hub.embedded import Mending, SqliteStore
from hub.errors import HubError
from hub.forward import Forwarder
from hub.groups_run import Groups
from hub.groups_state import Decision
from hub.health import Health
from hub.held import Disk, Held, read_held
from hub.influx.downsample import downsampler_of
from hub.intake import Intake
from hub.model import Warning as HubWarning
from hub.operations import Operations
from hub.orders import StationOrders, read_orders
from hub.pruning import Pruner
from hub.room import Room
from hub.roster import Roster
from hub.stations import StationView
from hub.store import Store
from hub.stores import open_store
from hub.troubles import Failures, OfGroups
from hub.web.serving import serve_web
from hub.web.view import JournalRow
from tocsin import plugins, topics
from tocsin.clock import Clock
from tocsin.link import Link
from tocsin.messages import Bulletin, StationCard

TICK_S = 1.0
RESTART_S = 1.0

log = logging.getLogger(__name__)


class Hub:
    """`run` serves until cancelled. It is the View that the pages ask."""

    def __init__(self, config: HubConfig, clock: Clock, file: Path | None = None) -> None:
        """`file`: the hub.toml that nightly backups take with them; without one there are none."""
        self.config = config
        self.clock = clock
        data = Path(config.hub.data)
        self._database = Database(data / "hub.sqlite")
        mending = Mending(clock, asyncio.Event())
        self.store: Store = open_store(config, mending)
        self.archive = Archive(data / "hub.sqlite")
        self._stations = stations.Stations(self._database, self.store)
        self._changes = Changes()
        self._restarts: Counter[str] = Counter()
        self.operations = Operations(config, file, self._database, clock, lambda: self.link)
        self.operations.examiner.progress = lambda: sum(self._intake.counts.values())
        self.link = self._make_link()
        self._roster = Roster(self._database, config.keys)
        self._roster.tell_overruled()
        room = Room(data, config.landing.free_bytes, clock)
        self._intake = Intake(self._database, self._roster, clock, self.link.publish, self._roster.revoked, room)
        self._pruner = Pruner(self._database, config.landing, clock)
        self._checkpoints = Checkpoints(self._database, clock)
        self._courier = Courier(self._database, config, self._roster, clock, self.link.publish, self._changes.note)
        self._forwarder = Forwarder(self._database, self.store, clock)
        self._downsampler = downsampler_of(config, self._database, self.store, clock)
        if self._downsampler:
            self._forwarder.on_forwarded.append(self._downsampler.note)
            self.operations.also.append(self._downsampler.trouble)
        self._care = (StoreCare(self.store, config.store, mending, self._forwarder, clock)
                      if isinstance(self.store, SqliteStore) else None)
        channels = {name: plugins.load(hub.broadcast, name).Channel(config, self.link.publish)
                    for name in plugins.names(hub.broadcast)}
        self._dispatch = Dispatch(self._database, channels, clock)
        self._desk = Desk(self._database, config, clock, self._warnings_changed)
        self._groups = Groups(self._database, config, clock, self._desk.wake, lambda: self.link.connected)
        self._intake.on_landed += [self._forwarder.wake, self._desk.wake, self._groups.wake, self._changes.note,
                                    self.operations.examiner.landed]
        self.operations.also.extend(
            [partial(troubles.of_landing, self._intake), OfGroups(self._groups, self._roster).trouble,
             Failures(self._counts_of_parts).trouble])

    async def run(self) -> None:
        """Until cancelled. Raises HubError where it cannot run at all."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, part in self._parts().items():
                    group.create_task(self._keep_running(name, part), name=name)
        except BaseExceptionGroup as several:
            # not except*: what Python makes of an error raised there differs from 3.11.2 to 3.11.7
            raise next((one for one in several.exceptions if isinstance(one, HubError)), several) from None
        finally:
            await self.store.close()
            self.archive.close()
            self._database.close()

    def _parts(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        beside = {"downsampler": self._downsampler.run} if self._downsampler else {}
        return beside | {
            "link": self.link.run,
            "intake": self._intake.run,
            "forwarder": self._forwarder.run,
            "pruner": self._pruner.run,
            "checkpoints": self._checkpoints.run,
            "desk": self._desk.run,
            "groups": self._groups.run,
            "dispatch": self._dispatch.run,
            "courier": self._courier.run,
            "time": partial(self._pass_time, self._desk_tick),
            "group time": partial(self._pass_time, self._groups.tick),
            "web": partial(serve_web, self, self.config.hub.listen),
            "operations": self.operations.run,
        } | ({"store": self._care.run} if self._care else {})

    async def _keep_running(self, name: str, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A part that fails is told, counted and started again: the others must not fall with it."""
        while True:
            try:
                await part()
            except HubError:
                raise
            except Exception:
                self._restarts[name] += 1
                log.exception("%s failed; it starts again in %g s", name, RESTART_S)
            await asyncio.sleep(RESTART_S)

    async def _desk_tick(self) -> None:
        await self._desk.tick()
        self.operations.examiner.ticked()

    async def _pass_time(self, tick: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Each part that needs time has its own: group rules that fail or lag hold up no call."""
        due_s = self.clock.monotonic_s()
        while True:
            await tick()
            due_s = max(due_s + TICK_S, self.clock.monotonic_s())
            await self.clock.sleep_until(due_s)

    def _make_link(self) -> Link:
        return Link(
            self.config.broker,
            "tocsin-hub",
            subscriptions=[*(f"{topics.ROOT}/+/{kind}" for kind in topics.UPLINKS), topics.rules_state("+")],
            on_message=self._on_message,
            on_connect=self._on_connect,
            will=self.operations.will,
        )

    async def _on_message(self, topic: str, payload: bytes) -> None:
        if topics.is_rules_state(topic):
            await self._courier.heard(topic, payload)
        else:
            self.operations.examiner.arrived()
            await self._intake.on_message(topic, payload)

    async def _on_connect(self) -> None:
        await self._dispatch.republish()
        await self._courier.connected()

    def _warnings_changed(self) -> None:
        self._dispatch.wake()
        self._changes.note()

    async def behind(self) -> int:
        """Records that have landed and that the store or the desk has not worked through yet."""
        return await self._database.run(self._count_behind)

    # --- what the pages ask -------------------------------------------------------------------------------------

    @property
    def cap_folder(self) -> Path:
        return cap.folder_of(self.config)

    def counts(self) -> dict[str, int]:
        counts = self._counts_of_parts()
        return {f"{part}: {name}": count for part, events in counts.items() for name, count in events.items()}

    def health(self) -> Health:
        return self.operations.health

    async def metrics(self) -> bytes:
        return await self.operations.metrics(self._counts_of_parts, self._roster)

    def station_ids(self) -> list[str]:
        return sorted(self._roster)

    async def stations(self, only: Collection[str] | None = None) -> list[StationView]:
        if only is None:
            return await self._stations.every(self.station_ids())
        asked = frozenset(only)
        return await self._stations.some([name for name in self.station_ids() if name in asked])

    async def cards(self) -> dict[str, StationCard]:
        return await self._database.run(stations.cards, self._database.connection, self.station_ids())

    async def held(self) -> Held:
        room = self._intake.room
        room.look()
        disk = Disk(room.free, room.least, room.short, self._intake.trouble)
        return await self._database.run(read_held, self._database.connection, disk, self.clock.now_ms())

    async def orders(self, station: str) -> StationOrders:
        return await self._database.run(read_orders, self._database.connection, station)

    async def open_warnings(self) -> list[HubWarning]:
        return await self._desk.open_warnings()

    async def recent_warnings(self, limit: int) -> list[HubWarning]:
        return await self._desk.recent(limit)

    async def warning(self, warning_id: str) -> HubWarning | None:
        return await self._desk.warning(warning_id)

    async def journal(self, warning_id: str) -> list[JournalRow]:
        return [JournalRow(row.t, row.why, row.detail, row.event) for row in await self._desk.journal_of(warning_id)]

    async def bulletins(self, warning_id: str) -> list[Bulletin]:
        return await self._desk.bulletins_of(warning_id)

    async def answer(self, person: str, warning_id: str, how: str, note: str) -> None:
        await self._desk.answer(person, warning_id, how, note)

    async def confirm(self, warning_id: str, by: str) -> None:
        await self._desk.confirm(warning_id, by)

    async def hold(self, warning_id: str, by: str) -> None:
        await self._desk.hold(warning_id, by)

    async def group_decisions(self, limit: int) -> list[Decision]:
        return [told.decision for told in await self._groups.recent(limit)]

    async def wait_changed(self, since: int) -> int:
        return await self._changes.wait(since)

    def _counts_of_parts(self) -> dict[str, Mapping[str, int]]:
        counts: dict[str, Mapping[str, int]] = {
            "intake": self._intake.counts, "forwarder": self._forwarder.counts, "pruner": self._pruner.counts,
            "checkpoints": self._checkpoints.counts,
            "desk": self._desk.counts, "groups": self._groups.counts, "dispatch": self._dispatch.counts,
            "courier": self._courier.counts, "restarts": self._restarts, "link": {"dropped": self.link.dropped},
        }
        if self._downsampler:
            counts["downsampler"] = self._downsampler.counts
        if isinstance(self.store, SqliteStore):
            counts["store"] = self.store.counts
        return counts

    def _count_behind(self) -> int:
        connection = self._database.connection
        (undecided,) = connection.execute(
            "SELECT count(*) FROM landing WHERE id > ? AND kind IN ('detection', 'answer')",
            (landing.cursor_of(connection, arrivals.READER),),
        ).fetchone()
        return landing.behind(connection, forward.READER) + int(undecided)
