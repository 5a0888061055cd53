"""The data budget: bytes are counted through restarts and wrong clocks, and what is thinned is told."""

from pathlib import Path

import pytest

from edge.budget import FILE, STEPS, Budget, Meter, step_of
from edge.recorder import KINDS
from tocsin.log import Entry
from tocsin.messages import EventKind, Readings, Summary, encode
from tocsin.said import Said
from tocsin.times import ms_of
from tocsin.traffic import Traffic

DAY_MS = 86_400_000
JUNE = ms_of("2024-06-01T00:00:00Z")


def sent(network: int) -> Traffic:
    return Traffic(10, network=network)


def test_the_days_bytes_and_the_months_survive_a_restart(tmp_path: Path) -> None:
    meter, traffic = Meter(tmp_path), sent(0)
    for day in range(3):
        traffic.network += 100
        meter.update(traffic, JUNE + day * DAY_MS)
    meter.save()
    again = Meter(tmp_path)
    again.update(sent(7), JUNE + 2 * DAY_MS)
    assert (again.today(JUNE + 2 * DAY_MS), again.month(JUNE + 2 * DAY_MS)) == (107, 307)
    assert again.month(JUNE + 30 * DAY_MS) == 0


def test_a_clock_that_was_wrong_for_a_while_does_not_lose_the_month(tmp_path: Path) -> None:
    """A board without a clock of its own starts in 1970."""
    meter, traffic = Meter(tmp_path), sent(1000)
    meter.update(traffic, JUNE)
    meter.save()
    meter, traffic = Meter(tmp_path), sent(5)
    meter.update(traffic, 0)
    traffic.network += 10
    meter.update(traffic, JUNE)
    assert meter.month(JUNE) == 1010


def test_the_file_is_written_now_and_then_and_one_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    meter, traffic = Meter(tmp_path), sent(0)
    meter.update(traffic, JUNE)
    assert not (tmp_path / FILE).exists(), "counting waits for no disk"
    written = []
    for second in range(0, 3600, 10):
        (tmp_path / FILE).unlink(missing_ok=True)
        meter.save_due(JUNE + second * 1000)
        written += [second] if (tmp_path / FILE).exists() else []
    assert written == [*range(0, 3600, 1800)]
    meter.save()
    (tmp_path / FILE).write_bytes(b"{ torn")
    assert Meter(tmp_path).month(JUNE) == 0
    assert len(Meter(tmp_path)._days) == 0
    for day in range(100):
        meter.update(traffic, JUNE + day * DAY_MS)
    assert len(meter._days) == 62


@pytest.mark.parametrize(("used", "day", "before", "step"), [
    (0.0, 0, 0, 0),
    (1 / 30, 0, 0, 0),           # a day's share may be used at once
    (1.1 / 30, 0, 0, 1),
    (11 / 30, 10, 0, 0),
    (11.1 / 30, 10, 0, 1),
    (10.7 / 30, 10, 1, 1),       # half a day's share must be there again
    (10.4 / 30, 10, 1, 0),
    (0.99, 29.9, 0, 0),
    (1.0, 29.9, 0, 2),
    (1.0, 29.9, 1, 2),
])
def test_how_much_is_thinned_goes_by_the_month(used: float, day: float, before: int, step: int) -> None:
    assert step_of(round(used * 30_000_000), 30_000_000, JUNE + round(day * DAY_MS), before) == step


class Desk:
    """What a budget records and tells."""

    def __init__(self, folder: Path, monthly_mb: float) -> None:
        self.summaries: list[Summary] = []
        self.told: list[tuple[EventKind, Said]] = []
        self.budget = Budget(monthly_mb, folder, lambda: True)
        self.budget.traffic = Traffic(10)

    def tick(self, now_ms: int) -> None:
        self.budget.tick(now_ms, self._record, lambda what, detail: self.told.append((what, detail)))

    def _record(self, summary: Summary) -> int:
        self.summaries.append(summary)
        return len(self.summaries)


def test_over_budget_summaries_come_more_rarely_and_it_is_told_once_each_way(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 30)
    assert desk.budget.traffic is not None
    assert desk.budget.thinner is not None
    desk.tick(JUNE)
    assert (desk.budget.summary_s, desk.budget.heartbeat_s, desk.told) == (300, 600, [])
    desk.budget.traffic.network = 2_000_000
    desk.tick(JUNE + 1)
    desk.tick(JUNE + 2)
    assert (desk.budget.summary_s, desk.budget.thinner.factor) == (900, 4.0)
    desk.budget.traffic.network = 30_000_000
    desk.tick(JUNE + 3)
    assert (desk.budget.summary_s, desk.budget.thinner.factor) == (3600, STEPS[2].factor)
    desk.tick(JUNE + 31 * DAY_MS)
    assert [what for what, _ in desk.told] == [EventKind.BUDGET] * 3
    said = zip(("every 15 min", "used up", "holds again"), desk.told, strict=True)
    assert all(words in detail.en for words, (_, detail) in said)
    assert (desk.budget.step, desk.budget.thinner.factor) == (0, 1.0)


def test_a_window_ends_with_the_first_tick_after_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 30)
    assert desk.budget.thinner is not None
    record = Readings("00000000000000aa", 1, [JUNE + 1], ["gauge/stage_m"], [1.0], [0])
    desk.budget.thinner.keeps(Entry(1, KINDS[Readings], encode(record)))
    desk.tick(JUNE + 299_999)
    assert desk.summaries == []
    desk.tick(JUNE + 300_000)
    assert [(one.since, one.last) for one in desk.summaries] == [(JUNE + 1, [1.0])]


def test_without_a_budget_nothing_is_held_back_and_the_bytes_are_counted(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 0)
    assert desk.budget.traffic is not None
    desk.budget.traffic.network = 1_000_000_000
    desk.tick(JUNE)
    assert (desk.budget.thinner, desk.budget.step, desk.budget.summary_s, desk.told) == (None, 0, 0.0, [])
    assert desk.budget.meter.today(JUNE) == 1_000_000_000
    assert (desk.budget.heartbeat_s, desk.budget.keepalive_s) == (60, 10)
