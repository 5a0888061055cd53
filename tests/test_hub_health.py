"""Whether the hub is well: what its look at itself finds; over the real database and a wound clock."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hub import arrivals, forward
from hub.config_operations import WatchdogTable
from hub.database import Database
from hub.health import Examiner
from hub.intake import DEFECT, Intake
from hub.landing import move_cursor
from hub.pulse import Pulse, count_start
from hub.room import Room
from hub.troubles import Failures, of_landing
from tests.hubs import HubFiles, running_hub
from tests.test_edge_watchdog import Manager
from tests.test_journey import until
from tests.village import at, config
from tocsin.broker import Broker
from tocsin.clock import WoundClock
from tocsin.link import Link
from tocsin.notify import Notify


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


def test_what_was_dropped_and_what_a_defect_kept_from_the_disk_is_told() -> None:
    failures = Failures(lambda: {"link": {"dropped": 3}, "intake": {DEFECT: 1, "failed commits": 2}}, lambda: 0.0)
    assert failures.trouble() == "failed lately: intake (not landed: a defect 1), link (dropped 3)"


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


async def test_what_does_not_land_is_a_trouble(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def publish(*_: object, **__: object) -> None: ...

    intake = Intake(bench.database, {}, bench.clock, publish, room=Room(tmp_path, 0, bench.clock))
    assert of_landing(intake) == ""
    monkeypatch.setattr(Intake, "aside", 3)
    assert of_landing(intake) == "set aside by a defect of the hub: 3 records; each start tries them again"
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
