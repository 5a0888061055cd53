"""What a rule found, in words of English or Chinese: what was compared, its value, and the threshold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hub.groups_rules import GROUP, GroupKind
from hub.groups_state import Member
from hub.model import Episode, Gathered
from tocsin.levels import Hazard, Level
from tocsin.quantities import QUANTITIES

_MEMBERS = 4
_WEEK_MIN = 7 * 24 * 60    # a station tells no more, also where the mark will never be reached


@dataclass(frozen=True, slots=True)
class Speech:
    """How numbers are said: `number(value, unit)`, units by their name in `units`, with `gap` between the two."""

    chinese: bool
    number: Callable[[float, str], str]
    units: Mapping[str, str]
    gap: str = " "

    def both(self, english: str, chinese: str) -> str:
        return chinese if self.chinese else english

    def minutes(self, value: float) -> str:
        return f"{round(value, 1):g}{self.gap}{self.units.get('min', 'min')}"

    def amount(self, value: float, unit: str, per: str = "") -> str:
        """As in `0.8 m/h`, or `0.8米/小时`."""
        said = f"{self.units.get(unit, unit)}{f'/{self.units.get(per, per)}' if per else ''}"
        return f"{self.number(value, unit)}{self.gap if said else ''}{said}"


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` and `value` in one sentence, as in `water stage rising` and `0.8 m/h`; `over_s` is the window of a sum."""

    what: str
    value: str
    threshold: str
    over_s: int = 0


def finding(episode: Episode, hazard: Hazard, speech: Speech) -> Finding:
    """Whatever the feature is; one that this hub does not know is told as a plain value."""
    if episode.group is not None:
        return _group(episode, episode.group, hazard, speech)
    name, unit = _quantity(episode, speech)
    match episode.feature:
        case "rate" | "slope":
            return _trend(episode, name, unit, speech)
        case "time_to":
            return _time_to(episode, name, unit, speech)
        case "cusum":
            what = speech.both(f"{name} summed beyond its usual value", f"{name}累计偏离常值")
        case "coincidence":
            return _coincidence(episode, hazard, speech)
        case _:
            what = name
    over_s = 0 if episode.feature == "cusum" else episode.over_s
    return Finding(what, speech.amount(episode.value, unit), speech.amount(episode.threshold, unit), over_s)


def _trend(episode: Episode, name: str, unit: str, speech: Speech) -> Finding:
    sign = -1 if episode.value < 0 else 1
    what = speech.both(f"{name} falling", f"{name}下降") if sign < 0 else speech.both(f"{name} rising", f"{name}上升")
    value, threshold = sign * episode.value, sign * episode.threshold
    return Finding(what, speech.amount(value, unit, "h"), speech.amount(threshold, unit, "h"))


def _time_to(episode: Episode, name: str, unit: str, speech: Speech) -> Finding:
    target = speech.both("its mark", "目标值") if episode.target is None else speech.amount(episode.target, unit)
    what = speech.both(f"{name} would reach {target} in", f"{name}预计到达{target}还需")
    minutes, most = abs(episode.value), abs(episode.threshold)
    value = speech.both("a week or more", "一周以上") if minutes >= _WEEK_MIN else speech.minutes(minutes)
    return Finding(what, value, speech.minutes(most))


def _group(episode: Episode, group: Gathered, hazard: Hazard, speech: Speech) -> Finding:
    """What the hub's own rule found; its members stand in the value."""
    match group.kind:
        case GroupKind.COINCIDENCE:
            found = _coincidence(episode, hazard, speech)
            what = speech.both("stations that warn together", "同时达到预警的站点")
        case GroupKind.CHAIN:
            steps = f"{episode.value:g}", f"{episode.target:g}" if episode.target else ""
            found = Finding("", speech.both(" of ".join(steps) + " signs", f"{steps[0]}/{steps[1]}项征兆"),
                            speech.both(f"{episode.threshold:g}", f"{episode.threshold:g}项"))
            what = speech.both("signs on their way here", "正在向本地发展的征兆")
        case GroupKind.SILENCE:
            found = Finding("", speech.minutes(episode.value), speech.minutes(episode.threshold))
            what = speech.both("not heard, while its neighbours warn", "站点失联，而邻站正在预警")
    names = [_member(one, speech) for one in group.members[:_MEMBERS]]
    more = len(group.members) - _MEMBERS
    if more > 0:
        names.append(speech.both(f"and {more} more", f"等{len(group.members)}处"))
    listed = speech.both(f" ({', '.join(names)})", f"（{'、'.join(names)}）") if names else ""
    text = speech.both(group.text_en, group.text_zh or group.text_en)
    if text:
        what = speech.both(f"{text} {what[0].upper()}{what[1:]}", f"{text}{what}")
    return Finding(what, found.value + listed, found.threshold)


def _member(one: Member, speech: Speech) -> str:
    name = speech.both(one.place, one.place_zh or one.place) or one.station.removeprefix(GROUP)
    if one.silent:
        return speech.both(f"{name} silent", f"{name}失联")
    return f"{name}{speech.gap}{speech.both(Level(one.level).word, Level(one.level).zh)}"


def _coincidence(episode: Episode, hazard: Hazard, speech: Speech) -> Finding:
    kind = "gauges" if hazard is Hazard.FLOOD else "sensors"
    value, threshold = f"{episode.value:g}", f"{episode.threshold:g}"
    every = "" if episode.target is None else f"{episode.target:g}"
    return Finding(
        speech.both(f"{kind} that warn", "达到预警的监测点"),
        speech.both(f"{value} of {every}" if every else value, f"{value}处{f'（共{every}处）' if every else ''}"),
        speech.both(threshold, f"{threshold}处"),
    )


def _quantity(episode: Episode, speech: Speech) -> tuple[str, str]:
    """Name and unit of what the rule judged; the series' own name where it is not known."""
    name = episode.series.rpartition("/")[2]
    known = QUANTITIES.get(name)
    if known is not None and known.increments and episode.over_s:
        known = QUANTITIES[known.increments]  # a sum over a window is of the increments of a running total
    return (speech.both(known.en, known.zh), known.unit) if known else (name, "")
