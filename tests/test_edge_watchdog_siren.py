"""systemd hears that the station works only while its siren's part goes on too."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.lines import until
from tests.test_agent import Site
from tests.test_edge_siren import sound
from tests.test_edge_watchdog import Guarded, Manager, manager, notify
from tocsin.levels import Level
from tocsin.notify import Notify

__all__ = ["manager", "notify"]


def test_a_siren_that_does_not_come_round_ends_the_pings_and_is_told_once(
    tmp_path: Path, manager: Manager, notify: Notify
) -> None:
    site = Guarded(tmp_path, notify)
    site.tried("gauge", "bucket")
    site.siren_idle_s = 60.0
    site.dog.beat()
    assert "WATCHDOG=1" in manager.heard()
    for site.siren_idle_s in (61.0, 62.0):
        site.dog.beat()
    assert manager.heard() == [f"STATUS=the siren's part has not come round for {s} s" for s in (61, 62)]
    assert site.said == ["the siren's part has not come round for 61 s"]
    site.bench.stop()


async def test_an_agent_whose_siren_waits_for_ever_on_a_line_of_its_own_stops_the_pings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No poll tells it: in calm it comes round as ever, and a command that nobody takes holds it up."""
    monkeypatch.setattr("edge.rounds.ROUND_S", 0.01)
    monkeypatch.setattr("edge.watchdog._MARGIN_S", 0.5)
    site = Site(tmp_path)
    async with site.agent() as agent:
        dog, siren = agent.care.watchdog, agent.pipeline.siren
        assert siren is not None
        dog._pauses_s, dog._ticked_s = {}, agent._clock.monotonic_s() + 1e6
        begun_s = time.monotonic()
        await until(lambda: time.monotonic() - begun_s > 0.6 and dog.stalled() is None)
        agent._buses["field"]._jobs = asyncio.PriorityQueue()  # its owner waits where nobody comes any more
        siren.command([sound(Level.RED)], "test", time.monotonic())
        await until(lambda: dog.stalled() is not None)
        stalled = dog.stalled()
        assert stalled is not None
        assert stalled.en.startswith("the siren's part has not come round")
