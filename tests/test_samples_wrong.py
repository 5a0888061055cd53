"""What `tocsin check` says of wrong files: the samples, each with one mistake, and the exact sentences."""

from pathlib import Path

import pytest

from tests.test_samples import HUB, RULES, STATION, TEXTS
from tocsin.__main__ import main

DRIVERS = ("ascii_level, epever_charger, gas_detector, pressure_level, radar_level, rain_counter, registers, "
           "relay_output, tank_gauge")
STAGE = 'device "radar": series: stage_m'
SECOND = """[[device]]
name = "second"
bus = "weir-line"
driver = "ascii_level"
settings = { measures = "level", span_m = [0.0, 9.0] }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where one stands: the samples as station.toml, sample_rules.toml and hub.toml."""
    monkeypatch.chdir(tmp_path)
    for name, sample in (("station.toml", STATION), ("sample_rules.toml", RULES), ("hub.toml", HUB)):
        Path(name).write_text(TEXTS[sample], encoding="utf-8")
    return tmp_path


def change(name: str, old: str, new: str) -> None:
    text = Path(name).read_text(encoding="utf-8")
    assert old in text
    Path(name).write_text(text.replace(old, new, 1), encoding="utf-8")


def said_of(capsys: pytest.CaptureFixture[str], *names: str) -> list[str]:
    """The lines of `tocsin check`, which must end with exit code 1."""
    capsys.readouterr()
    assert main(["check", *names]) == 1
    answer = capsys.readouterr()
    assert answer.err == ""
    return answer.out.splitlines()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("old", "new", "says"), [
    # keys, types and bounds
    ("every_s = 30.0", "every = 30.0", ['device "radar": "every" is not a key; did you mean "every_s"?']),
    ("latitude = 25.1853", 'latitude = "25.1853 N"', [
        'station: latitude: "25.1853 N" is not allowed; use a number of at least -90 and up to 90']),
    ("latitude = 25.1853", "", ['station: key "latitude" is missing; give a number of at least -90 and up to 90']),
    ('id = "upper-bridge"', 'id = "Upper Bridge"', [
        'station: id: "Upper Bridge" is not allowed; use text: small letters, digits, -']),
    ('rules = "sample_rules.toml"', 'rules = ""', [
        'station: rules: "" is not allowed; use text: the name of a file or folder']),
    ('key = "0000', 'key = "', ['hub: key: "' + "0" * 60 + '" is not allowed; use text: 64 hex digits']),
    ('area = "4311', 'area = "４３１１', [    # an input method for Chinese gives such
        'station: area: "４３１１29101203" is not allowed; use text: 12 digits, the area this station warns']),
    ("mqtts://hub", "http://hub", [
        'hub: broker: "http://hub.example.org:8883" is not allowed; use mqtt://host:port or mqtts://host:port']),
    ("unit = 3", "unit = 248", [
        'device "gas": unit: 248 is not allowed; use a whole number of at least 1 and up to 247']),
    ("every_s = 5.0", "every_s = true", [
        'device "gas": every_s: true is not allowed; use a number of at least 0.02 and up to 86400.0']),
    ("mm_per_tip = 0.2 ", "mm_per_tip = 20", [
        'device "bucket": settings: mm_per_tip: 20 is not allowed; use a number above 0.0 and up to 10.0']),
    # buses
    ('speaks = "modbus-rtu"', 'speaks = "modbus"', [
        'bus "mast": speaks: "modbus" is not allowed; use modbus-tcp, modbus-rtu, lines']),
    ("tcp://192.168.1.20:502", "192.168.1.20", [
        'bus "cabinet": port: "192.168.1.20" is not allowed for modbus-tcp; use tcp://host:port']),
    ("tcp://192.168.1.20:502", "tcp://192.168.1.20", [
        'bus "cabinet": port: "tcp://192.168.1.20" is not allowed; use tcp://host:port']),
    ('port = "/dev/ttyS1"', 'port = "COM3"', [
        'bus "mast": port: "COM3" is not allowed for modbus-rtu; '
        "use a device path like /dev/ttyUSB0, or tcp://host:port"]),
    ("/dev/ttyS2", "/dev/ttyS1", [
        'bus "weir-line": port: "/dev/ttyS1" is that of bus "mast"; use one bus for one serial port']),
    ('name = "weir-line" ', 'name = "mast"', [
        'bus "mast" stands twice; use another name',
        'device "weir": bus: "weir-line" is not a bus of this file; use cabinet, mast']),
    # devices
    ('bus = "weir-line"', 'bus = "weir"', [
        'device "weir": bus: "weir" is not a bus of this file; use cabinet, mast, weir-line']),
    ('driver = "radar_level"', 'driver = "radar"', [f'device "radar": driver: "radar" is not a driver; use {DRIVERS}']),
    ('bus = "weir-line"', 'bus = "mast"', [
        'device "weir": driver: "ascii_level" needs a bus that speaks lines; bus "mast" speaks modbus-rtu']),
    ('bus = "cabinet"\ndriver = "relay', 'bus = "weir-line"\ndriver = "relay', [
        'bus "weir-line": weir, siren-relay are not allowed together; a bus that speaks lines has one device',
        'device "siren-relay": driver: "relay_output" needs a bus that speaks modbus-tcp or modbus-rtu; '
        'bus "weir-line" speaks lines']),
    ('name = "tank"', 'name = "gas"', ['device "gas" stands twice; use another name']),
    ("[siren]", f"{SECOND}[siren]", [
        'bus "weir-line": weir, second are not allowed together; a bus that speaks lines has one device']),
    ("# coil = 0", "[device.series.stage_m]", [
        'device "siren-relay": series: is not allowed; "relay_output" is told and measures nothing']),
    # the siren
    ('device = "siren-relay"', 'device = "radar"', [
        'siren: device: "radar" is not an output of this file; use siren-relay']),
    ('driver = "relay_output"', 'driver = "relay"', [
        f'device "siren-relay": driver: "relay" is not a driver; use {DRIVERS}']),
    # series: heights, datum, plausible range
    ("[device.series.tank_level_m]", "[device.series.tank_m]", [
        'device "tank": series: "tank_m" is not what this driver gives; '
        "use tank_level_m, tank_pressure_kpa, tank_temp_c"]),
    ("[device.series.stage_m]", "[device.series.distance_m]\n[device.series.stage_m]", [
        'device "radar": series: "distance_m" becomes "stage_m", which is given too; use one of them']),
    ("sensor_height_m = 8.20 ", "", [
        f'{STAGE}: key "sensor_height_m" is missing; give its height over the gauge zero in m']),
    ("offset = 0.02", "offset = nan", [
        f"{STAGE}: offset: nan is not allowed; use a number of at least -1000000.0 and up to 1000000.0"]),
    ("sensor_height_m = 8.20", "sensor_height_m = inf", [
        f"{STAGE}: sensor_height_m: inf is not allowed; "
        "use a number of at least -20000 and up to 20000"]),
    ("[-0.50, 7.50]", "[7.50, -0.50]", [
        f"{STAGE}: plausible: [7.5, -0.5] is not allowed; use [low, high] inside [-50, 9000]"]),
    ("[-0.50, 7.50]", "[7.50]", [
        f"{STAGE}: plausible: [7.5] is not allowed; use a list of 2: a number, a number"]),
    ("gauge_zero_m = 246.80 ", "", [
        'device "weir": series: stage_m: key "gauge_zero_m" is missing; '
        'give the height of the gauge\'s zero over "1985 national height datum" in m']),
    ('datum = "1985 national height datum"', "", [
        'device "weir": series: stage_m: gauge_zero_m: 246.8 is not allowed with datum "gauge zero"; '
        "name the datum that this height counts from"]),
    ("plausible = [0.0, 10.5]", "sensor_height_m = 1.0", [
        'device "tank": series: tank_level_m: sensor_height_m is not allowed here; it belongs to series.stage_m']),
    # tables
    ("[siren]", "[[siren]]", ["siren: a list of tables is not allowed; use a table"]),
    ("[siren]", "[sirens]", [
        '"sirens" is not a key; did you mean "siren"?',
        "siren: one output is needed, not none and not two; give device, gpio or sound_card"]),
    ("# gpio = -1 ", "gpio = 17 ", [
        "siren: one output is needed, not none and not two; give device, gpio or sound_card"]),
    ('device = "siren-relay"', "", [
        "siren: one output is needed, not none and not two; give device, gpio or sound_card"]),
    ('device = "siren-relay"', "gpio = 17\nbutton_input = 1", [
        "siren: button_input: 1 is an input of the relay that `device` names; use button_gpio without one"]),
    ('device = "siren-relay"', "gpio = 17\nbutton_gpio = 17", [
        "siren: button_gpio: 17 is the siren's own pin; use another one"]),
    ("# prepare = [36, 24]", "prepare = [36]", [
        "siren: prepare: [36.0] is not allowed; use pairs of seconds, on and off, with sound in them, "
        "like [36, 24], and none between 0 and 0.2"]),
    ("# move = [6, 6, 6, 6, 6, 6, 6, 18]", "move = [0, 6]", [
        "siren: move: [0.0, 6.0] is not allowed; use pairs of seconds, on and off, with sound in them, "
        "like [36, 24], and none between 0 and 0.2"]),
    ("# watch = [3, 57]", "watch = [0.0001, 0]", [
        "siren: watch: [0.0001, 0.0] is not allowed; use pairs of seconds, on and off, with sound in them, "
        "like [36, 24], and none between 0 and 0.2"]),
    ("# move = [6, 6, 6, 6, 6, 6, 6, 18]", "move = [-1, 6]", [
        "siren: move: [-1, 6] is not allowed; use a list of a number of at least 0 and up to 600.0"]),
    ('# languages = ["zh", "en"]', 'languages = ["fr"]', [
        "siren: speech: languages: ['fr'] is not allowed; use a list of zh, en"]),
    ("# watchdog_register = -1 ", "watchdog_register = 4384 ", [
        'device "siren-relay": settings: watchdog_value: 0 is not allowed with watchdog_register 4384; '
        "give both: the relay's time without a word, in its own unit"]),
    ("[station]", "[staton]", ['"staton" is not a key; did you mean "station"?', "table [station] is missing"]),
])
def test_a_station_file_with_a_mistake(
    old: str, new: str, says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    change("station.toml", old, new)
    assert said_of(capsys, "station.toml") == [f"station.toml: {line}" for line in says]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("old", "new", "says"), [
    ("red = 80.0", "rde = 80.0", ['rule "rain 1 h": "rde" is not a key; did you mean "red"?']),
    ("yellow = 19.5\n", 'yellow = "19.5"\n', ['rule "oxygen": yellow: "19.5" is not allowed; use a number or a table']),
    ('name = "rain 3 h"', 'name = "rain 1 h"', ['rule "rain 1 h": name: "rain 1 h" is already taken; use another']),
    ('feature = "time_to" ', 'feature = "time" ', [
        'rule "guarantee level soon": feature: "time" is not allowed; '
        "use value, sum, rate, slope, time_to, cusum, coincidence"]),
    ("floor = 1.4 ", "floor = 2.8 ", [
        'rule "guarantee level soon": floor: 2.8 is on the wrong side of target 2.6; use a number below it']),
    ("yellow = 0.6\n", "yellow = 0.6\nred = 2.0\n", [
        'rule "the river rises fast": authority: red: "auto" is not allowed: a trend of stage_m alone gives at most '
        'yellow; use red = "confirm" or "after", or leave the level out']),
    ("max_rate_per_min = 0.1 ", "max_rate = 0.1 ", [
        'check 2: "max_rate" is not a key; did you mean "max_rate_per_min"?']),
    # fitting together: the station's datum, devices, ranges
    ('datum = "gauge zero"', 'datum = "1985 national height datum"', [
        'rule "stage at the bridge": datum: "1985 national height datum" is not the datum of radar/stage_m; '
        'use "gauge zero"']),
    ('datum = "gauge zero"', "", [
        'rule "stage at the bridge": datum: is missing for radar/stage_m; use "gauge zero"']),
    ('device = "weir"', "", [
        'rule "stage at the weir": datum: "1985 national height datum" is not the datum of radar/stage_m; '
        'use "gauge zero"',
        'rule "stage at the weir": orange: on 249.4 can never be read: radar/stage_m is plausible from -0.5 to 7.5',
        'rule "stage at the weir": red: on 250 can never be read: radar/stage_m is plausible from -0.5 to 7.5']),
    ('device = "weir"', 'device = "wier"', [
        'rule "stage at the weir": device: "wier" gives no stage_m here; use radar, weir']),
    ("target = 2.6 ", "target = 9.0 ", [
        'rule "guarantee level soon": target: 9 can never be read: radar/stage_m is plausible from -0.5 to 7.5']),
    ("over_min = 30\nblue = 0.3", "over_min = 1\nblue = 0.3", [
        'rule "the river rises fast": over_min: 1 is shorter than 4 periods of radar/stage_m; use at least 2']),
    ("stale_after_min = 5.0", "stale_after_min = 0.2", [
        "check of stage_m of radar: stale_after_min: 0.2 is shorter than the period of radar/stage_m; "
        "use at least 0.5"]),
    ('device = "radar"\nmax_rate', 'device = "rador"\nmax_rate', [
        'check of stage_m of rador: device: "rador" gives no stage_m here; use radar, weir']),
    ('quantity = "ch4_pct_lel"', 'quantity = "co_ppm"', [
        'rule "methane": quantity: no device here gives "co_ppm"; use rain_mm, stage_m, ch4_pct_lel, h2s_ppm, '
        "o2_pct_vol, tank_level_m, tank_pressure_kpa, tank_temp_c"]),
])
def test_rules_with_a_mistake_are_told_with_the_station(
    old: str, new: str, says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    change("sample_rules.toml", old, new)
    assert said_of(capsys, "station.toml") == [f"sample_rules.toml: {line}" for line in says]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("old", "new", "says"), [
    ('tier = "town"', 'tier = "city"', [
        'person "Li Wei": tier: "city" is not allowed; use household, village, town, county']),
    ('area = "4311', 'area = "４３１１', [    # that person would never be called
        'person "Chen Guilan": area: "４３１１29101203" is not allowed; '
        'use text: 12 digits; trailing zeros mean all below']),
    ('name = "Zhao Min"', 'name = "Wang Fang"', ['person "Wang Fang" stands twice; use another name']),
    ('id = "stone-valley"', 'id = "upper-bridge"', ['station "upper-bridge" stands twice; use another name']),
    ('id = "stone-valley"', "", ['station 2: key "id" is missing; give text: small letters, digits, -']),
    ('id = "stone-valley"', 'id = "stone-valley"\nkeys = ""', [
        'station "stone-valley": "keys" is not a key; did you mean "key"?']),
    ("mqtts://hub:password@127.0.0.1:8883", "embedded:99999", [
        'hub: broker: "embedded:99999" is not allowed; use embedded:PORT with a port of up to 65535']),
    ("mqtts://hub:password@127.0.0.1:8883", "1883", [
        'hub: broker: "1883" is not allowed; use mqtt://host:port or mqtts://host:port']),
    ('# listen = "127.0.0.1:8080"', 'listen = "127.0.0.1:80800"', [
        'hub: listen: "127.0.0.1:80800" is not allowed; use host:port with a port of up to 65535']),
    ('# listen = "127.0.0.1:8080"', 'listen = "8080"', [
        'hub: listen: "8080" is not allowed; use text: host:port']),
    ("https://warnings.example.org", "warnings.example.org", [
        'hub: public_url: "warnings.example.org" is not allowed; '
        'use text: an address like https://hub.example.org, or ""']),
    ('# timezone = "Asia/Shanghai"', 'timezone = "Asia"', [
        'hub: timezone: "Asia" is not known; use a name like Asia/Shanghai']),
    ('# timezone = "Asia/Shanghai"', 'timezone = "Asia/Jianghua"', [
        'hub: timezone: "Asia/Jianghua" is not known; use a name like Asia/Shanghai']),
    ('kind = "influxdb1"', 'kind = "influxdb4"', [
        'store: kind: "influxdb4" is not allowed; use embedded, influxdb1, influxdb2, influxdb3']),
    ('kind = "influxdb1"', 'kind = "influxdb2"', [
        'store: kind: "influxdb2" needs token and org; use kind = "influxdb1" for a server without them']),
    ('kind = "influxdb1"', 'kind = "embedded"\ndownsample = "auto"', [
        'store: downsample: is not for the embedded store; use "off"']),
    ('# token = ""', 'token = "a b"', [
        'store: token: "a b" is not allowed; use text: letters, digits and signs of ASCII without blanks, or ""']),
    ('# url = "http:', 'url = "', [
        'store: url: "//127.0.0.1:8086" is not allowed; use text: an address like http://127.0.0.1:8086']),
    ('flood = "11A01"', 'floods = "11A1"', [
        'cap: event_code: "floods" is not allowed; use flood, gas, tank, slope',
        'cap: event_code: floods: "11A1" is not allowed; use text: five characters, like 11B03']),
    ("# times = 3", "times = 0", ["call: times: 0 is not allowed; use a whole number of at least 1 and up to 20"]),
    ("# repeat_s = 100.0", "repeat_s = 0", ["call: repeat_s: 0 is not allowed; use a number above 0"]),
])
def test_a_hub_file_with_a_mistake(old: str, new: str, says: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    change("hub.toml", old, new)
    assert said_of(capsys, "hub.toml") == [f"hub.toml: {line}" for line in says]


def test_files_that_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "words.toml").write_text("[station]\nid: upper-bridge\n", encoding="utf-8")
    (folder / "old.toml").write_bytes('name = "上桥"'.encode("gb18030"))
    (folder / "other.toml").write_text("[tool.ruff]\n", encoding="utf-8")
    (folder / "empty.toml").write_text("", encoding="utf-8")
    kinds = ("a station file has [station], a hub file [hub], a rules file [[rule]], a file of group rules [[group]], "
             "a scenario [[wire]], a watch over the hub [watch]")
    names = ["words.toml", "old.toml", "other.toml", "empty.toml", "none.toml", "."]
    assert said_of(capsys, *names) == [
        "words.toml: not TOML: Expected '=' after a key in a key/value pair (at line 2, column 3)",
        "old.toml: not UTF-8 at byte 8; save it as UTF-8",
        f"other.toml: holds [tool]; {kinds}",
        f"empty.toml: holds nothing; {kinds}",
        "none.toml: cannot be read: No such file or directory",
        ".: cannot be read: Is a directory",
    ]


def test_rules_that_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "sample_rules.toml").unlink()
    assert said_of(capsys, "station.toml") == [
        'station.toml: station: rules: "sample_rules.toml" is not there; '
        "name a file beside this one, or its whole path"]
    (folder / "sample_rules.toml").mkdir()
    assert said_of(capsys, "station.toml") == ["sample_rules.toml: cannot be read: Is a directory"]


@pytest.mark.usefixtures("folder")
def test_all_that_is_wrong_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    change("station.toml", 'bus = "weir-line"', 'bus = "weir"')
    change("station.toml", 'name = "tank"', 'name = "gas"')
    change("sample_rules.toml", "red = 80.0", "rde = 80.0")
    change("hub.toml", "# times = 3", "times = 0")
    words = [line.partition(": ")[0] for line in said_of(capsys, "station.toml", "sample_rules.toml", "hub.toml")]
    assert words == ["station.toml", "station.toml", "sample_rules.toml", "sample_rules.toml", "hub.toml"]


@pytest.mark.usefixtures("folder")
def test_one_wrong_file_of_several_fails_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said_of(capsys, "sample_rules.toml", "none.toml")
    assert lines == ["sample_rules.toml: good", "none.toml: cannot be read: No such file or directory"]


@pytest.mark.parametrize(("text", "says"), [
    ("[[device]]\n[[bus]]\n[hub]\n", "table [station] is missing"),
    ("[[station]]\n", "table [hub] is missing"),
    ("[station]\n", "table [[bus]] is missing; give at least one"),
    ("[hub]\n[person]\n", "person: a table is not allowed; use a list of tables, each with its name in [[ ]]"),
])
def test_a_file_without_one_of_its_tables_is_still_known(
    folder: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "part.toml").write_text(text, encoding="utf-8")
    assert f"part.toml: {says}" in said_of(capsys, "part.toml")
