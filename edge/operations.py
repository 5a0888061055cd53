"""What people do at a station: acknowledge, clear, shelve, work on a device, bring in other rules.

Each is an input of decisions like a reading: it is decided, logged and told. What is refused changes nothing.
"""

import asyncio
import logging
from dataclasses import replace
from itertools import chain
from typing import Protocol

from edge.calibration import Key, Scales, add_entry, changes, entry_of, put_back, remember
from edge.card import card_of
from edge.config import Station
from edge.decider import track_of
from edge.pipeline import Pipeline
from edge.recorder import Recorder
from edge.rows import Recent
from edge.ruling import config_of
from edge.servicing import Servicing
from edge.sheet import in_words, keep, sheet_of
from thresholds.parts import named
from thresholds.reload import bind_over
from tocsin import __version__
from tocsin.config import ConfigError
from tocsin.inputs import Acknowledge, OperatorClear, Shelve
from tocsin.levels import Level
from tocsin.log import Log
from tocsin.messages import EventKind, Start

LONGEST_SHELVING_MIN = 24 * 60.0

log = logging.getLogger(__name__)


class Site(Protocol):
    """The agent as a whole, as far as people ask of it."""

    async def text(self) -> str:
        """All that the station knows of itself, as JSON."""

    async def echo(self, who: str) -> str:
        """How long a record takes to the hub's disk and back. Raises ValueError where it does not come back."""


class Operations:
    """Methods return a sentence for who asked, and raise ValueError with one where it is refused."""

    def __init__(self, station: Station, pipeline: Pipeline, recorder: Recorder, storage: Log) -> None:
        self._station = station
        self._pipeline = pipeline
        self._recorder = recorder
        self._log = storage
        self._lock = asyncio.Lock()
        self.servicing = Servicing(station.devices, pipeline)
        self.site: Site

    def levels(self) -> str:
        """One line a rule that is above clear."""
        state = self._pipeline.decider.live
        lines = [f"{Level(level).word}: {track.rule.name} on {track.series.key}" for track, level
                 in zip(state.plan.tracks, state.memory.level.tolist(), strict=True) if level]
        return "\n".join(lines) or "everything is clear"

    async def status(self) -> str:
        """All that the station knows of itself, as JSON."""
        return await self.site.text()

    async def echo(self, who: str) -> str:
        """How long a record takes to the hub's disk and back."""
        return await self.site.echo(who)

    async def commission(self, text: str, who: str) -> str:
        """Seals and keeps a technician's sheet, and sends it up."""
        sheet = sheet_of(text)
        table = self._station.file
        if (sheet.station, sheet.who) != (table.station.id, who):
            raise ValueError(f'a sheet of "{sheet.station}" by {sheet.who} is not allowed; '
                             f'this is "{table.station.id}", and {who} asks')
        try:
            place, sealed = await asyncio.to_thread(keep, self._station.folder, sheet, table.hub.key)
        except OSError as err:
            raise ValueError(f"the sheet cannot be kept: {err}") from err
        self._pipeline.now_ms()
        self._pipeline.told(EventKind.COMMISSION, f"{in_words(sheet)}\n{sealed.decode()}")
        return str(place)

    def acknowledge(self, rule: str, series: str, who: str) -> str:
        """A person has seen the level: what latches may fall, and what waits to sound stays silent."""
        level = self._active(rule, series)
        now_ms = self._pipeline.now_ms()
        self._pipeline.decide(Acknowledge("", 0, now_ms, series, rule, who))
        return self._told(f'{who} acknowledged "{rule}" at {level.word}', series)

    def clear(self, rule: str, series: str, who: str) -> str:
        """A person takes it to clear."""
        level = self._active(rule, series)
        self._pipeline.decide(OperatorClear("", 0, self._pipeline.now_ms(), series, rule, who))
        return self._told(f'{who} cleared "{rule}", which was {level.word}', series)

    def shelve(self, rule: str, series: str, minutes: float, who: str) -> str:
        """It is evaluated as ever and sounds nothing for so long; 0 ends that."""
        self._level(rule, series)
        if not 0 <= minutes <= LONGEST_SHELVING_MIN:
            raise ValueError(f"{minutes:g} minutes are not allowed; use 0 to {LONGEST_SHELVING_MIN:g}")
        now_ms = self._pipeline.now_ms()
        self._pipeline.decide(Shelve("", 0, now_ms, series, rule, now_ms + round(minutes * 60_000), who))
        for_ = f"for {minutes:g} min" if minutes else "no longer"
        return self._told(f'{who} shelved "{rule}" {for_}', series)

    def service(self, device: str, minutes: float, who: str, series: str = "") -> str:
        """Its readings, or those of one series, count for nothing for so long; 0 ends that."""
        return self.servicing.service(device, minutes, who, series)

    def _active(self, rule: str, series: str) -> Level:
        level = self._level(rule, series)
        if level is Level.CLEAR:
            raise ValueError(f'"{rule}" on {series} is clear: there is nothing to do')
        return level

    def _level(self, rule: str, series: str) -> Level:
        state = self._pipeline.decider.live
        track = track_of(state, rule, series)
        if track is None:
            there = ", ".join(f'"{name}" on {key}' for name, key in map(named, state.plan.tracks))
            raise ValueError(f'"{rule}" does not judge {series} here; use {there}')
        return Level(int(state.memory.level[track]))

    def _told(self, detail: str, series: str) -> str:
        self._pipeline.told(EventKind.OPERATOR, detail, series=series)
        return f"{detail} on {series}"

    async def calibrate(self, series: str, set_: dict[Key, float | str], who: str, why: str = "") -> str:
        """Dated, told and in force at once. Of a series in service alone: its numbers jump."""
        async with self._lock:
            now_ms = self._pipeline.now_ms()
            given = self.servicing.given(series, self._station.file, now_ms)
            entry = entry_of(now_ms, who, series, set_, given, why)
            before = await asyncio.to_thread(add_entry, self._station.folder, entry)
            try:
                station = await asyncio.to_thread(self._station.recalibrated)
                await self._bring_in(replace(station, devices=self._station.devices))
            except (ConfigError, OSError) as err:
                await asyncio.to_thread(put_back, self._station.folder, before)
                raise ValueError(str(err)) from err
            for device, other in zip(self._station.devices, station.devices, strict=True):
                device.become(other)    # with no await in between: no reading is of two scales
            return "; ".join(self._tell_scales(who)) or "it is so already"

    def _tell_scales(self, who: str) -> list[str]:
        """What is calibrated otherwise than when the agent last looked."""
        scales: Scales = {}
        found: list[tuple[str, str]] = []
        for device in self._station.devices:
            scales |= device.scales()
        try:
            found = changes(self._station.folder, scales)
            for series, words in found:
                self._pipeline.told(EventKind.CALIBRATION, f"{words}, by {who}", series=series)
            remember(self._station.folder, scales)
        except OSError as err:    # then it is told once more at the next start
            log.warning("what is calibrated cannot be remembered: %s", err)
        return [f"{series}: {words}" for series, words in found]

    # rules

    def begin(self) -> str:
        """At the start: brings in the rules of the files where they are other ones than those in force."""
        now_ms = self._pipeline.now_ms()
        self._recorder.keep()
        self._tell_scales("the station's files")
        return self._apply(self._station, Recent(chain(self._log.read(), self._recorder.kept())), now_ms)

    async def reload(self) -> str:
        """Reads the rules files again. What is wrong with them refuses it, and all stays as it was."""
        async with self._lock:
            try:
                station = await asyncio.to_thread(self._station.reloaded)
            except ConfigError as err:
                self._pipeline.now_ms()
                self._pipeline.told(EventKind.RULES, f"refused, the rules stay as they were: {'; '.join(err.problems)}")
                raise ValueError(str(err)) from err
            try:
                return await self._bring_in(station)
            except OSError as err:
                why = f"the log cannot be read: {err}"
                self._pipeline.told(EventKind.RULES, f"refused, the rules stay as they were: {why}")
                raise ValueError(why) from err

    async def settle(self) -> None:
        """Lets go of rules that stayed in force only because a level of theirs was active."""
        async with self._lock:
            self._pipeline.retired_may_go = False
            plan, _ = bind_over(self._pipeline.decider.live, self._station.plan.rules, self._station.series)
            if plan.hash != self._pipeline.decider.live.plan.hash:
                try:
                    await self._bring_in(self._station)
                except OSError:
                    self._pipeline.retired_may_go = True    # at the next tick once more

    async def _bring_in(self, station: Station) -> str:
        """Reads what the rules need of the log beside the running station, and applies them in one go.

        Raises OSError where the log cannot be read; all stays as it was then.
        """
        upto = self._recorder.keep()
        try:
            recent = await asyncio.to_thread(lambda: Recent(entry for entry in self._log.read() if entry.seq <= upto))
        finally:
            now_ms = self._pipeline.now_ms()    # before what was kept is taken: a step of the clock belongs to it
            kept = self._recorder.kept()
        for entry in kept:
            recent.add(entry)
        before, said = self._pipeline.decider.config.hash, self._apply(station, recent, now_ms)
        self._station = station
        decider = self._pipeline.decider
        if decider.config.hash != before:    # the hub must know the rules as they are now
            self._recorder.add(Start("", 0, decider.now_ms, __version__, card_of(station, decider.live.plan)))
        return said

    def _apply(self, station: Station, recent: Recent, now_ms: int) -> str:
        decider = self._pipeline.decider
        plan, let_go = bind_over(decider.live, station.plan.rules, station.series)
        config = config_of(plan, station.candidate, station.file.station.id, now_ms)
        if config.hash == decider.config.hash:
            return "the rules are as before"
        self._pipeline.decide(config, recent)
        stays = plan.rules.rules[len(station.plan.rules.rules):]
        words = [f"rules {station.plan.rules.hash[:8]} are in force",
                 *(f'"{rule.name}" stays until it is clear' for rule in stays), *let_go]
        self._pipeline.told(EventKind.RULES, "; ".join(words))
        return "; ".join(words)
