"""What people do at a station: acknowledge, clear, shelve, work on a device, bring in other rules.

Each is an input of decisions like a reading: it is decided, logged and told. What is refused changes nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import chain

from edge.backward import recent
from edge.card import card_of
from edge.config import Station
from edge.pipeline import Pipeline
from edge.proof import Proof
from edge.recorder import Recorder
from edge.rows import Recent
from edge.rule_source import keep_good
from edge.ruling import config_of
from edge.sayings import say
from edge.servicing import Servicing
from edge.siren_table import SirenTable
from edge.tracks import track_of
from edge.uplink import Uplink
from thresholds.parts import named
from thresholds.reload import bind_over
from tocsin import __version__
from tocsin.beside import Threads
from tocsin.config import ConfigError
from tocsin.inputs import Acknowledge, OperatorClear, Shelve, Silence
from tocsin.levels import Level
from tocsin.log import Log
from tocsin.messages import Answer, EventKind, Start
from tocsin.said import Said, SaidError, cut, joined, said_of
from tocsin.times import iso, ms_of

LONGEST_SHELVING_MIN = 24 * 60.0
_LONGEST_TOLD = 4000     # characters: what is all wrong with a long file is more than the hub takes
_READ_WITHIN_S = 300.0   # of 25 h of readings; what comes meanwhile is kept in memory

log = logging.getLogger(__name__)


class Operations:
    """Methods return a sentence for who asked, and raise SaidError with one where it is refused."""

    def __init__(self, station: Station, pipeline: Pipeline, recorder: Recorder, storage: Log, uplink: Uplink) -> None:
        self._station = station
        self._pipeline = pipeline
        self._recorder = recorder
        self._log = storage
        self._uplink = uplink
        self._lock = asyncio.Lock()
        self._keeping = Threads(1, "good rules")
        self.servicing = Servicing(station.devices, pipeline)
        self.proof: Proof | None = None  # where the station has a siren

    @property
    def station(self) -> Station:
        """With the rules that are in force."""
        return self._station

    def levels(self) -> Said:
        """One line a rule that is above clear; and one a rule that is shelved, above clear or not."""
        state = self._pipeline.decider.live
        lines = [say("level", level=Level(level), rule=track.rule.name, series=track.series.key) for track, level
                 in zip(state.plan.tracks, state.memory.level.tolist(), strict=True) if level]
        hidden = [say("is_shelved", rule=track.rule.name, series=track.series.key, until=iso(until // 1000 * 1000))
                  for track, until in self._pipeline.shelved()]
        return joined([*(lines or [say("all_clear")]), *hidden], "\n", "\n")

    def acknowledge(self, rule: str, series: str, who: str) -> Said:
        """A person has seen the level: what latches may fall, and what waits to sound stays silent."""
        level = self._active(rule, series)
        now_ms = self._pipeline.now_ms()
        self._pipeline.decide(Acknowledge("", 0, now_ms, series, rule, who))
        return self._told(say("acknowledged", who=who, rule=rule, level=level), series)

    def clear(self, rule: str, series: str, who: str) -> Said:
        """A person takes it to clear."""
        level = self._active(rule, series)
        self._pipeline.decide(OperatorClear("", 0, self._pipeline.now_ms(), series, rule, who))
        return self._told(say("cleared", who=who, rule=rule, level=level), series)

    def shelve(self, rule: str, series: str, minutes: float, who: str) -> Said:
        """It is evaluated as ever and sounds nothing for so long; 0 ends that."""
        self._level(rule, series)
        if not 0 <= minutes <= LONGEST_SHELVING_MIN:
            raise SaidError(say("minutes", minutes=minutes, most=LONGEST_SHELVING_MIN))
        now_ms = self._pipeline.now_ms()
        self._pipeline.decide(Shelve("", 0, now_ms, series, rule, now_ms + round(minutes * 60_000), who))
        return self._told(say("shelved" if minutes else "unshelved", who=who, rule=rule, minutes=minutes), series)

    def service(self, device: str, minutes: float, who: str, series: str = "") -> Said:
        """Its readings, or those of one series, count for nothing for so long; 0 ends that."""
        return self.servicing.service(device, minutes, who, series)

    def answer(self, who: str | Said) -> Said:
        """A person at the site has heard the siren: all that sounds is acknowledged, and the hub is told."""
        lowest = self._siren().level
        now_ms = self._pipeline.now_ms()
        heard = [sound for sound in self._pipeline.sounds() if sound.level >= lowest and not sound.answered]
        if not heard:
            raise SaidError(say("unheard"))
        for sound in heard:
            self._pipeline.decide(Acknowledge("", 0, now_ms, sound.series, sound.rule, str(who)))
        self._recorder.add(Answer("", 0, now_ms, str(who), str(who)))
        what = joined((say("heard", rule=sound.rule, level=sound.level) for sound in heard), ", ", "、")
        return self._told(say("answered", who=who, what=what), heard[0].series)

    def silence(self, minutes: float, who: str) -> Said:
        """What sounds is quiet for so long, and sounds again at once when a level rises; 0 ends that."""
        longest = self._siren().silence_at_most_min
        if not 0 <= minutes <= longest:
            raise SaidError(say("minutes", minutes=minutes, most=longest))
        now_ms = self._pipeline.now_ms()
        lowest = self._siren().level
        if minutes and not any(sound.level >= lowest for sound in self._pipeline.sounds()):
            raise SaidError(say("silent"))
        self._pipeline.decide(Silence("", 0, now_ms, now_ms + round(minutes * 60_000), who))
        detail = say("silenced" if minutes else "unsilenced", who=who, minutes=minutes)
        self._pipeline.told(EventKind.OPERATOR, detail)
        return detail

    async def siren_test(self, who: str) -> Said:
        """Sounds it for some seconds, announced. Raises SaidError while anything is above clear."""
        self._siren()
        assert self.proof is not None  # noqa: S101 - each siren has one
        return await self.proof.audible_test(who)

    def _siren(self) -> SirenTable:
        table = self._station.file.siren
        if table is None:
            raise SaidError(say("no_siren"))
        return table

    def raw(self, series: str, start: str, until: str, who: str) -> Said:
        """Offers the readings of a time that are in the log to the hub again, behind all else; "" for all series.

        A restart of the agent forgets what is still to be sent.
        """
        known = [one.key for one in self._station.series]
        if series and series not in known:
            raise SaidError(say("no_series", series=series, there=", ".join(known)))
        start_ms, until_ms = _moment("start", start), _moment("until", until)
        if until_ms < start_ms:
            raise SaidError(say("before", until=until, start=start))
        self._uplink.ask(series, start_ms, until_ms)
        self._pipeline.now_ms()
        detail = say("asked_raw", who=who, start=iso(start_ms), until=iso(until_ms))
        self._pipeline.told(EventKind.OPERATOR, detail, series=series)
        return say("raw", asked=detail, series=series or say("all_series"))

    def _active(self, rule: str, series: str) -> Level:
        level = self._level(rule, series)
        if level is Level.CLEAR:
            raise SaidError(say("is_clear", rule=rule, series=series))
        return level

    def _level(self, rule: str, series: str) -> Level:
        state = self._pipeline.decider.live
        track = track_of(state, rule, series)
        if track is None:
            tracks = (say("track", rule=name, series=key) for name, key in map(named, state.plan.tracks))
            there = joined(tracks, ", ", "、")
            named_both = rule and series
            raise SaidError(say("judges_not" if named_both else "which_rule", rule=rule, series=series, there=there))
        return Level(int(state.memory.level[track]))

    def _told(self, detail: Said, series: str) -> Said:
        self._pipeline.told(EventKind.OPERATOR, detail, series=series)
        return say("on", what=detail, series=series)

    # rules

    def begin(self) -> Said:
        """At the start: brings in the rules of the files where they are other ones than those in force."""
        now_ms = self._pipeline.now_ms()
        self._recorder.keep()
        kept = self._recorder.kept()
        said = self._apply(self._station, Recent.later(
            lambda: chain(recent(self._log.folder, now_ms, strict=False), kept)), now_ms)
        if self._station.source.problems:
            problems = "; ".join(self._station.source.problems)[:_LONGEST_TOLD]
            self._pipeline.told(EventKind.RULES, say("rules_good", problems=problems))
        self._keep_good(self._station)
        return said

    async def reload(self) -> Said:
        """Reads the rules files again. What is wrong with them refuses it, and all stays as it was."""
        return await self.bring_in(Station.reloaded)

    async def bring_in(self, make: Callable[[Station], Station]) -> Said:
        """The rules of the station that `make` gives, beside all else. Refused where that raises ConfigError."""
        problems: list[Said | str]
        cause: Exception
        async with self._lock:
            try:
                station = await self._made(make)
                return await self._bring_in(station)
            except ConfigError as err:
                problems, cause = [*err.problems], err
            except OSError as err:
                problems, cause = [say("log_unread", why=said_of(err))], err
            self._pipeline.now_ms()
            told = cut(joined(problems), _LONGEST_TOLD)
            self._pipeline.told(EventKind.RULES, say("rules_refused", problems=told))
            raise SaidError(say("rules_wrong", problems=joined(problems, "\n", "\n"))) from cause

    async def _made(self, make: Callable[[Station], Station]) -> Station:
        try:
            return await asyncio.to_thread(make, self._station)
        except OSError as err:
            raise SaidError(say("rules_unkept", why=said_of(err))) from err

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

    async def _bring_in(self, station: Station) -> Said:
        """Reads what the rules need of the log beside the running station, and applies them in one go.

        Raises OSError where the log cannot be read; all stays as it was then.
        """
        upto = self._recorder.keep()
        try:
            async with asyncio.timeout(_READ_WITHIN_S):
                rows = await asyncio.to_thread(
                    lambda: Recent(recent(self._log.folder, self._pipeline.decider.now_ms, upto + 1)))
        except TimeoutError as err:
            raise OSError(f"the disk does not answer within {_READ_WITHIN_S:g} s") from err
        finally:
            now_ms = self._pipeline.now_ms()    # before what was kept is taken: a step of the clock belongs to it
            kept = self._recorder.kept()
        for entry in kept:
            rows.add(entry)
        before, said = self._pipeline.decider.config.hash, self._apply(station, rows, now_ms)
        self._station = station
        self._keeping.submit(self._keep_good, station)    # it is synced: neither polls nor who calls may wait for that
        decider = self._pipeline.decider
        if decider.config.hash != before:    # the hub must know the rules as they are now
            self._recorder.add(Start("", 0, decider.now_ms, __version__, card_of(station, decider.live.plan)))
        return said

    def _keep_good(self, station: Station) -> None:
        if not station.source.problems:
            try:
                keep_good(station.folder, station.source)
            except OSError as err:
                log.warning("the good rules are not kept: %s", err)

    def _apply(self, station: Station, rows: Recent, now_ms: int) -> Said:
        decider = self._pipeline.decider
        plan, let_go = bind_over(decider.live, station.plan.rules, station.series)
        config = config_of(plan, station.candidate, station.file.station.id, now_ms)
        if config.hash == decider.config.hash:
            return say("rules_as_before")
        self._pipeline.decide(config, rows)
        stays = plan.rules.rules[len(station.plan.rules.rules):]
        words = joined([say("rules_in_force", hash=station.plan.rules.hash[:8]),
                        *(say("rule_stays", rule=rule.name) for rule in stays), *let_go])
        self._pipeline.told(EventKind.RULES, words)
        return words


def _moment(key: str, text: str) -> int:
    try:
        return ms_of(text)
    except ValueError:
        raise SaidError(say("no_time", key=key, text=text)) from None
