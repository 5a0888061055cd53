"""Records that stay in a station's log: what its decisions depend on beside the readings, in the order processed.

They are records like any other (tocsin.messages has the union) and are never uploaded. With the readings they are
enough to decide the same again: edge.own_log does.
"""

from typing import get_args

import msgspec


class Tick(msgspec.Struct, frozen=True, tag="tick", tag_field="kind"):
    """The agent's clock passed `t` (ms UTC) before any later reading was evaluated."""

    boot: str
    seq: int
    t: int


class RuleSet(msgspec.Struct, frozen=True):
    """Rules and checks in their canonical bytes (thresholds.rule), in order."""

    rules: list[msgspec.Raw]
    checks: list[msgspec.Raw]


class Config(msgspec.Struct, frozen=True, tag="config", tag_field="kind", omit_defaults=True):
    """From here on these rules decide on these series; `hash` is that of both.

    `shadow` are candidate rules that are evaluated beside them and never told. `memory` is what the agent remembered at
    this place: where it is given, a reader can begin here (edge.own_log).
    """

    boot: str
    seq: int
    t: int
    station: str
    hash: str
    series: list[msgspec.Raw]
    rules: RuleSet
    shadow: RuleSet | None = None
    memory: bytes = b""


class ClockStep(msgspec.Struct, frozen=True, tag="clock", tag_field="kind"):
    """The clock was set by `step_ms`; `t` is the agent's time after it.

    `epoch`: set back so far that the time before was wrong; what hangs on times is forgotten.
    """

    boot: str
    seq: int
    t: int
    step_ms: int
    epoch: bool


class Acknowledge(msgspec.Struct, frozen=True, tag="ack", tag_field="kind"):
    """A person at the station has seen that a rule on a series stands at a level."""

    boot: str
    seq: int
    t: int
    series: str
    rule: str
    who: str


class OperatorClear(msgspec.Struct, frozen=True, tag="operator_clear", tag_field="kind"):
    """A person at the station takes a rule on a series to clear."""

    boot: str
    seq: int
    t: int
    series: str
    rule: str
    who: str


class Shelve(msgspec.Struct, frozen=True, tag="shelve", tag_field="kind"):
    """A person does not want to be told of a rule on a series until `until` (ms UTC)."""

    boot: str
    seq: int
    t: int
    series: str
    rule: str
    until: int
    who: str


class Service(msgspec.Struct, frozen=True, tag="service", tag_field="kind", omit_defaults=True):
    """Somebody works on a device: until `until` (ms UTC) its readings carry SERVICE. At `t` or before: it ends.

    `series`: on that one of its series alone; "": on all. `anew`: what the next reading is compared with is forgotten,
    so that what happened since the last one counts for nothing.
    """

    boot: str
    seq: int
    t: int
    device: str
    until: int
    who: str
    series: str = ""
    anew: bool = False


class Silence(msgspec.Struct, frozen=True, tag="silence", tag_field="kind"):
    """A person silences what sounds, as it is now, until `until` (ms UTC). At `t` or before: it sounds again."""

    boot: str
    seq: int
    t: int
    until: int
    who: str


class Shadow(msgspec.Struct, frozen=True, tag="shadow", tag_field="kind"):
    """What candidate rules would have told: fields as in Detection."""

    boot: str
    seq: int
    t: int
    series: str
    rule: str
    level: int
    previous: int
    revision: int
    episode: str
    since: int
    value: float
    threshold: float


class Thinned(msgspec.Struct, frozen=True, tag="thinned", tag_field="kind"):
    """From here to record `last` only some records were kept: `removed` are gone; this one stands for the first.

    `t` is that of the first one gone (ms UTC), `step` how far it went (edge.thinning).
    """

    boot: str
    seq: int
    t: int
    last: int
    removed: int
    step: int


Operation = Acknowledge | OperatorClear | Shelve | Service | Silence
Local = Tick | Config | ClockStep | Operation | Shadow | Thinned
LOCAL: tuple[type[Local], ...] = get_args(Local)
