"""The agent of one station: its parts, their order of start, and their order of stop."""

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from edge.budget import Budget
from edge.bus import Bus
from edge.card import card_of
from edge.care import Care, Parts
from edge.commands import Commands
from edge.config import Station
from edge.device import Device
from edge.gather import Gather
from edge.good_station import keep_station
from edge.health import Health
from edge.listening import listen
from edge.load import Load
from edge.lock import Lock
from edge.operate import Operate
from edge.operations import Operations
from edge.pipeline import Pipeline
from edge.poll import Poller, phases
from edge.recorder import Recorder
from edge.restore import Restored, restored
from edge.sayings import say
from edge.service_button import button_parts
from edge.siren_parts import siren_parts
from edge.survey import Survey
from edge.tidy import Tidy
from edge.timekeeper import Timekeeper
from edge.uplink import Uplink
from edge.watch import Watch
from edge.work import Work
from thresholds.reload import bind_over
from tocsin import __version__, topics
from tocsin.clock import Clock
from tocsin.config import ConfigError
from tocsin.devices import ListeningDriver, OutputDriver, PolledDriver
from tocsin.link import Link
from tocsin.log import Log
from tocsin.messages import Event, EventKind, Start
from tocsin.notify import Notify
from tocsin.readings import Reading, Rejection
from tocsin.said import Said, SaidError, joined, reason_of
from tocsin.signing import mark_of

log = logging.getLogger(__name__)

_AGAIN_S = 1.0
_LONGEST_S = 10.0
_GOOD_S = 60.0  # a part that ran so long begins again at once when it fails


class Agent:
    """`run` serves until cancelled. `pipeline`, `recorder`, `uplink` and `link` are there for those who watch.

    `failures` counts, per part, how often it failed by a defect and was begun again.
    """

    def __init__(self, station: Station, clock: Clock, notify: Notify | None = None) -> None:
        """Raises ConfigError where another agent runs on the same folder, it holds another station's log, or there can
        be no log."""
        self.failures: Counter[str] = Counter()
        self._lock, self._log = _opened(station.folder)
        self._reloads: set[asyncio.Task[None]] = set()
        self._station = station
        self._clock = clock
        table, boot = station.file.station, secrets.token_hex(8)
        before = restored(station, self._log)
        whose = before.decider.config.station
        if whose != table.id:    # it would go on with the other one's episodes, and the hub never gets them
            self._lock.close()
            raise ConfigError([f'{station.place}: station: id: "{table.id}" is not allowed; {station.folder} holds the '
                               f'log of "{whose}": use that id, or name another folder in data'])
        self._health = Health([device.table.name for device in station.devices])
        self._keeper = Timekeeper(clock, before.decider.now_ms)
        self.budget = Budget(station.file.uplink.monthly_mb, station.folder, lambda: self.pipeline.calm)
        self.uplink = Uplink(self._log, table.id, station.file.hub.key, self.budget.thinner)
        self.uplink.on_fault = lambda why: self.pipeline.told(EventKind.FAULT, say("uplink", why=why))
        self.uplink.restore_urgent(before.uncommitted)
        self.recorder = Recorder(self._log, boot, self.uplink.written)
        self.pipeline = Pipeline(before.decider, self.recorder, self._keeper, self._health)
        self.operations = Operations(station, self.pipeline, self.recorder, self._log, self.uplink)
        self._operate = Operate(station.folder, self.operations, self.recorder)
        self.commands = Commands(station, self._operate, self.operations, self.recorder, self.pipeline.now_ms)
        self._buses = {name: Bus(bus) for name, bus in station.buses.items() if bus.speaks != "lines"}
        self._siren = siren_parts(station, self._buses, clock, self._keeper, recorder=self.recorder,
                                  pipeline=self.pipeline, operations=self.operations)
        told = partial(self.pipeline.told, EventKind.OVERLOAD)
        self._loads = {name: Load(bus, told) for name, bus in self._buses.items()}
        self._phases = phases(station)
        self._gather = Gather(self.pipeline, singly=station.file.uplink.monthly_mb > 0)
        self._watch = Watch(
            table.id, mark_of(station.file.hub.key), boot, station.folder, clock,
            storage=self._log, pipeline=self.pipeline,
            operations=self.operations, recorder=self.recorder, uplink=self.uplink, health=self._health,
            budget=self.budget,
        )  # fmt: skip
        self._watch.link = self.commands.link = self.link = self._make_link()
        self.budget.traffic = self.link.traffic
        self.care = Care(station, clock, self._keeper, notify or Notify(""), pipeline=self.pipeline,
                         health=self._health, recorder=self.recorder, uplink=self.uplink)
        self._pollers: dict[str, Poller] = {}
        survey = Survey(station, clock, self._keeper, self.pipeline, self._log, self.uplink, self.link, self._watch,
                        self.recorder, self._pollers, self.care.power, clock.monotonic_s())
        self.work = self._operate.work = Work(self.operations, self.pipeline, survey)
        self._watch.tidy = self._tidy = Tidy(
            self._log, station.file.log.limits, clock,
            pipeline=self.pipeline, recorder=self.recorder, uplink=self.uplink,
        )  # fmt: skip
        self._file_kept, self._unkept = False, ""
        self._watch.each_minute = self._keep_file
        self._begin(before)

    async def run(self) -> None:
        """Until cancelled; then the last records are written and the hub is told."""
        try:
            async with _all_of({name: self._keep(name, part) for name, part in self._parts().items()}):
                try:
                    await self.care.over.wait()
                finally:
                    await self._watch.say_goodbye()
        finally:
            self._gather.pass_on()
            if self._siren is not None:
                self._siren.siren.output.close()
            answers = self.recorder.close()
            self.uplink.close()
            if answers:  # a disk that hangs would hold up the end
                self.budget.meter.save()
            self._lock.close()

    async def _keep(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """A defect in one part must not end the others: counted, told once, and the part begins again."""
        told: Said | None = None
        wait_s = _AGAIN_S
        while True:
            begun_s = time.monotonic()
            try:
                await part()
            except (Exception, asyncio.CancelledError) as err:
                # asyncio.wait_for of Python 3.11, and a future that another part left, cancel who was not asked to end
                if (task := asyncio.current_task()) is None or task.cancelling():
                    raise asyncio.CancelledError from err  # one that fails at its end must end all the same
                self.failures[name] += 1
                told = self._tell_failed(name, err, told)
            wait_s = _AGAIN_S if time.monotonic() - begun_s > _GOOD_S else min(2 * wait_s, _LONGEST_S)
            await asyncio.sleep(wait_s)

    def _tell_failed(self, name: str, err: BaseException, before: Said | None) -> Said:
        """Returns what is told, once. A part that has a sentence for it needs no traceback."""
        known = isinstance(err, SaidError)
        detail = joined([name, err.said if isinstance(err, SaidError) else f"{type(err).__name__}: {err}"], ": ", ": ")
        if detail != before:
            log.error("%s", detail if known else f"{name} begins again", exc_info=None if known else err)
            en, zh = (text.encode(errors="replace").decode() for text in (detail.en, detail.own_zh))
            self.recorder.add(Event("", 0, self._keeper.peek_ms(), EventKind.FAULT, en, zh=zh))
        return detail

    def _parts(self) -> Parts:
        parts: Parts = {
            "recorder": self.recorder.run,
            "link": self.care.link_part(self.link, self._watch.beat),
            "uplink": partial(self.uplink.run, self.link),
            "operate": self._operate.run,
            "commands": self.commands.run,
            "ticks": self._watch.ticks,
            "watch": self._watch.run,
            "tidy": self._tidy.run,
        }
        parts |= button_parts(self._station, self._buses, self._clock, self.operations.servicing, self.pipeline)
        if self._siren is not None:
            parts |= self._siren.parts()
        parts |= self.care.parts()
        parts |= {f"bus {name}": bus.run for name, bus in self._buses.items()}
        for device in self._station.devices:
            parts |= self._device_part(device)
        return parts

    def _device_part(self, device: Device) -> Parts:
        name = f"device {device.table.name}"
        match device.driver:
            case OutputDriver():
                return {}
            case ListeningDriver() as driver:
                bus = self._station.buses[device.table.bus]

                def heard(items: list[Reading | Rejection]) -> None:
                    self.pipeline.heard(device, items, time.monotonic())
                    self.care.felt(device, items)

                return {name: partial(listen, bus, driver, heard)}
            case PolledDriver() as driver:
                bus_of, load = self._buses[device.table.bus], self._loads[device.table.bus]
                poller = Poller(device, driver, bus_of, self._clock, self.care.after(self._gather.heard), load,
                                self._phases[device.table.name], self.care.slower(device))
                self._pollers[device.table.name] = poller
                return {name: poller.run}

    def _begin(self, before: Restored) -> None:
        """The first records of this start, and what was wrong with the files. The siren first."""
        now_ms = self.pipeline.now_ms()
        self.pipeline.sound("start", time.monotonic())
        plan, _ = bind_over(before.decider.live, self._station.plan.rules, self._station.series)
        self.recorder.add(Start("", 0, now_ms, __version__, card_of(self._station, plan),
                                before.checkpoint))
        for damage in self._log.damage:
            log.error("log: %s", damage)
            self.pipeline.told(EventKind.DISK, damage)
        if self._log.next_seq == 1:
            before.decider.begun_ms = now_ms
            self.recorder.add(msgspec.structs.replace(before.decider.config, t=now_ms))
        elif not before.exact:
            self.pipeline.remember()
        for detection in before.unlogged:
            self.recorder.add(detection)
        self.work.begin()
        self.operations.begin()

    def _keep_file(self) -> None:
        """Once it is seen that this station file makes an agent that polls."""
        if self._file_kept or not self.care.watchdog.polls:
            return
        try:
            keep_station(self._station.folder, self._station.place, self._station.text, self._keeper.peek_ms())
            self._file_kept = True
        except OSError as err:
            if self._unkept != (why := str(err)):  # once, not each minute
                log.warning("the station file's copy is not kept: %s", why)
            self._unkept = why

    def reload(self) -> None:
        """Reads the rules files again, beside all else; what comes of it is an event."""
        task = asyncio.create_task(self._reload(), name="reload")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self) -> None:
        with suppress(ValueError):  # told as an event already
            await self.operations.reload()

    def _make_link(self) -> Link:
        station = self._station.file.station.id

        handlers = {topics.committed(station): self.uplink.committed, **self.commands.handlers}

        async def connected() -> None:
            await self.uplink.connected()
            await self._watch.beat()
            await self.commands.connected()

        return Link(
            self._station.broker,
            # a broker hangs up on the first of two with one name: a predecessor must not throw its successor out
            f"tocsin-edge-{station}-{mark_of(self._station.file.hub.key)}",
            subscriptions=list(handlers),
            on_message=lambda topic, payload: handlers[topic](topic, payload),
            on_connect=connected,
            will=self._watch.will,
            keepalive_s=self.budget.keepalive_s,
        )


def _opened(folder: Path) -> tuple[Lock, Log]:
    """Two agents would write over each other's log."""
    try:
        return Lock(folder), Log(folder / "log", early=True)
    except BlockingIOError as err:
        raise ConfigError([f"{folder}: another agent runs on this folder; stop it first"]) from err
    except OSError as err:
        raise ConfigError([f"{folder}: no log can be kept there: {reason_of(err)}; give the folder to the user that "
                           "runs the agent, with room on its disk"]) from err


@asynccontextmanager
async def _all_of(tasks: dict[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Runs named tasks beside the body; one that fails fails all; at the end they are cancelled, newest first."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(task, name=name) for name, task in tasks.items()]
        try:
            yield
        finally:
            for task in reversed(running):
                task.cancel()
