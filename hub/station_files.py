"""The files that `tocsin enrol` makes for a new station: a commented station file, and the rules to begin with."""

import json
import tomllib
from dataclasses import dataclass

from thresholds.starter_command import starters

DEFAULT_RULES = "flash_flood_rain"

_HEAD = """\
# {name}: made by `tocsin enrol`. `tocsin check station.toml` says what is wrong with it and opens nothing,
# `tocsin edge station.toml` runs it. docs/configuration.md explains every key; edge/sample.toml shows them all.
# To do at the site: ports, unit ids, what the instruments are, heights; then `tocsin check station.toml`.

[station]
id = {id} # stands in every topic and record, so never change it
name = {name_toml}
name_zh = {name_zh_toml}
area = "{area}" # 12 digits; whom this station warns
latitude = {latitude!r} # degrees, WGS 84
longitude = {longitude!r}

[hub]
broker = {broker}
# ca = "ca.pem" # mqtts: who signed the broker's certificate, if the system does not know them; it lies beside this file
key = "{key}" # of this station alone
public_key = "{public_key}" # of the hub: what it signs is obeyed

[[bus]]
name = "mast" # RS-485
speaks = "modbus-rtu"
port = "/dev/ttyS1" # a name in /dev/serial/by-id survives a restart
# baud = 9600
"""

# what gives these quantities; a block that the rules do not need stands as a comment
_BLOCKS: dict[frozenset[str], str] = {
    frozenset({"rain_mm"}): """\
[[device]]
name = "bucket"
bus = "mast"
driver = "rain_counter"
unit = 1
every_s = 60.0
[device.settings]
mm_per_tip = 0.2 # as on the gauge's plate
""",
    frozenset({"stage_m"}): """\
[[device]]
name = "radar"
bus = "mast"
driver = "radar_level"
unit = 2
every_s = 60.0
[device.settings]
measures = "distance" # or "level", as the instrument itself is set
[device.series.stage_m]
sensor_height_m = 8.20 # the radar's face over the zero of the staff gauge, levelled
offset = 0.0 # what the staff gauge reads more
plausible = [-0.5, 7.5] # from the river's bed to just under the bridge
""",
    frozenset({"ch4_pct_lel", "h2s_ppm", "co_ppm", "o2_pct_vol"}): """\
[[device]]
name = "gas"
bus = "mast"
driver = "gas_detector"
unit = 3
every_s = 5.0
""",
    frozenset({"tank_level_m"}): """\
[[device]]
name = "tank"
bus = "mast"
driver = "tank_gauge"
unit = 4
every_s = 60.0
[device.settings]
span_m = [0.0, 12.0] # as on the gauge's plate
""",
}
_SIREN = """\
# [[device]]
# name = "siren-relay"
# bus = "mast"
# driver = "relay_output"
# unit = 10
#
# [siren] # sounds whether or not the hub can be reached
# device = "siren-relay"
# from_level = "orange"
"""


@dataclass(frozen=True, slots=True)
class NewStation:
    """What is known of a station before it is built."""

    id: str
    name: str
    name_zh: str
    area: str
    latitude: float
    longitude: float
    broker: str


def rules_known() -> list[str]:
    """The starter sets for which the station file has the instruments."""
    given = frozenset().union(*_BLOCKS)
    return [name for name, one in starters().items() if _quantities(one.text) <= given and _one_gauge(one.text)]


def files_of(station: NewStation, rules: str, key: str, public_key: str) -> dict[str, str]:
    """The texts of station.toml and rules.toml. `rules` is one of `rules_known`."""
    text = starters()[rules].text
    needed = _quantities(text)
    head = _HEAD.format(
        name=station.name, id=json.dumps(station.id), name_toml=_toml(station.name),
        name_zh_toml=_toml(station.name_zh), area=station.area, latitude=station.latitude, longitude=station.longitude,
        broker=_toml(station.broker), key=key, public_key=public_key)
    blocks = [block if quantities & needed else _commented(block) for quantities, block in _BLOCKS.items()]
    return {"station.toml": "\n".join([head, *blocks, _SIREN]), "rules.toml": text}


def _quantities(rules: str) -> frozenset[str]:
    tables = tomllib.loads(rules)
    return frozenset(str(rule["quantity"]) for rule in tables["rule"] if "quantity" in rule)


def _one_gauge(rules: str) -> bool:
    """Sets that need several instruments of a kind are for who has them."""
    tables = tomllib.loads(rules)
    return not any("device" in rule or rule.get("feature") == "coincidence" for rule in tables["rule"])


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _commented(block: str) -> str:
    return "".join(f"# {line}\n" for line in block.splitlines())
