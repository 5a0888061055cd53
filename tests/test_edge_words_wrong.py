"""What a station says wrongly or not at all: the siren's reason, other rules that could not come in, large memories."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import backward
from edge.findings import reason_of
from tests.edge_bench import RAIN, STAGE, Bench
from thresholds.kernel import Change
from thresholds.rules import bind, rules_of
from thresholds.series import Series
from tocsin import segment as segments
from tocsin.inputs import Config
from tocsin.levels import Authority, Level, Stage
from tocsin.log import Entry
from tocsin.messages import EventKind, Start

LOW_CUSUM = {"name": "sinking", "quantity": "o2_pct_vol", "feature": "cusum", "direction": "low", "allowance": 0.2,
             "reference": 20.9, "red": 10.0}


@pytest.mark.parametrize(("level", "previous", "value", "threshold", "said"), [
    (Level.RED, Level.CLEAR, 12.5, 10.0, "sinking: 12.5 % vol is at or above 10"),
    (Level.CLEAR, Level.RED, 4.0, 5.0, "sinking: 4 % vol is below 5"),
])
def test_a_cusum_adds_up_also_where_low_is_bad(
    level: Level, previous: Level, value: float, threshold: float, said: str
) -> None:
    series = Series("pump/o2_pct_vol", "o2_pct_vol", 60_000, (0.0, 30.0))
    plan = bind(rules_of({"rule": [LOW_CUSUM]}, "rules"), [series])
    change = Change(plan.tracks[0], 0, level, previous, 1, "0" * 16, 0, value, threshold, Stage.MOVE, Authority.AUTO)
    assert reason_of(change) == said


def unreadable(*_args: object, **_named: object) -> Iterator[Entry]:
    raise OSError(5, "Input/output error")


def test_other_rules_that_could_not_come_in_because_of_the_disk_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sent SIGHUP has no other answer."""
    bench = Bench(tmp_path)
    bench.flush()
    with monkeypatch.context() as patch:
        patch.setattr(backward, "read_log", unreadable)
        assert "the log cannot be read" in bench.reload(RAIN)
    (_, told), = bench.events(EventKind.RULES)
    assert told.startswith("refused, the rules stay as they were: the log cannot be read: ")
    bench.stop()


def test_a_rule_that_may_go_goes_once_the_disk_can_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.read(2.6)
    bench.reload(RAIN)
    bench.read(1.0)
    bench.flush()
    with monkeypatch.context() as patch:
        patch.setattr(backward, "read_log", unreadable)
        bench.settle()
    assert [rule.name for rule in bench.of(Start)[-1].card.rules] == ["rain", "stage"]
    bench.settle()
    assert [rule.name for rule in bench.of(Start)[-1].card.rules] == ["rain"]
    bench.stop()


def test_a_memory_too_large_for_a_record_does_not_stop_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, STAGE)
    bench.read(0.5)
    bench.flush()
    bench.agent._log.sync()
    monkeypatch.setattr(segments, "_MAX_PAYLOAD", 1000)
    bench.agent.pipeline.remember()
    (_, told), = bench.events(EventKind.FAULT)
    assert told.startswith("what is remembered is not in the log: ")
    bench.read(2.6)
    bench.flush()
    assert bench.levels() == [("stage", Level.ORANGE)]
    assert [record for record in bench.of(Config) if record.memory] == []
    bench.stop()
