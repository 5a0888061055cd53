"""The agent beside other gateways, on the harness of the shared data

20 devices of 10 registers each second on one Modbus TCP connection, a real Mosquitto, and for the agent its log, a
rule for every series and something that answers `committed`. The floor is the shortest honest script in Python
(pymodbus and paho), which logs nothing and decides nothing. CPU and memory are those of the gateway's processes. *Read
to MQTT* begins when the device serves a new value and ends when a subscriber sees it. Where one device of 20
misbehaves, the rate and the longest silence are those of the other 19. Peers that are not installed are left out and
named: `floor_c` is such a script in C (libmodbus and libmosquitto); `modpoll` (1.6), `nodered` (Node-RED) and
`thingsboard` (its gateway, 3.8) are configured as their users would.
"""

import sys
from statistics import median
from typing import Any

from benchmarks._contender import find_harness, installed, measured
from benchmarks._rows import BenchError, Row

FLOOR = "floor_py"
_BASE = 17_000  # and a thousand on: no port that a test takes, none that a system gives out by itself
_TURNS = 3
_MODES = {"hang": "hangs", "garbage": "sends garbage", "exc": "refuses"}
_WHY = "every reading is on disk, judged and numbered before it goes out; no peer judges or numbers any"
_KEEPS = "the script keeps what was not sent in memory, and sends what was read in the end"
Numbers = dict[str, Any]


def run(quick: bool) -> list[Row]:
    """Rows of the issue's bars. Raises MissingPeerError without the harness, BenchError where a contender fails."""
    find_harness()
    there, missing = installed()
    if missing:
        print(f"peers: not installed, left out: {', '.join(missing)}", file=sys.stderr)
    peers = [FLOOR, *([] if quick else there)]
    steady = _each("steady", peers, secs=2 if quick else 30)
    rows = [row for name in peers for row in _steady(steady["tocsin"], steady[name], name)]
    if quick:
        return rows
    highest = _highest_of(["tocsin", *peers])
    rows += [_highest(highest["tocsin"], highest[name], name) for name in peers]
    faults = _each("fault", peers, secs=60)
    rows += [row for name in peers for mode in _MODES for row in _fault(faults["tocsin"], faults[name], mode, name)]
    away = (("60 s without a broker", "outage", 60), ("kill -9, broker away", "kill9", 20))
    for what, experiment, secs in away:
        found = _each(experiment, peers, secs=secs)
        rows += [_kept(what, found["tocsin"], found[name], name) for name in peers]
    return rows


def _asked(**given: Any) -> Numbers:
    """What the harness's command line would give."""
    usual = {"devices": 20, "registers": 10, "secs": 30, "period0": 1.0, "rungs": 6, "modes": ",".join(_MODES),
             "opts": "{}", "watch": 40, "base": _BASE}
    return usual | given


def _period_of(name: str) -> float:
    """Where the search begins: at the bar's 32,000 registers/s; the script goes as fast as it can."""
    return 0.0 if name.startswith("floor") else 0.0625 if name == "tocsin" else 0.5


def _each(experiment: str, peers: list[str], **asked: Any) -> dict[str, Numbers]:
    return {name: measured(experiment, name, **_asked(**asked)) for name in ["tocsin", *peers]}


def _steady(ours: Numbers, theirs: Numbers, name: str) -> list[Row]:
    for who, numbers in (("tocsin", ours), (name, theirs)):
        if not numbers["startup_s"] or not numbers["read_to_mqtt_ms_p99"]:
            raise BenchError(f"{who} published nothing: {numbers}")
    floor = name == FLOOR

    def row(what: str, key: str, unit: str, bar: float | None = None, ratio_bar: float | None = None) -> Row:
        return Row(what, ours[key], theirs[key], name, unit, 1, floor=floor, bar=bar,
                   ratio_bar=ratio_bar if floor else None, why=_WHY)

    return [
        row("CPU", "cpu_s_per_min", "s/min", ratio_bar=2.0),
        row("memory at the most", "peak_rss_mb", "MiB", bar=60.0),
        row("read to MQTT, p50", "read_to_mqtt_ms_p50", "ms"),
        row("read to MQTT, p99", "read_to_mqtt_ms_p99", "ms", bar=15.0),
        row("start to first reading", "startup_s", "s", bar=1.0),
    ]


def _highest_of(names: list[str]) -> dict[str, float]:
    """Registers/s, the median of turns: what else the machine does meanwhile must not fall upon one of them."""
    turns = [{name: measured("maximum", name, **_asked(secs=10, devices=200, period0=_period_of(name), rungs=3))
              for name in names} for _ in range(_TURNS)]
    return {name: median(turn[name]["most_delivered_regs_per_s"] for turn in turns) for name in names}


def _highest(ours: float, theirs: float, name: str) -> Row:
    return Row("highest rate, 200 devices", ours, theirs, name, "registers/s", _TURNS, more_is_better=True,
               floor=name == FLOOR, bar=32_000.0, why=_WHY)


def _fault(ours: Numbers, theirs: Numbers, mode: str, name: str) -> list[Row]:
    what, floor = f"one of 20 {_MODES[mode]}", name == FLOOR
    rate, gap = "others_during", "worst_gap_other_s"
    return [
        Row(f"{what}: the others", ours[mode][rate], max(theirs[mode][rate], 0.01), name, "readings/s", 1,
            more_is_better=True, floor=floor, bar=0.98),
        Row(f"{what}: their longest silence", ours[mode][gap], theirs[mode][gap], name, "s", 1, floor=floor, bar=2.0),
    ]


def _kept(what: str, ours: Numbers, theirs: Numbers, name: str) -> Row:
    def part(numbers: Numbers) -> float:
        delivered, produced = max(int(numbers["delivered"]), 1), int(numbers["produced"])
        return 100 * delivered / produced

    return Row(f"{what}: readings that arrived", part(ours), part(theirs), name, "%", 1, more_is_better=True,
               floor=name == FLOOR, bar=100.0, why=_KEEPS)
