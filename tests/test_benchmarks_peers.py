"""What the bench beside other gateways makes of the agent's messages."""

from benchmarks._contender import _reads
from tests.hub_messages import upload
from tocsin.events import EventKind
from tocsin.messages import Event, Readings

BOOT = "0123456789abcdef"


def test_readings_beside_an_event_are_counted() -> None:
    """An event names a series too: read as readings it took the whole message with it."""
    event = Event(BOOT, 1, 1_000, EventKind.STALE, "no good reading for 3 s", series="d3/flow_m3s")
    both = Readings(BOOT, 2, [1_000, 1_000], ["d7/flow_m3s", "d7/displacement_mm"], [41.0, 5.0], [0, 0])
    assert _reads(upload("bench", event, both)) == [(7, 41, 5, 2)]
