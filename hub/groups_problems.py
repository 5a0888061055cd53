"""What is wrong with one group rule: each problem names the key, its value and the cure."""

from collections.abc import Iterator, Mapping
from typing import Any

from hub.groups_rules import GROUP, GroupKind
from hub.groups_tables import KEYS, GroupTable, at_of, given_of, weights_of
from tocsin.levels import Authority, Level
from tocsin.quantities import QUANTITIES


def problems_of(table: GroupTable, raw: Mapping[str, Any], earlier: Mapping[str, GroupTable]) -> Iterator[str]:
    """Full sentences about one group; `earlier` are those that stand before it in the file."""
    for key in raw:
        if key not in KEYS[table.kind]:
            yield f'"{key}" is not a key of a {table.kind}; use {", ".join(sorted(KEYS[table.kind]))}'
    yield from _members(table, earlier)
    yield from {GroupKind.COINCIDENCE: _of_coincidence, GroupKind.CHAIN: _of_chain,
                GroupKind.SILENCE: _of_silence}[table.kind](table)
    yield from _of_levels(table)


def _members(table: GroupTable, earlier: Mapping[str, GroupTable]) -> Iterator[str]:
    lists = {"stations": table.stations, "neighbours": table.neighbours}
    lists |= {f"step {number}: stations": step.stations for number, step in enumerate(table.step, 1)}
    for key, names in lists.items():
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f'{key}: "{name}" stands twice; name it once'
        for name in names:
            if name.startswith(GROUP):
                yield from (f"{key}: {what}" for what in _of_group(table, name, earlier))
    quantities = [table.quantity, *(step.quantity for step in table.step)]
    for quantity in quantities:
        if quantity and quantity not in QUANTITIES:
            yield f'quantity: "{quantity}" is not a quantity; use one of docs/rules.md, as in "rain_mm"'
    for at, until in [(table.at, table.until), *((step.at, step.until) for step in table.step)]:
        if until and Level.of(until) > Level.of(at or at_of(table).word):
            yield f'until: "{until}" is above at "{at or at_of(table).word}"; use that level or a lower one'


def _of_group(table: GroupTable, name: str, earlier: Mapping[str, GroupTable]) -> Iterator[str]:
    other = earlier.get(name.removeprefix(GROUP))
    if other is None:
        yield f'"{name}" is not a group that stands before this one; name a station, or move that group up'
    elif other.kind is GroupKind.SILENCE:
        yield f'"{name}" tells of silence, not of danger; name a coincidence or a chain'
    elif other.shadow and not table.shadow:
        yield f'"{name}" is a shadow rule and may decide nothing; take its shadow away, or set shadow = true here too'


def _of_coincidence(table: GroupTable) -> Iterator[str]:
    if not table.stations:
        yield 'key "stations" is missing; give at least two station ids'
    for name in table.weights:
        if name not in table.stations:
            yield f'weights: "{name}" is not among the stations; use {", ".join(table.stations) or "none"}'
    total = sum(table.weights.get(name, 1.0) for name in table.stations)
    before = 0.0
    levels = weights_of(table)
    if not levels:
        yield "no level is given; give a weight for blue, yellow, orange or red"
    for level, (on, off) in levels.items():
        if on > total:
            yield f"{level.word}: {on:g} can never be reached; all stations together weigh {total:g}"
        if off > on:
            yield f"{level.word}: off {off:g} is above on {on:g}; use up to {on:g}"
        if on <= before:
            yield f"{level.word}: {on:g} is not above the level before it; use more than {before:g}"
        before = on


def _of_chain(table: GroupTable) -> Iterator[str]:
    if not table.step:
        yield "table [[group.step]] is missing; give at least one"
    before = Level.CLEAR
    for number, step in enumerate(table.step, 1):
        first, last = step.travel_min
        if first > last or last == 0:
            yield (f"step {number}: travel_min: [{first:g}, {last:g}] is not allowed; give the shortest time, then the "
                   "longest, above 0")
        if Level.of(step.level) < before:
            yield f'step {number}: level: "{step.level}" is below that of the step before; use "{before.word}" or more'
        before = Level.of(step.level)


def _of_silence(table: GroupTable) -> Iterator[str]:
    if not table.stations:
        yield 'key "stations" is missing; give the stations that must be heard'
    for name in table.stations:
        if name.startswith(GROUP):
            yield f'stations: "{name}" is a group, and a group is never silent; name stations'
        if not set(table.neighbours or table.stations) - {name}:
            yield f'stations: "{name}" has no neighbour but itself; give neighbours'


def _of_levels(table: GroupTable) -> Iterator[str]:
    given = {level.word for level in given_of(table)}
    for key, per_level in (("stage", table.stage), ("authority", table.authority)):
        for word in per_level:
            if word not in given:
                yield f'{key}: {word}: this group never gives that level; use {", ".join(sorted(given)) or "none"}'
    waits = [word for word, authority in table.authority.items() if authority is Authority.AFTER]
    if waits and table.hold_s is None:
        yield (f'key "hold_s" is missing: authority of {waits[0]} is "after"; give the seconds in which a person may '
               "object")
    if table.hold_s is not None and not waits:
        yield 'hold_s is for authority "after" alone; leave it out'
