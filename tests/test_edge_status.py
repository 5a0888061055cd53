"""`tocsin status`: how a station is, on a phone's terminal."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from aiomqtt import MqttError
from hypothesis import given
from hypothesis import strategies as st

from edge import status
from edge.operate import SOCKET, _short
from edge.status_page import page
from edge.survey import PowerNow, StationNow
from edge.words import WIDTH, cells, folded, width
from simulators.faults import Silent
from tests.edge_bench import GAUGE, Bench
from tests.solar import Solar
from tests.test_agent import MINUTE_MS, Site
from tocsin import __version__
from tocsin.__main__ import main
from tocsin.broker import Broker, in_words
from tocsin.messages import EventKind
from tocsin.readings import Reason, Rejection
from tocsin.said import LANGS, Said, language

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=200)


def narrow(text: str, columns: int = WIDTH) -> None:
    assert [line for line in text.splitlines() if width(line) > columns] == []


async def test_a_running_station_tells_how_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(tmp_path)
    path = tmp_path / "station.toml"

    async def say(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(status.run, [str(path), *words])
        return code, capsys.readouterr().out

    async with site.agent() as agent:
        async with asyncio.timeout(30):
            while not (tmp_path / "station-data" / SOCKET).exists():
                await asyncio.sleep(0)
        await site.read(agent, 0.6)
        site.wire.set_fault(2, Silent())
        agent.operations.service("other", 30, "Li Wei")
        await site.read(agent, 2.6)
        before = agent.recorder.last_seq
        code, english = await say("--lang", "en")
        assert code == 0
        assert agent.recorder.last_seq == before, "a look changes nothing"
        narrow(english)
        said = re.sub(r"\s+", " ", english)
        for words in ("Upper bridge (bridge) 2024-08-08T00:02:00Z", f"tocsin {__version__}, up 2 min, rules ",
                      "orange stage since 0 s gauge/stage_m", "gauge/stage_m 2.6 m 0 s", "other/stage_m 0.1 m 60 s",
                      "in service for 29 min more", "other: silent: no answer within 0.4 s (1 refused)",
                      "NO CONNECTION to 127.0.0.1:9", "no answer of the hub since the start",
                      "records wait for the hub", "MB free on the disk", "synchronization not known"):
            assert words in said, words
        code, chinese = await say("--lang", "zh")
        narrow(chinese)
        for words in ("上桥 (bridge)", "橙色 stage", "检修中，还剩 29 分", "未连接 127.0.0.1:9"):
            assert words in chinese, words
        assert "\x1b" not in english + chinese, "no colours where it is no terminal"
        code, plain = await say("--json")
        found = json.loads(plain)
        assert [(one["rule"], one["level"]) for one in found["levels"]] == [("stage", "orange")]
        assert {one["key"]: one["value"] for one in found["series"]} == {"gauge/stage_m": 2.6, "other/stage_m": 0.1}
        assert found["series"][1]["service"] - found["t"] == 29 * MINUTE_MS
        assert found["health"]["devices"][1]["refused"] == 1
    code, said = await say("--lang", "en")
    assert code == 1
    assert "no agent runs here: " in said
    assert re.search(r"the last record in its folder is number \d+, \w+, of 2024-08-08T00:02:00", said)
    assert "gauge/stage_m" in said
    assert "2.6" in said


def test_a_reading_that_was_not_taken_says_why_and_when_one_was(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.read(40.0)
    now = asyncio.run(_now(bench))
    (gauge,) = (one for one in now.series if one.key == GAUGE)
    assert (gauge.value, now.t - gauge.good) == (40.0, 60_000)
    text = page(now, "en")
    assert "out of range; last good 60 s ago" in text
    assert "\x1b[31m" not in text
    bench.clock.pass_ms(600_000)
    text = page(asyncio.run(_now(bench)), "en", colour=True)
    assert re.search("\x1b\\[31m  gauge/stage_m +40 m +10 min\x1b\\[0m", text)
    bench.stop()


@pytest.mark.parametrize(("lang", "words"), [
    ("en", "gauge: good again; last error 60 s ago: silent: no answer (1 refused)"),
    ("zh", "gauge：已恢复；最近一次错误 60 秒前：无应答: no answer（拒绝 1 次）")])
def test_what_failed_last_is_shown_also_when_it_is_good_again(tmp_path: Path, lang: str, words: str) -> None:
    """A device that fails now and then would else look as good as any."""
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.read(None)
    assert asyncio.run(_now(bench)).errors == [], "it stands among the faults"
    bench.read(0.5)
    text = page(asyncio.run(_now(bench)), lang)
    narrow(text)
    assert re.sub(r"\s", "", words) in re.sub(r"\s", "", text)
    bench.stop()


async def _now(bench: Bench) -> StationNow:
    return msgspec.json.decode((await bench.agent.work.status()).en, type=StationNow)


async def test_why_there_is_no_connection_and_what_a_broker_refuses_is_told_in_the_readers_language(
    tmp_path: Path
) -> None:
    now = await _now(Bench(tmp_path))
    away = in_words(MqttError("[Errno 111] Connection refused"), Broker("127.0.0.1", 9))
    for lang, words in (("en", "nobody listens there"), ("zh", "该地址无人监听")):
        link = msgspec.structs.replace(now.link, trouble=away.en, trouble_zh=away.zh)
        text = page(msgspec.structs.replace(now, link=link), lang)
        assert words in text
        assert "[Errno 111]" in text


@pytest.mark.parametrize("lang", LANGS)
def test_what_other_parts_put_into_the_heartbeat_is_shown(tmp_path: Path, lang: str) -> None:
    bench = Bench(tmp_path)
    now = asyncio.run(_now(bench))
    bench.stop()
    health = now.health | {
        "siren": 3, "log": {"thinned": 2},
        "siren_health": {"proven": now.t - 7_200_000, "how": "line", "tested": 0, "overdue": "no test", "fault": ""},
        "month_bytes": 2_000_000, "today_bytes": 9000,
    }
    text = page(msgspec.structs.replace(now, health=health, power=PowerNow("critical", None)), lang)
    narrow(text)
    words = {"en": ("SOUNDS for orange", "proven 2 h ago (line check)", "no test", "thinned by step 2",
                    "power is critical, voltage not read", "9 kB today, 2.0 MB this month"),
             "zh": ("正在鸣响：橙色", "2 小时前已验证（线路检查）", "已精简到第 2 级",
                    "电量告急，电压尚未读到", "今日 9 kB，本月 2.0 MB")}
    assert [one for one in words[lang] if one not in text] == []


async def test_power_standing_faults_and_devices_that_are_only_probed_are_shown(tmp_path: Path) -> None:
    site = Solar(tmp_path)
    async with site.agent() as agent:
        site.charger.set("battery_v", 11.8)
        site.wire.set_fault(1, Silent())
        await site.minutes(25)
        now = msgspec.json.decode((await agent.work.status()).en, type=StationNow)
        assert now.power == PowerNow("saving", 11.8)
        assert now.probed == ["gauge"]
        every = {one.device: one.every_s for one in now.series}
        assert every["charger"] == 120.0, "it saves: nothing is late that is read as seldom as it should be"
        for lang, words in (("en", ("saving power, 11.80 V", "sensor gauge: no good reading for", "battery: 11.80 V",
                                    "s (", "refused); only probed")),
                            ("zh", ("节电运行，11.80 V", "传感器 gauge：", "分钟内没有有效读数",
                                    "蓄电池：11.80 V：节电运行", "gauge：无应答: no answer within", "仅作探测"))):
            text = page(now, lang)
            narrow(text)
            flat = re.sub(r"\s+", "", text)
            assert [one for one in words if re.sub(r"\s+", "", one) not in flat] == [], text
        asleep = page(msgspec.structs.replace(now, health=now.health | {"next_s": 1500.0}), "en", colour=True)
        assert "NO CONNECTION" not in asleep
        assert "\x1b[33m  asleep for some minutes, to save power" in asleep


@pytest.mark.parametrize("lang", LANGS)
def test_a_long_name_is_whole_and_what_keeps_files_from_counting_stands_among_the_faults(
    tmp_path: Path, lang: str
) -> None:
    bench = Bench(tmp_path)
    now = asyncio.run(_now(bench))
    bench.stop()
    key = f"{'a' * 32}/rain_total_mm"
    long = msgspec.structs.replace(now.series[0], key=key, value=123456.5, t=now.t)
    text = page(msgspec.structs.replace(now, series=[long], problems=["rules.toml: torn"]), lang)
    narrow(text)
    assert f"  {key}\n" in text
    assert "  rules.toml: torn" in text


def test_a_log_folder_that_cannot_be_read_hides_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    (bench.folder / "log").rename(bench.folder / "away")
    now = asyncio.run(_now(bench))
    assert now.series[0].value == 0.5
    assert "No such file or directory" in page(now, "en")
    chinese = page(now, "zh")
    assert "无法写入：文件或目录不存在" in chinese
    assert "No such file" not in chinese
    (bench.folder / "away").rename(bench.folder / "log")
    bench.stop()


@pytest.mark.parametrize(("lang", "words"), [
    ("en", "silent nothing on bus field answers: nobody knows whether it can be switched on never proven"),
    ("zh", "静默 总线 field 上所有设备无应答：能否鸣响不明 从未验证")])
def test_a_siren_on_a_line_that_is_dead_is_not_only_silent(tmp_path: Path, lang: str, words: str) -> None:
    """Nobody asks the relay before it is needed, but all else on its line was asked just now."""
    bench = Bench(tmp_path)
    bench.read(0.5)
    gauge, bucket = bench.agent._station.devices[:2]
    silent, dead, odd = (Rejection(reason, "x") for reason in (Reason.SILENT, Reason.LINK, Reason.CHECKSUM))
    for of_gauge, of_bucket, unsure in ((silent, None, False), (silent, odd, False), (silent, dead, True)):
        bench.agent.pipeline.heard(gauge, [of_gauge], 0.0)
        if of_bucket:
            bench.agent.pipeline.heard(bucket, [of_bucket], 0.0)
        now = asyncio.run(_now(bench))
        assert bool(now.siren_unsure) is unsure
        assert (re.sub(r"\s", "", words) in re.sub(r"\s", "", page(now, lang))) is unsure
        narrow(page(now, lang))
    bench.read(0.5)
    assert asyncio.run(_now(bench)).siren_unsure == ""
    bench.stop()


def test_the_log_is_as_large_as_the_heartbeat_says(tmp_path: Path) -> None:
    """What it takes of the disk, however long its files call themselves."""
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.flush()
    with (bench.folder / "log" / "segment-00000000000000000000.log.damaged").open("wb") as file:
        file.truncate(50_000_000)
    bench.agent._tidy._make_room()
    beaten = bench.agent._tidy.health.mb
    assert beaten < 1.0
    assert round(asyncio.run(_now(bench)).disk.log / 1e6, 1) == beaten
    assert round(status.folder_tells(bench.folder, "").log_bytes / 1e6, 1) == beaten
    bench.stop()


def test_where_no_agent_runs_the_folder_tells_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(tmp_path)
    assert status.run([str(bench.path), "--lang", "zh"]) == 1
    assert "中没有记录" in capsys.readouterr().out
    bench.read(0.5, 3.0)
    bench.agent.pipeline.told(EventKind.FAULT, Said("the last", "最后一个"))
    bench.flush()
    (bench.folder / "log" / "segment-00000000000000000000.log.damaged").write_bytes(b"x")
    (bench.folder / "log" / "segment-00000000000000000009 (copy).log").write_bytes(b"y")    # somebody's, and no segment
    assert status.run([str(bench.path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["running"], found["kind"], found["seq"]) == (False, "event", bench.agent.recorder.last_seq)
    assert found["readings"] == {GAUGE: 0.5, "bucket/rain_total_mm": 3.0}
    assert found["damaged"] == ["segment-00000000000000000000.log.damaged"]
    bench.stop()


@pytest.mark.parametrize(("lang", "words", "again"), [
    ("en", "the agent that runs here hangs", "start it again"), ("zh", "此处的终端程序已卡住", "请重新启动")])
def test_an_agent_that_hangs_is_not_said_to_be_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    lang: str, words: str, again: str,
) -> None:  # fmt: skip
    """It takes the connection, as the kernel does for a process that stands still."""
    monkeypatch.setattr("edge.operate._WITHIN_S", 0.05)
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.flush()
    with _short(bench.folder) as path, socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert status.run([str(bench.path), "--lang", lang]) == 1
        said = capsys.readouterr().out
        assert words in said
        assert again in said
        assert GAUGE in said, "what its folder tells"
        assert status.run([str(bench.path), "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["running"] is True
        assert main(["operate", str(bench.path), "levels", "--lang", lang]) == 1
        assert "timed out" not in capsys.readouterr().err
    bench.stop()


@pytest.mark.parametrize(("lang", "words"), [("en", "may not ask it"), ("zh", "无权查询")])
def test_who_may_not_ask_is_told_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lang: str, words: str
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    bench = Bench(tmp_path)
    monkeypatch.setattr("edge.status.ask", refused)
    assert status.run([str(bench.path), "--lang", lang]) == 1
    said = capsys.readouterr().out
    assert words in said
    assert "tocsin edge" not in said, "nobody is to start another one"
    bench.stop()


def test_who_reads_may_leave(tmp_path: Path) -> None:
    """As `tocsin status | head -1` does."""
    place = Bench(tmp_path)
    place.stop()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "tocsin", "status", str(place.path)], stdout=writer,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_wrong_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.run([str(tmp_path / "none.toml")]) == 1
    assert "none.toml: cannot be read" in capsys.readouterr().err


def test_watching_looks_again_until_it_is_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("edge.status.time.sleep", wait)
    assert status.run([str(bench.path), "--watch", "--lang", "en"]) == 0
    assert capsys.readouterr().out.count("no agent runs here") == 2
    bench.stop()


# words


@given(TEXT, TEXT.map(lambda text: text[:12]))
def test_a_line_is_as_wide_as_a_phone(left: str, right: str) -> None:
    line = cells(left, right)
    assert width(line) == WIDTH
    assert line.endswith(right)


@given(TEXT)
def test_what_is_folded_is_whole_and_narrow(text: str) -> None:
    lines = folded(text, "    ", "  ")
    assert all(width(line) <= WIDTH for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


def test_the_language_is_the_terminals_unless_one_is_asked_for() -> None:
    assert language("", {"LANG": "zh_CN.UTF-8"}) == "zh"
    assert language("", {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}) == "en"
    assert language("en", {"LANG": "zh_CN.UTF-8"}) == "en"
    assert language("", {}) == "en"
