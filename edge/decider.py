"""What decides at a station: the kernel with the rules in force, fed with the records of the log, in their order.

The live agent, a restart and a replay of the log (edge.own_log) go through here alone, so that the same records give
the same decisions to the last bit. No clock and no files: everything comes with the records.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from edge.rows import Recent, block_of
from edge.ruling import candidate_of, plan_of
from edge.saved import Part, Saved, loaded, packed, squeezed
from edge.serviced import compare_anew, is_served, served
from edge.sounding import Sounding
from edge.tracks import hidden_of, let_go_of, operate, shown_again, track_of
from thresholds.kernel import (
    Block,
    Change,
    Freshness,
    State,
    StateError,
    new_epoch,
    parts_of,
    restore,
    start,
    step,
)
from thresholds.parts import named
from thresholds.plan import Plan
from thresholds.reload import moved, reload
from tocsin.config import ConfigError
from tocsin.inputs import Acknowledge, ClockStep, Config, OperatorClear, Service, Shelve, Silence, Tick
from tocsin.messages import Readings
from tocsin.readings import EXCLUDED, Quality

REFUSED = (ValueError, ConfigError, StateError)    # what a record that cannot be taken raises
_STUCK = int(Quality.STUCK)
LONGEST_SERVICE_MS = 3_600_000
Input = Readings | Tick | Config | ClockStep | Acknowledge | OperatorClear | Shelve | Service | Silence


@dataclass(frozen=True, slots=True)
class Decided:
    """What followed from one record. `quality` has one entry a reading of it. `shadow` is what the candidate decided.

    `stuck` are series that may be stuck from here on, `moving` those that move again. `noted` says that the record
    changed something although nothing was decided.
    """

    quality: list[int] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    freshness: list[Freshness] = field(default_factory=list)
    shadow: list[Change] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    moving: list[str] = field(default_factory=list)
    noted: bool = False


class Decider:
    """`live` decides, `shadow` is a candidate beside it. `config` is the record of the rules in force.

    `now_ms` is the newest time of an input, `begun_ms` the newest place of the log where a reader can begin.
    """

    def __init__(self, config: Config, *, memory: Part = b"") -> None:
        """Begins with nothing, or with what `save` gave; the memory of `config` is not looked at. Raises REFUSED."""
        self.config = msgspec.structs.replace(config, memory=b"")
        plan, candidate = plan_of(config), candidate_of(config)
        self.now_ms = 0
        self.begun_ms = config.t
        self.service: dict[str, int] = {}
        self.stuck: set[str] = set()
        self._gone: dict[tuple[str, str], int] = {}
        self._hidden: set[tuple[str, str]] = set()
        self.sounding = Sounding()
        self.shadow: State | None = None
        if memory:
            saved = loaded(memory)
            self.live = restore(plan, saved.live)
            if candidate is not None and saved.shadow is not None:
                self.shadow = restore(candidate, saved.shadow)
            self.now_ms, self.begun_ms = saved.now_ms, saved.begun_ms
            self.service, self.stuck = dict(saved.service), set(saved.stuck)
            self.sounding = Sounding(saved.waits, saved.answered, saved.quiet)
            self._gone = {(rule, series): revision for rule, series, revision in saved.gone}
            self._hidden = set(saved.hidden)
        else:
            self.live = start(plan, config.station)
        if candidate is not None and self.shadow is None:
            self.shadow = start(candidate, config.station)
        self._index()

    def _index(self) -> None:
        self.columns = {one.key: number for number, one in enumerate(self.live.plan.series)}

    @property
    def states(self) -> list[State]:
        """The live one, and the candidate's where there is one."""
        return [self.live, self.shadow] if self.shadow else [self.live]

    def save(self) -> bytes:
        """What a decider needs to go on from here, with `config`."""
        return b"".join(self.parts())

    def parts(self) -> list[Part]:
        """As `save`, nothing large copied: to be written down before the next record is taken."""
        nothing, shadow = memoryview(b""), self.shadow
        saved = Saved(nothing, nothing if shadow else None, self.now_ms, self.begun_ms,
                      self.service, sorted(self.stuck), self.sounding.waits,
                      sorted((*name, revision) for name, revision in self._gone.items()),
                      self.sounding.answered, self.sounding.quiet, sorted(self._hidden))
        return packed(saved, {"live": parts_of(self.live)} | ({"shadow": parts_of(shadow)} if shadow else {}))

    def remembered(self, t_ms: int) -> Config:
        """`config` once more, with all that is remembered: a reader of the log can begin there."""
        self.begun_ms = t_ms
        return msgspec.structs.replace(self.config, t=t_ms, memory=squeezed(self.parts()))

    @classmethod
    def of(cls, config: Config) -> "Decider":
        """What the config says, with what it remembers. Raises one of REFUSED."""
        try:
            return cls(config, memory=zlib.decompress(config.memory) if config.memory else b"")
        except zlib.error as err:
            raise StateError(f"what was remembered cannot be read: {err}") from err

    def same_as(self, other: "Decider") -> bool:
        """Whether both will decide the same on whatever comes."""
        own, its = (msgspec.structs.replace(loaded(one.save()), begun_ms=0) for one in (self, other))
        return self.config.hash == other.config.hash and own == its

    def in_service(self, name: str, t_ms: int) -> bool:
        """Whether somebody works on this device, or on this series or its device."""
        return is_served(self.service, name, t_ms)

    def take(self, record: Input, history: Recent | None = None) -> Decided:
        """Everything that follows from a record, which must come after all those taken before.

        `history` is for a Config: the readings before it. The `memory` of a Config is not looked
        at: that makes a new decider. Raises one of REFUSED for a record that cannot be taken; nothing has changed then.
        """
        match record:
            case Readings():
                decided = self._readings(record)
            case Tick():
                decided = self._tick(record.t)
            case Config():
                decided = self._config(record, history)
            case _:
                decided = self._other(record)
        t_ms = record.t[0] if isinstance(record, Readings) else record.t
        self._hidden = hidden_of(self._hidden, decided.changes)
        if self._hidden and (shown := shown_again(self.live, self._hidden, t_ms)):
            self._hidden = hidden_of(self._hidden, shown)
            decided = replace(decided, changes=[*decided.changes, *shown], noted=True)
        if not isinstance(record, Tick) or decided.noted:    # a tick of which nothing followed is not in the log
            self.now_ms = max(self.now_ms, t_ms)
        if decided.changes or isinstance(record, Config):
            self.sounding.settle(self.live, t_ms)
        return decided

    def _readings(self, record: Readings) -> Decided:
        known = [i for i, key in enumerate(record.series) if key in self.columns]
        if not known:
            return Decided([int(Quality.MISSING)] * len(record.series))
        keys = [record.series[i] for i in known]
        columns = [self.columns[key] for key in keys]
        block = block_of(record, self.columns)
        outcome = step(self.live, block)
        found = outcome.quality[0, columns].tolist()
        quality = [int(Quality.MISSING)] * len(record.series)
        for i, bits in zip(known, found, strict=True):
            quality[i] = bits
        suspect = {key for key, bits in zip(keys, found, strict=True) if bits & _STUCK}
        stuck, moving = sorted(suspect - self.stuck), []
        if self.stuck:
            taken = {key for key, bits in zip(keys, found, strict=True) if bits & EXCLUDED == 0}
            moving = sorted((taken - suspect) & self.stuck)
        self.stuck = (self.stuck | suspect) - set(moving)
        shadow = step(self.shadow, block).changes if self.shadow else []
        return Decided(quality, outcome.changes, outcome.freshness, shadow, stuck, moving)

    def _tick(self, now_ms: int) -> Decided:
        block = Block.blank(1, len(self.columns))
        block.now_ms[0] = now_ms
        before = [_silence(state) for state in self.states]
        outcomes = [step(state, block) for state in self.states]
        after = [_silence(state) for state in self.states]
        return Decided(changes=outcomes[0].changes, freshness=outcomes[0].freshness, noted=before != after)

    def _config(self, record: Config, history: Recent | None) -> Decided:
        plan, candidate = plan_of(record), candidate_of(record)
        columns = {one.key: number for number, one in enumerate(plan.series)}
        before, recent = self.live, history or Recent()
        recent.scaled(before.plan.series)
        recent.scaled(plan.series)
        rows = partial(recent.blocks, columns, record.t)
        self.live = reload(before, plan, rows())
        let_go = let_go_of(before, self.live, record.t)
        self._count_on(before)
        self.shadow = _candidate(self.shadow, candidate, record.station, rows())
        self.config = msgspec.structs.replace(record, memory=b"")
        self._index()
        self.stuck &= self.columns.keys()
        return Decided(changes=[*moved(before, self.live, record.t), *let_go], noted=True)

    def _count_on(self, before: State) -> None:
        """Revisions rise also where a rule was gone for a while: the hub ignores a lower one than it knows."""
        self._gone |= zip(map(named, before.plan.tracks), before.memory.revision.tolist(), strict=True)
        for k, track in enumerate(self.live.plan.tracks):
            revision = max(int(self.live.memory.revision[k]), self._gone.pop(named(track), 0))
            self.live.memory.revision[k] = revision
        self._gone = {name: revision for name, revision in self._gone.items() if revision}

    def _other(self, record: ClockStep | Acknowledge | OperatorClear | Shelve | Service | Silence) -> Decided:
        match record:
            case ClockStep():
                if record.epoch:
                    self._new_epoch(record.t)
            case Service():
                self.service = served(self.service, record)
                if record.anew:
                    compare_anew(self.states, record)
            case Silence():
                self.sounding.silence(self.live, record.t, record.until)
            case _:
                return self._operated(record)
        return Decided(noted=True)

    def _new_epoch(self, t_ms: int) -> None:
        new_epoch(self.live)
        if self.shadow:
            new_epoch(self.shadow)
        self.now_ms, self.begun_ms = t_ms, min(self.begun_ms, t_ms)
        self.sounding.set_back(t_ms)
        self.service = {name: min(until, t_ms + LONGEST_SERVICE_MS) for name, until in self.service.items()}

    def _operated(self, record: Acknowledge | OperatorClear | Shelve) -> Decided:
        """On the live track; on the candidate's too where it has one of that name."""
        changes: list[list[Change]] = [[], []]
        for place, state in enumerate(self.states):
            track = track_of(state, record.rule, record.series)
            if track is None and place == 0:
                raise ValueError(f'rule "{record.rule}" does not judge {record.series}')
            if track is not None:
                changes[place] = operate(state, track, record)
            if track is not None and place == 0 and isinstance(record, Acknowledge):
                self.sounding.acknowledged(state, track, record.t)
        return Decided(changes=changes[0], shadow=changes[1], noted=True)


def _silence(state: State) -> tuple[bytes, bytes]:
    """All that a tick can change."""
    return state.memory.stale.tobytes(), state.memory.first_tick.tobytes()


def _candidate(state: State | None, plan: Plan | None, station: str, history: Iterable[Block]) -> State | None:
    """The candidate's state under its rules: going on, or begun with the history."""
    if plan is None:
        return None
    if state is not None:
        return reload(state, plan, history)
    state = start(plan, station)
    for block in history:
        step(state, block)
    return state
