"""A station file that an edit has broken keeps no agent from starting: the copy of the one that was good last does."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edge import siren_off, status
from edge.config import check, load_station
from edge.good_station import GOOD_STATION, keep_station
from edge.papers import papers_of
from tests.lines import until
from tests.stations import START_MS, radar_device, running
from tests.test_agent import MINUTE_MS, Site
from tocsin.config import ConfigError
from tocsin.messages import Event, EventKind
from tocsin.said import LANGS
from tocsin.signing import EXAMPLE_KEY
from tocsin.times import iso

Harm = Callable[[str], str]
HARMS: dict[str, Harm] = {
    "a quote is gone": lambda text: text.replace('id = "bridge"', 'id = "bridge'),
    "a key is wrong": lambda text: text.replace("every_s", "evry_s"),
    "a value is wrong": lambda text: text.replace("unit = 9", "unit = 900"),
    "a table is gone": lambda text: text.replace("[hub]", "[pub]"),
    "a driver is unknown": lambda text: text.replace('"radar_level"', '"radar_levle"'),
    "a bus is unknown": lambda text: text.replace('name = "field"', 'name = "fields"'),
    "the siren is no output": lambda text: text.replace('device = "siren"', 'device = "gauge"'),
    "the key is the example's": lambda text: "\n".join(
        f'key = "{EXAMPLE_KEY}"' if line.startswith("key") else line for line in text.splitlines()),
    "a power cut left it empty": lambda _text: "",
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def good(site: Site) -> Path:
    return site.files.folder / "station-data" / GOOD_STATION


async def polled(site: Site) -> Path:
    """The station file of an agent that has polled for a minute."""
    async with site.agent() as agent:
        await site.read(agent, 0.5)
        await until(good(site).exists)
    return site.files.folder / "station.toml"


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
async def test_a_start_on_a_broken_file_takes_the_copy_and_says_so(site: Site, harm: Harm) -> None:
    path = await polled(site)
    text = path.read_text()
    assert text != harm(text)
    path.write_text(harm(text))
    station = load_station(path)
    assert (station.text, station.place, station.folder) == (text, path, site.files.folder / "station-data")
    first, *problems = station.problems
    assert str(first).startswith(f"{path}")
    assert f"good since {iso(START_MS + MINUTE_MS)}" in str(first)
    shutil.rmtree(path.parent / "station-data")
    with pytest.raises(ConfigError) as refused:
        load_station(path)
    assert refused.value.problems == problems, "one that never was good ends with its error"
    if harm is not HARMS["the key is the example's"]:
        assert check(path) == problems


async def test_a_file_that_is_gone_or_unreadable_is_broken_too(site: Site) -> None:
    path = await polled(site)
    text = path.read_text()
    path.unlink()
    assert load_station(path).text == text
    path.write_bytes(b"\xff\xfe")
    assert load_station(path).text == text


async def test_the_copy_is_kept_after_a_poll_alone_and_for_its_owner_alone(site: Site) -> None:
    async with site.agent() as agent:
        site.clock.wind_to(START_MS + 59_000)
        assert not good(site).exists()
        await site.read(agent, 0.5)
        await until(good(site).exists)
        assert good(site).stat().st_mode & 0o777 == 0o600


def test_nobody_else_can_open_the_copy_while_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who had it open before it is closed to others would read what comes."""
    modes: list[int] = []
    monkeypatch.setattr("os.fchmod", lambda file, _mode: modes.append(os.fstat(file).st_mode & 0o777))
    keep_station(tmp_path, tmp_path / "station.toml", "secret", START_MS)
    assert modes == [0o600]


async def test_what_nobody_was_asked_by_is_not_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site.agent() as agent:
        monkeypatch.setattr("edge.watchdog.Watchdog.polls", False)
        agent._keep_file()
        assert not good(site).exists()
        monkeypatch.undo()
        agent._keep_file()
        assert good(site).exists()


async def test_an_agent_on_the_copy_polls_and_says_loudly_for_as_long_as_it_stands(
    site: Site, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    path = await polled(site)
    text = path.read_text()
    path.write_text(text.replace('id = "bridge"', 'id = "bridge'))
    with caplog.at_level(logging.ERROR):
        async with site.wire, running(path, site.clock) as agent:
            await agent.pipeline.wait_handled(1)
            await until(lambda: bool(agent._health.open))
            (fault,) = agent._watch._heartbeat(online=True).faults
            pages = []
            for lang in LANGS:
                assert await asyncio.to_thread(status.run, [str(path), "--lang", lang]) == 0
                pages.append(capsys.readouterr().out)
            await agent.recorder.written(agent.recorder.last_seq)
            kept = good(site).read_bytes()
            agent._keep_file()
            assert good(site).read_bytes() == kept, "a copy is no proof of the file"
    assert (fault.fault, fault.what) == ("config", "station")
    since = iso(START_MS + MINUTE_MS)
    assert fault.detail.startswith(f"{path}, line 3, does not hold: its copy is in force, good since {since}; {path}: ")
    assert fault.zh.startswith(f"{path} 第 3 行有误：沿用其副本，该副本自 {since} 起有效；")
    flat = ["".join(page.split()) for page in pages]
    assert f"line3,doesnothold:itscopyisinforce,goodsince{since}" in flat[0]
    assert f"配置文件：{path}第3行有误：沿用其副本" in flat[1]
    assert any("line 3, does not hold" in record.getMessage() for record in caplog.records)
    events = [one for one in site.files.log() if isinstance(one, Event) and one.reason == "config"]
    assert [(one.what, one.detail == fault.detail) for one in events] == [(EventKind.HEALTH, True)]


async def test_of_a_file_with_many_mistakes_the_fault_tells_the_first(site: Site) -> None:
    path = await polled(site)
    path.write_text(path.read_text() + "[log]\n" + "".join(f"wrong_{at} = 1\n" for at in range(200)))
    async with site.wire, running(path, site.clock) as agent:
        await until(lambda: bool(agent._health.open))
        (fault,) = agent._health.open
    assert len(agent._station.problems) > 200
    assert "wrong_0" in fault.detail
    assert max(len(fault.detail), len(fault.zh)) < 1100


async def test_a_file_that_is_mended_counts_and_its_copy_follows(site: Site) -> None:
    path = await polled(site)
    text = path.read_text()
    path.write_text("")
    assert load_station(path).problems
    path.write_text(text.replace("deadline_s = 0.4", "deadline_s = 0.3"))
    async with site.wire, running(path, site.clock) as agent:
        assert not agent._station.problems
        await agent.pipeline.wait_handled(2)
        before = good(site).read_bytes()
        agent._keep_file()
        assert good(site).read_bytes() != before
        assert agent._health.open == []
    path.write_text("")
    assert "deadline_s = 0.3" in load_station(path).text


async def test_a_copy_is_for_its_own_file_alone(site: Site, tmp_path: Path) -> None:
    path = await polled(site)
    other = tmp_path / "other" / "station.toml"
    other.parent.mkdir()
    data = path.parent / "station-data"
    text = path.read_text().replace("[station]", f'[station]\ndata = "{data}"')
    shutil.copy(path.parent / "rules.toml", other.parent)
    for place in (other, path):  # of its own file it is one
        keep_station(data, place, text, START_MS)
        other.write_text(text + "\nbroken")
        if place == other:
            assert load_station(other).text == text
        else:
            with pytest.raises(ConfigError, match="not TOML"):
                load_station(other)


async def test_a_copy_of_another_station_is_none(site: Site) -> None:
    """A card that was taken over must not sound and report as the station that it came from."""
    path = await polled(site)
    text = path.read_text()
    for broken in (text.replace('id = "bridge"', 'id = "weir"') + "\n]", text.replace('id = "bridge"', "id = 'weir'")
                   .replace("unit = 9", "unit = 900")):
        path.write_text(broken)
        with pytest.raises(ConfigError, match=r"not TOML|900"):
            load_station(path)
    path.write_text(text.replace('id = "bridge"', 'id = "Bridge"'))
    assert load_station(path).text == text, "that is no id"


async def test_a_file_that_is_a_link_has_its_copy_whatever_it_points_to(site: Site) -> None:
    site.files.port = "tcp://127.0.0.1:9"
    path = site.files.write()
    text, folder = path.read_text(), site.files.folder
    good(site).parent.mkdir()
    for version, content in (("1.toml", text), ("2.toml", text + "\nbroken")):
        (folder / version).write_text(content)
        path.unlink()
        path.symlink_to(version)
        if content == text:
            keep_station(good(site).parent, path, text, START_MS)
    assert load_station(path).text == text


async def test_of_two_data_folders_beside_the_file_the_newest_copy_counts(site: Site) -> None:
    site.files.port = "tcp://127.0.0.1:9"
    path = site.files.write()
    plain = path.read_text()
    texts = {name: plain.replace("[station]", f'[station]\ndata = "{name}"') for name in ("a", "b", "c")}
    for (name, text), t in zip(texts.items(), (1, 3, 2), strict=True):
        (path.parent / name).mkdir()
        keep_station(path.parent / name, path, text, t)
    path.write_text("")
    assert load_station(path).text == texts["b"]
    (path.parent / "b").rename(path.parent / "b.put-aside")
    assert load_station(path).text == texts["c"]
    path.write_text('data = "a"')
    assert load_station(path).text == texts["a"]


@pytest.mark.parametrize("data", ["/absolute", "deep/down"])
def test_the_copy_is_found_by_the_broken_file_or_by_the_unit(
    tmp_path: Path, data: str, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:
    site.files.port = "tcp://127.0.0.1:9"
    path = site.files.write()
    folder = tmp_path / "far" / "elsewhere" if data.startswith("/") else tmp_path / data
    name = str(folder) if data.startswith("/") else data
    text = path.read_text().replace("[station]", f'[station]\n  data = "{name}"  # x')
    folder.mkdir(parents=True)
    keep_station(folder, path, text, START_MS)
    path.write_text(text + "\nbroken")
    assert load_station(path).text == text
    path.write_text("")
    with pytest.raises(ConfigError):
        load_station(path)
    monkeypatch.setenv("STATE_DIRECTORY", f"/nowhere:{folder}")
    assert load_station(path).text == text
    assert load_station(path).folder == folder


def test_a_copy_that_is_damaged_or_fits_no_more_is_none(site: Site) -> None:
    site.files.port = "tcp://127.0.0.1:9"
    path = site.files.write()
    good(site).parent.mkdir()
    path.write_text("broken")
    for text in ("also broken", path.read_text().replace("driver", "diver")):
        keep_station(good(site).parent, path, text, START_MS)
        with pytest.raises(ConfigError, match=r"station.toml: not TOML.*end of document"):
            load_station(path)
    good(site).write_bytes(b"{")
    with pytest.raises(ConfigError, match="not TOML"):
        load_station(path)


async def test_papers_are_those_of_what_is_in_force_and_without_secrets(site: Site) -> None:
    path = await polled(site)
    whole = papers_of(load_station(path))
    path.write_text(path.read_text()[:-200])
    station = load_station(path)
    assert station.problems
    assert papers_of(station) == whole
    assert site.files.key not in whole.config


async def test_a_siren_can_be_switched_off_by_a_broken_file(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    path = await polled(site)
    path.write_text(path.read_text() + "\n]")
    async with site.wire:
        site.relay.on = True
        assert await asyncio.to_thread(siren_off.run, [str(path), "--lang", "zh"]) == 0
        assert not site.relay.on
    assert "沿用其副本" in capsys.readouterr().err


@pytest.mark.parametrize("harm", ["a driver is unknown", "a bus is unknown", "the siren is no output"])
async def test_a_siren_that_only_the_copy_knows_can_be_switched_off(site: Site, harm: str) -> None:
    path = await polled(site)
    path.write_text(HARMS[harm](path.read_text()).replace('"relay_output"', '"relay_outptu"'))
    async with site.wire:
        site.relay.on = True
        assert await asyncio.to_thread(siren_off.run, [str(path)]) == 0
        assert not site.relay.on


async def test_that_the_copy_cannot_be_written_is_said_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    async with site.agent() as agent:
        await site.read(agent, 0.5)
        await until(good(site).exists)
        good(site).unlink()
        good(site).with_name(f"{GOOD_STATION}.new").mkdir()
        agent._file_kept = False
        caplog.clear()
        for _ in range(3):
            agent._keep_file()
    assert ["copy is not kept" in record.getMessage() for record in caplog.records].count(True) == 1


def test_a_new_station_has_none(site: Site) -> None:
    site.files.devices = radar_device() + "x"
    path = site.files.write()
    with pytest.raises(ConfigError, match="not TOML"):
        load_station(path)
