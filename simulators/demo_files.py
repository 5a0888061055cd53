"""The files of a demo: a hub, two stations, and what their instruments show. Real ones: any command takes them."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from string import Template

from tocsin.records import Record, read
from tocsin.signing import new_signing_key, new_station_key
from tocsin.times import iso

HILL, VILLAGE = "hill", "village"
AREAS = {HILL: "330112001000", VILLAGE: "330112001001"}
PLACES = {HILL: ("Upper Creek", "上溪", 30.2411, 119.7014), VILLAGE: ("Lower Bridge", "下桥", 30.2290, 119.7258)}
RECORD_PADDING_MS = 36 * 3_600_000
RUN_S = 60.0
STORM_S = 36_000.0  # as in storm.toml
SHORTEST_POLL_S = 0.05

TEXTS = Path(__file__).parent / "demo_toml"

Wires = Mapping[str, str]  # name of a wire of the scenario: the port that a station opens


@dataclass(frozen=True)
class Plan:
    """One demo: its scenario, rules and devices, and how fast its clock runs."""

    scenario: str
    rules: dict[str, str]
    devices: dict[str, str]
    buses: dict[str, dict[str, str]]  # station: wire: what is spoken on it
    speed: float
    lasts_s: float  # real seconds
    says: str


def storm() -> Plan:
    """A cloudburst over the hill, the creek, then the village; gas passes by as well. Ten hours in a minute."""
    speed = STORM_S / RUN_S
    return Plan(
        _text("storm.toml"),
        {HILL: _text("hill_rules.toml"), VILLAGE: _text("village_rules.toml")},
        {
            HILL: _device("bucket", "hill", "rain_counter", 1, 60, "mm_per_tip = 0.2")
            + _device("radar", "hill", "radar_level", 2, 60, 'measures = "distance"', _stage(12.0)),
            VILLAGE: _device("bucket", "village", "rain_counter", 1, 60, "mm_per_tip = 0.2")
            + _device("probe", "village", "pressure_level", 2, 60, "span_m = [0.0, 10.0]", _stage(0.0))
            + _device("gas", "village", "gas_detector", 3, 30, "")
            + _device("tank", "village", "tank_gauge", 4, 60, "span_m = [0.0, 12.0]")
            + _device("weir", "village-line", "ascii_level", None, 60, 'measures = "level"\nspan_m = [0.0, 10.0]',
                      _stage(0.0)),
        },
        {
            HILL: {"hill": "modbus-rtu", "hill-cabinet": "modbus-tcp"},
            VILLAGE: {"village": "modbus-tcp", "village-line": "lines"},
        },
        speed,
        RUN_S,
        f"a storm of ten hours in {RUN_S:g} s: rain on the hill, then runoff, then the village's river",
    )


def record(path: Path) -> Plan:
    """The greatest rise of a real record, from a day and a half before its peak on. Raises RecordError, ValueError."""
    whole = read(path)
    stage = _column(whole, ("stage_m", "level_m", "depth_m"))
    peak_m, peak_ms = max((x, t) for x, t in zip(whole.columns[stage], whole.t_ms, strict=True) if x is not None)
    cut = whole.window(peak_ms - RECORD_PADDING_MS, peak_ms + RECORD_PADDING_MS)
    values = [x for x in cut.columns[stage] if x is not None]
    base_m, low_m = statistics.median(x for x in whole.columns[stage] if x is not None), min(values)
    step_s = statistics.median((b - a) / 1000 for a, b in pairwise(cut.t_ms))
    span_s = (cut.t_ms[-1] - cut.t_ms[0]) / 1000
    speed = min(span_s / RUN_S, step_s / SHORTEST_POLL_S)
    levels = {word: round(base_m + part * (peak_m - base_m), 2)
              for word, part in (("yellow", 0.4), ("orange", 0.6), ("red", 0.8))}
    rules = _value_rule(levels, round(0.05 * (peak_m - base_m), 3))
    rain = "rain_mm" in whole.columns
    every_s = max(step_s, 1.0)
    second = _device("bucket", "village", "rain_counter", 1, every_s, "mm_per_tip = 0.1") if rain else ""
    probe = 'measures = "level"\nspan_m = [-10.0, 9000.0]'
    return Plan(
        _text(
            "record.toml", file=path.resolve(), start=iso(cut.t_ms[0]), end=iso(cut.t_ms[-1] + 1), stage=stage,
            period_s=every_s, rain=_text("record_rain.toml") if rain else "",
        ),
        {HILL: rules, VILLAGE: rules},
        {
            HILL: _device("radar", "hill", "radar_level", 2, every_s, probe, _stage(0.0)),
            VILLAGE: second + _device("weir", "village-line", "ascii_level", None, every_s, probe, _stage(0.0)),
        },
        {
            HILL: {"hill": "modbus-rtu", "hill-cabinet": "modbus-tcp"},
            VILLAGE: {"village": "modbus-tcp", "village-line": "lines"},
        },
        speed,
        span_s / speed,
        f"{whole.name}, {iso(cut.t_ms[0])} to {iso(cut.t_ms[-1])}, {stage} from {low_m:g} to {peak_m:g}; "
        f"thresholds for this demo, from the record itself: {', '.join(f'{word} {on}' for word, on in levels.items())}",
    )


def hub_file(folder: Path, broker_port: int, web_port: int, keys: Mapping[str, str]) -> tuple[Path, str]:
    """hub.toml, and the hub's private key."""
    private, _ = new_signing_key()
    stations = "\n".join(f'[[station]]\nid = "{station}"\nkey = "{key}"\n' for station, key in keys.items())
    path = folder / "hub.toml"
    path.write_text(_text("hub.toml", broker=broker_port, web=web_port, private=private, stations=stations,
                          town=AREAS[HILL], village=AREAS[VILLAGE]))
    return path, private


def station_keys() -> dict[str, str]:
    return {HILL: new_station_key(), VILLAGE: new_station_key()}


def station_file(folder: Path, plan: Plan, station: str, wires: Wires, broker_port: int, key: str) -> Path:
    """station.toml and rules.toml in a folder of their own."""
    home = folder / station
    home.mkdir()
    (home / "rules.toml").write_text(plan.rules[station])
    name, name_zh, latitude, longitude = PLACES[station]
    buses = "\n".join(f'[[bus]]\nname = "{wire}"\nspeaks = "{speaks}"\nport = "{wires[wire]}"\n'
                      for wire, speaks in plan.buses[station].items())
    siren_bus = next(wire for wire, speaks in plan.buses[station].items() if speaks == "modbus-tcp")
    path = home / "station.toml"
    path.write_text(f"""[station]
id = "{station}"
name = "{name}"
name_zh = "{name_zh}"
area = "{AREAS[station]}"
latitude = {latitude}
longitude = {longitude}

[hub]
broker = "mqtt://127.0.0.1:{broker_port}"
key = "{key}"

{buses}
{plan.devices[station]}
{_device("siren", siren_bus, "relay_output", 10, 60, "")}
[siren]
device = "siren"
# hours in a minute: a rhythm would be a rattle
watch = [600, 0]
prepare = [600, 0]
move = [600, 0]
from_level = "orange"
""")
    return path


def _text(name: str, **filled: object) -> str:
    return Template((TEXTS / name).read_text(encoding="utf-8")).substitute({k: str(v) for k, v in filled.items()})


def _column(whole: Record, names: tuple[str, ...]) -> str:
    found = next((name for name in names if name in whole.columns), None)
    if found is None:
        raise ValueError(f"{whole.name}: has no {', '.join(names)} to play; it has {', '.join(whole.columns)}")
    return found


def _device(name: str, bus: str, driver: str, unit: int | None, every_s: float, settings: str, series: str = "") -> str:
    unit_line = f"unit = {unit}\n" if unit is not None else ""
    return (f'[[device]]\nname = "{name}"\nbus = "{bus}"\ndriver = "{driver}"\n{unit_line}every_s = {every_s:g}\n'
            f"[device.settings]\n{settings}\n{series}\n").replace("[device.settings]\n\n", "")


def _stage(sensor_height_m: float) -> str:
    return f"[device.series.stage_m]\nsensor_height_m = {sensor_height_m}\n"


def _value_rule(levels: Mapping[str, float], off_below: float) -> str:
    lines = "\n".join(f"{word} = {on}" for word, on in levels.items())
    return (f'[[rule]]\nname = "stage"\nquantity = "stage_m"\ndatum = "gauge zero"\nn = 1\nm = 1\n'
            f"off_below = {off_below}\noff_delay_min = 0\n{lines}\n")
