"""A thousand settings tried on ten station-years, against full scans

Ten stations with a year each at 5 min (105,120 rows): a rain counter and a stage with the faults of the bench `kernel`
and about 65 storms together. Six rules are tuned: the rain of 1, 3, 6 and 24 h, the stage, and its rate over an hour.
Each is tried with every combination of its `on`, `off` and N of M, a thousand settings in all; an answer is the
episodes of each setting at each station.

Ours is what `tocsin tune` does: readings and running sums from the kernel once, features only where they may come to
the lowest `off`, then per setting only the readings that are not below its own. All sides have one thread. The
*numba scan* works out the same features once and goes over every reading for each setting, compiled
before the clock starts. *pandas* does both with rolling windows; it is given a few of the settings, and its time is
reckoned up to all of them. The episodes must be the same, or the bench fails.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks._extra import have, peer
from benchmarks._rows import BenchError, Row, medians, repeats_of
from benchmarks._tune_peers import HOUR_MS, Feature, Found, Loops, Pandas, Record, Trial
from benchmarks._workload import DAY_ROWS, MINUTE_MS, block_of, plan_of, storms_of_year
from thresholds.plan import Plan
from thresholds.replay.history import History
from thresholds.rule import Rule, Rules
from thresholds.rules import rules_of
from thresholds.tune.evaluate import evaluate
from thresholds.tune.features import sheet_of, work
from thresholds.tune.sheet import Setting, Sheet
from tocsin.levels import Level

PERIOD_MS = 5 * MINUTE_MS
YEAR_ROWS = 365 * DAY_ROWS // 5
STATIONS, STORMS, SETTINGS = 10, 7, 1_000
HOURS = (1, 3, 6, 24)
TOP = {1: 60_000, 3: 120_000, 6: 160_000, 24: 200_000}    # the highest `on` of each sum, thousandths of a mm
TOP_STAGE, TOP_RATE = 3_000, 1_500                         # of the stage, thousandths of a m; of its rate, an hour
CALM_STAGE = 1_000                                         # a stage in calm is below
AGREE = ((1, 1), (2, 3), (3, 5), (4, 5))
OFF_SHARES = (0.6, 0.7, 0.8, 0.9)
MIN_VALID = 800
NUMBA_BAR, PANDAS_BAR, MORE_BAR_MS = 1 / 3, 1 / 60, 1_000.0
FEW = 84    # pandas is given one setting of so many
WHY = "ours works out coverage, lone sums and holes too, which the peers leave out"


@dataclass(frozen=True, slots=True)
class Workload:
    """The records of all stations, for each side as it takes them, and the settings of each of the six features."""

    plan: Plan
    histories: list[History]
    records: list[tuple[Record, Record]]
    trials: list[list[Trial]]

    @property
    def count(self) -> int:
        return sum(map(len, self.trials))


def run(quick: bool) -> list[Row]:
    """All rows; those beside a peer that is not installed are left out. Raises BenchError where sides disagree, and
    MissingPeerError where no peer is there: the plain scan takes too long for more than `quick`.
    """
    repeats = repeats_of(quick, slow=True)
    known = [name for name in ("numba", "pandas") if have("tune", name)]
    if not known and not quick:
        peer("numba")
    load = workload(2, 4_000, 24) if quick else workload(STATIONS, YEAR_ROWS, SETTINGS)
    sheets, what = sheets_of(load), f"{SETTINGS:,} settings, {STATIONS} station-years"
    found: list[Row] = []
    if "numba" in known or quick:
        name = "numba scan" if "numba" in known else "plain scan"
        side, more = Loops(load.plan, compiled="numba" in known), replace(load, trials=trials_of(load.count, shift=1))
        for one in (load, more):
            check(name, by_evaluate(one, sheets), by_peer(side, one))
        ours, theirs = medians(repeats, lambda: _ms(_ours, load), lambda: _ms(by_peer, side, load))
        found.append(Row(what, ours, theirs, name, "ms", repeats, ratio_bar=NUMBA_BAR, why=WHY))
        ours, theirs = medians(repeats, lambda: _ms(by_evaluate, more, sheets), lambda: _ms(by_peer, side, more))
        found.append(Row(f"{SETTINGS:,} settings more", ours, theirs, name, "ms", repeats, bar=MORE_BAR_MS, why=WHY))
    if "pandas" in known:
        rolling, few = Pandas(load.plan), replace(load, trials=[trials[::FEW] for trials in load.trials])
        check("pandas", by_evaluate(few, sheets), by_peer(rolling, few))
        ours, theirs = medians(repeats, lambda: _ms(_ours, load), lambda: _ms_reckoned(rolling, load, few))
        found.append(Row(what, ours, theirs, "pandas", "ms", repeats, ratio_bar=PANDAS_BAR, why=WHY))
    return found


def workload(stations: int, rows: int, settings: int) -> Workload:
    """So many stations with so many rows each, and so many settings over all features."""
    plan, records, histories = plan_of(2, PERIOD_MS), list[tuple[Record, Record]](), list[History]()
    for number in range(stations):
        storms = storms_of_year(rows, STORMS - number % 2, seed=number)
        block = block_of(plan, rows, storms, seed=number)
        t, there = block.now_ms + block.t_ms.max(axis=1) % PERIOD_MS % 4_000, block.quality == 0
        histories.append(History(f"station-{number}", plan.series, t, block.raw, block.quality))
        radar, gauge = ((t[there[:, column]], block.raw[there[:, column], column]) for column in (0, 1))
        records.append((gauge, radar))
    return Workload(plan, histories, records, trials_of(settings))


def trials_of(count: int, shift: int = 0) -> list[list[Trial]]:
    """For each of the six features; `shift` moves all thresholds a little."""
    ranges = [*((0, TOP[hours]) for hours in HOURS), (CALM_STAGE, TOP_STAGE), (0, TOP_RATE)]
    per_feature = [count // len(ranges) + (number < count % len(ranges)) for number in range(len(ranges))]
    return [_trials(*between, settings, shift) for between, settings in zip(ranges, per_feature, strict=True)]


def _trials(low: int, top: int, count: int, shift: int) -> list[Trial]:
    steps = -(-count // (len(AGREE) * len(OFF_SHARES)))
    ons = [low + (top - low) * (step + 1) // steps + 7 * shift for step in range(steps)]
    every = [(on, low + round((on - low) * share), n, m)
             for on, share, (n, m) in itertools.product(ons, OFF_SHARES, AGREE)]
    return every[:count]


def _rules() -> tuple[list[Rule], list[Rule], Rules]:
    """The rain rules, the rules on the stage, and the file that they stand in."""
    tables: list[dict[str, object]] = [
        {"name": f"rain {hours} h", "quantity": "rain_mm", "over_min": 60 * hours, "yellow": TOP[hours] / 1000}
        for hours in HOURS]
    tables += [{"name": "stage", "quantity": "stage_m", "yellow": TOP_STAGE / 1000, "off_below": 0.1},
               {"name": "rate", "quantity": "stage_m", "feature": "rate", "over_min": 60, "yellow": TOP_RATE / 1000}]
    checks = [{"quantity": "stage_m", "max_rate_per_min": 0.5, "spike_floor": 0.3}]
    rules = rules_of({"rule": tables, "check": checks}, "bench")
    return list(rules.rules[:len(HOURS)]), list(rules.rules[len(HOURS):]), rules


def sheets_of(load: Workload) -> list[Sheet]:
    """The six features at every taken reading of all stations, from the kernel."""
    rain, stage, rules = _rules()
    found = [(work(variants, [], rules, load.histories), len(variants)) for variants in (rain, stage)]
    return [sheet_of(one, number, Level.YELLOW) for one, count in found for number in range(count)]


def by_evaluate(load: Workload, sheets: list[Sheet]) -> list[Found]:
    """The episodes of each setting, all stations one after the other."""
    found: list[Found] = []
    for number, (sheet, trials) in enumerate(zip(sheets, load.trials, strict=True)):
        settings = [Setting(on, off, n, m, 0, 0, MIN_VALID if number < len(HOURS) else 1_000, on)
                    for on, off, n, m in trials]
        found += [(one.raised.tolist(), one.cleared.tolist()) for one in evaluate(sheet, settings)]
    return found


def _ours(load: Workload) -> list[Found]:
    return by_evaluate(load, sheets_of(load))


def by_peer(side: Loops | Pandas, load: Workload) -> list[Found]:
    """The same: features once, then every reading for each setting."""
    stations = features_of(side, load)
    return scans_of(side, load, stations)


def features_of(side: Loops | Pandas, load: Workload) -> list[list[Feature]]:
    """Of each station its six features."""
    overs = [hours * HOUR_MS for hours in HOURS]
    return [side.features(gauge, radar, overs, HOUR_MS) for gauge, radar in load.records]


def scans_of(side: Loops | Pandas, load: Workload, stations: list[list[Feature]]) -> list[Found]:
    found: list[Found] = []
    for number, trials in enumerate(load.trials):
        for trial in trials:
            parts = [side.episodes(features[number], trial) for features in stations]
            found.append(([t for raised, _ in parts for t in raised], [t for _, cleared in parts for t in cleared]))
    return found


def check(name: str, ours: list[Found], theirs: list[Found]) -> None:
    """Raises BenchError where the episodes differ, or where there are none."""
    if ours != theirs:
        wrong = next(number for number, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other)
        raise BenchError(f"tocsin tune and {name} came to different episodes, first for setting {wrong}")
    if not any(raised for raised, _ in ours):
        raise BenchError("no setting was ever raised")


def _ms(action: Callable[..., object], *given: object) -> float:
    began_s = time.perf_counter()
    action(*given)
    return (time.perf_counter() - began_s) * 1000


def _ms_reckoned(side: Pandas, load: Workload, few: Workload) -> float:
    """Features, and the scans of a few settings reckoned up to all."""
    began_s = time.perf_counter()
    stations = features_of(side, few)
    between_s = time.perf_counter()
    scans_of(side, few, stations)
    scans_s = (time.perf_counter() - between_s) * load.count / few.count
    return (between_s - began_s + scans_s) * 1000
