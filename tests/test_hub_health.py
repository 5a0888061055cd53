"""Whether the hub is well: said to programs, people and systemd; over the real database and a wound clock."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub import arrivals, forward
from hub.config_operations import WatchdogTable
from hub.database import Database
from hub.health import Examiner, Health
from hub.intake import NO_ROOM, Intake
from hub.landing import move_cursor
from hub.pulse import Pulse, count_start
from hub.refusal import Refusal
from hub.room import Room
from hub.service import Hub
from hub.troubles import Failures, of_landing
from tests.hub_messages import readings, upload
from tests.hub_web_view import PlainView, calm, client_of
from tests.hubs import HubFiles, hub_on, running_hub
from tests.processes import Command
from tests.services import Mosquitto
from tests.tasks import beside
from tests.test_edge_watchdog import Manager
from tests.test_hub_authority import client_of as hub_client
from tests.test_journey import until
from tests.village import Village, at, config
from tocsin import topics
from tocsin.alive import Alive, alive_of
from tocsin.broker import Broker
from tocsin.clock import SystemClock, WoundClock
from tocsin.link import Link
from tocsin.notify import Notify
from tocsin.signing import SealError, public_key_of, sign

STATION = "upper-bridge"


class Bench:
    """An examiner over a database of its own; its real seconds are the test's."""

    def __init__(self, folder: Path) -> None:
        self.real_s = 0.0
        self.clock = WoundClock(at("14:00"))
        self.config = msgspec.structs.replace(config(folder), watchdog=WatchdogTable(disk_free_mb=0))
        self.database = Database(folder / "hub.sqlite")
        self.link = Link(Broker.of("mqtt://127.0.0.1:9"), "nobody", subscriptions=[], on_message=self._hear)
        self.examiner = Examiner(self.config, self.database, lambda: self.link, self.clock, lambda: self.real_s)

    async def _hear(self, _topic: str, _payload: bytes) -> None:
        raise AssertionError("nothing is subscribed to")

    def pass_s(self, seconds: float) -> None:
        self.real_s += seconds
        self.clock.wind_to(self.clock.now_ms() + round(seconds * 1000))

    def land(self, kind: str) -> None:
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO landing (station, boot, seq, kind, digest, arrived, raw)"
                " VALUES ('a', 'b', 1, ?, ?, ?, '')", (kind, str(self.real_s), self.clock.now_ms()))

    @property
    def reasons(self) -> list[str]:
        """But for the broker, which is not there."""
        return [one for one in self.examiner.health().reasons if "broker" not in one]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.database.close()


async def test_a_hub_is_not_ready_before_it_has_looked_and_says_why(bench: Bench) -> None:
    assert bench.reasons == ["the hub is starting"]
    await bench.examiner.look()
    assert bench.reasons == []
    assert bench.examiner.health().reasons == ["no connection to the broker: not connected yet"]


async def test_a_database_that_cannot_be_written_is_a_reason_but_no_stall(bench: Bench) -> None:
    await bench.examiner.look()
    bench.examiner.arrived()
    bench.database.connection.execute("PRAGMA query_only = ON")
    bench.pass_s(61)
    bench.examiner.ticked()
    await bench.examiner.look()
    assert bench.reasons == ["the database cannot be written: attempt to write a readonly database"]
    assert bench.examiner.stalled() == "", "no restart mends a disk"
    bench.database.connection.execute("PRAGMA query_only = OFF")
    await bench.examiner.look()
    assert bench.reasons == []


async def test_messages_that_do_not_land_are_a_stall_after_a_minute(bench: Bench) -> None:
    await bench.examiner.look()
    bench.examiner.arrived()
    bench.pass_s(60)
    bench.examiner.ticked()
    assert bench.examiner.stalled() == ""
    bench.pass_s(1)
    assert bench.examiner.stalled() == "landing has not moved for 61 s"
    bench.examiner.landed()
    assert bench.examiner.stalled() == ""
    bench.examiner.arrived()
    bench.pass_s(61)
    bench.examiner.ticked()
    bench.examiner.progress = lambda: 1  # counted, as what is refused is
    assert bench.examiner.stalled() == ""


async def test_a_desk_that_does_not_move_while_a_detection_waits_is_a_stall(bench: Bench) -> None:
    bench.land("readings")
    for _ in range(2):
        await bench.examiner.look()
        bench.pass_s(61)
        bench.examiner.ticked()
    assert (bench.examiner.stalled(), bench.examiner.found.undecided_s) == ("", 0.0)
    bench.land("detection")
    await bench.examiner.look()
    bench.pass_s(61)
    bench.examiner.ticked()
    await bench.examiner.look()
    assert bench.examiner.stalled() == "the desk has not moved for 61 s"
    assert bench.reasons == ["the desk is 61 s behind", "the desk has not moved for 61 s"]


async def test_a_desk_that_does_not_tick_is_a_stall(bench: Bench) -> None:
    await bench.examiner.look()
    bench.pass_s(61)
    assert bench.examiner.stalled() == "the desk has not ticked for 61 s"
    assert "the hub has not looked at itself" not in "".join(bench.reasons)
    bench.pass_s(10)
    assert bench.reasons[-1] == "the hub has not looked at itself for 71 s"


async def test_a_database_that_hangs_is_told_at_once_and_is_a_stall_in_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.health._ANSWER_S", 0.05)
    hang = asyncio.Event()

    async def run(*_: object) -> None:
        await hang.wait()

    bench.database.run = run  # type: ignore[method-assign,assignment]
    await bench.examiner.look()
    bench.pass_s(61)
    bench.examiner.ticked()
    await bench.examiner.look()
    assert bench.reasons == ["the database has not answered for 61 s"]
    assert bench.examiner.stalled() == "the database has not answered for 61 s"
    hang.set()


async def test_a_store_that_is_behind_and_a_disk_that_fills_are_troubles(bench: Bench) -> None:
    bench.land("readings")
    await bench.examiner.look()
    assert bench.examiner.health().troubles == []
    bench.pass_s(901)
    bench.examiner.also.append(lambda: "one more thing")
    await bench.examiner.look()
    assert bench.examiner.health().troubles == ["the store is 901 s behind", "one more thing"]
    assert bench.examiner.found.unforwarded == 1
    bench.examiner._table = WatchdogTable(disk_free_mb=10_000_000)
    assert "MB are free on the disk of" in bench.examiner.health().troubles[1]


async def test_a_look_costs_the_same_however_much_has_landed(bench: Bench) -> None:
    """Landing and the desk share its thread: a look that walks through a week of records would stop both."""
    with bench.database.transaction() as connection:
        connection.executemany(
            "INSERT INTO landing (station, boot, seq, kind, digest, arrived, raw)"
            " VALUES ('a', 'b', ?, 'readings', 'd', 1, '')", [(seq,) for seq in range(50_000)])
        for reader in (arrivals.READER, forward.READER):
            move_cursor(connection, reader, 50_000)
    steps: list[int] = []
    bench.database.connection.set_progress_handler(lambda: steps.append(1), 100)
    await bench.examiner.look()
    assert bench.examiner.found.landed == 50_000
    assert len(steps) < 20, "hundreds of SQLite's steps"


async def test_group_rules_that_fail_are_told_and_the_desk_s_time_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = HubFiles(tmp_path, "mqtt://127.0.0.1:9", [])
    ticks: list[str] = []

    async def fail(_: object) -> None:
        ticks.append("groups")
        raise KeyError("made up")

    async def tick(_: object) -> None:
        ticks.append("desk")

    monkeypatch.setattr("hub.service.RESTART_S", 0.0)
    monkeypatch.setattr("hub.groups_run.Groups.tick", fail)
    monkeypatch.setattr("hub.desk.Desk.tick", tick)
    clock = WoundClock(at("14:00"))
    async with running_hub(files.write(), clock) as hub:

        async def both() -> bool:
            clock.wind_to(clock.now_ms() + 1000)
            return ticks.count("desk") > 3 and ticks.count("groups") > 3

        await until(both)
        (told,) = hub.health().troubles
        assert told.startswith("failed lately: group time (restarts ")


def test_a_failure_is_told_for_five_minutes_and_again_when_it_comes_again() -> None:
    now_s = 0.0
    counts = {"dispatch": {"cap failed": 1, "cap sent": 5}, "forwarder": {"failed": 7}, "restarts": {"web": 2}}
    failures = Failures(lambda: counts, lambda: now_s)
    assert failures.trouble() == "failed lately: dispatch (cap failed 1), web (restarts 2)"
    now_s = 299.0
    counts["dispatch"]["cap failed"] = 2
    assert failures.trouble() == "failed lately: dispatch (cap failed 2), web (restarts 2)"
    now_s = 300.0
    assert failures.trouble() == "failed lately: dispatch (cap failed 2)"
    now_s = 599.0
    assert failures.trouble() == ""


async def test_what_does_not_land_is_a_trouble(bench: Bench, tmp_path: Path) -> None:

    async def publish(*_: object, **__: object) -> None: ...

    intake = Intake(bench.database, {}, bench.clock, publish, room=Room(tmp_path, 0, bench.clock))
    assert of_landing(intake) == ""
    intake.room.least, intake.room.short, intake.room.free = 500 << 20, True, 300 << 20
    assert of_landing(intake) == "readings wait at their stations: 300 MB are free, landing wants 500 MB"
    intake.trouble = "disk full"
    assert of_landing(intake) == "nothing can be landed: disk full"


async def test_systemd_hears_ready_once_and_no_ping_while_something_stands_still(bench: Bench, tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    pulse = Pulse(bench.config, bench.database, bench.clock, bench.examiner, Notify(str(tmp_path / "notify")))
    await bench.examiner.look()
    pulse.beat()
    pulse.beat()
    assert [line for line in manager.heard() if "STATUS" not in line] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    bench.pass_s(61)
    pulse.beat()
    heard = manager.heard()
    assert "WATCHDOG=1" not in heard
    assert "the desk has not ticked for 61 s" in heard[0]
    bench.examiner.ticked()
    pulse.beat()
    assert "WATCHDOG=1" in manager.heard()
    assert pulse.counts["stalled"] == 1
    manager.close()


def test_starts_are_counted_and_a_disk_that_refuses_keeps_no_hub_from_starting(tmp_path: Path) -> None:
    for start in (1, 2):
        database = Database(tmp_path / "hub.sqlite")
        assert count_start(database) == start
        database.close()
    database = Database(tmp_path / "hub.sqlite")
    database.connection.execute("PRAGMA query_only = ON")
    assert count_start(database) == 3
    database.connection.execute("PRAGMA query_only = OFF")
    assert count_start(database) == 3
    database.close()


async def test_a_real_hub_is_ready_counts_and_says_so(tmp_path: Path, mosquitto: Mosquitto) -> None:
    files = HubFiles(tmp_path, mosquitto.url, [(STATION, "22" * 32), ("mill-creek", "22" * 32)])
    heard: list[Alive] = []

    async def hear(topic: str, payload: bytes) -> None:
        with suppress(SealError):   # what another hub left on the same broker
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


async def test_every_count_of_every_part_is_a_metric_whose_name_prometheus_takes(tmp_path: Path) -> None:
    async with hub_on(Village(tmp_path)) as hub:
        given = {"intake": {"landed": 3, "held back": 2, "quarantined: malformed": 4, NO_ROOM: 8, "disk short": 1},
                 "group rules": {"fired": 5}, "dispatch": {"cap sent": 6},
                 "pruner": {"pruned by size": 9, "failed": 10},
                 "forwarder": {"forwarded": 7, "refused": 11, "beyond retention": 12, "failed": 13},
                 "groups": {"rules": 14, "decided": 15}, "store": {"deleted by age": 16},
                 "downsampler": {"windows": 17}}
        text = (await hub.operations.metrics(given, [])).decode()
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
