"""The sample files are good, show every key, and say the real defaults; so does docs/configuration.md."""

import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

import drivers
from drivers._spans import Measures
from drivers.radar_level import DEFAULT_SPAN_M
from edge.config import Station, StationFile, load_station
from edge.series import SeriesTable, plan_series
from hub.config import HubConfig, load_hub
from hub.config_officers import EXAMPLE_PASSWORD, EXAMPLE_WARNING
from tests.shared_data import REPOSITORY
from tests.test_drivers_docs import default_of
from thresholds.rulefile import CheckTable, LevelTable, RuleTable
from thresholds.rules import load_rules
from thresholds.starter_command import starters
from tocsin import check, plugins
from tocsin.__main__ import COMMANDS, main
from tocsin.config import ConfigError
from tocsin.levels import WARNING_LEVELS
from tocsin.quantities import quantity
from tocsin.readings import Reading
from tocsin.signing import EXAMPLE_KEY, new_station_key

STATION, RULES, HUB = "edge/sample.toml", "edge/sample_rules.toml", "hub/sample.toml"
TEXTS = {name: (REPOSITORY / name).read_text(encoding="utf-8") for name in (STATION, RULES, HUB)}
PAGE = (REPOSITORY / "docs" / "configuration.md").read_text(encoding="utf-8")
KINDS: dict[str, type[msgspec.Struct]] = {"station.toml": StationFile, "hub.toml": HubConfig}

# what a default of "none" comes to
EFFECTIVE: dict[tuple[str, str], Any] = {
    ("device.settings", "span_m"): DEFAULT_SPAN_M[Measures.DISTANCE],
    ("device.series", "plausible"): quantity("stage_m").plausible,
}
HEADER = re.compile(r"\[+([\w.]+)\]+")
DEFAULT = re.compile(r"# (\w+) = (.+?)(?:\s+#.*)?")


class Shown(NamedTuple):
    """A key of a sample: the table it stands in, the driver of that table's device, and whether it is a comment."""

    table: str
    driver: str
    key: str
    value: Any
    default: bool


def shown(text: str) -> Iterator[Shown]:
    table = driver = ""
    for line in text.splitlines():
        if header := HEADER.match(line):
            table, _, own = header[1].partition(".")
            if own:
                yield Shown(table, driver, own.partition(".")[0], None, default=False)
                table = f"{table}.{own.partition('.')[0]}"
            continue
        default = DEFAULT.fullmatch(line)
        live = re.match(r"(\w+) = ", line)
        if not (default or live):
            continue
        given = f"{default[1]} = {default[2]}" if default else line
        (key, value), = tomllib.loads(given).items()
        driver = value if (table, key) == ("device", "driver") else driver
        yield Shown(table, driver, key, value, default=bool(default))


def tables_of(kind: type[msgspec.Struct], path: str = "") -> dict[str, type[msgspec.Struct]]:
    """Every table of a file by its name: `device`, `device.series`."""
    found: dict[str, type[msgspec.Struct]] = {}
    for field in msgspec.structs.fields(kind):
        inner = struct_in(field.type)
        if inner is not None:
            own = f"{path}{field.encode_name}"
            found |= {own: inner} | tables_of(inner, f"{own}.")
    return found


def struct_in(kind: Any) -> type[msgspec.Struct] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    return next((found for arg in typing.get_args(kind) if (found := struct_in(arg))), None)


def keys_of(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


def uncommented(text: str) -> str:
    return "\n".join(re.sub(r"^# (?=\w+ = )", "", line) for line in text.splitlines())


def write(folder: Path, change: typing.Callable[[str], str]) -> Path:
    """The samples in a folder, each changed, with keys of its own."""
    folder.mkdir()
    for name, text in TEXTS.items():
        file = folder / name.replace("/", "-").replace("edge-sample_rules", "sample_rules")
        file.write_text(change(text).replace(EXAMPLE_KEY, new_station_key()), encoding="utf-8")
    return folder


def meaning(station: Station) -> list[Any]:
    """All that an agent makes of its files."""
    file = station.file
    devices = [(msgspec.structs.replace(device.table, settings={}, series={}), vars(device.driver), device.series)
               for device in station.devices]
    return [file.station, file.bus, file.siren, devices, station.plan.hash]


def test_the_samples_are_good_and_say_that_their_keys_are_everybodys() -> None:
    answer = subprocess.run([sys.executable, "-m", "tocsin", "check", *TEXTS], cwd=REPOSITORY, capture_output=True,
                            text=True, encoding="utf-8", check=False)
    why = 'is that of the sample files, which everybody knows; make your own with "tocsin keys"'
    assert answer.stdout.splitlines() == [
        f"{STATION}: good, but it cannot run yet: its key {why}", f"{RULES}: good",
        f"{HUB}: good, but it cannot run yet", *_left_of_sample_hub(HUB)]
    assert (answer.returncode, answer.stderr) == (0, "")


def test_nothing_can_be_run_with_the_keys_of_the_samples() -> None:
    why = 'is that of the sample files, which everybody knows; make your own with "tocsin keys"'
    path = REPOSITORY / STATION
    with pytest.raises(ConfigError) as refused:
        load_station(path)
    assert refused.value.problems == [f"{path}: hub: key: {why}"]
    path = REPOSITORY / HUB
    with pytest.raises(ConfigError) as refused:
        load_hub(path)
    assert refused.value.problems == _left_of_sample_hub(path)


def test_a_hub_with_keys_of_its_own_is_told_of_the_officer_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "hub.toml"
    own = TEXTS[HUB].replace(f'"{EXAMPLE_KEY}"', f'"{new_station_key()}"')
    path.write_text(own, encoding="utf-8")
    assert check.run([str(path)]) == 0
    officer = f'{path}: officer "Sun Yan": {EXAMPLE_WARNING}'
    assert capsys.readouterr().out.splitlines() == [f"{path}: good, but it cannot run yet", officer]
    path.write_text(own.replace(EXAMPLE_PASSWORD, EXAMPLE_PASSWORD.replace("0", "1")), encoding="utf-8")
    assert check.run([str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{path}: good"]


def _left_of_sample_hub(path: Path | str) -> list[str]:
    why = 'is that of the sample files, which everybody knows; make your own with "tocsin keys"'
    places = ("hub: private_key", 'station "upper-bridge": key', 'station "stone-valley": key')
    return [f"{path}: {place}: {why}" for place in places] + [f'{path}: officer "Sun Yan": {EXAMPLE_WARNING}']


@pytest.mark.parametrize(("name", "kind"), [(STATION, StationFile), (HUB, HubConfig)])
def test_a_sample_shows_every_key_and_no_other(name: str, kind: type[msgspec.Struct]) -> None:
    seen: dict[str, set[str]] = {}
    for one in shown(TEXTS[name]):
        seen.setdefault(one.table, set()).add(one.key)
    assert {table for table in seen if "." not in table} == keys_of(kind)
    wanted = {table: keys_of(struct) for table, struct in tables_of(kind).items()}
    assert {table: keys for table, keys in seen.items() if table in wanted} == wanted


def test_the_samples_of_rules_show_every_key_of_a_rule_and_of_a_check() -> None:
    texts = [TEXTS[RULES], *(starter.text for starter in starters().values())]
    seen = [one for text in texts for one in shown(text)]
    levels = {"rule", *(f"rule.{level.word}" for level in WARNING_LEVELS)}
    # a key of a level that may stand in its rule too is shown in either place
    assert {one.key for one in seen if one.table in levels} == keys_of(RuleTable) | keys_of(LevelTable)
    assert {one.key for one in seen if one.table == "check"} == keys_of(CheckTable)


@pytest.mark.parametrize("driver", sorted({one.driver for one in shown(TEXTS[STATION]) if one.driver}))
def test_the_sample_shows_every_setting_of_the_drivers_in_it(driver: str) -> None:
    keys = {one.key for one in shown(TEXTS[STATION]) if (one.table, one.driver) == ("device.settings", driver)}
    assert keys == keys_of(plugins.load(drivers, driver).Settings)


@pytest.mark.parametrize(("name", "kind"), [(STATION, StationFile), (HUB, HubConfig)])
def test_every_commented_default_is_the_real_one(name: str, kind: type[msgspec.Struct]) -> None:
    commented = [one for one in shown(TEXTS[name]) if one.default]
    assert len(commented) >= 10
    tables = tables_of(kind)
    for one in commented:
        of_driver = one.table == "device.settings"
        struct = plugins.load(drivers, one.driver).Settings if of_driver else tables[one.table]
        field, = (field for field in msgspec.structs.fields(struct) if field.encode_name == one.key)
        made = tuple(field.default_factory()) if callable(field.default_factory) else field.default
        default = made if made is not None else EFFECTIVE[one.table, one.key]
        said = tuple(one.value) if isinstance(one.value, list) else one.value
        assert (said, type(said)) == (default, type(default)), f"{one.table}: {one.key}"


def test_with_its_defaults_written_out_a_sample_means_the_same(tmp_path: Path) -> None:
    plain, full = write(tmp_path / "plain", str), write(tmp_path / "full", uncommented)
    for folder in (plain, full):
        assert main(["check", *(str(path) for path in folder.iterdir())]) == 0
    stations = [load_station(folder / "edge-sample.toml") for folder in (plain, full)]
    assert meaning(stations[0]) == meaning(stations[1])
    assert stations[0].file.device != stations[1].file.device, "nothing was uncommented"
    assert load_rules(plain / "sample_rules.toml").hash == load_rules(full / "sample_rules.toml").hash
    hubs = [load_hub(folder / "hub-sample.toml") for folder in (plain, full)]
    for part in ("cap", "store", "call", "person", "api"):
        assert getattr(hubs[0], part) == getattr(hubs[1], part)
    tables = [msgspec.structs.replace(hub.hub, private_key="0" * 64, data=Path(hub.hub.data).name) for hub in hubs]
    assert tables[0] == tables[1]


def test_the_rain_of_the_sample_is_that_of_the_county_s_plan() -> None:
    rain = {
        rule["over_min"] // 60: [rule[level] for level in ("blue", "yellow", "orange", "red")]
        for rule in tomllib.loads(TEXTS[RULES])["rule"] if rule["quantity"] == "rain_mm"
    }
    assert rain == {1: [35, 45, 60, 80], 3: [55, 75, 100, 120], 6: [70, 95, 120, 150], 24: [100, 130, 160, 200]}


# --- the page -------------------------------------------------------------------------------------------------------


def sections(file: str) -> dict[str, str]:
    part = re.search(rf"^## {re.escape(file)}\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert part, f"docs/configuration.md has no part {file}"
    found = re.split(r"^### `\[+([\w.]+?)(?:\.<quantity>)?\]+`\n", part[1], flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


@pytest.mark.docs
@pytest.mark.parametrize("file", KINDS)
def test_the_page_has_a_table_for_every_table_with_every_key_and_its_default(file: str) -> None:
    structs = tables_of(KINDS[file])
    assert sorted(sections(file)) == sorted(structs)
    for table, text in sections(file).items():
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+ \| [^|]* ?\|$", text, re.MULTILINE)
        fields = msgspec.structs.fields(structs[table])
        assert dict(rows) == {field.encode_name: default_of(field) for field in fields}


def block(after: str, language: str = "") -> str:
    return PAGE.partition(after)[2].partition(f"```{language}\n")[2].partition("```")[0]


@pytest.mark.docs
def test_the_page_shows_the_real_answer_to_its_wrong_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = block("This file has four mistakes", "toml")
    Path("station.toml").write_text(text, encoding="utf-8")
    assert main(["check", "station.toml"]) == 1
    out = capsys.readouterr().out
    assert f"$ tocsin check station.toml\n{out}" == block(f"{text}```")
    assert len(out.splitlines()) == 4
    for wrong, right in (("4311", "431129101203"), ("hub.ex", "mqtt://hub.ex"), ("bauds", "baud"), ('"30 s"', "30")):
        text = text.replace(wrong, right)
    Path("station.toml").write_text(text, encoding="utf-8")
    assert main(["check", "station.toml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        'station.toml: device "radar": settings: key "measures" is missing; give distance, level',
        'station.toml: station: rules: "rules.toml" is not there; name a file beside this one, or its whole path',
    ]


@pytest.mark.docs
def test_the_page_s_example_of_heights_is_worked_rightly() -> None:
    def stage_m(measured: str, value: float, table: SeriesTable) -> float:
        plan = plan_series("radar", 60.0, (measured,), {"stage_m": table}, "page")[measured]
        return plan.value(Reading(measured, value))

    assert stage_m("distance_m", 6.37, SeriesTable(sensor_height_m=8.20)) == 1.83
    assert stage_m("depth_m", 2.18, SeriesTable(sensor_height_m=-0.35)) == 1.83
    assert stage_m("distance_m", 6.37, SeriesTable(sensor_height_m=8.20, offset=0.02)) == 1.85
    table = SeriesTable(sensor_height_m=8.20, offset=0.02, gauge_zero_m=246.80, datum="1985 national height datum")
    assert stage_m("distance_m", 6.37, table) == 248.65
    for number in ("8.20 - 6.37 = 1.83 m", "2.18 m it gives the same 1.83", "It reads 1.85 m", "then 248.65 m"):
        assert number in PAGE


# --- keys -----------------------------------------------------------------------------------------------------------


def test_new_keys_are_lines_of_the_files_and_never_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = set()
    for kind, key in (("station", "key"), ("hub", "private_key")) * 2:
        assert main(["keys", kind]) == 0
        made.add(tomllib.loads(capsys.readouterr().out)[key])
    assert len(made) == 4
    lines = TEXTS[HUB].splitlines()
    text = "\n".join(re.sub(EXAMPLE_KEY, lambda _: made.pop(), line) for line in lines)
    (tmp_path / "hub.toml").write_text(text, encoding="utf-8")
    config = load_hub(tmp_path / "hub.toml")
    assert len({config.hub.private_key, *config.keys.values()}) == 3


def test_the_public_key_beside_a_hub_s_key_is_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "hub"]) == 0
    private, public = capsys.readouterr().out.splitlines()
    path = tmp_path / "hub.toml"
    head = '[cap]\nsender = "a"\n[hub]\nname = "a"\nbroker = "embedded:1883"\n'
    path.write_text(f"{head}{private}\n", encoding="utf-8")
    assert public == f"# the public key, for whoever checks its bulletins: {load_hub(path).public_key}"


def test_a_kind_of_key_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "keys" in COMMANDS
    with pytest.raises(SystemExit) as left:
        main(["keys", "house"])
    assert left.value.code == 2
    assert "invalid choice: 'house' " in capsys.readouterr().err
