"""The starter sets: good files with the numbers of their sources, that fit a station made for them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared_data import REPOSITORY
from thresholds.rules import Rules, bind, load_rules
from thresholds.series import Series
from thresholds.starter_command import FOLDER, GROUPS, starters
from tocsin.__main__ import main
from tocsin.levels import Authority, Level, Stage
from tocsin.quantities import QUANTITIES

NAMES = sorted(starters())
PAGE = (REPOSITORY / "docs" / "rules.md").read_text(encoding="utf-8")
TABLE = ("blue", "yellow", "orange", "red")
PPM_PER_MG_M3 = 24.45    # litres of a mole of gas at 25 C and 1013 hPa

# what each set is made for: device, quantity, seconds from reading to reading, plausible range where it is narrower
STATIONS: dict[str, list[tuple[str, str, float, tuple[float, float] | None]]] = {
    "flash_flood_rain": [("gauge", "rain_total_mm", 60, None)],
    "rain_of_two_gauges": [("valley", "rain_total_mm", 60, None), ("ridge", "rain_mm", 300, None)],
    "rainstorm_signal": [("gauge", "rain_mm", 300, None)],
    "river_stage": [("radar", "stage_m", 60, None)],
    "gas_gbt50493": [(name, name, 5, None) for name in (
        "ch4_pct_lel", "h2s_ppm", "co_ppm", "co_mg_m3", "nh3_ppm", "cl2_ppm", "so2_ppm", "hcl_ppm")],
    "oxygen": [("nose", "o2_pct_vol", 5, None)],
    "tank_level": [("gauge", "tank_level_m", 30, (0.0, 10.5))],
    "slope": [("wire", "displacement_mm", 900, (-2000.0, 2000.0)), ("cell", "pore_pressure_kpa", 900, None)],
    "tailings_pond": [("pipe", "phreatic_depth_m", 3600, None), ("wire", "displacement_mm", 3600, None)],
}


def rules(name: str) -> Rules:
    return load_rules(FOLDER / f"{name}.toml")


def numbers(name: str) -> dict[str, dict[str, float]]:
    """The thresholds of each rule by the word of the level."""
    return {rule.name: {level.level.word: level.on / rule.scale for level in rule.levels} for rule in rules(name).rules}


def station(name: str) -> list[Series]:
    return [Series(f"{device}/{quantity}", quantity, round(every_s * 1000), plausible or QUANTITIES[quantity].plausible,
                   "gauge zero" if quantity == "stage_m" else "")
            for device, quantity, every_s, plausible in STATIONS[name]]


def test_there_is_a_station_for_every_set_and_the_page_names_them_all() -> None:
    assert sorted(STATIONS) == NAMES == sorted(path.stem for path in FOLDER.iterdir())
    rows = PAGE.partition("## Starter sets")[2].partition("## Quantities")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_set_is_a_good_file(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = FOLDER / f"{name}.toml"
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: good\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_set_fits_a_station_and_every_series_of_it_is_judged(name: str) -> None:
    plan = bind(rules(name), station(name))
    assert {track.series_index for track in plan.tracks} == set(range(len(plan.all_series)))


@pytest.mark.parametrize("name", NAMES)
def test_a_set_speaks_both_languages_and_names_its_source(name: str) -> None:
    starter = starters()[name]
    assert re.search("[A-Za-z]{3}", starter.en)
    assert not re.search("[一-鿿]", starter.en)
    assert re.search("[一-鿿]{4}", starter.zh)
    assert re.search("^# Sources?[ :]", starter.text, re.MULTILINE)
    assert re.search("^# 来源：", starter.text, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_with_its_defaults_written_out_a_set_means_the_same(name: str, tmp_path: Path) -> None:
    text, commented = starters()[name].text, re.compile(r"^# (?=\w+ = )", re.MULTILINE)
    path = tmp_path / "full.toml"
    path.write_text(commented.sub("", text), encoding="utf-8")
    assert commented.search(text)
    assert load_rules(path).hash == rules(name).hash


def test_rain_is_that_of_the_published_tables() -> None:
    assert numbers("rainstorm_signal") == {
        "rainstorm 12 h": {"blue": 50}, "rainstorm 6 h": {"yellow": 50}, "rainstorm 3 h": {"orange": 50, "red": 100}}
    assert [rule.over_s // 3600 for rule in rules("rainstorm_signal").rules] == [12, 6, 3]
    assert numbers("flash_flood_rain") == {
        f"rain {hours} h": dict(zip(TABLE, marks, strict=True)) for hours, marks in (
            (1, (35, 45, 60, 80)), (3, (55, 75, 100, 120)), (6, (70, 95, 120, 150)), (24, (100, 130, 160, 200)))}
    assert [rule.over_s // 3600 for rule in rules("flash_flood_rain").rules] == [1, 3, 6, 24]


def test_two_gauges_move_people_after_a_time_in_which_a_person_may_object() -> None:
    rain, both = rules("rain_of_two_gauges").rules
    red, = both.levels
    assert (both.of, both.at, both.over_s, red.on) == (rain.name, Level.ORANGE, 1800, 2000)
    assert (red.stage, red.authority, red.hold_ms) == (Stage.MOVE, Authority.AFTER, 300_000)
    assert {level.stage for level in rain.levels} == {Stage.PREPARE}


# GB/T 50493-2019: occupational exposure limit in mg/m3, molar mass in g/mol
@pytest.mark.parametrize(("name", "limit", "mass"), [
    ("hydrogen sulfide", 10, 34.08), ("carbon monoxide", 20, 28.01), ("ammonia", 20, 17.03), ("chlorine", 1, 70.90),
    ("sulfur dioxide", 5, 64.06), ("hydrogen chloride", 7.5, 36.46),
])
def test_toxic_gas_is_at_most_once_and_twice_the_limit(name: str, limit: float, mass: float) -> None:
    found = numbers("gas_gbt50493")[name]
    ppm = limit * PPM_PER_MG_M3 / mass
    assert list(found) == ["yellow", "red"]
    for level, times in (("yellow", 1), ("red", 2)):
        assert 0 <= times * ppm - found[level] < 0.01


def test_methane_oxygen_and_carbon_monoxide_by_mass() -> None:
    gas = numbers("gas_gbt50493")
    assert (gas["methane"], gas["carbon monoxide by mass"]) == ({"yellow": 25, "red": 50}, {"yellow": 20, "red": 40})
    assert numbers("oxygen") == {"too little oxygen": {"yellow": 19.5}, "too much oxygen": {"yellow": 23.5}}
    assert [rule.low for rule in rules("oxygen").rules] == [True, False]
    levels = [level for rule in rules("gas_gbt50493").rules for level in rule.levels]
    assert all(level.latch == (level.level is Level.RED) for level in levels)


def test_tank_levels_rise_from_ll_to_hh_and_rates_go_both_ways() -> None:
    tank = numbers("tank_level")
    low, high = tank["tank level low"], tank["tank level high"]
    assert low["red"] < low["yellow"] < high["yellow"] < high["red"]
    assert tank["tank fills fast"]["yellow"] == -tank["tank drains fast"]["yellow"] > 0


def test_a_tailings_pond_keeps_the_proportions_of_its_code() -> None:
    pond = numbers("tailings_pond")
    line, moved = pond["phreatic line"], pond["dam displacement"]
    assert line["orange"] == pytest.approx(1.1 * line["red"])
    assert moved["orange"] == pytest.approx(0.8 * moved["red"])


def test_the_combining_rules_of_the_tailings_code_work_when_they_are_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    text = starters()["tailings_pond"].text
    path.write_text(re.sub(r"^# {5}", "", text, flags=re.MULTILINE), encoding="utf-8")
    wires = [Series(f"wire-{letter}/displacement_mm", "displacement_mm", 3_600_000, (0.0, 500.0)) for letter in "abcd"]
    pipe = Series("pipe/phreatic_depth_m", "phreatic_depth_m", 3_600_000, (0.0, 50.0))
    plan = bind(load_rules(path), [*wires, pipe])
    steps = {(group.rule.at, level.level): level.on // 1000 for group in plan.groups for level in group.rule.levels}
    assert steps == {
        (Level.BLUE, Level.YELLOW): 4, (Level.YELLOW, Level.ORANGE): 3, (Level.ORANGE, Level.RED): 2}


def test_the_command_lists_and_shows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "list"]) == 0
    listed = capsys.readouterr().out
    for starter in starters().values():
        assert re.search(rf"^{starter.name} +{re.escape(starter.en)}\n +{re.escape(starter.zh)}$", listed, re.MULTILINE)
        assert main(["rules", "show", starter.name]) == 0
        assert capsys.readouterr().out == (FOLDER / f"{starter.name}.toml").read_text(encoding="utf-8")
    assert main(["rules", "show", "rian"]) == 1
    assert capsys.readouterr() == (
        "", f'tocsin rules: "rian" is not a starter set; use {", ".join([*NAMES, *starters(GROUPS)])}\n')


def test_what_is_shown_can_be_kept_and_checked(tmp_path: Path) -> None:
    shown = subprocess.run([sys.executable, "-m", "tocsin", "rules", "show", "river_stage"], cwd=REPOSITORY,
                           capture_output=True, check=True)
    path = tmp_path / "rules.toml"
    path.write_bytes(shown.stdout)
    assert load_rules(path).hash == rules("river_stage").hash
