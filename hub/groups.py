"""Group rules: a pure function of the hub's logged arrival order. Same log, same decisions, however it is cut.

What goes in are landed records in the order of their ids, and the few inputs that the hub logs beside them (ticks that
changed something, its own starts, other rules). Time is the newest time that came in: it never goes back. What time
alone changes is decided at the moment when it is due, not when the hub came to look. docs/groups.md tells it in prose.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from hub.groups_inputs import Heard, Input, Landed, Ruled, Run, Started, Ticked
from hub.groups_memo import Memo
from hub.groups_rules import GROUP, SCALE, Group, GroupKind, LevelRule
from hub.groups_state import Decision, Late, Memory, State, Track
from hub.groups_weigh import Reach, due_of, observed, reach_of
from hub.runs import before, newer, with_start
from hub.warnings import key_of
from tocsin.digests import digest
from tocsin.events import EventKind
from tocsin.levels import Authority, Stage
from tocsin.messages import Detection, Event

SETTLED_MS = 60_000            # without more late history, after which it is reconstructed
ORPHAN_MS = 30 * 60_000        # a raised group whose rule is gone falls after so long
_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Late history from `first` to `last` (event time, ms UTC) has settled: what would have been decided with it?
    `upto` is the last landed record that was known at that moment."""

    at: int
    first: int
    last: int
    upto: int


Action = Decision | Rebuild


def run(
    state: State, inputs: Iterable[Input], groups: Sequence[Group], too_old_ms: int, memo: Memo | None = None
) -> tuple[State, list[Action]]:
    """The state after these inputs, and what follows. `groups` are those of the last Ruled; a new one begins with it.

    A tick that finds nothing due gives the same object back: it need not be logged. `memo` is one of the caller's own,
    the same in every call: it saves time.
    """
    memo = memo or Memo()
    work = _Work(state, groups, too_old_ms, memo)
    for one in inputs:
        work.take(one)
    after = work.state() if work.changed else state
    memo.state, memo.dues = after, work.dues
    return after, work.actions


class _Work:
    """A copy of the state that may be changed."""

    def __init__(self, state: State, groups: Sequence[Group], too_old_ms: int, memo: Memo) -> None:
        self._groups = groups
        self._too_old_ms = too_old_ms
        self._t = state.t
        self._id = state.id
        self._tracks = dict(state.tracks)
        self._heard = dict(state.heard)
        self._stale = dict(state.stale)
        self._memories = dict(state.groups)
        self._late, self._runs = state.late, dict(state.runs)
        index = memo.index_of(groups)
        self._asked, self._watched, self._of = index.asked, index.watched, index.of
        # when time alone may change a group; a station that is heard makes the real moment later, never earlier
        self.dues = dict(memo.dues) if memo.state is state else {group.name: self._due_of(group) for group in groups}
        self._soonest = 0    # never later than the first thing that is due
        self.changed = False
        self.actions: list[Action] = []

    def state(self) -> State:
        return State(
            self._t, self._id, self._tracks, self._heard, self._stale, self._memories, self._late, self._runs)

    def take(self, one: Input) -> None:
        match one:
            case Ticked():
                self._pass(one.at)
                return
            case Landed():
                self._take_landed(one)
                self._id = one.id
            case Heard():
                if one.station not in self._watched:    # by other rules than those it was logged for
                    return
                self._hear(one.station, one.until)
                self._weigh(self._of.get(one.station, ()))
            case Started():
                for station, heard in self._heard.items():
                    if self._t - heard < self._watched[station]:    # who was silent before stays so: nothing is cleared
                        self._hear(station, one.at)
                self._to(one.at)
                self._weigh(self.dues)
            case Ruled():
                self._to(one.at)
                self._tracks = one.tracks | self._tracks
                self._runs = one.runs | self._runs
                self._rule(one.at)
        self.changed = True

    def _take_landed(self, row: Landed) -> None:
        self._to(row.at)
        if row.station in self._watched:
            silent = self._t - self._heard.get(row.station, self._t) >= self._watched[row.station]
            self._hear(row.station, self._t)
            if silent:
                self._weigh(self._of.get(row.station, ()))
        if isinstance(row.record, Detection):
            self._take_detection(row.station, row.record, late=row.at - row.record.t > self._too_old_ms)
        elif isinstance(row.record, Run):
            self._runs[row.station] = with_start(self._runs.get(row.station, {}), row.record.boot, row.record.seq)
        elif isinstance(row.record, Event) and row.station in self._watched:
            self._take_event(row.station, row.record)

    def _take_detection(self, station: str, found: Detection, *, late: bool) -> None:
        key = key_of(station, found)
        tracks = self._tracks.get(station, {})
        known = tracks.get(key)
        if known is not None and not newer(
            found, known.episode, known.revision, known.boot, known.t, self._t,
            outlived=before(self._runs.get(station, {}), found.boot, known.boot),
        ):
            return
        if late and station in self._asked:
            span = self._late or Late(found.t, found.t, self._t)
            self._late = Late(min(span.first, found.t), max(span.last, found.t), self._t)
            self._soonest = min(self._soonest, self._t + SETTLED_MS)
        unheard = known is None or known.level == 0 or known.late
        track = Track(found.series, found.rule, found.hazard, found.level, found.revision, found.episode, found.t,
                      late=late and unheard and found.level > 0, shelved=found.shelved,
                      stands=known.counted if known and found.shelved and found.level else 0, boot=found.boot)
        keep = {name: one for name, one in tracks.items() if name != key}
        if track.level or station in self._asked:
            keep[key] = track
        self._tracks[station] = keep
        self._weigh(self._of.get(station, ()), changed=[station])

    def _take_event(self, station: str, event: Event) -> None:
        if event.what not in {EventKind.STALE, EventKind.FRESH} or self._t - event.t > self._too_old_ms:
            return
        stale = {name: t for name, t in self._stale.get(station, {}).items() if name != event.series}
        if event.what is EventKind.STALE:
            stale[event.series] = min(event.t, self._t)
        self._stale[station] = stale
        self._weigh(self._of.get(station, ()))

    def _hear(self, station: str, at: int) -> None:
        self._heard[station] = max(at, self._heard.get(station, 0))

    # --- time ---------------------------------------------------------------------------------------------------

    def _to(self, at: int) -> None:
        self._pass(at)
        self._t = max(self._t, at)

    def _pass(self, at: int) -> None:
        """Decides what is due up to `at`, each at its own moment."""
        while (due := self._next_due(at)) <= at:
            self._t, self.changed = due, True
            if self._late is not None and due >= self._late.at + SETTLED_MS:
                self.actions.append(Rebuild(due, self._late.first, self._late.last, self._id))
                self._late = None
            self._weigh({name for name, t in self.dues.items() if t <= due})
            self._drop_orphans()

    def _next_due(self, at: int) -> int:
        """The next moment above now at which time alone may change something; one above `at` may be too early."""
        if at < self._soonest:
            return self._soonest
        while (due := min(self.dues.values(), default=_NEVER)) <= at:
            for group in self._groups:
                if self.dues[group.name] == due:
                    self.dues[group.name] = self._due_of(group)
            if due == min(self.dues.values()):
                break
        if self._late is not None:
            due = min(due, max(self._late.at + SETTLED_MS, self._t + 1))
        self._soonest = min(
            [due, *(memory.gone_at + ORPHAN_MS for memory in self._memories.values() if memory.gone_at)])
        return self._soonest

    def _due_of(self, group: Group) -> int:
        times = due_of(group, self._memories.get(group.name, Memory()), self._heard, self._stale)
        return min((t for t in times if t > self._t), default=_NEVER)

    # --- rules --------------------------------------------------------------------------------------------------

    def _rule(self, at: int) -> None:
        """A raised group keeps its level, whatever its rule is now; one whose rule is gone falls after a while."""
        self._soonest = 0
        live = {group.name for group in self._groups}
        for name, memory in list(self._memories.items()):
            if name not in live and not memory.level:
                del self._memories[name]
                self._tracks.pop(GROUP + name, None)
            elif name not in live and not memory.gone_at:
                self._memories[name] = msgspec.structs.replace(memory, gone_at=at)
        for group in self._groups:
            memory = self._memories.get(group.name, Memory())
            same = memory.hash == group.hash
            self._memories[group.name] = msgspec.structs.replace(
                memory, gone_at=0, hash=group.hash, seen=memory.seen if same else {},
                on=memory.on if same else {}, off=memory.off if same else {})
        self._heard = {name: self._heard.get(name, at) for name in sorted(self._watched)}
        self._stale = {name: found for name, found in self._stale.items() if name in self._watched}
        members = [name for group in self._groups for pick in group.picks for name in pick.stations]
        self._weigh(self.dues, changed=list(dict.fromkeys(members)))

    def _weigh(self, names: Iterable[str], changed: Sequence[str] = ()) -> None:
        """These groups, in the order of their file, and those that look at one whose level changes. `changed` are the
        members whose tracks did: what a group has seen of the others stands."""
        names, changed = set(names), list(changed)
        for group in self._groups:
            if group.name not in names:
                continue
            places = [(number, name) for name in changed for number in self._of[name].get(group.name, ())]
            before = self._memories.get(group.name, Memory())
            memory = observed(group, before, places, self._tracks, self._t)
            reach = reach_of(group, memory, self._heard, self._stale, self._t)
            memory = _settled(group, memory, reach, self._t)
            level = max(memory.latched, default=0)
            if level != memory.level:
                memory = self._decide(group, memory, reach, level)
                names.update(self._of.get(GROUP + group.name, ()))
                changed += [GROUP + group.name] if GROUP + group.name in self._of else []
            self._memories[group.name] = memory
            self.dues[group.name] = due = self._due_of(group)
            self._soonest = min(self._soonest, due)

    def _drop_orphans(self) -> None:
        live = {group.name for group in self._groups}
        for name, memory in list(self._memories.items()):
            if name not in live and memory.told is not None and self._t >= memory.gone_at + ORPHAN_MS:
                told = memory.told
                self.actions.append(msgspec.structs.replace(
                    told, at=self._t, level=0, previous=told.level, revision=told.revision + 1, stage=Stage.WATCH,
                    members=[]))
                del self._memories[name]
                self._tracks.pop(GROUP + name, None)

    def _decide(self, group: Group, memory: Memory, reach: Reach, level: int) -> Memory:
        own = group.level_rule(level)
        found = reach.evidence()
        since = memory.since if memory.level else min((one.began for one in found.members), default=self._t)
        raised = group.level_rule(max(level, memory.level))
        decision = Decision(
            at=self._t, group=group.name, kind=group.kind, hazard=group.hazard, area=group.area, level=level,
            previous=memory.level, revision=memory.revision + 1, since=since,
            episode=memory.episode if memory.level else digest(f"{group.name}/{group.hash}/{since}/{self._t}".encode()),
            stage=own.stage if own else Stage.WATCH, authority=own.authority if own else Authority.AUTO,
            hold_s=own.hold_s if own else 0.0, value=found.said, threshold=_threshold(group, raised),
            target=found.most, members=found.members, shadow=group.shadow, technical=group.technical,
            place=group.place, place_zh=group.place_zh, text_en=group.text_en, text_zh=group.text_zh,
        )  # fmt: skip
        self.actions.append(decision)
        self._tracks[GROUP + group.name] = {group.name: Track(
            f"group/{group.kind}", group.name, group.hazard, level, decision.revision, decision.episode, self._t)}
        return msgspec.structs.replace(
            memory, level=level, revision=decision.revision, since=since, episode=decision.episode, told=decision)


def _settled(group: Group, memory: Memory, reach: Reach, now: int) -> Memory:
    """Which levels hold: each is set after its delay on, and falls after its delay off; a tie goes to set."""
    on, off, latched = dict(memory.on), dict(memory.off), set(memory.latched)
    given = {int(own.level) for own in group.levels}
    for own in group.levels:
        level = int(own.level)
        if reach.value >= own.on:
            on.setdefault(level, now)
            if now >= on[level] + group.on_delay_ms:
                latched.add(level)
        else:
            on.pop(level, None)
        if level in latched and reach.value < own.off:
            off.setdefault(level, now)
        else:
            off.pop(level, None)
    for level in latched - given:    # a level that the rule gave before it was changed
        off.setdefault(level, now)
    fallen = {level for level in latched & off.keys() if now >= off[level] + group.off_delay_ms}
    kept = {level: t for level, t in off.items() if level not in fallen}
    return msgspec.structs.replace(memory, on=on, off=kept, latched=sorted(latched - fallen))


def _threshold(group: Group, own: LevelRule | None) -> float:
    if group.kind is GroupKind.COINCIDENCE and own is not None:
        return own.on / SCALE
    return group.silent_ms / 60_000 if group.kind is GroupKind.SILENCE else 1.0
