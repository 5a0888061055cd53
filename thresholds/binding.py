"""Rules to the series of a station: which rule means which series, and whether they fit."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from thresholds.bounds import problems_of, problems_of_series
from thresholds.check_reader import default_check
from thresholds.plan import COINCIDENCE, Group, Plan, Track
from thresholds.rule import MINUTE_MS, SCALE, Check, Feature, Rule, Rules
from thresholds.series import Series
from tocsin.config import ConfigError
from tocsin.messages import RuleCard
from tocsin.quantities import QUANTITIES


def bind(rules: Rules, series: Sequence[Series]) -> Plan:
    """Every rule and check on every series it means. Raises ConfigError with every problem."""
    problems = list(_of_all(series))
    if not problems:
        problems = [why for check in rules.checks for why in _of_check(check, series)]
        tracks, wrong = _tracks(rules, series)
        groups = [_group(rule, tracks) for rule in rules.rules if rule.feature is Feature.COINCIDENCE and not wrong]
        problems += wrong + [f'rule "{group.rule.name}": {why}' for group in groups for why in _of_group(group, tracks)]
    if problems:
        raise ConfigError([f"{rules.place}: {problem}" for problem in problems])
    tracks += [Track(group.rule, len(series) + number, group.series) for number, group in enumerate(groups)]
    return Plan(rules, tuple(series), tuple(_check_of(rules, one) for one in series), tuple(groups), tuple(tracks))


def _tracks(rules: Rules, series: Sequence[Series]) -> tuple[list[Track], list[str]]:
    """The tracks of all rules but the groups', and what is wrong with them."""
    tracks: list[Track] = []
    problems: list[str] = []
    for rule in rules.rules:
        if rule.feature is not Feature.COINCIDENCE:
            found = [Track(rule, index, one) for index, one in enumerate(series) if _means(rule, one)]
            wrong = [why for track in found for why in problems_of(rule, track.series)] or _missing(rule, series)
            problems += [f'rule "{rule.name}": {why}' for why in wrong]
            tracks += found
    return tracks, problems


def fitting_checks(rules: Rules, series: Sequence[Series]) -> tuple[Rules, list[str]]:
    """The rules with those checks alone that fit these series, and why the others do not.

    For histories: a record has not every device of the station that the file was written for.
    """
    why = {check: [f"{rules.place}: {one}" for one in _of_check(check, series)] for check in rules.checks}
    kept = tuple(check for check in rules.checks if not why[check])
    return replace(rules, checks=kept), [one for wrong in why.values() for one in wrong]


def _means(rule: Rule | Check, series: Series) -> bool:
    return series.judged_as == rule.quantity and rule.device in {"", series.device}


def _check_of(rules: Rules, series: Series) -> Check:
    """The check of a series: the one for its device, else the one for its quantity, else the default of the quantity.

    Rain without a floor gets that of one period at the rate: a tip is there at once, however short the time.
    """
    found = [check for check in rules.checks if _means(check, series)]
    check = max(found, key=lambda check: check.device != "", default=default_check(series.judged_as))
    if series.summed and check.rate_per_min and not check.floor:
        return replace(check, floor=check.rate_per_min * series.period_ms // MINUTE_MS)
    return check


def _of_check(check: Check, series: Sequence[Series]) -> Iterator[str]:
    """What is wrong with a check at this station. One of a quantity that nothing here gives is of no harm."""
    place = f'check of {check.quantity}{f" of {check.device}" if check.device else ""}'
    given = [one for one in series if one.judged_as == check.quantity]
    found = [one for one in given if _means(check, one)]
    if given and not found:
        yield (f'{place}: device: "{check.device}" gives no {check.quantity} here; '
               f"use {', '.join(one.device for one in given)}")
    for one in found:
        if 0 < check.stale_ms < one.period_ms:
            yield (f"{place}: stale_after_min: {check.stale_ms / MINUTE_MS:g} is shorter than the period of {one.key}; "
                   f"use at least {one.period_ms / MINUTE_MS:g}")
        if check.rate_per_min and not check.floor and check.rate_per_min * one.period_ms < MINUTE_MS:
            yield (f"{place}: max_rate_per_min: {check.rate_per_min / SCALE:g} allows {one.key} no change from reading "
                   "to reading; give spike_floor")


def _group(rule: Rule, tracks: Sequence[Track]) -> Group:
    weights = dict(rule.weights)
    members = tuple((index, weights.get(track.series.device, SCALE)) for index, track in enumerate(tracks)
                    if track.rule.name == rule.of)
    total = sum(weight for _, weight in members) / SCALE
    period_ms = min((tracks[index].series.period_ms for index, _ in members), default=MINUTE_MS)
    key = f"{COINCIDENCE}/{rule.name}"
    return Group(rule, Series(key, rule.quantity, period_ms, (0.0, total)), members)


def _of_group(group: Group, tracks: Sequence[Track]) -> Iterator[str]:
    rule = group.rule
    if len(group.members) < 2:
        yield f'of: rule "{rule.of}" judges {len(group.members)} series here; a coincidence needs at least 2'
        return
    devices = [tracks[index].series.device for index, _ in group.members]
    for device in sorted({device for device in devices if devices.count(device) > 1}):
        yield (f'of: rule "{rule.of}" judges two series of "{device}", which would count twice; '
               "give that rule a device for each place, or take one of them out of the station")
    for device, _ in rule.weights:
        if device not in devices:
            yield f'weights: "{device}" is not a member of this group; use {", ".join(sorted(set(devices)))}'
    total = sum(weight for _, weight in group.members)
    for level in rule.levels:
        if level.on > total:
            yield (f"{level.level.word}: on {level.on / SCALE:g} can never be reached: all members together weigh "
                   f"{total / SCALE:g}")


def _of_all(series: Sequence[Series]) -> Iterator[str]:
    seen: set[str] = set()
    for one in series:
        if one.key in seen:
            yield f"series {one.key}: is there twice; use one name a device"
        if one.quantity not in QUANTITIES:
            yield f'series {one.key}: "{one.quantity}" is not a quantity; use {", ".join(QUANTITIES)}'
        yield from problems_of_series(one)
        seen.add(one.key)


def _missing(rule: Rule, series: Sequence[Series]) -> list[str]:
    """Why a rule means no series here; nothing where it means one."""
    devices = [one.device for one in series if one.judged_as == rule.quantity]
    if devices:
        known = rule.device in {"", *devices}
        return [] if known else [f'device: "{rule.device}" gives no {rule.quantity} here; use {", ".join(devices)}']
    there = ", ".join(dict.fromkeys(one.judged_as for one in series))
    cure = f"use {there}" if there else "the station has no series"
    return [f'quantity: no device here gives "{rule.quantity}"; {cure}']


def cards(plan: Plan) -> list[RuleCard]:
    """The tracks as the station describes them to the hub."""
    return [
        RuleCard(
            name=track.rule.name, series=track.series.key, quantity=track.rule.quantity, hazard=track.rule.hazard,
            levels={level.level.word: level.on / track.rule.scale for level in track.rule.levels},
            over_s=track.rule.over_s, low=track.rule.low, feature=str(track.rule.feature),
            target=track.rule.target / SCALE if track.rule.feature is Feature.TIME_TO else None,
        )
        for track in plan.tracks
    ]
