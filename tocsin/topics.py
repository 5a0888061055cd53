"""MQTT topics, wire contract version 1.

    tocsin/1/<station>/readings     up    batches of readings and events
    tocsin/1/<station>/detections   up    at once, own lane, the start record in front
    tocsin/1/<station>/heartbeat    up    retained, with last will
    tocsin/1/<station>/answers      up    acknowledgements given at the site
    tocsin/1/<station>/rules/state  up    retained: which of the hub's rules are in force
    tocsin/1/<station>/committed    down  what the hub has on disk
    tocsin/1/<station>/command      down  signed, expires, answered
    tocsin/1/<station>/rules        down  retained and signed, answered by rules/state
    tocsin/1/<station>/hub_key      down  retained: the hub's next key, signed by the one before
    tocsin/1/area/<code>/bulletin/<hazard>   down  retained and signed: one hazard hides no other
    tocsin/1/hub/alive              the hub's own heartbeat, retained and signed, with last will
"""

import re

ROOT = "tocsin/1"
STATION_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
AREA_CODE = re.compile(r"[0-9]{12}")

READINGS = "readings"
DETECTIONS = "detections"
HEARTBEAT = "heartbeat"
ANSWERS = "answers"
COMMITTED = "committed"
COMMAND = "command"
RULES = "rules"
HUB_KEY = "hub_key"
ORDERS = (COMMAND, RULES, HUB_KEY)
ALIVE = f"{ROOT}/hub/alive"  # no uplink ends so: a station may be called hub
UPLINKS = (READINGS, DETECTIONS, ANSWERS, HEARTBEAT)


def up(station: str, kind: str) -> str:
    return f"{ROOT}/{station}/{kind}"


def committed(station: str) -> str:
    return f"{ROOT}/{station}/{COMMITTED}"


def order(station: str, kind: str) -> str:
    """Of ORDERS: what only this station is told."""
    return f"{ROOT}/{station}/{kind}"


def rules_state(station: str) -> str:
    """`+` for those of all stations."""
    return f"{ROOT}/{station}/{RULES}/state"


def is_rules_state(topic: str) -> bool:
    return topic.startswith(f"{ROOT}/") and topic.endswith(f"/{RULES}/state")


def bulletin(area: str, hazard: str) -> str:
    """`+` as area or hazard for those of all."""
    return f"{ROOT}/area/{area}/bulletin/{hazard}"


def is_bulletin(topic: str) -> bool:
    return topic.startswith(f"{ROOT}/area/") and topic.split("/")[4:5] == ["bulletin"]


def parse_up(topic: str) -> tuple[str, str]:
    """(station, kind) of an uplink topic. Raises ValueError for any other topic."""
    parts = topic.split("/")
    if len(parts) == 4 and f"{parts[0]}/{parts[1]}" == ROOT and STATION_ID.fullmatch(parts[2]) and parts[3] in UPLINKS:
        return parts[2], parts[3]
    raise ValueError(f'"{topic}" is not {ROOT}/<station>/{{{",".join(UPLINKS)}}}')
