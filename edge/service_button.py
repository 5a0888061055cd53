"""The service button in the cabinet: held for five seconds, it takes all instruments into service, or ends that.

For who has no telephone to log in with. It is held, not pressed, because what it does makes a station blind for half
an hour: a knock, a spark on the wire or a cable that touches for a moment must not. A button that is closed from the
first look on, or for more than a minute, is a fault and no wish.
"""

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

from edge.bus import Bus
from edge.care import Parts
from edge.config import Station
from edge.contact import Contact
from edge.pipeline import Pipeline
from edge.sayings import say
from edge.servicing import Servicing
from tocsin.clock import Clock
from tocsin.devices import Request
from tocsin.messages import EventKind
from tocsin.said import Said

HELD_S = 5.0
STUCK_S = 60.0
_LOOK_S = 1.0


class Hold(StrEnum):
    """What became of the button."""

    HELD = "held"
    STUCK = "stuck"
    FREED = "freed"


class LongPress:
    """What single looks at a contact come to."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._seen_open = self._done = self._stuck = False

    def take(self, closed: bool, now_s: float) -> Hold | None:
        """One look, in order of time."""
        if not closed:
            freed, self._stuck = self._stuck, False
            self._since_s, self._seen_open, self._done = None, True, False
            return Hold.FREED if freed else None
        self._since_s = now_s if self._since_s is None else self._since_s
        held_s = now_s - self._since_s
        if held_s > STUCK_S and not self._stuck:
            self._stuck = True
            return Hold.STUCK
        if held_s >= HELD_S and self._seen_open and not self._done:
            self._done = True
            return Hold.HELD
        return None

    def lost(self) -> None:
        """A look that failed: what came before it does not count."""
        self._since_s, self._seen_open = None, False


class ServiceButton:
    """`run` looks at the contact. `on_held` is what it is for; `tell` is told what is wrong with it, once."""

    def __init__(
        self, contact: Callable[[], Awaitable[bool]], clock: Clock,
        *, on_held: Callable[[], None], tell: Callable[[Said], None],
    ) -> None:  # fmt: skip
        self._contact = Contact(contact, clock, tell, lost=lambda why: say("button_unread", why=why),
                                back=say("button_read"))
        self._clock = clock
        self._on_held = on_held
        self._tell = tell
        self._press = LongPress()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep_until(self._clock.monotonic_s() + _LOOK_S)

    async def look(self) -> None:
        """One look at the contact."""
        closed = await self._contact.closed()
        if closed is None:
            self._press.lost()
            return
        match self._press.take(closed, self._clock.monotonic_s()):
            case Hold.HELD:
                self._on_held()
            case Hold.STUCK:
                self._tell(say("button_stuck", seconds=STUCK_S))
            case Hold.FREED:
                self._tell(say("button_freed"))


def button_parts(
    station: Station, buses: Mapping[str, Bus], clock: Clock, servicing: Servicing, pipeline: Pipeline
) -> Parts:
    """What runs beside the rest of the agent, by its name; nothing where the station has no such button."""
    table = station.file.service
    if table is None:
        return {}
    device = next(one.table for one in station.devices if one.table.name == table.device)
    bus, ask = buses[device.bus], Request(2, table.button_input, 1)

    async def contact() -> bool:
        return bool((await bus.exchange(device.unit, ask, device.deadline_s))[0])

    def held() -> None:
        servicing.toggle(table.minutes, say("service_button"))

    def tell(detail: Said) -> None:
        pipeline.told(EventKind.SERVICE, detail, device=device.name)

    return {"service button": ServiceButton(contact, clock, on_held=held, tell=tell).run}
