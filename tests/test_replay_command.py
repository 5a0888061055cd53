"""`tocsin replay` as people use it: tables, lines and pages over record files, and a clear sentence where it cannot."""

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Request

from tests.browser import open_browser
from tests.shared_data import shared_path
from tests.threshold_desk import MIDNIGHT
from thresholds.replay.command import run
from thresholds.replay.page import both
from tocsin.records import write
from tocsin.times import iso

RULES = """
[[rule]]
name = "stage"
quantity = "stage_m"
datum = "gauge zero"
yellow = 2.0
red = 3.0
off_below = 0.5
n = 1
m = 1
off_delay_min = 0

[[rule]]
name = "rain 1 h"
quantity = "rain_mm"
over_min = 60
yellow = 10.0

[[check]]
quantity = "stage_m"
max_rate_per_min = 0.5
spike_floor = 1.5
"""
FLOOD = [1.0] * 60 + [1.0 + 0.05 * n for n in range(60)] + [4.0 - 0.03 * n for n in range(100)] + [1.0] * 40
RAIN = [0.0] * 40 + [0.5] * 60 + [0.0] * 160


def minute(number: int) -> str:
    return iso(MIDNIGHT + number * 60_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """rules.toml, and bridge.csv with a flood at 02:00."""
    (tmp_path / "rules.toml").write_text(RULES, encoding="utf-8")
    with (tmp_path / "bridge.csv").open("w", encoding="utf-8") as file:
        write(file, ["stage_m", "rain_mm"], [
            (MIDNIGHT + n * 60_000, [stage, rain]) for n, (stage, rain) in enumerate(zip(FLOOD, RAIN, strict=True))])
    return tmp_path


def replay(folder: Path, *words: str, records: tuple[str, ...] = ("bridge.csv",)) -> int:
    return run([str(folder / "rules.toml"), *(str(folder / name) for name in records), *words])


def test_episodes_as_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(folder, "--json") == 0
    told = capsys.readouterr()
    rain, stage = (json.loads(line) for line in told.out.splitlines())
    assert (rain["rule"], rain["level"], rain["raised_at"]) == ("rain 1 h", "yellow", minute(59))
    assert (stage["level"], stage["raised_at"], stage["cleared_at"]) == ("red", minute(80), minute(204))
    assert stage["peak"] == {"value": 4.0, "at": minute(120)}
    assert 'bridge: its stages are taken to count from "gauge zero", as the rules do' in told.err


def test_episodes_as_a_table_in_the_zone_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(folder, "--tz", "Asia/Shanghai") == 0
    told = capsys.readouterr().out
    assert "Episodes 预警过程 bridge (Asia/Shanghai)" in told
    assert re.search(r"stage .* red 红色 .* 2024-08-08 09:20 .* 2024-08-08 11:24 .* 2 h 04 min .* 4 m .* ≥ 3 m", told)
    assert re.search(r"bridge +record/stage_m +1 min +260 +0", told)


def test_a_part_of_the_time(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(folder, "--json", "--from", minute(100), "--to", minute(150)) == 0
    stage = json.loads(capsys.readouterr().out)
    assert (stage["evidence"]["since"], stage["raised_at"], stage["cleared_at"]) == (minute(100), minute(101), None)
    assert replay(folder, "--from", "2030-01-01") == 1
    assert "holds nothing in the time that --from and --to leave" in capsys.readouterr().err


def test_several_records_are_several_stations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mill.csv").write_text(f"time,stage_weir_m\n{minute(0)},2.5\n{minute(1)},2.5\n", encoding="utf-8")
    assert replay(folder, records=("bridge.csv", "mill.csv")) == 0
    told = capsys.readouterr()
    assert re.search(r"bridge +stage +record/stage_m", told.out)
    assert re.search(r"mill +stage +weir/stage_m .* lasts 未解除", told.out)
    assert "mill: left out: " in told.err
    assert 'rule "rain 1 h": quantity: no device here gives "rain_mm"' in told.err


def test_a_record_that_is_refused_does_not_stop_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "torn.csv").write_text("time,stage_m\n2024-08-08,1\n", encoding="utf-8")
    assert replay(folder, "--json", records=("torn.csv", "bridge.csv")) == 1
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 2
    assert 'torn.csv:2: time "2024-08-08"' in told.err


@pytest.mark.parametrize(("name", "text", "words"), [
    ("notes.txt", "hello", "notes.txt: is no record; name a CSV file"),
    ("none.csv", None, "none.csv: cannot be read"),
    ("none.dat", None, "none.dat: is not there; name a CSV file"),
    ("gas.csv", "time,co_ppm\n2024-08-08T00:00:00Z,1\n", r"no column holds what .* say .*--column COLUMN=QUANTITY"),
    ("hub.toml", "[hub]\n", "hub.toml: "),
    ("bridge.csv", "time,stage_m\n2024-08-08T00:00:00Z,\n", ""),
])
def test_what_is_no_record_is_refused_with_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, text: str | None, words: str
) -> None:
    if text is not None:
        (folder / name).write_text(text, encoding="utf-8")
    code = replay(folder, records=(name,))
    told = capsys.readouterr()
    assert code == (1 if words else 0)
    assert re.search(words, told.err.replace("\n", " "))
    assert "Traceback" not in told.err


@pytest.mark.parametrize("words", [
    ["--period", "5"], ["--tz", "Mars/North"], ["--column", "x"], ["--column", "x=speed"], ["--from", "noon"],
    ["--plausible", "stage_m=9:0"], ["--plausible", "speed=0:9"], ["--colour"]])
def test_a_wrong_command_line_says_what_is_allowed(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        replay(folder, *words)
    assert stop.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_rules_with_errors_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rules.toml").write_text(RULES.replace("yellow = 2.0", "yelow = 2.0"), encoding="utf-8")
    assert replay(folder) == 1
    assert '"yelow" is not a key; did you mean "yellow"?' in capsys.readouterr().err


def test_columns_period_and_plausible_as_a_person_says_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "weir.csv").write_text(f"time,flow_m3s\n{minute(0)},2.5\n{minute(1)},9.5\n", encoding="utf-8")
    assert replay(folder, "--column", "flow_m3s=weir/stage_m", "--plausible", "stage_m=0:9", "--period", "30s",
                  "--station", "mill", records=("weir.csv",)) == 0
    assert re.search(r"mill +weir/stage_m +30 s +2 +1 +1 +1 +0", capsys.readouterr().out)


def test_a_latched_level_stays_or_falls_as_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rules.toml").write_text(
        RULES.replace("red = 3.0", "red = { on = 3.0, latch = true }"), encoding="utf-8")
    assert replay(folder, "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out.splitlines()[1])["cleared_at"] is None
    assert "a level that waits for an acknowledgement stays" in told.err
    assert replay(folder, "--json", "--no-latch") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[1])["cleared_at"] == minute(204)


def test_the_page_needs_nothing_else(folder: Path) -> None:
    assert replay(folder, "--html", str(folder / "page.html")) == 0
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|<script|<link|<img|@import|url\(|src=", page)
    assert "stage" in page
    assert "水位" in page
    assert "red 红色" in page


def test_words_in_two_languages_are_words() -> None:
    assert both("a < b", "甲 & 乙") == '<span lang="en">a &lt; b</span><span lang="zh">甲 &amp; 乙</span>'


def test_what_files_say_cannot_become_a_part_of_the_page(folder: Path) -> None:
    evil = '"<b onclick=x>&'
    (folder / "rules.toml").write_text(RULES.replace('name = "stage"', f"name = '{evil}'"), encoding="utf-8")
    assert replay(folder, "--station", "<i>", "--html", str(folder / "page.html")) == 0
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "<b onclick" not in page
    assert "<i>" not in page
    assert "&lt;b onclick=x&gt;&amp;" in page


async def test_the_page_in_a_browser(folder: Path) -> None:
    (folder / "faults.csv").write_text("time,stage_m\n" + "".join(
        f"{minute(n)},{'' if 300 < n < 330 else 77.0 if n == 400 else 2.5 + n % 7 / 10}\n" for n in range(600)),
        encoding="utf-8")
    assert replay(folder, "--html", str(folder / "page.html"), records=("bridge.csv", "faults.csv")) == 0
    asked: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    async with open_browser() as browser:
        for page in (await browser.phone(), await browser.desktop()):
            page.on("request", note)
            await page.goto((folder / "page.html").as_uri())
            wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0
            assert await page.locator("h1").inner_text() == f"Replay: {folder / 'rules.toml'}"
            await page.locator("label[for=zh]").click()
            assert await page.locator("h1").inner_text() == f"回放: {folder / 'rules.toml'}"
            assert await page.locator("svg.plot path.curve").count() >= 3
            assert await page.locator("text=/held as a spike 疑似尖峰/").count() >= 1
            assert await page.locator("rect.hole").count() >= 1
            closed = page.locator("details svg.plot").first
            assert not await closed.is_visible()
            await page.locator("summary").first.click()
            assert await closed.is_visible()
        assert browser.errors == []
        assert asked == [(folder / "page.html").as_uri()] * 2


def test_a_flood_on_record(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Walnut Creek passes 1.8 m at 07:20 on 8 August 2024, as the records' list of events says."""
    (folder / "rules.toml").write_text(RULES.replace("yellow = 2.0", "yellow = 1.8").replace("red = 3.0\n", ""))
    record = shared_path("data/records/us_walnut_creek_2024.csv.gz")
    assert run([str(folder / "rules.toml"), str(record), "--json", "--from", "2024-08-07", "--to", "2024-08-11"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    stage = next(one for one in found if one["rule"] == "stage")
    assert (stage["raised_at"], stage["evidence"]["since"]) == ("2024-08-08T07:20:00Z", "2024-08-08T07:20:00Z")
    assert {one["rule"] for one in found} == {"stage", "rain 1 h"}
