"""What intake holds back, as plain data for the tests of the pages."""

from hub.held import Disk, Held, Quarantined
from hub.refusal import Refusal
from hub.strangers import Stranger
from tests.hub_messages import card
from tocsin.messages import VERSION, Heartbeat


class Holding:
    """The part of a View that tells it; a test sets `held_`."""

    held_ = Held(Disk(40_000_000_000, 500_000_000))

    async def held(self) -> Held:
        return self.held_


def troubled(now: int) -> Held:
    """Everything at once."""
    minute = 60_000
    beat = Heartbeat(VERSION, "mill", now - minute, online=True, backlog=1_240)
    return Held(
        Disk(412_000_000, 500_000_000, short=True),
        [
            Stranger("mill", now - 90 * minute, now - minute, 412, 1_240, 65_000, beat, card()),
            Stranger("test-unit-7", now - 30 * minute, now - 29 * minute, 1, 0, 120, None, None),
        ],
        [("longtan-lower", now - 12 * minute)],
        [(Refusal.FORMAT, 12), (Refusal.TIME, 3), ("a reason of tomorrow", 1)],
        [
            Quarantined(now - 2 * minute, "tocsin/1/longtan-upper/readings", Refusal.TIME,
                        "5 ms is not between 2000-01-01T00:00:00Z and 2100-01-01T00:00:00Z",
                        '{"kind":"readings","boot":"00000000000000a1","seq":88,"t":[5]}', whole=False),
            Quarantined(now - 40 * minute, "tocsin/1/plant/readings", Refusal.FORMAT,
                        "Input data was truncated", "<script>alert(1)</script>", whole=True),
        ],
    )
