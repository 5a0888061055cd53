"""Other rules at work on the same memory. docs/detection.md, 8.

A part of the memory whose identity is the same under the new rules keeps what it holds to the last bit. What is new
comes from a fresh state that has taken the readings given.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from thresholds.binding import bind
from thresholds.kernel import Block, Change, State, start, step
from thresholds.parts import Identity, Part, named, parts
from thresholds.plan import Plan
from thresholds.rule import Rule, Rules
from thresholds.series import Series
from thresholds.state import TREND_SUMS, Memory
from thresholds.tables import I64, NEVER, SPARE_ENTRIES, Rings
from thresholds.tell import say
from tocsin.config import ConfigError
from tocsin.levels import WARNING_LEVELS, Level

_TOTALS = {"slot_total": "total", "slot_covered": "covered", "minute_total": "total", "minute_covered": "covered"}


def reload(state: State, plan: Plan, history: Iterable[Block] = ()) -> State:
    """A new state of `plan` that goes on from `state`, which stays as it is.

    `history` are the readings of at least the last 24 h in the order they were taken, with the columns of `plan`, up to
    the newest that `state` has taken; without them what is new knows nothing. A track of the same name on the same
    series keeps level, episode and revision; where the rule has no such level any more, revision rises by one and
    `moved` tells it. Raises ValueError for a history that does not fit the plan.
    """
    new, blank = start(plan, state.station), start(plan, state.station)
    for block in history:
        step(new, block)
    before, after = parts(state), parts(new)
    whose = {identity: part.series for identity, part in before.items() if identity[0] == "series"}
    kept = {part.series: whose[identity] for identity, part in after.items() if identity in whose}
    fresh = new.memory
    follows = {i: _follows(fresh, i, state.memory, j) for i, j in kept.items()}
    ends = {name: getattr(fresh, name).copy() for name in ("total", "covered", "rained", "slot_count", "trend_count")}
    for identity, part in after.items():
        if identity in before:
            _copy(state.memory, before[identity], fresh, part)
        elif part.series in kept and not follows[part.series]:
            _copy(blank.memory, part, fresh, part)
    for i, j in kept.items():
        _past_times(state.memory, j, fresh, i, whole=follows[i])
    for identity, part in after.items():
        if identity not in before and part.series in kept:
            _join(new, identity, part, ends if follows[part.series] else None)
    _rain(state, new, kept, int(ends["rained"][0]))
    _changed_series(state, new, kept)
    _changed_tracks(state, new, before)
    return new


def moved(before: State, after: State, t_ms: int) -> list[Change]:
    """Tracks whose level a reload had to move, because the rule has no such level any more."""
    old = {named(track): int(level) for track, level in zip(before.plan.tracks, before.memory.level, strict=True)}
    found: list[Change] = []
    for index, track in enumerate(after.plan.tracks):
        level, previous = int(after.memory.level[index]), old.get(named(track), 0)
        if level != previous:
            value = int(after.memory.value[after.tables.tracks.feature[index]])
            found.append(say(after, index, t_ms, Level(previous), Level(level), value))
    return found


def bind_over(state: State, rules: Rules, series: tuple[Series, ...]) -> tuple[Plan, list[str]]:
    """`rules` on `series`, and with them the rules that are gone while one of their tracks is active, for that series.

    Returns also, in words, what is let go all the same because its series is gone or is another one now. Raises
    ConfigError where `rules` do not fit `series`.
    """
    plan = bind(rules, series)
    there = {named(track) for track in plan.tracks}
    retired: list[Rule] = []
    let_go: list[str] = []
    for index, track in enumerate(state.plan.tracks):
        if state.memory.level[index] and named(track) not in there:
            wanted = [one for one in _standing(state.plan, index, there) if one not in retired]
            try:
                plan = bind(replace(rules, rules=(*rules.rules, *retired, *wanted)), series)
            except ConfigError as err:
                level = Level(int(state.memory.level[index])).word
                let_go.append(f"{track.rule.name} on {track.series.key} was {level} and is gone: {err.problems[0]}")
            else:
                retired += wanted
    return plan, let_go


def _standing(plan: Plan, index: int, there: set[tuple[str, str]]) -> Iterator[Rule]:
    """The rule of a track for its series alone; of a coincidence also those of its members."""
    track = plan.tracks[index]
    group = index - (len(plan.tracks) - len(plan.groups))
    if group < 0:
        yield replace(track.rule, device=track.series.device)
        return
    for member, _ in plan.groups[group].members:
        if named(plan.tracks[member]) not in there:
            yield from _standing(plan, member, there)
    yield track.rule


def _copy(source: Memory, at: Part, to: Memory, place: Part) -> None:
    for name, index in place.fields.items():
        getattr(to, name)[index] = getattr(source, name)[at.fields[name]]


def _follows(fresh: Memory, i: int, old: Memory, j: int) -> bool:
    """Whether the history ends where the old state stands, so that what it gives can be joined on."""
    return bool(fresh.good_t[i] == old.good_t[j] and fresh.past_raw[i, 0] == old.past_raw[j, 0])


def _past_times(old: Memory, j: int, new: Memory, i: int, *, whole: bool) -> None:
    width = min(old.past_t.shape[1], new.past_t.shape[1])
    new.past_t[i, :width] = old.past_t[j, :width]
    if not whole:
        new.past_t[i, width:] = NEVER


def _join(new: State, identity: Identity, part: Part, ends: dict[str, I64] | None) -> None:
    """A new ring of a series that goes on: its totals count from the same beginning as the series' own.

    `ends` are the totals at the end of the fresh state; None: the ring is blank and begins with the last reading taken.
    """
    memory, own = new.memory, slice(part.series, part.series + 1)
    for name in part.fields.keys() & _TOTALS.keys():
        ring, total = getattr(memory, name), _TOTALS[name]
        shift: I64 = getattr(memory, total)[own] if ends is None else getattr(memory, total)[own] - ends[total][own]
        ring[part.fields[name]] += shift.astype(ring.dtype)
    if "head" in part.fields:
        _place(memory.head, part, "head", new.tables.sums.ring, new.tables.sums.slots, memory.slot_count,
               None if ends is None else ends["slot_count"])
    elif identity[0] == "trend window":
        for name in ("trend_head", "trend_hole"):
            _place(getattr(memory, name), part, name, new.tables.trends.ring, new.tables.trends.rings,
                   memory.trend_count, None if ends is None else ends["trend_count"])
    elif ends is not None or memory.good_t[part.series] == NEVER:
        return
    elif identity[0] == "slots":
        memory.slot_count[part.fields["slot_count"]] = 1
        memory.slot_t[part.begin("slot_t")] = memory.good_t[part.series]
    elif identity[0] == "trend ring":
        _begin_trend(new, part)


def _place(heads: I64, part: Part, name: str, ring: I64, rings: Rings, count: I64, ended: I64 | None) -> None:
    """The head of a new window counts as its ring does, which may go on from before."""
    at = part.begin(name)
    r = int(ring[at])
    oldest = max(0, int(count[r]) - int(rings.size[r]) + SPARE_ENTRIES - 1)
    heads[at] = oldest if ended is None else max(oldest, int(heads[at]) + int(count[r]) - int(ended[r]))


def _begin_trend(new: State, part: Part) -> None:
    memory, own = new.memory, slice(part.series, part.series + 1)
    r, at = part.begin("trend_count"), part.begin("trend_t")
    t, x = memory.good_t[own], memory.past_raw[own, 0]
    u = t // new.tables.trends.unit[r]
    memory.trend_count[r] = 1
    for name, term in zip(("trend_t", "trend_x", *TREND_SUMS), (t, x, u, x, u * u, u * x), strict=True):
        getattr(memory, name)[at:at + 1] = term


def _rain(state: State, new: State, kept: dict[int, int], fresh_end: int) -> None:
    """Rain of all gauges counts on; where a gauge begins anew, its mark moves along."""
    now = int(state.memory.rained[0])
    new.memory.rained[0] = now
    for i in range(len(new.plan.series)):
        if i not in kept:
            new.memory.rained_at[i] += now - fresh_end


def _changed_series(state: State, new: State, kept: dict[int, int]) -> None:
    """A series that is another one now under the same key: time does not go back, and stale is not told twice."""
    at = {one.key: j for j, one in enumerate(state.plan.series)}
    for i, one in enumerate(new.plan.series):
        if i not in kept and one.key in at:
            j = at[one.key]
            new.memory.last_t[i] = max(new.memory.last_t[i], state.memory.last_t[j])
            new.memory.stale[i] = state.memory.stale[j]


def _changed_tracks(state: State, new: State, before: dict[Identity, Part]) -> None:
    """Nothing is raised by a reload, and what is active stays so."""
    blank, memory = start(new.plan).memory, new.memory
    at = {named(track): k for k, track in enumerate(state.plan.tracks)}
    for identity, part in parts(new).items():
        if identity[0] != "track" or identity in before:
            continue
        k = part.begin("level")
        for name in ("latched", "acked", "level", "since", "cleared_t", "episode", "revision", "shelved"):
            getattr(memory, name)[k] = getattr(blank, name)[k]
        old = at.get(named(new.plan.tracks[k]))
        if old is not None:
            _carry(state.memory, old, memory, k, new.plan.tracks[k].rule)


def _carry(old: Memory, j: int, new: Memory, k: int, rule: Rule) -> None:
    for name in ("since", "cleared_t", "episode", "revision", "shelved"):
        getattr(new, name)[k] = getattr(old, name)[j]
    own = [int(level.level) for level in rule.levels]
    for level in map(int, WARNING_LEVELS):
        if old.latched[j, level - 1]:
            stays = max((one for one in own if one <= level), default=min(own))
            new.latched[k, stays - 1] = 1
            new.level[k] = max(int(new.level[k]), stays)
            if stays == level:
                new.acked[k, stays - 1] = old.acked[j, level - 1]
    new.revision[k] += int(new.level[k] != old.level[j])
