"""The walk through a station that a technician makes before it is trusted: `tocsin service --commission`.

Each step asks the running agent, and the person in front of it; what it found is kept at once, so that a walk that
was broken off goes on where it was.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from edge.operate import Reply
from edge.sheet import STEPS, Result, Sheet
from edge.survey import SeriesNow, StationNow
from edge.walk_words import TABLE, YES
from edge.words import Words
from tocsin.health_words import fault_zh
from tocsin.log import replace_file
from tocsin.quantities import QUANTITIES
from tocsin.readings import EXCLUDED, Quality
from tocsin.said import Said, Sayings, joined, reason_of
from tocsin.times import iso

FILE = "commission"
TIPS = 10
AGREES_M = 0.005      # half of the finest mark of a staff gauge
FAR_M = 1.0           # further apart than an instrument is mounted wrong
NEAR_M = 0.02         # what waves leave of it
_SERVICE_MIN = 30.0
_LOOK_S = 0.5
_PERIODS = 3
_GOES_ON_MS = 48 * 3_600_000    # what was proved longer ago says little of today
_UNDER_WAY_MS = 1000  # a reading that was under way when the person answered may be of before
_say = Sayings(TABLE)
_SPOILS = EXCLUDED & ~int(Quality.SERVICE)    # of a series that is walked through, and in service for that
_NONE = Said("", "")

Say = Callable[[dict[str, Any]], Reply]


class BrokenOffError(Exception):
    """Nobody answers any more."""


class Begun(msgspec.Struct):
    """A walk as far as it has come."""

    who: str
    began: int
    results: dict[str, Result] = {}


class Walk:
    """`run` goes through the steps that are missing. `say` asks the agent; `ask` and `tell` are the terminal."""

    def __init__(
        self, folder: Path, who: str, lang: str, *, say: Say, ask: Callable[[str], str], tell: Callable[[str], None],
        wait: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._place = folder / FILE
        self._who = who
        self._lang = lang
        self._words = Words(TABLE, lang)
        self._say = say
        self._ask = ask
        self._tell = tell
        self._wait = wait
        self._begun = Begun(who, 0)

    def run(self) -> Sheet:
        """What was found, also in walks before this one. Raises BrokenOffError, and OSError where no agent answers."""
        now = self._now()
        name = now.name_zh if self._words.at else now.name
        self._tell(self._words("hello", name=name, station=now.station))
        self._begun = self._read(now)
        walks = {"probe": self._probe, "rain": self._rain, "staff": self._staff, "siren": self._siren,
                 "echo": self._echo}
        for number, step in enumerate(STEPS, 1):
            if step in self._begun.results and self._begun.results[step].proved is not False:
                continue
            self._tell(self._words("step", number=number, all=len(STEPS), step=self._words(step)))
            self._note(step, *walks[step]())
        return self.sheet()

    def sheet(self) -> Sheet:
        """As far as the walk has come."""
        now = self._now()
        results = [self._begun.results[step] for step in STEPS if step in self._begun.results]
        return Sheet(1, now.station, now.name, self._who, self._begun.began, now.t, now.version, now.rules,
                     {one.key: one.scale for one in now.series}, results, now.name_zh)

    def finished(self) -> None:
        """Everything was proved: the next walk begins anew."""
        with suppress(OSError):    # what is found there is too old soon
            self._place.unlink()

    # steps

    def _probe(self) -> tuple[bool | None, Said]:
        while True:
            now = self._now()
            shown = fault_zh if self._words.at else str
            faults = {one["device"]: shown(one["fault"]) for one in now.health["devices"]}
            dead = [one for one in now.series if not _is_live(one, now)]
            for one in now.series:
                unit = QUANTITIES[one.quantity].unit if one.quantity in QUANTITIES else ""
                words = (self._words("dead", series=one.key, fault=faults.get(one.device, "")) if one in dead
                         else self._words("answers", series=one.key, value=one.value, unit=unit))
                self._tell(words)
            if not dead:
                return True, _say("good_series", count=len(now.series), all=len(now.series))
            if not self._yes("again"):
                there = ", ".join(one.key for one in dead)
                good = len(now.series) - len(dead)
                return False, _say("bad_series", count=good, all=len(now.series), there=there)
            self._wait(_LOOK_S)

    def _rain(self) -> tuple[bool | None, Said]:
        return self._each([one for one in self._now().series if "mm_per_tip" in one.scale], self._tips)

    def _staff(self) -> tuple[bool | None, Said]:
        return self._each([one for one in self._now().series if one.quantity == "stage_m"], self._level)

    def _siren(self) -> tuple[bool | None, Said]:
        if not self._now().has_siren:
            return None, _NONE
        if not self._yes("sound"):
            return False, _say("skipped")
        reply = self._say({"do": "siren_test", "who": self._who})
        if not reply.done:
            return False, reply.words
        heard = self._yes("heard")
        return heard, _say("was_heard" if heard else "not_heard", said=reply.words)

    def _echo(self) -> tuple[bool | None, Said]:
        self._tell(self._words("asking"))
        reply = self._say({"do": "echo", "who": self._who})
        return reply.done, _say("landed", said=reply.words) if reply.done else reply.words

    def _each(
        self, series: list[SeriesNow], step: Callable[[SeriesNow], tuple[bool, Said]]
    ) -> tuple[bool | None, Said]:
        """The same for every such series, each in service meanwhile."""
        found: list[tuple[bool, Said]] = []
        for one in series:
            begun = self._serve(one)
            if not begun.done:
                found.append((False, _say("of", series=one.key, what=begun.words)))
                continue
            try:
                good, words = step(one)
                found.append((good, _say("of", series=one.key, what=words)))
            finally:
                self._say({"do": "service", "device": one.key, "minutes": 0, "who": self._who})
        return (all(good for good, _ in found), joined(words for _, words in found)) if found else (None, _NONE)

    def _serve(self, one: SeriesNow) -> Reply:
        return self._say({"do": "service", "device": one.key, "minutes": _SERVICE_MIN, "who": self._who})

    def _tips(self, one: SeriesNow) -> tuple[bool, Said]:
        size = float(one.scale["mm_per_tip"])
        while True:
            before = self._next(one)
            if before is None:
                return False, _say("no_reading")
            if not self._yes("tip", series=one.key, mm=size):
                return False, _say("skipped")
            after = self._next(one)
            if after is None:
                return False, _say("no_tips")
            tips = (after - before) / size
            words = _say("counted", tips=tips, all=TIPS)
            if abs(tips - TIPS) < 0.01:
                return True, words
            self._tell(self._words("not", detail=words))
            if not self._yes("again"):
                return False, words
            if not (renewed := self._serve(one)).done:    # or tips of a long evening would be rain
                return False, _say("both", one=words, other=renewed.words)

    def _level(self, one: SeriesNow) -> tuple[bool, Said]:
        shown = self._next(one)
        if shown is None:
            return False, _say("no_reading")
        staff = self._number("read", series=one.key, value=shown)
        if staff is not None and abs(staff - shown) > FAR_M:    # centimetres, or a point that was missed
            self._tell(self._words("far", staff=staff, shown=shown))
            staff = self._number("read", series=one.key, value=shown)
        if staff is None:
            return False, _say("skipped")
        shown = self._next(one)    # of when the staff was read, not of before
        if shown is None:
            return False, _say("no_reading")
        words = _say("compared", staff=staff, shown=shown)
        if abs(staff - shown) <= AGREES_M:
            return True, words
        old = float(one.scale.get("offset", 0.0))
        new = round(old + staff - shown, 3)
        if not self._yes("offset", shown=shown, staff=staff, old=old, new=new):
            return abs(staff - shown) <= NEAR_M, _say("left", words=words, old=old)
        reply = self._say({"do": "calibrate", "series": one.key, "set": {"offset": new}, "who": self._who,
                           "why": words.in_(self._lang)})
        if not reply.done:
            return False, _say("both", one=words, other=reply.words)
        shown = self._next(one)
        good = shown is not None and abs(staff - shown) <= NEAR_M
        if shown is None:    # no reading would be taken any more
            back = self._say({"do": "calibrate", "series": one.key, "set": {"offset": old}, "who": self._who,
                              "why": self._words("bad_with", new=new)})
            then = _say("put_back", old=old) if back.done else _say("not_back", said=back.words)
            return False, _say("moved", words=words, old=old, new=new, then=then)
        return good, _say("moved", words=words, old=old, new=new, then=_say("then_shown", shown=shown))

    # the agent and the terminal

    def _now(self) -> StationNow:
        reply = self._say({"do": "status"})
        if not reply.done:
            raise OSError(reply.words.in_(self._lang))
        return msgspec.json.decode(reply.said, type=StationNow)

    def _next(self, one: SeriesNow) -> float | None:
        """The value of the first reading from now on; None where there is none for three periods."""
        self._tell(self._words("wait", series=one.key, every=one.every_s))
        begun = now = self._now()
        while now.t - begun.t <= (_PERIODS * one.every_s + 10) * 1000:
            for found in now.series:
                if found.key == one.key and found.t > begun.t + _UNDER_WAY_MS and found.quality & _SPOILS == 0:
                    return found.value
            self._wait(_LOOK_S)
            now = self._now()
            begun = min(begun, now, key=lambda look: look.t)    # the clock may be set back meanwhile
        return None

    def _yes(self, key: str, **values: object) -> bool:
        return self._ask(self._words(key, **values)).strip().lower() in YES

    def _number(self, key: str, **values: object) -> float | None:
        while True:
            text = self._ask(self._words(key, **values)).strip()
            if not text:
                return None
            try:
                number = float(text.replace("，", ".").replace(",", "."))
            except ValueError:
                number = float("nan")
            if abs(number) < 1e5:
                return number
            self._tell(self._words("number", text=text))

    # what is kept

    def _note(self, step: str, proved: bool | None, detail: Said) -> None:
        self._tell(self._words("none") if proved is None else self._words("proved" if proved else "not", detail=detail))
        self._begun.results[step] = Result(step, proved, detail.en, self._now().t, detail.zh, self._who)
        try:
            replace_file(self._place, msgspec.json.encode(self._begun), sync=True)
        except OSError as err:    # it can still be gone through without a break
            self._tell(self._words("unkept", why=reason_of(err)))

    def _read(self, now: StationNow) -> Begun:
        try:
            begun = msgspec.json.decode(self._place.read_bytes(), type=Begun)
        except (FileNotFoundError, ValueError):    # none, or torn
            return Begun(self._who, now.t)
        if not 0 <= now.t - begun.began <= _GOES_ON_MS:
            self._tell(self._words("too_old", who=begun.who, t=iso(begun.began)))
            return Begun(self._who, now.t)
        done = [self._words(one.step) for one in begun.results.values() if one.proved is not False]
        self._tell(self._words("go_on", who=begun.who, t=iso(begun.began), done=", ".join(done) or "-"))
        return begun


def _is_live(one: SeriesNow, now: StationNow) -> bool:
    """Its newest reading is fresh and good."""
    return bool(one.t) and now.t - one.t <= _PERIODS * one.every_s * 1000 and one.quality & _SPOILS == 0
