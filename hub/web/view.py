"""What the pages know of the hub: a protocol, so that they run on plain data in tests and on the real hub alike."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hub.archive import Archive
from hub.config import HubConfig
from hub.groups_state import Decision
from hub.health import Health
from hub.held import Held
from hub.journal import Entry
from hub.model import Warning as HubWarning
from hub.model import Why
from hub.orders import StationOrders
from hub.stations import StationView
from hub.store import Store
from tocsin.clock import Clock
from tocsin.messages import Bulletin, StationCard

HOW_PAGE = "answer page"
HOW_OFFICER = "entered by the duty officer"


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One decision about a warning, written before it was acted on. `t` is ms UTC, `event` what happened then."""

    t: int
    why: Why
    detail: str
    event: Entry | None = None


class View(Protocol):
    """The hub, as the pages ask it. No method raises because the store is down."""

    @property
    def config(self) -> HubConfig: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def store(self) -> Store:
        """The pages ask it for series alone, and bear its TransientError."""

    @property
    def cap_folder(self) -> Path: ...

    @property
    def archive(self) -> Archive: ...

    async def behind(self) -> int:
        """Landed records that store or desk have not worked through."""

    def counts(self) -> dict[str, int]:
        """What the hub's parts counted since its start, for /healthz."""

    def health(self) -> Health:
        """Whether the hub can do its work, for /readyz and the console."""

    async def metrics(self) -> bytes:
        """What Prometheus reads."""

    def station_ids(self) -> list[str]:
        """Every enrolled station, in order."""

    async def stations(self, only: Collection[str] | None = None) -> list[StationView]:
        """Every enrolled station, or those of `only`, in order of their ids, also those never heard."""

    async def cards(self) -> dict[str, StationCard]:
        """What each enrolled station said of itself, without asking the store: nobody waits for names."""

    async def held(self) -> Held:
        """What intake holds back or is alarmed by."""

    async def orders(self, station: str) -> StationOrders:
        """What that station was told, and its answers."""

    async def open_warnings(self) -> list[HubWarning]: ...

    async def recent_warnings(self, limit: int) -> list[HubWarning]:
        """Closed ones, newest first."""

    async def warning(self, warning_id: str) -> HubWarning | None: ...

    async def journal(self, warning_id: str) -> list[JournalRow]:
        """Oldest first."""

    async def bulletins(self, warning_id: str) -> list[Bulletin]:
        """What was said about it, oldest first."""

    async def answer(self, person: str, warning_id: str, how: str, note: str) -> None:
        """Raises ValueError, with a sentence for the person, where the answer cannot be taken."""

    async def confirm(self, warning_id: str, by: str) -> None:
        """A person takes it on them that people are moved; the first one counts. Raises ValueError with a sentence."""

    async def hold(self, warning_id: str, by: str) -> None:
        """A person objects to a move that a rule would make by itself. Raises ValueError with a sentence."""

    async def group_decisions(self, limit: int) -> list[Decision]:
        """What the hub's rules over several stations decided, the newest first; shadow rules among them."""

    async def wait_changed(self, since: int) -> int:
        """The number of the hub's newest change, as soon as it is above `since`; -1 returns at once."""
