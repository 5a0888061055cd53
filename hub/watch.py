"""Watching the hub: a function of what was heard and of time, that says whom to call with which words.

The hub is down when its heartbeat stops, in trouble when it says so itself, and unseen when the broker cannot be
reached: then nobody knows. Times are monotonic seconds of the watcher: a wrong clock alarms nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from hub.watch_config import CallTable, WatchConfig
from tocsin.alive import Alive

_AGAIN_S = 60.0
_BREAKS = 3  # times `silent_s`: so long a link may break and come back before that is an alarm of its own


class State(Enum):
    """What is known of the hub; the words are said to people, in English and Chinese."""

    FINE = ("is well again", "已恢复正常")
    SILENT = ("is silent: no heartbeat", "无心跳，可能已停机")
    UNSEEN = ("cannot be seen: the broker cannot be reached", "无法确认：消息服务器连接不上")
    TROUBLE = ("is in trouble", "有故障")


@dataclass(frozen=True, slots=True)
class Call:
    """Say this to whom `call` reaches."""

    call: CallTable
    text: str


@dataclass(slots=True)
class Watch:
    """`heard`, `link` and `tick` are told what happens; `tick` gives the calls that are due."""

    config: WatchConfig
    began_s: float
    state: State = State.FINE
    _heard_s: float = 0.0
    _linked: bool = False
    _link_s: float = 0.0
    _ills: tuple[str, ...] = ()
    _ill_s: float = 0.0
    _since_s: float = 0.0
    _name: str = "hub"
    _hub: str = ""
    _left: set[str] = field(default_factory=set)
    _start: int = 0
    _seqs: dict[str, int] = field(default_factory=dict)
    _hub_ms: int = -1
    _due_s: dict[str, float] = field(default_factory=dict)
    _called: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._heard_s = self._link_s = self.began_s

    def heard(self, alive: Alive, now_s: float) -> None:
        """A heartbeat whose signature fits. What was heard before, or the broker kept from before, proves nothing."""
        self._name = alive.name
        first = not self._hub
        if not alive.online or not self._is_news(alive):
            return
        if first:
            return  # this may be the broker's memory of a hub that is gone: the next one is the hub
        self._heard_s = now_s
        ills = (*alive.reasons, *alive.troubles)
        if ills and not self._ills:
            self._ill_s = now_s
        self._ills = ills

    def _is_news(self, alive: Alive) -> bool:
        """Whether it comes after all that was heard. A recording proves nothing, nor does one of an earlier start."""
        if alive.hub != self._hub:
            # a restored hub has another id, and counts its starts from the backup on: here its clock alone tells
            if alive.hub in self._left or alive.t <= self._hub_ms:
                return False
            self._left.add(self._hub)
            self._hub, self._start, self._seqs = alive.hub, alive.start, {}
        if alive.start > self._start:
            self._start, self._seqs = alive.start, {}
        if alive.start < self._start or alive.seq <= self._seqs.get(alive.boot, 0):
            return False
        self._seqs[alive.boot] = alive.seq
        self._hub_ms = alive.t
        return True

    def link(self, *, connected: bool, now_s: float) -> None:
        """Whether there is a connection to the broker now."""
        if connected != self._linked:
            self._linked, self._link_s = connected, now_s

    def tick(self, now_s: float) -> list[Call]:
        """What is due now: at most one call of each kind."""
        state = self._seen(now_s)
        if state is not self.state:
            before, self.state = self.state, state
            if before is State.FINE:
                self._since_s = now_s
            if state is State.FINE:
                return self._all_clear()
            # those who wait for their turn wait on; those who know the old story hear the new one
            self._due_s = {call.name: now_s if call.name in self._called else self._since_s + call.after_s
                           for call in self.config.call}
        if state is State.FINE:
            return []
        due = [call for call in self.config.call if self._due_s.get(call.name, now_s) <= now_s]
        for call in due:
            self._due_s[call.name] = now_s + self.config.watch.repeat_s
            self._called.add(call.name)
        return [Call(call, self._text(now_s)) for call in due]

    def failed(self, call: CallTable, now_s: float) -> None:
        """It did not reach anybody: once more, soon."""
        if self.state is not State.FINE:
            self._due_s[call.name] = now_s + min(_AGAIN_S, self.config.watch.repeat_s)

    def test(self) -> list[Call]:
        """Everybody once."""
        text = f"TEST 测试: {self.config.watch.name}: so you are called when the hub stops. 中心停机时将这样通知您。"
        return [Call(call, text) for call in self.config.call]

    def _seen(self, now_s: float) -> State:
        watch = self.config.watch
        if self.state is State.FINE and now_s - self._heard_s >= _BREAKS * watch.silent_s:
            # no break is long, and yet nothing comes through
            return State.UNSEEN
        if not self._linked:
            # a state that is known stays until there is something to see again
            return State.UNSEEN if now_s - self._link_s >= watch.silent_s and self.state is State.FINE else self.state
        if now_s - max(self._heard_s, self._link_s) >= watch.silent_s:
            return State.SILENT
        if self.state is not State.FINE and self._heard_s < self._link_s:
            return self.state
        if self._ills and now_s - self._ill_s >= watch.trouble_s:
            return State.TROUBLE
        return State.FINE

    def _all_clear(self) -> list[Call]:
        called, self._called = self._called, set()
        self._due_s = {}
        return [Call(call, self._text(0.0)) for call in self.config.call if call.name in called]

    def _text(self, now_s: float) -> str:
        english, chinese = self.state.value
        lasting = f" ({max(0.0, now_s - self._since_s) / 60:.0f} min)" if self.state is not State.FINE else ""
        more = f": {'; '.join(_short(self._ills))}" if self.state is State.TROUBLE else ""
        return f"{self.config.watch.name}: {self._name} {english}{lasting}. 预警中心{chinese}。{more}"


def _short(ills: Sequence[str]) -> list[str]:
    return [ill[:120] for ill in ills[:3]]
