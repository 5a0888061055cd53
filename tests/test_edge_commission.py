"""A technician goes through a station: real instruments, agent, broker and hub; the keyboard is the test's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge import service
from edge.agent import Agent
from edge.calibration import read_entries
from edge.operate import SOCKET, Reply, ask
from edge.sheet import Sheet, in_words, keep, opened
from edge.walk import FILE, BrokenOffError, Walk
from simulators.devices import RadarLevel, RainCounter, Relay
from simulators.faults import Silent
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.edge_bench import BUCKET, GAUGE, RAIN, STAGE
from tests.hubs import HubFiles, running_hub
from tests.services import Mosquitto
from tests.stations import START_MS, StationFiles, radar_device, rain_device, running, wind
from tocsin.clock import WoundClock
from tocsin.messages import Event, EventKind

MINUTE_MS = 60_000
Key = Callable[[], str]
SOUNDED = "the siren sounded for 5 s and obeyed"


class Site:
    """A station that runs, and a person at its keyboard, whose `answers` are given in order."""

    def __init__(self, folder: Path, broker: str = "mqtt://127.0.0.1:9") -> None:
        self.clock = WoundClock(START_MS)
        self.gauge, self.bucket = RadarLevel(Measures.LEVEL), RainCounter(0.5)
        self.gauge.set("depth_m", 1.0)
        self.wire = ModbusTcp({1: self.gauge, 3: self.bucket, 9: Relay()})
        self.files = StationFiles(folder / "edge", "", broker, devices=radar_device(deadline_s=0.4) + rain_device())
        self.files.rules = STAGE + RAIN
        self.folder = self.files.folder / "station-data"
        self.minute = 0
        self.answers: list[str | Key] = []
        self.prompts: list[str] = []
        self.told: list[str] = []

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Agent]:
        async with self.wire:
            self.files.port = f"tcp://127.0.0.1:{self.wire.port}"
            async with running(self.files.write(), self.clock) as agent, asyncio.timeout(60):
                await agent.pipeline.wait_handled(2)
                while not (self.folder / SOCKET).exists():
                    await asyncio.sleep(0)
                self._loop, self._agent = asyncio.get_running_loop(), agent
                yield agent

    def walk(self, lang: str = "en", who: str = "Li Wei") -> Walk:
        return Walk(self.folder, who, lang, say=self._say, ask=self._ask, tell=self.told.append, wait=self._wait)

    async def goes(self, *answers: str | Key, lang: str = "en") -> Sheet:
        self.answers = list(answers)
        return await asyncio.to_thread(self.walk(lang).run)

    def _say(self, what: dict[str, Any]) -> Reply:
        return Reply(True, SOUNDED) if what["do"] == "siren_test" else ask(self.folder, what)

    def _ask(self, prompt: str) -> str:
        self.prompts.append(prompt.strip())
        if not self.answers:
            raise BrokenOffError
        answer = self.answers.pop(0)
        return answer if isinstance(answer, str) else answer()

    def _wait(self, _seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(self._pass_a_minute(), self._loop).result()

    async def _pass_a_minute(self) -> None:
        self.minute += 1
        await wind(self._agent, self.clock, [START_MS + self.minute * MINUTE_MS], polls=2)

    def tips(self, count: int) -> Key:
        """So many, and then a yes."""
        def tipped() -> str:
            self.bucket.rain(0.5 * count)
            return "y"

        return tipped

    def events(self, kind: EventKind) -> list[str]:
        return [event.detail for event in self.files.log() if isinstance(event, Event) and event.what is kind]


def found(sheet: Sheet) -> dict[str, tuple[bool | None, str]]:
    return {one.step: (one.proved, one.detail) for one in sheet.results}


async def test_a_station_is_proved_and_the_hub_has_the_sheet(
    tmp_path: Path, new_mosquitto: Callable[[], Mosquitto]
) -> None:
    broker = new_mosquitto()
    site = Site(tmp_path, broker.url)
    hub_files = HubFiles(tmp_path / "hub", broker.url, [(site.files.id, site.files.key)])
    async with running_hub(hub_files.write(), site.clock), site.agent() as agent:
        await agent.link.wait_connected()
        sheet = await site.goes(site.tips(10), "1.05", "y", "y", "y")
        results = found(sheet)
        assert sheet.missing == []
        assert results["probe"] == (True, "2 of 2 series give good readings")
        assert results["rain"] == (True, f"{BUCKET}: 10 of 10 tips counted")
        assert results["staff"] == (True, f"{GAUGE}: staff gauge 1.050 m, shown 1.000 m; offset 0 -> 0.05; "
                                          "then shown 1.050 m")
        assert results["siren"] == (True, f"heard; {SOUNDED}")
        assert results["echo"][1].startswith("on the hub's disk after ")
        assert sheet.scales == {GAUGE: {"offset": 0.05, "sensor_height_m": 0.0}, BUCKET: {"mm_per_tip": 0.5}}
        assert agent.pipeline.decider.service == {}
        assert [entry.why for entry in read_entries(site.folder)] == ["staff gauge 1.050 m, shown 1.000 m"]
        text = msgspec.json.encode(sheet).decode()
        reply = await asyncio.to_thread(ask, site.folder, {"do": "commission", "sheet": text, "who": "Li Wei"})
        assert reply.done, reply.said
        place = Path(reply.said)
        assert opened(await asyncio.to_thread(place.read_bytes), site.files.id, site.files.key) == sheet
        await agent.recorder.written(agent.recorder.last_seq)
        while agent.uplink.backlog:
            await asyncio.sleep(0.01)
    (_, sent) = site.events(EventKind.COMMISSION)
    words, _, sealed = sent.rpartition("\n")
    assert words == in_words(sheet).en
    assert opened(sealed.encode(), site.files.id, site.files.key) == sheet
    assert [one for one in site.files.log() if type(one).__name__ == "Detection"] == []


async def test_what_is_not_so_is_said_and_a_walk_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent():
        site.wire.set_fault(1, Silent())
        for _ in range(4):
            await site._pass_a_minute()
        with pytest.raises(BrokenOffError):
            await site.goes("n", site.tips(9), "y", site.tips(10))
        assert f"    {GAUGE}: NO GOOD READING silent: no answer within 0.4 s" in site.told
        assert "    NOT PROVED: 9 of 10 tips counted" in site.told
        assert f"    NOT PROVED: {GAUGE}: gives no reading" in site.told
        site.wire.set_fault(1, None)
        for _ in range(4):
            await site._pass_a_minute()
        site.told.clear()
        with pytest.raises(BrokenOffError):
            await site.goes("1.0")
        assert "--- 2 of 5: 10 tips are 10 counted" not in site.told, "proved before"
        assert "    proved: 2 of 2 series give good readings" in site.told


async def test_readings_stay_as_they_were_where_the_person_says_no(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        with pytest.raises(BrokenOffError):
            await site.goes("", "abc", "1，5", "n")
        done = msgspec.json.decode((site.folder / FILE).read_bytes())["results"]
        assert (done["rain"]["proved"], done["rain"]["detail"]) == (False, f"{BUCKET}: skipped")
        assert done["staff"]["detail"] == f"{GAUGE}: staff gauge 1.500 m, shown 1.000 m; offset left at 0"
        assert done["staff"]["proved"] is False
        assert '    "abc" is not a number; like 1.25' in site.told
        assert read_entries(site.folder) == []
        assert agent.pipeline.decider.service == {}, "also of the step that was broken off"
        site.told.clear()
        with pytest.raises(BrokenOffError):
            await site.goes(site.tips(10), "1.003", lang="zh")
        assert site.told[1].startswith("Li Wei 于 2024-08-08T00:00:00Z 的验收尚未完成；已通过：所有设备应答。")
        assert f"    通过：{GAUGE}：水尺 1.003 米，显示 1.000 米" in site.told


async def test_in_a_warning_nothing_is_taken_out_of_service(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent():
        site.gauge.set("depth_m", 2.6)
        await site._pass_a_minute()
        with pytest.raises(BrokenOffError):
            await site.goes()
        done = msgspec.json.decode((site.folder / FILE).read_bytes())["results"]
        why = 'not while a warning is open: "stage" on gauge/stage_m is at orange'
        assert [why in done[step]["detail"] for step in ("rain", "staff")] == [True, True]


def test_a_sheet_tells_whether_a_word_of_it_was_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = StationFiles(tmp_path, "tcp://127.0.0.1:9")
    path = files.write()
    sheet = Sheet(1, files.id, "Upper bridge", "Li Wei", START_MS, START_MS + 1, "0", "abcd", {GAUGE: {}}, [])
    (tmp_path / "station-data").mkdir()
    place, sealed = keep(tmp_path / "station-data", sheet, files.key)
    assert service.run([str(path), "--verify", str(place)]) == 0
    said = capsys.readouterr().out
    assert "NOT PROVED: every device answers, 10 tips are 10 counted, staff gauge, siren, echo of the hub" in said
    assert said.strip().endswith("the seal is that of this station")
    for changed in (sealed.replace(b"Li Wei", b"Li Bai"), sealed[:-1], b"", sealed.replace(b'"sig":"', b'"sig":"0')):
        place.write_bytes(changed)
        assert service.run([str(path), "--verify", str(place)]) == 1
        assert f"{place}: it was changed, or is no sheet of this station: " in capsys.readouterr().err
    assert service.run([str(path), "--verify", str(place), "--lang", "zh"]) == 1
    assert f"{place}：内容被改动，或不是本站的验收单：" in capsys.readouterr().err
    assert service.run([str(path), "--verify", str(tmp_path / "none")]) == 1


async def test_the_command_line_begins_ends_and_calibrates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        async def say(*words: str) -> tuple[int, str]:
            code = await asyncio.to_thread(service.run, [str(site.files.folder / "station.toml"), *words])
            said = capsys.readouterr()
            return code, (said.out + said.err).strip()

        who = ("--who", "Li Wei")
        assert await say(GAUGE, "--minutes", "20", *who) == (0, f"{GAUGE}: Li Wei works on it for at most 20 min")
        assert await say("calibrate", GAUGE, "--offset", "0.05", *who, "--why", "staff") == (
            0, f"{GAUGE}: offset not given -> 0.05")
        assert await say("end", GAUGE, *who) == (0, f"{GAUGE}: Li Wei ended service mode")
        assert await say("end", GAUGE, *who) == (1, f'"{GAUGE}" is not in service')
        assert (await say("gauge", "--minutes", "61", *who))[0] == 1
        assert (await say("all", "--minutes", "5", *who))[1].count("works on it for at most 5 min") == 2
        assert (await say("end", *who))[1].count("ended service mode") == 2
        assert await say("end", *who) == (1, "nothing is in service")
        monkeypatch.setattr("builtins.input", _closed)
        site.wire.set_fault(1, Silent())
        for _ in range(4):
            await site._pass_a_minute()
        code, said = await say("--commission", *who, "--lang", "en")
        assert code == 1
        assert "broken off; missing: " in said
        assert "、警报器、中心回执。再次运行可继续" in (await say("--commission", *who, "--lang", "zh"))[1]
        assert agent.pipeline.decider.service == {}
        strange = await say("end", "--who", "Li\udcff")    # as a terminal of another coding gives it
        assert strange == (1, "a name has at most 200 printable characters")
        for number in (("calibrate", GAUGE, "--offset", "nan"), ("gauge", "--minutes", "1,5")):
            with pytest.raises(SystemExit):
                await say(*number, *who)
            assert "is not a number; like 1.25" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            await say("gauge", *who)
        assert "say for how long: --minutes N" in capsys.readouterr().err
        for wrong in (("gauge", *who), ("end", "gauge", "bucket", *who), ("gauge", "--minutes", "5")):
            with pytest.raises(SystemExit):
                await say(*wrong)
    assert (await say("end", GAUGE, *who))[0] == 1


def _closed(_prompt: str) -> str:
    raise EOFError


@pytest.mark.parametrize("sheet", ["", "{}", '{"v":2}'])
async def test_no_other_sheet_is_sealed(tmp_path: Path, sheet: str) -> None:
    site = Site(tmp_path)
    async with site.agent():
        good = msgspec.json.encode(Sheet(1, "bridge", "x", "Li Wei", 1, 2, "0", "", {}, [])).decode()
        for text, who in ((sheet, "Li Wei"), (good, "Wang Fang"), (good.replace("bridge", "mill"), "Li Wei")):
            reply = await asyncio.to_thread(ask, site.folder, {"do": "commission", "sheet": text, "who": who})
            assert not reply.done
    assert site.events(EventKind.COMMISSION) == []
