"""What a successor's folder holds, and papers that no folder can be made of."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from edge.orders import LEDGER, Ledger
from hub import orders, succession
from hub.succession import SuccessionError
from tests.test_hub_orders import BOOT, STATION, Desk, desk
from tests.village import at, detection
from tocsin.levels import Level
from tocsin.messages import Detection
from tocsin.orders import Command, Papers

__all__ = ["desk"]

KEY, PUBLIC = "cd" * 32, "ef" * 32
CONFIG = """
[station] # a bridge
id = "upper-bridge"

[hub]
broker = "mqtt://127.0.0.1:9" # near
key = "not sent" # of this station

[[bus]]
name = "mast"
key = "not a key of the hub"
"""


def made(
    desk: Desk, config: str = CONFIG, broker: str = "", files: dict[str, str] | None = None
) -> succession.Succession:
    desk.lands(Papers(BOOT, 7, at("14:00"), config, files if files is not None else {"rules.toml": "r"}, "", 3))
    return succession.of(desk.database, STATION, KEY, PUBLIC, broker)


def test_the_files_have_new_keys_and_all_else_as_it_was(desk: Desk) -> None:
    found = made(desk)
    text = found.files["station.toml"]
    assert tomllib.loads(text)["hub"] == {"broker": "mqtt://127.0.0.1:9", "key": KEY, "public_key": PUBLIC}
    assert "# a bridge" in text
    assert "# near" in text
    assert tomllib.loads(text)["bus"][0]["key"] == "not a key of the hub"
    assert sorted(found.files) == ["rules.toml", "station-data/hub-rules", "station-data/log/cursor",
                                   "station-data/succession", "station.toml"]
    assert found.files["station-data/log/cursor"] == f"7 {desk.database.hub_id}\n"
    assert msgspec.json.decode(found.files["station-data/hub-rules"])["version"] == 3
    assert found.to_do == []


def test_what_was_calibrated_at_the_site_goes_on(desk: Desk) -> None:
    desk.lands(Papers(BOOT, 7, at("14:00"), CONFIG, {"rules.toml": "r"}, "", 3, "[[entry]]"))
    assert succession.of(desk.database, STATION, KEY, PUBLIC, "").files["station-data/calibration.toml"] == "[[entry]]"


def test_another_broker_and_a_public_key_take_the_place_of_those_of_before(desk: Desk) -> None:
    config = CONFIG.replace('key = "not sent"', f'key = "not sent"\npublic_key = "{"0" * 64}"')
    found = made(desk, config, "mqtts://a:b@hub.example.org")
    hub = tomllib.loads(found.files["station.toml"])["hub"]
    assert hub == {"broker": "mqtts://a:b@hub.example.org", "key": KEY, "public_key": PUBLIC}


def test_the_newest_word_of_every_rule_is_there_from_warnings_and_from_what_landed(desk: Desk) -> None:
    desk.village.starts()
    desk.village.finds(detection(Level.YELLOW, "14:00", 1))
    desk.village.finds(detection(Level.ORANGE, "14:01", 2, previous=Level.YELLOW))
    desk.village.finds(detection(Level.BLUE, "14:01", 5, rule="rain", series="bucket/rain_mm"))
    found = msgspec.json.decode(made(desk).files["station-data/succession"], type=list[Detection])
    assert {(one.rule, one.level, one.revision) for one in found} == {("stage", 3, 2), ("rain", 1, 5)}


async def test_a_rule_whose_records_were_dropped_by_age_is_known_from_its_warning(desk: Desk) -> None:
    desk.village.starts()
    desk.village.finds(detection(Level.RED, "14:00", 4))
    await desk.village.reads()
    with desk.database.transaction() as connection:
        connection.execute("DELETE FROM landing")
    (found,) = msgspec.json.decode(made(desk).files["station-data/succession"], type=list[Detection])
    assert (found.rule, found.series, found.level, found.revision, found.episode, found.since) == (
        "stage", "radar/stage_m", 4, 4, "e1", at("14:00"))


def test_the_height_is_the_highest_of_all_runs(desk: Desk) -> None:
    """Of a landing of millions it is found in each run's end."""
    assert orders.height_of(desk.database.connection, STATION) == 0
    for run, most in ((3, 40), (1, 90), (2, 7)):
        for seq in range(most - 5, most):
            desk.lands(detection(Level.YELLOW, "14:00", 1, boot=f"{run:016x}", seq=seq))
    assert orders.height_of(desk.database.connection, STATION) == 89
    assert orders.height_of(desk.database.connection, "next-door") == 0


def test_what_a_successor_needs_is_found_without_reading_all_that_landed(desk: Desk) -> None:
    asked: list[str] = []
    made(desk)
    desk.database.connection.set_trace_callback(asked.append)
    succession.of(desk.database, STATION, KEY, PUBLIC, "")
    desk.database.connection.set_trace_callback(None)
    plans = [row[3] for query in asked if "landing" in query
             for row in desk.database.connection.execute(f"EXPLAIN QUERY PLAN {query}")]
    looks = [plan for plan in plans if " landing" in plan]
    assert looks
    few = ("(station=?)", "(station=? AND boot=?)", "(station=? AND boot>?)", "INDEX landing_detections")
    assert [plan for plan in looks if not any(one in plan for one in few)] == []
    assert not any("SEARCH landing USING INDEX" in plan and plan.endswith("(station=?)") for plan in looks), looks


def test_secrets_that_are_not_keys_are_left_to_a_person(desk: Desk) -> None:
    found = made(desk, CONFIG.replace("[[bus]]", 'password = "not sent"\n[[bus]]'))
    assert list(map(str, found.to_do)) == ["[hub] password in station.toml is to be filled in"]
    with pytest.raises(SuccessionError, match="its broker wants a password"):
        made(desk, CONFIG.replace("mqtt://", "mqtts://a:not sent@"))
    assert made(desk, CONFIG.replace("mqtt://", "mqtts://a:not sent@"), "mqtts://a:new@hub").files


def test_the_files_of_tls_are_left_to_a_person(desk: Desk) -> None:
    found = made(desk, CONFIG.replace("[[bus]]", 'ca = "ca.pem"\ncert = "a.pem"\ncert_key = "a.key"\n[[bus]]'))
    assert [str(one) for one in found.to_do] == [
        f"{file} is never sent: put it where {name} of [hub] in station.toml says"
        for name, file in (("ca", "ca.pem"), ("cert", "a.pem"), ("cert_key", "a.key"))]


def test_a_command_that_the_dead_one_may_have_done_is_not_done_by_its_successor(desk: Desk, tmp_path: Path) -> None:
    desk.put()
    ((_, _, body),) = orders.unanswered(desk.database.connection, desk.village.clock.now_ms())
    found = made(desk)
    (tmp_path / LEDGER).write_text(found.files[f"station-data/{LEDGER}"])
    ledger, command = Ledger(tmp_path), msgspec.json.decode(body, type=Command)
    assert command.issued <= ledger.forgotten == ledger.newest
    desk.put()
    later = orders.unanswered(desk.database.connection, desk.village.clock.now_ms())
    assert max(msgspec.json.decode(body, type=Command).issued for _, _, body in later) > ledger.forgotten


@pytest.mark.parametrize("config", [
    "", "[hub", "[hub]\n", "hub = 1\nstation = 2", 'hub = { key = "not sent" }\n[station]\n',
    '[hub]\nkey = """\nnot sent"""\n[station]\nid = "x"',
])
def test_a_station_file_that_no_keys_can_be_put_into_is_refused(desk: Desk, config: str) -> None:
    with pytest.raises(SuccessionError, match="station file that was sent"):
        made(desk, config)


@pytest.mark.parametrize("name", [
    "/etc/passwd", "../../up", "..", "a/../../b", "", "line\nbreak", "nul\0", "station.toml", "station-data/log/cursor",
])
def test_names_from_the_wire_lead_nowhere_but_into_the_folder(desk: Desk, tmp_path: Path, name: str) -> None:
    found = made(desk, files={name: "evil"})
    for place in found.files:
        assert (tmp_path / place).resolve().is_relative_to(tmp_path.resolve())
        assert place.isprintable()
    assert "evil" not in (found.files["station.toml"], found.files["station-data/log/cursor"])
