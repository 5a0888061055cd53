"""A walk through a station in which the person, or the disk, gets something wrong."""

import asyncio
import errno
import shutil
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from edge import service
from edge import walk as walks
from edge.sheet import Result, Sheet, in_words
from edge.walk import FILE, Begun, BrokenOffError
from simulators.faults import Silent
from tests.edge_bench import GAUGE
from tests.stations import StationFiles
from tests.test_edge_commission import Site


async def test_a_staff_reading_in_centimetres_is_asked_again_and_an_offset_that_blinds_is_put_back(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        with pytest.raises(BrokenOffError):
            await site.goes("", "105", "1.05", "y")
        assert "    staff 105 m and shown 1.000 m are more than 1 m apart. In metres? Type it once more." in site.told
        done = msgspec.json.decode((site.folder / FILE).read_bytes())["results"]
        assert done["staff"]["detail"].endswith("offset 0 -> 0.05; then shown 1.050 m")
        site.gauge.set("depth_m", 1.2)
        (site.folder / FILE).unlink()
        with pytest.raises(BrokenOffError):
            await site.goes("", "125", "125", "y")
        done = msgspec.json.decode((site.folder / FILE).read_bytes())["results"]
        assert done["staff"]["proved"] is False
        assert done["staff"]["detail"].endswith("; then no good reading; offset put back to 0.05")
        assert agent.operations.station.devices[0].scales()[GAUGE]["offset"] == 0.05


async def test_a_bucket_that_is_tried_again_is_in_service_for_the_whole_time_again(tmp_path: Path) -> None:
    site = Site(tmp_path)

    def late() -> str:
        for _ in range(25):
            site._wait(0.0)
        return site.tips(9)()

    def again() -> str:
        for _ in range(2):
            site._wait(0.0)
        return "y"

    def later() -> str:
        for _ in range(10):
            site._wait(0.0)
        return site.tips(10)()

    async with site.agent() as agent:
        with pytest.raises(BrokenOffError):
            await site.goes(late, again, later)
        await agent.recorder.written(agent.recorder.last_seq)
    assert [one for one in site.files.log() if type(one).__name__ == "Detection"] == [], "tips are no rain"


@pytest.mark.parametrize("torn", [b"", b"\0\0", b'{"who":"\xff'])
async def test_a_walk_whose_file_is_torn_begins_anew(tmp_path: Path, torn: bytes) -> None:
    site = Site(tmp_path)
    async with site.agent():
        (site.folder / FILE).write_bytes(torn)
        with pytest.raises(BrokenOffError):
            await site.goes()
        assert site.walk()._read(await asyncio.to_thread(site.walk()._now)).who == "Li Wei"


async def test_a_walk_of_days_ago_begins_anew(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent():
        with pytest.raises(BrokenOffError):
            await site.goes()
        begun = msgspec.json.decode((site.folder / FILE).read_bytes(), type=Begun)
        assert begun.results["probe"].proved
        for days in (3, -1):
            begun.began = site.clock.now_ms() - days * 86_400_000
            (site.folder / FILE).write_bytes(msgspec.json.encode(begun))
            site.told.clear()
            with pytest.raises(BrokenOffError):
                await site.goes()
            assert "too long ago: everything is gone through anew" in site.told[1]
            assert site.told[2] == "--- 1 of 5: every device answers"


async def test_a_disk_that_refuses_keeps_nobody_from_going_through_a_station(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_keys: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    site = Site(tmp_path)
    async with site.agent():
        monkeypatch.setattr(walks, "replace_file", full)
        sheet = await site.goes(site.tips(10), "1.0", "y", "y")
        assert "    this cannot be kept: No space left on device; go on without a break" in site.told
        assert sheet.missing == ["echo"]
        site.walk().finished()


async def test_a_clock_that_is_set_back_or_a_series_that_is_gone_does_not_stop_a_walk(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent():
        now = await asyncio.to_thread(site.walk()._now)
        (one,) = [series for series in now.series if series.key == GAUGE]
        hour_ms = 3_600_000
        looks = [now, *(replace(now, t=now.t - hour_ms + passed * 1000, series=[replace(one, t=now.t - hour_ms + 5000)])
                        for passed in range(10))]
        walk = site.walk()
        walk._wait = lambda _: None
        walk._now = lambda: looks.pop(0)  # type: ignore[method-assign]
        assert walk._next(one) == 1.0
        looks = [replace(now, t=now.t + passed * 100_000, series=[]) for passed in range(4)]
        assert walk._next(one) is None


def test_a_sheet_names_who_went_through_a_step_where_it_was_another() -> None:
    steps = [Result("probe", True, "good", 0, "", "Li Wei"), Result("siren", None, "", 0, "", "Wang Fang")]
    sheet = Sheet(1, "bridge", "Upper bridge", "Wang Fang", 0, 1, "0", "abcd", {}, steps)
    said = in_words(sheet)
    assert "every device answers: proved: good (1970-01-01T00:00:00Z, Li Wei)" in said.en
    assert "警报器：本站无此项（1970-01-01T00:00:00Z）" in said.zh


async def test_in_chinese_a_dead_device_says_why_in_chinese(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent():
        site.wire.set_fault(1, Silent())
        for _ in range(4):
            await site._pass_a_minute()
        with pytest.raises(BrokenOffError):
            await site.goes(lang="zh")
        assert f"    {GAUGE}：无有效读数 无应答: no answer within 0.4 s" in site.told


async def test_two_people_do_not_walk_through_one_station_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one comes while the first is asked something, and again when he has gone."""
    site, codes = Site(tmp_path), list[int]()
    words = [str(site.files.folder / "station.toml"), "--commission", "--who", "Wang Fang", "--lang", "en"]

    def asked(_prompt: str) -> str:
        monkeypatch.setattr("builtins.input", closed)
        codes.append(service.run(words))
        raise EOFError

    def closed(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", asked)
    async with site.agent():
        site.wire.set_fault(1, Silent())
        for _ in range(4):
            await site._pass_a_minute()
        codes.append(await asyncio.to_thread(service.run, words))
        said = capsys.readouterr()
        assert said.err == "somebody else is walking through this station; wait for the end of that\n"
        assert (said.out.count("broken off"), codes) == (1, [1, 1])
        assert await asyncio.to_thread(service.run, words) == 1
        assert "broken off" in capsys.readouterr().out



def test_a_walk_makes_no_folder_that_would_belong_to_another_user_than_the_agent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path)
    site.files.port = "tcp://127.0.0.1:9"
    words = [str(site.files.write()), "--commission", "--who", "Wang Fang", "--lang", "en"]
    shutil.rmtree(site.folder, ignore_errors=True)
    assert service.run(words) == 1
    assert "no agent answers" in capsys.readouterr().err
    assert not site.folder.exists()


@pytest.mark.parametrize("words", [["--lang", "zh", "gauge"], ["gauge", "--lang", "zh"]])
def test_the_name_of_what_is_worked_on_may_stand_behind_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    path = StationFiles(tmp_path, "tcp://127.0.0.1:9").write()
    assert service.run([str(path), *words, "--minutes", "5", "--who", "Li Wei"]) == 1
    assert "终端程序没有应答" in capsys.readouterr().err
