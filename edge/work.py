"""What who works at a station wants of its agent: how it is, calibration, an echo of the hub, the sheet of a walk."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec

from edge.calibration import FILE, Key, Scales, add_entry, changes, entry_of, keep_good, put_back, remember
from edge.config import Station
from edge.operations import Operations
from edge.pipeline import Pipeline
from edge.sayings import say
from edge.sheet import in_words, keep, sheet_of
from edge.status_page import page
from edge.survey import Survey
from tocsin.config import ConfigError
from tocsin.messages import EventKind
from tocsin.said import Said, SaidError, joined, reason_of, said_of

log = logging.getLogger(__name__)


class Work:
    """Methods return a sentence for who asked, and raise SaidError with one where it is refused."""

    def __init__(self, operations: Operations, pipeline: Pipeline, survey: Survey) -> None:
        self._operations = operations
        self._pipeline = pipeline
        self._survey = survey
        self._lock = asyncio.Lock()

    async def status(self) -> Said:
        """All that the station knows of itself, as JSON."""
        text = msgspec.json.encode(await self._survey.now(self._problems())).decode()
        return Said(text, text)

    async def page(self) -> Said:
        """That, as people read it: `tocsin status`."""
        now = await self._survey.now(self._problems())
        return Said(page(now, "en"), page(now, "zh"))

    def _problems(self) -> list[Said | str]:
        station = self._operations.station
        return [*station.calibration.problems, *station.source.problems]

    async def echo(self, who: str) -> Said:
        """How long a record takes to the hub's disk and back."""
        return await self._survey.echo(who)

    async def commission(self, text: str, who: str) -> Said:
        """Seals and keeps a technician's sheet, and sends it up. Returns its place."""
        sheet = sheet_of(text)
        station = self._operations.station
        here = station.file.station.id
        if (sheet.station, sheet.who) != (here, who):
            raise SaidError(say("other_sheet", station=sheet.station, by=sheet.who, here=here, who=who))
        try:
            place, sealed = await asyncio.to_thread(keep, station.folder, sheet, station.file.hub.key)
        except OSError as err:
            raise SaidError(say("sheet_unkept", why=said_of(err))) from err
        self._pipeline.now_ms()
        words = in_words(sheet)
        self._pipeline.told(EventKind.COMMISSION, Said(f"{words.en}\n{sealed.decode()}", words.zh))
        return Said(str(place), str(place))

    async def calibrate(self, series: str, set_: dict[Key, float | str], who: str, why: str = "") -> Said:
        """Dated, told and in force at once. Of a series in service alone: its numbers jump."""
        async with self._lock:
            station = self._operations.station
            now_ms = self._pipeline.now_ms()
            given = self._operations.servicing.given(series, station.file, now_ms)
            entry = entry_of(now_ms, who, series, set_, given, why)
            try:
                before = await asyncio.to_thread(add_entry, station.folder, entry, station.calibration)
                await self._bring_in(station, before)
            except ConfigError as err:
                raise SaidError(said_of(err)) from err
            except OSError as err:
                raise SaidError(say("scale_unkept", place=FILE, why=reason_of(err))) from err
            told = await self._tell_scales(who)
            return joined(told) if told else say("so_already")

    async def _bring_in(self, station: Station, before: bytes | None) -> None:
        """Where it is refused the file is as it was."""
        found: list[Station] = []
        try:
            await asyncio.to_thread(station.recalibrated)
            await self._operations.bring_in(_recalibrated(found))
        except (ConfigError, ValueError):
            await asyncio.to_thread(put_back, station.folder, before)
            raise
        for device, other in zip(station.devices, found[-1].devices, strict=True):
            device.become(other)    # with no wait since the new plan is in force: no reading is of two scales

    def begin(self) -> None:
        """At the start: what is wrong with the calibration, and what the station's files now say otherwise."""
        for problem in self._operations.station.problems:
            log.error("%s", problem)
        for problem in self._operations.station.calibration.problems:
            log.error("calibration: %s", problem)
            self._pipeline.told(EventKind.CALIBRATION, joined([problem]))
        scales = self._scales()
        found = self._changed(scales)
        self._tell(found or [], say("files"))
        if found is not None:
            self._remember(scales)

    async def _tell_scales(self, who: str) -> list[Said]:
        """What is calibrated otherwise than when the agent last looked, told and in words."""
        scales = self._scales()
        found = await asyncio.to_thread(self._changed, scales)
        told = self._tell(found or [], who)
        if found is not None:
            await asyncio.to_thread(self._remember, scales)    # it is synced: polls must not wait for that
        return told

    def _scales(self) -> Scales:
        scales: Scales = {}
        for device in self._operations.station.devices:
            scales |= device.scales()
        return scales

    def _changed(self, scales: Scales) -> list[tuple[str, Said]] | None:
        """None where that is not known: it is told at the next start then."""
        try:
            return changes(self._operations.station.folder, scales)
        except OSError as err:
            log.warning("what was calibrated is not known: %s", err)
            return None

    def _tell(self, found: Sequence[tuple[str, Said]], who: str | Said) -> list[Said]:
        for series, words in found:
            self._pipeline.told(EventKind.CALIBRATION, say("by", words=words, who=who), series=series)
        return [say("of", name=series, what=words) for series, words in found]

    def _remember(self, scales: Scales) -> None:
        station = self._operations.station
        try:
            remember(station.folder, scales)
            if not station.calibration.problems:
                keep_good(station.folder, station.calibration)
        except OSError as err:    # then it is told once more at the next start
            log.warning("what is calibrated cannot be remembered: %s", err)


def _recalibrated(found: list[Station]) -> Callable[[Station], Station]:
    """The station calibrated anew, put into `found`; what is in force has its devices, which are polled."""

    def make(station: Station) -> Station:
        found.append(station.recalibrated())
        return replace(found[-1], devices=station.devices)

    return make
