"""Service mode: of a device or of one series, while all else stays live; and what it does to counters."""

from pathlib import Path

import pytest

from edge.agent import Agent
from edge.config import load_station
from edge.own_log import replayed
from edge.sayings import say
from tests.edge_bench import BUCKET, GAUGE, LATCHED, MINUTE_MS, RAIN, STAGE, Bench
from tests.stations import START_MS, SetClock, StationFiles
from tests.test_own_log import agree
from tocsin.inputs import Service
from tocsin.levels import Level
from tocsin.messages import Detection, Event, EventKind, Readings, encode, record_of
from tocsin.readings import Quality, Reading

GAS = """
[[device]]
name = "gas"
bus = "field"
driver = "gas_detector"
unit = 3
settings = { gases = ["ch4", "h2s"] }
"""
GAS_RULES = "".join(f'[[rule]]\nname = "{name}"\nquantity = "{quantity}"\nn = 1\nm = 1\nred = {red}\n'
                    for name, quantity, red in (("methane", "ch4_pct_lel", 20), ("sulphide", "h2s_ppm", 10)))
OLD = b'{"kind":"service","boot":"b","seq":7,"t":1,"device":"gauge","until":9,"who":"Li Wei"}'


def test_of_one_device_one_series_is_worked_on_and_the_other_stays_live(tmp_path: Path) -> None:
    clock = SetClock(START_MS)
    files = StationFiles(tmp_path, "tcp://127.0.0.1:9", devices=GAS, rules=GAS_RULES)
    agent = Agent(load_station(files.write()), clock)
    gas = agent._station.devices[0]

    def read(ch4: float, h2s: float) -> list[str]:
        clock.pass_ms(MINUTE_MS)
        before = agent.recorder.last_seq
        agent.pipeline.heard(gas, [Reading("ch4_pct_lel", ch4), Reading("h2s_ppm", h2s)], 0.0)
        records = [record_of(entry.payload) for entry in agent.recorder._pending if entry.seq > before]
        return [record.rule for record in records if isinstance(record, Detection)]

    assert read(0.0, 0.0) == []
    said = agent.operations.service("gas/ch4_pct_lel", 30, "Li Wei")
    assert str(said) == "gas/ch4_pct_lel: Li Wei works on it for at most 30 min"
    assert read(50.0, 0.0) == [], "test gas"
    assert read(50.0, 12.0) == ["sulphide"]
    agent.operations.service("gas", 0, "Li Wei")
    assert read(50.0, 0.0) == ["methane"]
    events = [record_of(entry.payload) for entry in agent.recorder._pending]
    assert [(event.device, event.series) for event in events
            if isinstance(event, Event) and event.what is EventKind.SERVICE] == [("", "gas/ch4_pct_lel")] * 2
    assert [event.series for event in events if isinstance(event, Service)] == ["gas/ch4_pct_lel"] * 2, \
        "the end of its device's service says nothing of the series that was live: its counter goes on"
    agent.recorder.close()
    agent._lock.close()


def test_a_series_and_its_device_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.operations.service(GAUGE, 10, "Li Wei")
    bench.operations.service("gauge", 30, "Li Wei")
    with pytest.raises(ValueError, match='"gauge" is in service as a whole; end that first'):
        bench.operations.service(GAUGE, 0, "Li Wei")
    assert bench.agent.pipeline.decider.service == {"gauge": START_MS + 30 * MINUTE_MS}
    bench.operations.service("gauge", 0, "Li Wei")
    assert bench.agent.pipeline.decider.service == {}
    with pytest.raises(ValueError, match='"gauge/stage_m" is not in service'):
        bench.operations.service(GAUGE, 0, "Li Wei")
    with pytest.raises(ValueError, match='"gauge/rain_mm" is not a series of gauge; use gauge/stage_m'):
        bench.operations.service("gauge/rain_mm", 5, "Li Wei")
    bench.stop()


@pytest.mark.parametrize("shelved", [False, True])
def test_while_a_warning_is_open_nobody_begins_and_everybody_may_end(tmp_path: Path, shelved: bool) -> None:
    bench = Bench(tmp_path, LATCHED + RAIN)
    bench.read(0.5)
    bench.operations.service("bucket", 30, "Li Wei")
    bench.read(2.6)
    if shelved:
        bench.operations.shelve("stage", GAUGE, 10, "Li Wei")
    before = bench.agent.recorder.last_seq
    for name in ("gauge", GAUGE, "bucket"):
        with pytest.raises(ValueError, match='not while a warning is open: "stage" on gauge/stage_m is at orange'):
            bench.operations.service(name, 5, "Li Wei")
    assert bench.agent.recorder.last_seq == before
    bench.operations.service("bucket", 0, "Li Wei")
    bench.operations.clear("stage", GAUGE, "Li Wei")
    bench.operations.service("gauge", 5, "Li Wei")
    bench.stop()


@pytest.mark.parametrize("name", ["bucket", BUCKET])
@pytest.mark.parametrize("by_itself", [False, True])
@pytest.mark.parametrize("seen", [0, 2])
@pytest.mark.parametrize("killed", [False, True])
def test_tips_behind_the_last_reading_in_service_are_no_rain(
    tmp_path: Path, name: str, by_itself: bool, seen: int, killed: bool
) -> None:
    bench = Bench(tmp_path)
    for _ in range(3):
        bench.read(0.5, 0.5)
    bench.operations.service(name, 10, "Li Wei")
    for _ in range(seen):
        bench.read(0.5, 5.0)
    bench.total += 20.0    # with no reading before the end
    if killed:
        bench.kill(100)
    if by_itself:
        bench.clock.pass_ms(11 * MINUTE_MS)
    else:
        bench.operations.service(name, 0, "Li Wei")
    for _ in range(3):
        bench.read(0.5)
    assert bench.levels() == []
    bench.read(0.5, 4.5)
    bench.read(0.5)
    assert bench.levels() == [("rain", Level.BLUE)], "rain counts again"
    bits = [record.quality[0] & Quality.SERVICE for record in bench.of(Readings) if record.series == [BUCKET]]
    assert sum(map(bool, bits)) == seen
    agree(bench)
    bench.stop()


def test_a_record_of_before_reads_as_it_did_and_stays_the_same_bytes() -> None:
    record = record_of(OLD)
    assert record == Service("b", 7, 1, "gauge", 9, "Li Wei", "", False)
    assert encode(record) == OLD


def test_an_end_of_before_did_not_begin_counters_anew(tmp_path: Path) -> None:
    """So that an old log gives the decisions that were told."""
    bench = Bench(tmp_path, STAGE + RAIN)
    bench.read(0.5)
    pipeline = bench.agent.pipeline
    pipeline.decide(Service("", 0, pipeline.now_ms(), "bucket", pipeline.now_ms() + MINUTE_MS, "Li Wei"))
    pipeline.decide(Service("", 0, pipeline.now_ms(), "bucket", 0, "Li Wei"))
    bench.read(0.5, 4.5)
    bench.read(0.5)
    assert bench.levels() == [("rain", Level.BLUE)]
    bench.flush()
    assert replayed(bench.folder).decided == replayed(bench.folder).told
    bench.stop()


def test_what_is_over_and_not_ended_yet_is_in_nobodys_way(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    servicing = bench.operations.servicing
    bench.operations.service("gauge", 5, "Li Wei")
    bench.operations.service("bucket", 20, "Li Wei")
    bench.clock.pass_ms(10 * MINUTE_MS)
    assert str(bench.operations.service("", 0, "Li Wei")) == "bucket: Li Wei ended service mode"
    servicing.toggle(20, say("service_button"))
    assert bench.agent.pipeline.decider.in_service("gauge", bench.clock.now_ms()), "the button begins: nothing was left"
    bench.stop()
