"""A station's log decides the same again: whatever came, whoever did what, and wherever the agent was killed."""

import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.checkpoint import CHECKPOINT
from edge.own_log import decisions_of, replayed
from edge.recorder import KINDS
from tests.edge_bench import GAUGE, LATCHED, MINUTE_MS, Bench
from tests.lines import until
from tests.stations import START_MS, wind
from tests.test_agent import Site
from tocsin.inputs import Config
from tocsin.log import Entry, Log
from tocsin.messages import Detection, Readings, Start, encode

HOUR_MS = 60 * MINUTE_MS

STAGE = """
[[rule]]
name = "stage"
quantity = "stage_m"
datum = "gauge zero"
n = 2
m = 3
off_below = 0.2
off_delay_min = 0
yellow = 2.0
orange = { on = 2.5, latch = true }
red = 3.0
hold_s = 90
[rule.authority]
red = "after"
"""
RISING = """
[[rule]]
name = "rising"
quantity = "stage_m"
datum = "gauge zero"
feature = "rate"
over_min = 20
off_below = 0.5
blue = 1.0
yellow = 3.0
"""
RAIN = """
[[rule]]
name = "rain"
quantity = "rain_mm"
over_min = 30
off_delay_min = 5
blue = 4
yellow = 10
orange = 20
"""
LONG_RAIN = RAIN.replace('"rain"', '"long rain"').replace("over_min = 30", "over_min = 180")
CHECK = """
[[check]]
quantity = "stage_m"
max_rate_per_min = 0.1
spike_floor = 0.4
stuck_after_h = 0.2
"""
RULES = (
    STAGE + RAIN + CHECK,
    STAGE + RISING + LONG_RAIN + CHECK,
    RISING + RAIN,
    STAGE.replace("yellow = 2.0\n", "").replace("red = 3.0", "red = 2.8") + LONG_RAIN + RAIN + CHECK,
    "[[rule]]\nname = 'wrong'\n",
)


def agree(bench: Bench) -> None:
    """What the log gives is what the agent decided, to the last byte; and it remembers the same."""
    bench.flush()
    own = replayed(bench.folder)
    assert list(map(encode, own.decided)) == list(map(encode, own.told))
    assert (own.skipped, own.damage, own.parted) == (0, [], [])


def storm(bench: Bench, dice: random.Random, steps: int) -> None:
    """Readings with faults, and all that people, clocks and power do, in any order."""
    stage = 1.5
    for _ in range(steps):
        stage = min(max(stage + dice.choice((-0.3, -0.1, 0.0, 0.0, 0.1, 0.4)), 0.0), 4.0)
        if dice.random() < 0.5:
            bench.read(stage, dice.choice((0.0, 0.0, 0.5, 2.0)))
        else:
            dice.choice(TROUBLES)(bench, dice, stage)


def outside(bench: Bench, dice: random.Random, stage: float) -> None:
    """What the instruments, the wire, the clock and time itself do."""
    match dice.randrange(4):
        case 0:
            bench.read(stage + dice.choice((3.0, -1.4, 40.0)))
        case 1:
            bench.read(None, after_ms=dice.choice((5, 40, 500)) * MINUTE_MS)
        case 2:
            bench.clock.set_by(dice.choice((-1500, -30_000, -3 * HOUR_MS, 5_000, HOUR_MS)))
        case _:
            bench.clock.pass_ms(dice.choice((10_000, 400_000)))
            bench.tick()


def inside(bench: Bench, dice: random.Random, _stage: float) -> None:
    """What the agent does by itself, and its death."""
    match dice.randrange(5):
        case 0:
            bench.reload(dice.choice(RULES))
        case 1:
            bench.kill(dice.randrange(12))
        case 2:
            bench.checkpoint()
        case 3:
            bench.agent.pipeline.remember()
        case _:
            bench.settle()


def operate(bench: Bench, dice: random.Random, _stage: float) -> None:
    """Something that a person does; what is refused changes nothing."""
    operations = bench.operations
    rule, series = dice.choice((("stage", "gauge/stage_m"), ("rain", "bucket/rain_total_mm")))
    try:
        match dice.randrange(7):
            case 5:
                operations.silence(dice.choice((0, 5, 10)), "Li Wei")
            case 6:
                operations.answer("button at the siren")
            case 0 | 1:
                operations.acknowledge(rule, series, "Li Wei")
            case 2:
                operations.clear(rule, series, "Li Wei")
            case 3:
                operations.shelve(rule, series, dice.choice((0, 10)), "Li Wei")
            case _:
                operations.service(dice.choice(("gauge", "bucket", GAUGE)), dice.choice((0, 5, 60)), "Li Wei")
    except ValueError:
        pass


TROUBLES: tuple[Callable[[Bench, random.Random, float], None], ...] = (outside, outside, inside, operate)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9))
def test_whatever_happened_the_log_gives_the_same_decisions(seed: int) -> None:
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder), RULES[0])
        storm(bench, random.Random(seed), 120)
        agree(bench)
        bench.kill()
        agree(bench)
        bench.stop()


# where a replay begins


def tail_of(bench: Bench, folder: Path, first: int, *, without: int = 0) -> Path:
    """A data folder with the log from record `first` on: what is left when old segments are gone."""
    copy = Log(folder / "log")
    copy.next_seq = first
    for entry in bench.agent._log.read(after=first - 1):
        if entry.seq != without:
            copy.next_seq = entry.seq
            copy.append([entry])
    copy.close()
    return folder


def rise_and_fall(bench: Bench) -> None:
    for stage in (1.0, 2.6, 2.6, 2.6, 1.0, 1.0, 1.0):
        bench.read(stage)


def test_without_its_beginning_a_log_is_replayed_from_what_was_remembered(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED)
    rise_and_fall(bench)
    before = len(bench.of(Detection))
    bench.agent.pipeline.remember()
    bench.operations.acknowledge("stage", GAUGE, "Li Wei")
    rise_and_fall(bench)
    bench.flush()
    own = replayed(tail_of(bench, tmp_path / "kept", 5))
    assert own.skipped > 5
    assert own.decided == own.told == [without_id(one) for one in bench.of(Detection)[before:]]
    assert len(own.told) > 1
    assert decisions_of(bench.folder) == [without_id(one) for one in bench.of(Detection)]
    bench.stop()


def without_id(detection: Detection) -> Detection:
    return msgspec.structs.replace(detection, boot="", seq=0)


def test_a_log_with_a_hole_says_where_it_and_the_agent_part(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED)
    rise_and_fall(bench)
    hole = next(record.seq for record in bench.of(Readings) if record.value == [2.6])
    bench.agent.pipeline.remember()
    bench.operations.acknowledge("stage", GAUGE, "Li Wei")
    rise_and_fall(bench)
    bench.flush()
    own = replayed(tail_of(bench, tmp_path / "kept", 1, without=hole))
    assert len(own.parted) == 1
    assert own.parted[0].endswith("the agent went on from another memory than the log gives")
    assert own.decided != own.told
    assert own.decided[1:] == own.told[1:] != []
    bench.stop()


def test_an_agent_that_cannot_go_on_from_its_log_alone_writes_down_what_it_remembers(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED)
    rise_and_fall(bench)
    bench.flush()
    hole = next(record.seq for record in bench.of(Readings) if record.value == [2.6])
    folder = bench.folder
    bench.stop()
    kept = tail_of(bench, tmp_path / "kept", 1, without=hole)
    folder.rename(tmp_path / "old")
    kept.rename(folder)
    bench.agent = bench._start()
    (remembered,) = [record for record in bench.of(Config) if record.memory]
    assert remembered.seq == bench.of(Start)[-1].seq + 1
    rise_and_fall(bench)
    bench.operations.acknowledge("stage", GAUGE, "Li Wei")
    bench.read(1.0)
    bench.flush()
    own = replayed(folder)
    after = [without_id(one) for one in bench.of(Detection) if one.seq > remembered.seq]
    assert after
    assert own.decided[-len(after):] == after
    bench.stop()


def test_what_cannot_be_read_is_named_and_the_rest_is_replayed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED)
    rise_and_fall(bench)
    bench.flush()
    bench.agent._log.append([Entry(bench.agent._log.next_seq, KINDS[Readings], b'{"kind":"readings"}')])
    own = replayed(bench.folder)
    assert own.decided == own.told
    assert len(own.damage) == 1
    bench.stop()


async def test_once_a_day_all_is_remembered_in_the_log_however_often_the_agent_is_started(tmp_path: Path) -> None:
    site = Site(tmp_path)
    begun = []
    for half_day in range(5):
        async with site.agent() as agent:
            (tmp_path / "station-data" / CHECKPOINT).unlink(missing_ok=True)  # it was used; the next is waited for
            await wind(agent, site.clock, [START_MS + half_day * 13 * HOUR_MS + 2 * MINUTE_MS], polls=2)
            await until((tmp_path / "station-data" / CHECKPOINT).exists)
            await agent.recorder.written(agent.recorder.last_seq)
        site.clock.wind_to(START_MS + (half_day + 1) * 13 * HOUR_MS)
        begun += [sum(isinstance(record, Config) and bool(record.memory) for record in site.files.log())]
    assert begun == [0, 0, 1, 1, 2]
