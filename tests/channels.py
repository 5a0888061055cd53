"""Channels and a dispatch for the hub's tests."""

import asyncio
from collections.abc import Callable

from hub.broadcast._channel import AnyChannel
from hub.dispatch import Dispatch
from hub.model import Warning as HubWarning
from tests.village import Village
from tocsin.messages import Bulletin


class FakeChannel:
    """Gives back or raises what a test has laid out, one a send; then a receipt each time."""

    def __init__(self, *, retained: bool = False) -> None:
        self.retained = retained
        self.script: list[Exception] = []
        self.sent: list[str] = []
        self.tries = 0

    async def send(self, bulletin: Bulletin, warning: HubWarning) -> str:
        assert warning.id == bulletin.warning
        self.tries += 1
        if self.script:
            raise self.script.pop(0)
        self.sent.append(bulletin.id)
        return f"receipt {bulletin.id}"


def make(village: Village, **channels: AnyChannel) -> Dispatch:
    """Every channel of the outbox is there: those that a test does not name always succeed."""
    return Dispatch(village.database, {"cap": FakeChannel(), "loudspeaker": FakeChannel()} | channels, village.clock)


def rows(village: Village, channel: str) -> list[tuple[str, int, str]]:
    """(state, attempts, receipt) of what the channel was ever to send."""
    return village.database.connection.execute(
        "SELECT state, attempts, receipt FROM outbox WHERE channel = ? ORDER BY id", (channel,)
    ).fetchall()


async def until(condition: Callable[[], bool]) -> None:
    """Lets tasks and the database's thread go on until it is so."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("did not happen")
