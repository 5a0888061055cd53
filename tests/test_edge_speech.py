"""Words from the sound card: what is said, that it can be heard, and what happens when it cannot."""

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import speech, voice
from edge.patterns import Program, program_of
from edge.siren_table import SirenTable, SpeechTable
from edge.sounding import Sound
from edge.speech import Speaker, SpeechError, run_process, words_of
from edge.voice import VoiceError, in_hanzi, pinyin, spoken
from tests.hung import hung_programs
from tests.lines import until
from tests.tasks import beside
from tests.test_edge_proof import Stand as Siren
from tocsin.levels import Hazard, Level, Stage
from tocsin.said import Said

RED = Program("move", (6, 6), Level.RED, Stage.MOVE, Hazard.FLOOD, Level.RED)
DIGITS = {word: value for value, word in enumerate("零一二三四五六七八九")}


def samples_of(wav: bytes) -> tuple[list[int], float]:
    """The samples, and the seconds they last."""
    with wave.open(BytesIO(wav)) as sound:
        frames = sound.readframes(sound.getnframes())
        return memoryview(frames).cast("h").tolist(), sound.getnframes() / sound.getframerate()


def value_of(words: str) -> int:
    """A second opinion: what Chinese number words under 100,000,000 mean."""
    total = part = digit = 0
    for word in words:
        if word in DIGITS:
            digit = DIGITS[word]
        elif word == "万":
            total, part, digit = (part + digit) * 10_000, 0, 0
        else:
            part += (digit or 1) * {"十": 10, "百": 100, "千": 1000}[word]
            digit = 0
    return total + part + digit


# numbers and pinyin


@given(st.integers(0, 99_999_999))
def test_numbers_are_said_as_words_that_mean_them(value: int) -> None:
    words = in_hanzi(f"水位{value}米")
    assert value_of(words.removeprefix("水位").removesuffix("米")) == value
    assert "零零" not in words


@pytest.mark.parametrize(("text", "said"), [
    ("5.5米", "五点五米"), ("12.05", "十二点零五"), ("10500", "一万零五百"), ("1005", "一千零五"), ("20", "二十"),
    ("110", "一百一十"), ("0.35", "零点三五"), ("007号", "零零七号"), ("2024.8.8", "二零二四.八.八"), ("没有", "没有"),
])
def test_numbers_as_people_say_them(text: str, said: str) -> None:
    assert in_hanzi(text) == said


def test_chinese_goes_as_pinyin_with_its_tones() -> None:
    said = pinyin("立即转移！上桥水位5.5米。")
    assert said == "li4 ji2 zhuan3 yi2 ! shang4 qiao2 shui3 wei4 wu3 dian3 wu3 mi3 ."


# sound


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("stage", list(Stage))
def test_every_warning_can_be_heard_and_fits_into_the_pause(language: str, stage: Stage) -> None:
    longest = 0.0
    for hazard in Hazard:
        program = Program(stage.value, (6, 6), Level.RED, stage, hazard, Level.RED)
        samples, seconds = samples_of(spoken(words_of(program, "Upper Bridge", "龙潭上桥", language), language, 160))
        assert max(samples) > 8000
        longest = max(longest, seconds)
    assert 2 < longest < SirenTable(device="siren").move[-1] / 2, "two languages share the pause"


def test_the_words_say_what_to_do_first() -> None:
    assert words_of(RED, "Upper Bridge", "上桥", "zh") == "立即转移！上桥，山洪红色预警，请立即转移！"
    assert words_of(RED, "Upper Bridge", "上桥", "en") == "Move now! Upper Bridge: flood, red warning. Move now!"


def test_the_words_give_a_hazard_its_own_level() -> None:
    slope = Sound("slide", "crack/displacement_mm", Level.ORANGE, Stage.PREPARE, Hazard.SLOPE)
    flood = Sound("stage", "gauge/stage_m", Level.RED, Stage.MOVE, Hazard.FLOOD, answered=True)
    program = program_of([slope, flood], SirenTable(device="siren"))
    assert program is not None
    assert program.level is Level.RED
    assert words_of(program, "Upper Bridge", "上桥", "en").endswith("landslide, orange warning. Prepare to move!")


def test_without_the_voice_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VoiceError, match="espeak-ng is not installed: apt-get install espeak-ng"):
        spoken("a", "en", 160)
    for script, why in (("exit 3", "espeak-ng: 3"), ("echo no card >&2; exit 1", "espeak-ng: no card"),
                        ("exit 0", "espeak-ng gave no sound")):
        (tmp_path / "espeak-ng").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "espeak-ng").chmod(0o755)
        with pytest.raises(VoiceError, match=why):
            spoken("a", "en", 160)


def test_a_failing_voice_ends_with_its_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
                                                tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.stdin", type("In", (), {"buffer": BytesIO(b"a")})())
    assert voice.main(["en", "160"]) == 1
    assert capsys.readouterr().err == "espeak-ng is not installed: apt-get install espeak-ng\n"


# the speaker


@asynccontextmanager
async def speaker(*player: str, **settings: tuple[str, ...]) -> AsyncIterator[tuple[Speaker, list[Said]]]:
    faults: list[Said] = []
    made = Speaker(SpeechTable(player=player, **settings), "Upper Bridge", "上桥", faults.append)  # type: ignore[arg-type] # languages
    async with beside(made.run()):
        yield made, faults


async def said(made: Speaker, count: int) -> None:
    async with asyncio.timeout(30):
        while made.said < count:
            await asyncio.sleep(0.01)


async def test_it_speaks_both_languages_in_turn_and_again(tmp_path: Path) -> None:
    script = f"n=$(ls {tmp_path} | wc -l); cat > {tmp_path}/$n.wav"
    async with speaker("sh", "-c", script) as (made, faults):
        made.say(RED)
        await said(made, 1)
        made.say(RED)
        await said(made, 2)
        await made.announce_test()
    assert faults == []
    heard = [samples_of((tmp_path / f"{number}.wav").read_bytes()) for number in range(6)]
    assert heard[:2] == heard[2:4]
    assert heard[0] != heard[1]
    assert all(seconds > 2 and max(samples) > 8000 for samples, seconds in heard)


async def test_what_is_announced_as_other_words_end_is_said_whole(tmp_path: Path) -> None:
    script = f"cat > /dev/null; echo said >> {tmp_path}/said"
    async with speaker("sh", "-c", script, languages=("en",)) as (made, faults):
        made.say(RED)
        async with asyncio.timeout(30):
            while not made.said:
                await asyncio.sleep(0)
            await made.announce_test()
    assert (tmp_path / "said").read_text() == "said\nsaid\n"
    assert faults == []


async def test_a_player_without_a_card_is_told_once_and_tried_again(tmp_path: Path) -> None:
    card = tmp_path / "card"
    script = f"cat > /dev/null; test -e {card} || {{ echo aplay: no such device >&2; exit 1; }}"
    async with speaker("sh", "-c", script, languages=("en",)) as (made, faults):
        for _ in range(2):
            made.say(RED)
            await until(lambda: bool(made._talks))
            await until_quiet(made)
        assert [str(one) for one in faults] == ["sh: aplay: no such device"]
        card.touch()
        made.say(RED)
        await said(made, 1)


async def test_a_voice_that_fails_is_in_the_heartbeat_until_it_was_heard(tmp_path: Path) -> None:
    stand = Siren(tmp_path)
    async with speaker("false", languages=("en",)) as (made, faults):
        stand.proof._speaker = made
        made.say(RED)
        async with asyncio.timeout(30):
            while not faults:
                await asyncio.sleep(0.01)
        health = stand.proof.health()
        assert (health.fault, health.fault_zh) == ("no words: false: ended with 1", "无法播报语音：false：退出码 1")
        made._table = SpeechTable(player=("true",), languages=("en",))
        made.say(RED)
        await said(made, 1)
        assert stand.proof.health().fault == ""


async def until_quiet(made: Speaker) -> None:
    async with asyncio.timeout(30):
        while made._talks:
            await asyncio.sleep(0.01)


async def test_a_player_that_hangs_is_ended_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(speech, "_PLAY_S", 1.0)    # by then it has begun
    running = tmp_path / "running"
    async with speaker("sh", "-c", f"echo $$ > {running}; exec tail -f /dev/null", languages=("en",)) as (made, faults):
        made.say(RED)
        async with asyncio.timeout(30):
            while not faults:
                await asyncio.sleep(0.01)
    assert faults == [Said("sh hung for 1 s and was ended", "sh 卡住 1 秒，已被结束")]
    await until(lambda: not psutil.pid_exists(int(running.read_text())))


async def test_a_voice_that_does_not_begin_holds_up_nothing_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "_SYNTHESIS_S", 0.2)
    monkeypatch.setattr(speech, "_LEFT_S", 0.0)
    async with speaker("true", languages=("en",)) as (made, faults):
        with hung_programs(monkeypatch) as hung:
            made.say(RED)
            await until(hung.is_set)
            async with asyncio.timeout(30):
                while not faults:
                    await asyncio.sleep(0.01)
                await made.announce_test()
        assert faults == [Said("edge.voice hangs, and is left alone", "edge.voice 已卡住，不再等待")]
        monkeypatch.setattr(speech, "_SYNTHESIS_S", 20.0)
        made.say(RED)
        await said(made, 1)


async def test_what_a_voice_began_ends_with_it_and_is_not_waited_for(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = f"tail -f /dev/null & echo $! > {child}.new; mv {child}.new {child}; wait"
    async with asyncio.timeout(30):
        talk = asyncio.create_task(run_process(("sh", "-c", script), b"", 60.0))
        await until(child.exists)
        talk.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talk
        await until(lambda: _is_gone(int(child.read_text())))


def _is_gone(pid: int) -> bool:
    """A zombie counts: nobody may be there to take it away."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_what_outlives_the_command_that_began_it_ends_when_nobody_waits_any_more(tmp_path: Path) -> None:
    child = tmp_path / "child"
    with pytest.raises(SpeechError, match="sh hung for 1 s and was ended"):
        await run_process(("sh", "-c", f"tail -f /dev/null & echo $! > {child}"), b"", 1.0)
    async with asyncio.timeout(30):
        await until(lambda: _is_gone(int(child.read_text())))


async def test_words_are_cut_when_the_siren_sounds_again(tmp_path: Path) -> None:
    running = tmp_path / "running"
    async with speaker("sh", "-c", f"echo $$ > {running}; exec tail -f /dev/null", languages=("en",)) as (made, faults):
        made.say(RED)
        async with asyncio.timeout(30):
            while not running.exists() or not running.read_text().strip():
                await asyncio.sleep(0.01)
        made.hush()
        await until_quiet(made)
        await until(lambda: not psutil.pid_exists(int(running.read_text())))
    assert faults == []


async def test_who_waits_for_the_end_of_words_hears_of_it_however_they_end(tmp_path: Path) -> None:
    """Said, hushed, or not to be said: the siren must not be silent for words that do not come."""
    ends: list[str] = []
    running = tmp_path / "running"
    for script in ("cat > /dev/null", "exit 1", f"touch {running}; exec tail -f /dev/null"):
        async with speaker("sh", "-c", script, languages=("en",)) as (made, _):
            made.on_end = lambda script=script: ends.append(script)  # type: ignore[misc] # of this turn
            made.say(RED)
            async with asyncio.timeout(30):
                while not ends or ends[-1] != script:
                    if running.exists() and script != "exit 1":
                        made.hush()
                    await asyncio.sleep(0.01)
    assert len(ends) == 3


async def test_a_command_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(SpeechError, match="aplay-of-nowhere cannot be run: No such file or directory"):
        await run_process(("aplay-of-nowhere",), b"", 1.0)
    with pytest.raises(SpeechError) as found:
        await run_process(("aplay-of-nowhere",), b"", 1.0)
    assert found.value.said.zh == "无法运行 aplay-of-nowhere：文件或目录不存在"


def test_a_table_without_a_language_or_a_player_is_refused() -> None:
    with pytest.raises(ValueError, match=r"languages: \[\] is not allowed"):
        SpeechTable(languages=())
    with pytest.raises(ValueError, match="player: there is no command"):
        SpeechTable(player=())
