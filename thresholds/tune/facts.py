"""What a candidate and its score come to in words and numbers, for terminal, page and file alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from thresholds.replay.episodes import unit_of
from thresholds.replay.words import duration, number
from thresholds.rule import MINUTE_MS, SCALE
from thresholds.tune.choose import MANAGEABLE, Certainty, Interval, Score
from thresholds.tune.events import Said
from thresholds.tune.score import Terms
from thresholds.tune.sweep import Candidate
from tocsin.levels import Level

ALWAYS = ("on", "off", "n of m")


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate in a table: why it is there, and its score."""

    number: int
    mark: str
    score: Score


def facts_of(one: Candidate, level: Level) -> dict[str, str]:
    """All that can differ between candidates, as a rules file would say it."""
    rule, own = one.rule, one.rule.at_level(level)
    if own is None:
        raise ValueError(f'rule "{rule.name}" has no level {level.word}')
    return {
        "on": number(own.on / rule.scale), "off": number(own.off / rule.scale), "n of m": f"{own.n}/{own.m}",
        "on delay": duration(own.on_delay_ms)[0], "off delay": duration(own.off_delay_ms)[0],
        "over": duration(rule.over_ms)[0],
        "min valid": number(own.min_valid / SCALE), "n_min": str(rule.n_min), "robust": str(rule.robust).lower(),
        "target": number(rule.target / SCALE), "floor": "" if rule.floor is None else number(rule.floor / SCALE),
        "allowance": number(rule.allowance / SCALE),
        "reference": "" if rule.reference is None else number(rule.reference / SCALE),
    }


def shown(tried: Sequence[Candidate], level: Level) -> list[str]:
    """The names of facts worth a column: the thresholds, and what differs between candidates."""
    every = [facts_of(one, level) for one in tried]
    return [name for name in every[0] if name in ALWAYS or len({facts[name] for facts in every}) > 1]


def unit(one: Candidate) -> str:
    """The unit of `on` and `off`."""
    return unit_of(one.rule.feature, one.rule.quantity)


def ratio(value: float) -> str:
    """With two decimals; a dash where there is nothing to divide by."""
    return "–" if value != value else f"{value:.2f}"


def rate(value: float) -> str:
    """Per hour, with two digits that count."""
    return "–" if value != value else f"{value:.2g}"


def lead(ms: float) -> str:
    """As a duration, negative after the moment; a dash where there is none."""
    if ms != ms:
        return "–"
    return f"-{duration(round(-ms))[0]}" if ms < 0 else duration(round(ms))[0]


def interval(found: Interval) -> str:
    return f"{found.low:.2f} to {found.high:.2f}"


def terms_words(terms: Terms) -> Said:
    """When a warning is in time, in both languages."""
    early = duration(terms.early_ms)
    moment = {"onset": ("onset", "开始"), "peak": ("peak", "峰值"), "end": ("end", "结束")}[terms.moment.value]
    if not terms.floor_ms:
        when = (f"before the {moment[0]} of an event", f"不晚于事件{moment[1]}")
    elif terms.floor_ms > 0:
        floor = duration(terms.floor_ms)
        when = (f"at least {floor[0]} before the {moment[0]} of an event", f"不晚于事件{moment[1]}前{floor[1]}")
    else:
        floor = duration(-terms.floor_ms)
        when = (f"at most {floor[0]} after the {moment[0]} of an event", f"不晚于事件{moment[1]}后{floor[1]}")
    if not terms.early_ms:
        early = ("not before its onset", "不早于事件开始")
    else:
        early = (f"at most {early[0]} before its onset", f"不早于事件开始前{early[1]}")
    return f"in time: raised {when[0]}, and {early[0]}", f"及时：{when[1]}发出，且{early[1]}"


def evidence(words: Said, found: Score, sure: Certainty) -> list[Said]:
    """One score in sentences, for the comments of the rules file and under the table."""
    missed = found.events - found.hits
    blind = (f" ({found.blind} of all while the sensors were silent)", f"（其中传感器无数据{found.blind}次）"
             ) if found.blind else ("", "")
    many = (f": more than {MANAGEABLE:g}, which nobody can handle", f"，超过{MANAGEABLE:g}次，无人能应对"
            ) if found.per_hour > MANAGEABLE else ("", "")
    pod, far, csi = (f"{name} {ratio(value)} ({interval(of)})" for name, value, of in (
        ("POD", found.pod, sure.pod), ("FAR", found.far, sure.far), ("CSI", found.csi, sure.csi)))
    median, low = lead(found.lead_median_ms), lead(found.lead_low_ms)
    lines = [
        (f"{words[0]}: {found.events} events, {found.hits} warned of in time, {missed} not{blind[0]}; "
         f"{found.alarms} alarms, {found.false} of them false",
         f"{words[1]}：事件{found.events}次，及时预警{found.hits}次，未及时{missed}次{blind[1]}；"
         f"报警{found.alarms}次，其中空报{found.false}次"),
        (f"  {pod}, {far}, {csi}; in brackets 90 % of resampled results",
         f"  {pod}，{far}，{csi}；括号内为重采样结果的90%区间"),
        (f"  lead: median {median}, a tenth has less than {low}; {ratio(found.per_event)} episodes an event; "
         f"{rate(found.per_hour)} alarms an operator-hour{many[0]}",
         f"  提前量：中位{median}，十分之一不足{low}；每次事件{ratio(found.per_event)}个过程；"
         f"每值班小时报警{rate(found.per_hour)}次{many[1]}"),
    ]
    return [*lines, (f"  {sure.too_few[0]}", f"  {sure.too_few[1]}")] if sure.too_few[0] else lines


def minutes(ms: float) -> float:
    return ms / MINUTE_MS
