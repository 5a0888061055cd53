"""Group rules equal a plain loop, and the same log gives the same bytes however it is cut, restarted or looked at."""

import itertools
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.groups import run
from hub.groups_inputs import Input, Landed, Ruled, Ticked
from hub.groups_rules import Group
from hub.groups_state import Decision, State
from tests.hub_groups import CHAIN, COINCIDENCE, SILENCE, STEP_MS, TOO_OLD_MS, groups, plain_loop, row
from tests.village import at
from tocsin.levels import Level
from tocsin.messages import encode
from tocsin.times import utc

MINUTE_MS = 60_000
BEGIN = at("14:00")
NESTED = COINCIDENCE + CHAIN.replace('stations = ["a", "b"]\nquantity = "rain_mm"',
                                     'stations = ["group:rain net"]') + SILENCE
HYSTERESIS = COINCIDENCE.replace('at = "yellow"', 'at = "orange"\nuntil = "blue"').replace(
    "yellow = 2\n", "yellow = { on = 2, off = 1 }\non_delay_s = 90\n")
ALONE = SILENCE.replace("silent_min", 'alone = "blue"\nsilent_min')
TEXTS = {"coincidence": COINCIDENCE, "hysteresis": HYSTERESIS, "chain": CHAIN, "silence": SILENCE, "alone": ALONE}

steps = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from([None, *Level]),                     # None: a row that says nothing
    st.integers(0, 84),                                  # tens of seconds after the row before
    st.integers(0, 60),                                  # tens of seconds that it was on its way
    st.sampled_from(["rain 1 h", "rain 3 h"]),
)


def log_of(drawn: Sequence[tuple[str, Level | None, int, int, str]]) -> list[Landed]:
    rows, now, revision = [], BEGIN, 0
    sent: dict[tuple[str, str], int] = {}
    for station, level, gap, way, rule in drawn:
        now += gap * STEP_MS
        if level is None:
            rows.append(Landed(station, now))
            continue
        revision += 1
        # a station tells its own changes in order
        t = max(now - way * STEP_MS, sent.get((station, rule), 0) + STEP_MS)
        sent[station, rule] = t
        clock = [f"{utc(one + 8 * 3_600_000):%H:%M:%S}" for one in (t, now)]
        one = row(station, level, clock[0], revision, arrived=clock[1], rule=rule)
        day = (t + 8 * 3_600_000) // 86_400_000 == (BEGIN + 8 * 3_600_000) // 86_400_000
        if day and t <= now:
            rows.append(one)
    return rows


def decide(rules: Sequence[Group], inputs: Sequence[Input]) -> tuple[bytes, list[Decision]]:
    state, actions = run(State(), [Ruled(BEGIN, {}), *inputs], rules, TOO_OLD_MS)
    return encode(state), [one for one in actions if isinstance(one, Decision)]


@pytest.mark.parametrize("name", TEXTS)
@given(drawn=st.lists(steps, max_size=20))
def test_decisions_are_those_of_a_plain_loop(name: str, drawn: list[tuple[str, Level | None, int, int, str]]) -> None:
    rules = groups(TEXTS[name])
    rows = log_of(drawn)
    end = max([BEGIN, *(one.at for one in rows)]) + 150 * MINUTE_MS
    _, decided = decide(rules, [*rows, Ticked(end)])
    assert [(one.at, one.level) for one in decided] == plain_loop(rules[0], rows, BEGIN, end)


@given(drawn=st.lists(steps, max_size=25), cuts=st.lists(st.integers(0, 25), max_size=6), data=st.data())
def test_cuts_restarts_and_idle_ticks_change_no_byte(
    drawn: list[tuple[str, Level | None, int, int, str]], cuts: list[int], data: st.DataObject
) -> None:
    rules = groups(NESTED)
    rows = log_of(drawn)
    whole = decide(rules, rows)
    state, _ = run(State(), [Ruled(BEGIN, {})], rules, TOO_OLD_MS)
    found: list[Decision] = []
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    for first, last in itertools.pairwise(edges):
        state = msgspec.json.decode(encode(state), type=State)
        part: list[Input] = list(rows[first:last])
        if last < len(rows) and part:    # the hub looks at the clock between two rows
            before = rows[last - 1].at
            part.append(Ticked(data.draw(st.integers(before, rows[last].at))))
        state, actions = run(state, part, rules, TOO_OLD_MS)
        found += [one for one in actions if isinstance(one, Decision)]
    assert encode(found) == encode(whole[1])
    if rows:
        state, _ = run(state, [], rules, TOO_OLD_MS)
        assert encode(msgspec.structs.replace(state, t=0)) == encode(
            msgspec.structs.replace(msgspec.json.decode(whole[0], type=State), t=0))


@given(order=st.permutations([("a", Level.YELLOW), ("b", Level.RED), ("c", Level.ORANGE)]), again=st.integers(0, 2))
def test_the_order_within_one_arrival_and_a_repeat_decide_nothing_else(
    order: list[tuple[str, Level]], again: int
) -> None:
    rules = groups(NESTED)
    rows = [row(station, level, "14:05", 1) for station, level in order]
    _, decided = decide(rules, [*rows, rows[again], Ticked(at("14:06"))])
    newest = {one.group: (one.level, one.since) for one in decided}
    assert newest == {"rain net": (Level.RED, at("14:05")), "down the valley": (Level.BLUE, at("14:05"))}


@given(drawn=st.lists(steps, max_size=20), back=st.integers(0, 30), where=st.integers(0, 20))
def test_a_clock_that_is_set_back_stops_the_time_and_loses_nothing(
    drawn: list[tuple[str, Level | None, int, int, str]], back: int, where: int
) -> None:
    rules = groups(NESTED)
    rows = log_of(drawn)
    set_back = [Landed(one.station, one.at - back * MINUTE_MS if number >= where else one.at, one.record)
                for number, one in enumerate(rows)]
    times = [one.at for one in decide(rules, set_back)[1]]
    assert times == sorted(times)
