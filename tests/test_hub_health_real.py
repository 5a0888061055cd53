"""What a running hub says of itself: to programs, to who watches it, and on its console."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.health import Health
from hub.intake import NO_ROOM
from hub.metrics import OPEN, OUTBOX, Rows, read_rows
from hub.refusal import Refusal
from hub.service import Hub
from tests.hub_messages import readings, upload
from tests.hub_web_view import PlainView, calm, client_of
from tests.hubs import HubFiles, hub_on, running_hub
from tests.processes import Command
from tests.services import Mosquitto
from tests.tasks import beside
from tests.test_hub_authority import client_of as hub_client
from tests.test_journey import until
from tests.village import Village
from tocsin import topics
from tocsin.alive import Alive, alive_of
from tocsin.broker import Broker
from tocsin.clock import SystemClock
from tocsin.link import Link
from tocsin.signing import SealError, public_key_of, sign

STATION = "upper-bridge"


async def test_a_real_hub_is_ready_counts_and_says_so(
    tmp_path: Path, new_mosquitto: Callable[[], Mosquitto]
) -> None:
    mosquitto = new_mosquitto()  # what stations of other tests left there would be counted
    files = HubFiles(tmp_path, mosquitto.url, [(STATION, "22" * 32), ("mill-creek", "22" * 32)])
    heard: list[Alive] = []

    async def hear(topic: str, payload: bytes) -> None:
        heard.append(alive_of(payload, public_key_of(files.private_key)))

    ear = Link(Broker.of(mosquitto.url), "ear", subscriptions=[topics.ALIVE], on_message=hear)
    async with running_hub(files.write(), SystemClock()) as hub, beside(ear.run()):
        await hub.link.wait_connected()
        await ear.wait_connected()
        await ear.publish(topics.up(STATION, topics.READINGS), upload(STATION, readings(1, [1.5, 1.6])))
        await ear.publish(topics.up("stranger", topics.READINGS), upload("stranger", readings(1)))
        await ear.publish(topics.up(STATION, topics.READINGS), b"{")
        await until(lambda: _counted(hub))
        await hub.operations.examiner.look()
        async with httpx.AsyncClient(base_url=files.url, trust_env=False) as client:
            ready = await client.get("/readyz")
            text = (await client.get("/metrics")).text
        await until(lambda: _heard(heard))
    assert (ready.status_code, ready.json()["ready"], ready.json()["reasons"]) == (200, True, [])
    found = {(sample.name, *sample.labels.values()): sample.value
             for family in text_string_to_metric_families(text) for sample in family.samples}
    assert found["tocsin_hub_records_landed_total",] == 1
    assert found["tocsin_hub_quarantined_total", Refusal.FORMAT] == 1
    assert found["tocsin_hub_quarantined_rows", Refusal.FORMAT] == 1
    assert (found["tocsin_hub_messages_held_total",], found["tocsin_hub_stations_held",]) == (1, 1)
    assert found["tocsin_hub_landing_records",] == 1
    assert (found["tocsin_hub_ready",], found["tocsin_hub_broker_connected",]) == (1, 1)
    assert (found["tocsin_hub_stations", "heard"], found["tocsin_hub_stations", "never"]) == (1, 1)
    assert found["tocsin_station_heard_timestamp_seconds", "mill-creek"] == 0
    assert found["process_resident_memory_bytes",] > 10e6
    assert found["tocsin_hub_disk_free_bytes",] > 0
    assert (heard[0].online, heard[0].name, heard[0].reasons) == (True, "Lin'an county", [])


async def _counted(hub: Hub) -> bool:
    counts = hub.counts()
    return counts.get("intake: landed", 0) == 1 and counts.get("intake: held: unknown station", 0) == 1 and (
        counts.get(f"intake: quarantined: {Refusal.FORMAT}", 0) == 1)


async def _heard(heard: list[Alive]) -> bool:
    return bool(heard)


async def test_a_hub_without_its_broker_says_that_it_is_not_ready(tmp_path: Path) -> None:
    async with hub_on(Village(tmp_path)) as hub, hub_client(hub) as client:
        await hub.operations.examiner.look()
        answer = await client.get("/readyz")
        metrics = (await client.get("/metrics")).text
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["no connection to the broker: not connected yet"]
    assert "\ntocsin_hub_ready 0.0\n" in metrics


async def test_however_many_ask_for_metrics_they_are_worked_out_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def reads(path: Path, stations: Sequence[str]) -> Rows:
        read.append(path)
        return read_rows(path, stations)

    async with hub_on(Village(tmp_path)) as hub:
        now_s = [100.0]
        monkeypatch.setattr("hub.operations.read_rows", reads)
        monkeypatch.setattr(hub.operations, "_real_s", lambda: now_s[0])
        texts = await asyncio.gather(*(hub.metrics() for _ in range(20)))
        assert set(texts) == {await hub.metrics()}
        assert len(read) == 1
        now_s[0] += 1.0
        assert await hub.metrics()
        assert len(read) == 2


def test_what_metrics_count_is_not_gone_through_row_by_row(tmp_path: Path) -> None:
    """The outbox holds all bulletins ever, and a warning may take a megabyte."""
    village = Village(tmp_path)
    for query in (OPEN, OUTBOX):
        found = [row[-1] for row in village.database.connection.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert all("INDEX" in step for step in found if step.startswith(("SCAN w", "SCAN o", "SEARCH"))), found
    village.close()


async def test_every_count_of_every_part_is_a_metric_whose_name_prometheus_takes(tmp_path: Path) -> None:
    async with hub_on(Village(tmp_path)) as hub:
        given = {"intake": {"landed": 3, "held back": 2, "quarantined: malformed": 4, NO_ROOM: 8, "disk short": 1},
                 "group rules": {"fired": 5}, "dispatch": {"cap sent": 6},
                 "pruner": {"pruned by size": 9, "failed": 10},
                 "forwarder": {"forwarded": 7, "refused": 11, "beyond retention": 12, "failed": 13},
                 "groups": {"rules": 14, "decided": 15}, "store": {"deleted by age": 16},
                 "downsampler": {"windows": 17}}
        text = (await hub.operations.metrics(lambda: given, [])).decode()
    found = {(sample.name, *sample.labels.values()): sample.value
             for family in text_string_to_metric_families(text) for sample in family.samples}
    assert found["tocsin_hub_records_landed_total",] == 3
    assert found["tocsin_hub_intake_total", "held back"] == 2
    assert found["tocsin_hub_quarantined_total", "malformed"] == 4
    assert found["tocsin_hub_group_rules_total", "fired"] == 5
    assert found["tocsin_hub_dispatch_total", "cap", "sent"] == 6
    assert found["tocsin_hub_points_forwarded_total",] == 7
    assert found["tocsin_hub_messages_no_room_total",] == 8
    assert found["tocsin_hub_disk_short",] == 1, "it goes up and down: no counter"
    assert found["tocsin_hub_landing_pruned_total", "size"] == 9
    assert found["tocsin_hub_pruner_total", "failed"] == 10
    assert [found[f"tocsin_hub_{name}_total",] for name in ("points_refused", "points_expired", "store_failures")] == [
        11, 12, 13]
    assert (found["tocsin_hub_group_rules",], found["tocsin_hub_groups_total", "decided"]) == (14, 15)
    assert found["tocsin_hub_store_total", "deleted by age"] == 16
    assert found["tocsin_hub_downsampler_total", "windows"] == 17


async def test_a_hub_that_is_killed_leaves_its_last_will(tmp_path: Path, mosquitto: Mosquitto) -> None:
    files = HubFiles(tmp_path / "hub", mosquitto.url, [])
    heard: list[Alive] = []

    async def hear(topic: str, payload: bytes) -> None:
        with suppress(SealError):   # what another hub left on the same broker
            heard.append(alive_of(payload, public_key_of(files.private_key)))

    ear = Link(Broker.of(mosquitto.url), "ear", subscriptions=[topics.ALIVE], on_message=hear)
    hub = Command(tmp_path / "process", "hub", str(files.write()))
    async with beside(ear.run()):
        hub.start()
        await until(lambda: _heard(heard))
        hub.kill()

        async def gone() -> bool:
            return not heard[-1].online

        await until(gone)
    assert (heard[-1].seq, heard[-1].boot) == (0, heard[0].boot)


def test_a_heartbeat_that_the_hub_did_not_sign_is_refused() -> None:
    with pytest.raises(SealError):
        alive_of(sign(b"{}", topics.ALIVE, "11" * 32), public_key_of("22" * 32))
    with pytest.raises(SealError, match="required field"):
        alive_of(sign(b"{}", topics.ALIVE, "11" * 32), public_key_of("11" * 32))


@pytest.mark.parametrize("lang", ["en", "zh"])
async def test_the_console_shows_what_is_wrong_with_the_hub(tmp_path: Path, lang: str) -> None:
    view: PlainView = calm(tmp_path)
    async with client_of(view) as client:
        assert 'class="notice"' not in (await client.get(f"/?lang={lang}")).text
        view.health_ = Health(["the desk is 61 s behind"], ["the nightly backup failed: no room"])
        text = (await client.get(f"/?lang={lang}")).text
        answer = await client.get("/readyz")
    assert ("the desk is 61 s behind" if lang == "en" else "预警处理滞后 61 秒") in text
    assert "the nightly backup failed: no room" in text
    assert ("Please look at the hub:" if lang == "en" else "请检查中心：") in text
    assert answer.status_code == 503
