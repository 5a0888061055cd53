"""Asking the agent that runs: from the command line, over its socket."""

import asyncio
import socket
from pathlib import Path

import msgspec
import pytest

from edge import agent as agents
from edge import operate, operations, speech
from edge.agent import Agent
from edge.operate import SOCKET, Ask, Operate, Reply
from edge.siren_table import SirenTable, SpeechTable
from tests.edge_bench import GAUGE, Bench
from tests.lines import until
from tests.test_agent import Site
from tocsin.messages import Event, EventKind


async def test_a_person_asks_the_running_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(tmp_path / ("a-folder-with-a-name-too-long-for-a-socket" * 3))
    async with site.agent() as agent:
        path = site.files.folder / "station.toml"
        await site.read(agent, 2.6)

        async def say(*words: str) -> tuple[int, str]:
            code = await asyncio.to_thread(operate.run, [str(path), *words])
            said = capsys.readouterr()
            return code, (said.out or said.err).strip()

        async with asyncio.timeout(30):
            while not (site.files.folder / "station-data" / SOCKET).exists():
                await asyncio.sleep(0)
        assert await say("levels") == (0, "orange: stage on gauge/stage_m")
        assert await say("siren_test", "--who", "Li Wei") == (1, "something is above clear: no test now")
        assert await say("clear", "stage", GAUGE, "--who", "Li Wei") == (
            0, 'Li Wei cleared "stage", which was orange on gauge/stage_m')
        assert site.detections() == [(1, 3, 1), (1, 0, 2)], "done means: on the disk"
        assert await say("clear", "stage", GAUGE, "--who", "Li Wei") == (
            1, '"stage" on gauge/stage_m is clear: there is nothing to do')
        assert await say("service", "gauge", "30", "--who", "Li Wei") == (
            0, "gauge: Li Wei works on it for at most 30 min")
        assert await say("reload") == (0, "the rules are as before")
        begin, end = "2024-08-08T00:00:00Z", "2024-08-08T01:00:00Z"
        assert await say("raw", begin, end, "--series", GAUGE, "--who", "Li Wei") == (
            0, f"Li Wei asked for readings from {begin} to {end} of gauge/stage_m: what the log has of them goes to "
               "the hub, behind all else")
        assert await say("ack", "stage", GAUGE, "--who", " ") == (1, "say who you are: --who NAME")
    code, said = await say("levels")
    assert code == 1
    assert "no agent answers: " in said


def test_the_longest_test_of_a_siren_is_waited_for() -> None:
    words_s = len(SpeechTable().languages) * (speech._SYNTHESIS_S + speech._PLAY_S)
    with pytest.raises(msgspec.ValidationError, match="<= 30"):
        msgspec.convert({"device": "siren", "test_s": 30.1}, SirenTable)
    assert words_s + 30 + operate._SYNCED_S < operate.SLOW_WITHIN_S


def test_what_reads_a_day_of_the_log_first_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other rules, and another scale: a log of a day takes a small computer longer than any other question."""
    assert operations._READ_WITHIN_S + operate._SYNCED_S < operate.SLOW_WITHIN_S
    monkeypatch.setattr(operate, "_WITHIN_S", 0.0)
    waited: list[float | None] = []

    class Line(socket.socket):
        def settimeout(self, value: float | None) -> None:
            waited.append(value)

    monkeypatch.setattr(socket, "socket", Line)
    for do in ("reload", "calibrate", "siren_test", "status"):
        with pytest.raises(OSError, match="No such file"):
            operate.ask(tmp_path, {"do": do})
    assert waited == [operate.SLOW_WITHIN_S] * 3 + [0.0]


async def test_a_socket_left_behind_is_taken_over_and_only_its_user_may_open_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    socket = tmp_path / "station-data" / SOCKET
    socket.parent.mkdir()
    socket.write_text("of an agent that was killed")
    async with site.agent():
        async with asyncio.timeout(30):
            while not socket.is_socket():
                await asyncio.sleep(0)
        assert socket.stat().st_mode & 0o777 == 0o600
        reply = await asyncio.to_thread(operate.ask, socket.parent, Ask("levels"))
    assert reply == Reply(True, "everything is clear", "全部正常")
    assert not socket.exists()


async def test_a_folder_in_which_it_cannot_listen_is_one_sentence_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one that is another user's: whoever reads the journal needs to know what to do, not where it failed."""
    monkeypatch.setattr(agents, "_AGAIN_S", 0.0)
    site = Site(tmp_path)
    folder = tmp_path / "station-data"
    (folder / SOCKET).mkdir(parents=True)
    async with site.agent() as agent:
        await until(lambda: agent.failures["operate"] >= 3)
        await agent.recorder.written(agent.recorder.last_seq)
        (folder / SOCKET).rmdir()
        await until((folder / SOCKET).is_socket)
    faults = [one for one in site.files.log() if isinstance(one, Event) and one.what is EventKind.FAULT]
    assert [one.detail for one in faults] == [
        f"operate: nobody can ask this agent: it cannot listen in {folder}: Is a directory; "
        "give the folder to the user that runs it, with room on its disk"]
    assert faults[0].zh.startswith(f"operate: 无法查询本终端程序：不能在 {folder} 中监听：是目录；")
    said = [one for one in caplog.records if "operate" in one.getMessage()]
    assert [(one.getMessage(), one.exc_info) for one in said] == [(faults[0].detail, None)]


@pytest.mark.parametrize(("line", "why"), [
    (b"", "truncated"),
    (b"no json\n", "malformed"),
    (b'{"do":"explode"}\n', "explode"),
    (b'{"do":"ack","rule":"stage"}\n', "--who"),
    (b'{"do":"ack","rule":"stage","series":"x","who":"a\\u0000b"}\n', "printable"),
    (b'{"do":"ack","who":"a"}\n', 'say which rule, and on which series; there are "stage" on gauge/stage_m'),
    (b'{"do":"clear","who":"a","rule":"stage"}\n', "say which rule, and on which series"),
    (b'{"do":"ack","who":"a","rule":"x","series":"y"}\n', '"x" does not judge y here; use "stage" on gauge/stage_m'),
    (b'{"do":"levels","more":1}\n', "more"),
    (b'{"do":"raw","start":"2024-08-08T00:00:00Z","until":"2024-08-08T01:00:00Z"}\n', "--who"),
    (b'{"do":"raw","who":"a","start":"2024-08-08","until":"2024-08-09"}\n', 'start: "2024-08-08" is not a time'),
    (b'{"do":"shelve","who":"a","rule":"stage","series":"gauge/stage_m","minutes":-1}\n', "-1 minutes"),
])
async def test_what_makes_no_sense_is_refused_with_a_reason_and_changes_nothing(
    tmp_path: Path, line: bytes, why: str
) -> None:
    bench = Bench(tmp_path)
    agent: Agent = bench.agent
    before = agent.recorder.last_seq
    reply = await Operate(bench.folder, agent.operations, agent.recorder).answer(line)
    assert not reply.done
    assert why in reply.said
    assert agent.recorder.last_seq == before
    bench.stop()


def test_what_the_disk_refuses_is_answered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)

    def refused() -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(bench.operations, "levels", refused)
    reply = asyncio.run(bench.agent._operate.answer(b'{"do":"levels"}'))
    assert reply == Reply(False, "Input/output error", "磁盘读写出错")
    bench.stop()
