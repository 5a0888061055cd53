"""What is wrong with the station itself: begins once, ends once, and stands in the heartbeat meanwhile."""

import asyncio
import errno
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import care as cares
from edge import checkup as checkups
from edge.checkup import Checkup
from edge.faults import CURE_S, Faults, Look
from edge.power import PowerState
from simulators.faults import Silent
from tests.edge_bench import MINUTE_MS, RAIN, STAGE, Bench
from tests.lines import until
from tests.test_agent import Site
from tocsin.faults import Fault, OpenFault
from tocsin.messages import Committed, Event, EventKind, encode
from tocsin.readings import Reading, Reason, Rejection
from tocsin.said import Said, said_of
from tocsin.signing import seal

DISK = Look(Fault.DISK, "room", Said("3 MB free", "仅剩 3 MB"))
FINE = Look(Fault.DISK, "room", None)
HOT, COOL = Look(Fault.HEAT, "cpu", Said("91 C", "91 ℃"), after_s=60), Look(Fault.HEAT, "cpu", None)


def test_a_fault_begins_when_it_lasts_and_ends_when_it_is_well_for_a_minute() -> None:
    faults = Faults()
    assert faults.judge([HOT], 0, 1000) == faults.judge([HOT], 59, 2000) == []
    (begins,) = faults.judge([HOT], 60, 3000)
    assert begins.begins
    assert begins.fault == OpenFault(Fault.HEAT, "cpu", "91 C", 3000, "91 ℃")
    assert faults.judge([HOT], 70, 4000) == faults.judge([COOL], 80, 5000) == faults.judge([COOL], 139, 6000) == []
    assert faults.open == [begins.fault]
    (ends,) = faults.judge([COOL], 140, 7000)
    assert (ends.begins, ends.fault) == (False, begins.fault)
    assert faults.open == []


def test_what_was_right_in_between_did_not_last() -> None:
    faults = Faults()
    for look, now_s in ((HOT, 0), (COOL, 30), (HOT, 40), (HOT, 99)):
        assert faults.judge([look], now_s, 0) == []
    assert len(faults.judge([HOT], 100, 0)) == 1


def test_what_comes_and_goes_is_one_fault_and_what_is_not_seen_stays() -> None:
    faults = Faults()
    assert len(faults.judge([DISK], 0, 0)) == 1
    for second in range(10, 600, 20):
        assert faults.judge([FINE], second, 0) == faults.judge([DISK], second + 10, 0) == []
    assert faults.judge([], 10_000, 0) == []
    assert [one.what for one in faults.open] == ["room"]


def test_a_fault_that_stands_says_how_it_is_now_and_is_not_told_again() -> None:
    faults = Faults()
    faults.judge([DISK], 0, 1000)
    assert faults.judge([Look(Fault.DISK, "room", Said("it can only be read", "只读"))], 10, 2000) == []
    assert faults.open == [OpenFault(Fault.DISK, "room", "it can only be read", 1000, "只读")]


def test_what_nobody_asked_for_is_not_told() -> None:
    assert Faults([Fault.DISK]).judge([DISK], 0, 0) == []


@given(st.lists(st.tuples(st.sampled_from(list(Fault)), st.booleans(), st.integers(0, 200)), max_size=60))
def test_every_fault_begins_and_ends_in_turn(steps: list[tuple[Fault, bool, int]]) -> None:
    faults, now_s = Faults(), 0.0
    standing: set[str] = set()
    for fault, wrong, passed in steps:
        now_s += passed
        for change in faults.judge([Look(fault, "", Said("bad", "坏") if wrong else None, after_s=30)], now_s, 0):
            assert change.begins is (change.fault.fault not in standing)
            standing ^= {change.fault.fault}
    assert {one.fault for one in faults.open} == standing


class Watched(Bench):
    """A bench whose checkup is done by hand; temperatures are files of the test."""

    def __init__(self, folder: Path, rules: str = STAGE + RAIN) -> None:
        super().__init__(folder, rules)
        self.thermal = folder / "thermal"
        (self.thermal / "thermal_zone0").mkdir(parents=True)
        self.cpu(40)
        self.checkup._thermal = self.thermal

    @property
    def checkup(self) -> Checkup:
        return self.agent.care.checkup

    def cpu(self, celsius: float) -> None:
        (self.thermal / "thermal_zone0" / "temp").write_text(f"{celsius * 1000:.0f}\n")

    def look(self, minutes: float = 0) -> list[str]:
        """After that time; the reasons of the faults that stand then. Each is said in Chinese too."""
        self.clock.pass_ms(round(minutes * MINUTE_MS))
        asyncio.run(self.checkup.look())
        for one in self.agent._health.open:
            names = re.escape(str(self.folder)), re.escape(one.what)
            assert re.search("[\u4e00-\u9fff℃]", one.zh), one
            assert not re.search("[A-Za-z]{3}", re.sub("|".join(names), "", one.zh)), one
        for event in self.of(Event):
            assert event.what not in {EventKind.HEALTH, EventKind.CURED} or event.zh not in {"", event.detail}
        return [one.fault for one in self.agent._health.open]

    def told(self) -> list[tuple[str, str]]:
        """Kind and reason of what was told, in order."""
        return [(event.what, event.reason) for event in self.of(Event)
                if event.what in {EventKind.HEALTH, EventKind.CURED}]


@pytest.fixture
def bench(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def alone(bench: Watched, *faults: Fault) -> None:
    """Only these are judged: a bench has no link, and its devices are read by hand."""
    bench.checkup._faults = Faults(set(Fault) - set(faults))


def test_a_device_without_a_good_reading_and_a_bus_without_an_answer_are_told_and_cured(bench: Watched) -> None:
    alone(bench, Fault.SENSOR, Fault.BUS)
    bench.read(0.5)
    assert bench.look() == []
    for _ in range(5):
        bench.read(None)  # the gauge is silent, the bucket speaks
        assert bench.look() == []
    for _ in range(5):
        bench.read(None)
        bench.look()
    assert [(one.fault, one.what, one.detail) for one in bench.agent._health.open] == [
        ("sensor", "gauge", "no good reading for 10 min")]
    assert bench.look(5) == ["sensor", "bus"]
    assert bench.agent._health.open[1].detail == "bus field: nothing on it answers for 5 min"
    bench.read(0.6)
    bench.look()
    assert bench.look(1.1) == []
    assert bench.told() == [("health", "sensor"), ("health", "bus"), ("cured", "sensor"), ("cured", "bus")]
    bench.stop()


def test_a_device_that_answers_nonsense_is_a_sick_sensor_on_a_sound_bus(bench: Watched) -> None:
    alone(bench, Fault.SENSOR, Fault.BUS)
    devices = bench.agent._station.devices[:2]
    for _ in range(12):
        bench.clock.pass_ms(MINUTE_MS)
        for device in devices:
            bench.agent.pipeline.heard(device, [Rejection(Reason.CHECKSUM, "noise")], 0.0)
        standing = bench.look()
    assert standing == ["sensor", "sensor"]
    bench.stop()


def test_a_full_disk_and_a_log_that_cannot_be_written_are_told(
    bench: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone(bench, Fault.DISK)
    assert bench.look() == []
    bench.checkup._rules = type(bench.checkup._rules)(disk_free_mb=1e6)
    assert bench.look() == ["disk"]
    bench.agent.recorder._error = said_of(OSError(errno.EROFS, os.strerror(errno.EROFS)))
    assert bench.look(0.2) == ["disk", "disk"]
    assert "Read-only" in bench.agent._health.open[0].detail
    bench.stop()


def test_a_folder_that_is_gone_or_read_only_is_a_fault_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkups._disk_wrong(tmp_path, 0.001) is None
    gone = checkups._disk_wrong(tmp_path / "gone", 1)
    assert "No such file" in str(gone)
    assert gone is not None
    assert "文件或目录不存在" in gone.zh
    fields = list(os.statvfs(tmp_path))
    fields[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda folder: os.statvfs_result(fields))
    assert "can only be read" in str(checkups._disk_wrong(tmp_path, 0.001))


def test_a_clock_that_nothing_sets_is_told_after_an_hour_and_one_behind_the_log_at_once(bench: Watched) -> None:
    alone(bench, Fault.CLOCK)
    assert bench.look() == bench.look(120) == []  # it cannot be known whether it is set
    bench.clock.in_sync = False
    assert bench.look() == bench.look(59) == []
    assert bench.look(1) == ["clock"]
    bench.clock.in_sync = True
    bench.look(1)
    assert bench.look(1) == []
    bench.clock.set_by(-20 * MINUTE_MS)
    assert bench.look() == ["clock"]
    assert bench.events(EventKind.CLOCK) == [("", "the clock stepped by -1200.0 s")], "the look took the step away"
    bench.stop()


@pytest.mark.parametrize(("ahead_ms", "said"), [(5_200, "+5.2 s"), (-7_000, "-7.0 s"), (4_900, "")])
def test_the_clock_is_compared_with_the_hubs_by_its_quickest_answer(bench: Watched, ahead_ms: int, said: str) -> None:
    alone(bench, Fault.DRIFT)
    for delay_ms in (30_000, 0, 900):  # on its way in a broker
        answer = encode(Committed(1, "hub", [], bench.clock.now_ms() - ahead_ms - delay_ms))
        topic, key = "tocsin/1/bridge/committed", bench.files.key
        asyncio.run(bench.agent.uplink.committed(topic, seal(answer, topic, key)))
    assert bench.look() == (["drift"] if said else [])
    assert [one.detail for one in bench.agent._health.open] == [f"the clock is {said} against the hub's"] * bool(said)
    assert bench.look(20) == (["drift"] if said else []), "an old comparison says nothing, neither good nor bad"
    bench.stop()


def test_a_clock_that_was_right_a_quarter_of_an_hour_ago_may_be_wrong_now(bench: Watched) -> None:
    alone(bench, Fault.DRIFT)
    bench.checkup.answered(Committed(1, "hub", [], bench.clock.now_ms()))
    bench.clock.pass_ms(16 * MINUTE_MS)
    bench.checkup.answered(Committed(1, "hub", [], bench.clock.now_ms() - 9_000))
    assert bench.look() == ["drift"]
    bench.stop()


def test_a_clock_that_was_set_is_compared_as_it_is_now(bench: Watched) -> None:
    alone(bench, Fault.DRIFT)
    bench.checkup.answered(Committed(1, "hub", [], bench.clock.now_ms() + 9_000))
    assert bench.look() == ["drift"]
    bench.clock.set_by(9_000)
    bench.look()
    assert bench.look(1.1) == []
    bench.stop()


def test_polls_that_are_rarer_to_save_the_battery_are_no_fault(tmp_path: Path) -> None:
    bench = Watched(tmp_path, STAGE + RAIN + '[[check]]\nquantity = "stage_m"\nstale_after_min = 60\n'
                    '[[check]]\nquantity = "rain_mm"\nstale_after_min = 60\n')
    alone(bench, Fault.SENSOR, Fault.BUS)
    bench.agent.care.power.state = PowerState.CRITICAL
    bench.read(0.5)
    assert bench.look() == bench.look(20) == []  # polls are five minutes apart
    assert bench.look(6) == ["sensor", "sensor", "bus"]
    bench.stop()


def test_an_answer_of_a_hub_that_says_no_time_is_no_comparison(bench: Watched) -> None:
    topic = "tocsin/1/bridge/committed"
    answer = b'{"v":1,"hub":"hub","ranges":[]}'
    asyncio.run(bench.agent.uplink.committed(topic, seal(answer, topic, bench.files.key)))
    assert bench.checkup._answers == 1
    assert not bench.checkup._hubs_ms
    bench.stop()


def test_heat_is_told_when_it_lasts_a_minute(bench: Watched) -> None:
    alone(bench, Fault.HEAT)
    bench.cpu(85)
    assert bench.look() == []
    assert bench.look(1) == ["heat"]
    (bench.thermal / "thermal_zone0" / "temp").write_text("off\n")
    assert bench.look(10) == ["heat"]
    bench.cpu(60)
    bench.look()
    assert bench.look(CURE_S / 60) == []
    bench.checkup.heat("charger/cabinet_temp_c", -31.5)
    bench.look()
    assert bench.look(1.1) == ["heat"]
    bench.stop()


def test_a_temperature_that_is_no_number_is_not_felt(bench: Watched) -> None:
    device = bench.agent._station.devices[0]
    for value, felt in ((float("nan"), []), (20.5, ["gauge/stage_m"])):
        care = bench.agent.care
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cares, "_TEMPERATURES", {"depth_m", "stage_m"})
            care.felt(device, [Reading(next(iter(device.series)), value)])
        assert list(bench.checkup._heat) == felt
    bench.stop()


async def test_no_connection_is_told_after_a_quarter_of_an_hour_and_not_while_the_link_sleeps(site: Site) -> None:
    async with site.agent() as agent:  # its broker is a port that nobody listens on
        checkup = agent.care.checkup
        await checkup.look()
        checkup.asleep = True
        site.clock.wind_to(site.clock.now_ms() + 60 * MINUTE_MS)
        await checkup.look()
        checkup.asleep = False
        site.clock.wind_to(site.clock.now_ms() + 14 * MINUTE_MS)
        await checkup.look()
        assert "link" not in {one.fault for one in agent._health.open}
        site.clock.wind_to(site.clock.now_ms() + MINUTE_MS)
        await checkup.look()
        broken = [one for one in agent._health.open if one.fault == "link"]
        assert [one.detail for one in broken] == ["no connection to the broker for 15 min"]
        checkup.asleep = True
        for _ in range(3):
            site.clock.wind_to(site.clock.now_ms() + MINUTE_MS)
            await checkup.look()
        assert [one for one in agent._health.open if one.fault == "link"] == broken, "sleep mends no link"


async def test_a_running_agent_looks_at_itself(site: Site) -> None:
    async with site.agent() as agent:
        site.wire.set_fault(1, Silent())
        for _ in range(12):
            wanted = agent.pipeline.handled + 1
            site.clock.wind_to(site.clock.now_ms() + MINUTE_MS)
            await agent.pipeline.wait_handled(wanted)
        await until(lambda: "sensor" in {one.fault for one in agent._health.open})
        assert [one.fault for one in agent._watch._heartbeat(online=True).faults][:1] == ["sensor"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)
