"""A second machine notices that the hub stopped, calls the duty officer, and tells when it is back."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from hub.watch import State, Watch
from hub.watch_command import Watcher, say
from hub.watch_config import CallTable, WatchConfig, WatchTable, load_watch
from tests.hubs import HubFiles
from tests.processes import Command
from tests.services import Mosquitto
from tests.shared_data import REPOSITORY
from tests.tasks import beside
from tests.test_journey import until
from tocsin import topics
from tocsin.__main__ import main
from tocsin.alive import Alive, signed
from tocsin.broker import Broker
from tocsin.clock import SystemClock
from tocsin.config import ConfigError
from tocsin.link import Link
from tocsin.messages import VERSION
from tocsin.signing import new_signing_key, public_key_of

OFFICER = CallTable("officer", ["say", "{text}"])
DESK = CallTable("desk", ["say", "{text}"], after_s=300.0)
SAMPLE = REPOSITORY / "hub" / "watch_sample.toml"


class Post:
    """A watch on seconds of the test's."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.watch = Watch(WatchConfig(WatchTable("mqtt://a:1", "11" * 32, name="weir"), [OFFICER, DESK]), self.now_s)
        self.seq = 0
        self.boot = "a" * 16
        self.hub = "0" * 16
        self.start = 7
        self.hub_s = 1_000
        self.ills: list[str] = []
        self.alive = True
        self.linked = True
        self.said: list[tuple[float, str, str]] = []

    def pass_s(self, seconds: int) -> list[tuple[float, str, str]]:
        """Second by second, with a heartbeat each ten; who was called: after how many seconds, whom, what."""
        said = []
        for passed in range(1, seconds + 1):
            self.now_s += 1
            self.watch.link(connected=self.linked, now_s=self.now_s)
            if self.alive and self.linked and passed % 10 == 0:
                self.beat()
            said += [(float(passed), one.call.name, one.text) for one in self.watch.tick(self.now_s)]
        return said

    def beat(self, *, online: bool = True) -> None:
        self.seq += online
        self.hub_s += 10
        self.watch.heard(Alive(VERSION, self.hub, "Lin'an", self.boot, self.seq if online else 0, self.hub_s * 1000,
                               online, [], self.ills, self.start), self.now_s)

    def restarted(self, *, start: int, boot: str) -> None:
        self.start, self.boot, self.seq = start, boot * 16, 0


def when(said: list[tuple[float, str, str]]) -> list[tuple[float, str]]:
    return [(at, who) for at, who, _ in said]


def test_a_hub_that_lives_calls_nobody() -> None:
    assert Post().pass_s(7200) == []


def test_silence_calls_the_officer_then_the_desk_again_and_again_and_tells_who_was_called_that_it_is_back() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    said = post.pass_s(1300)
    assert when(said) == [(90, "officer"), (390, "desk"), (990, "officer"), (1290, "desk")]
    assert said[0][2] == "weir: Lin'an is silent: no heartbeat (0 min). 预警中心无心跳，可能已停机。"
    assert "(15 min)" in said[2][2]
    post.alive = True
    said = post.pass_s(600)
    assert when(said) == [(10, "officer"), (10, "desk")]
    assert said[0][2] == "weir: Lin'an is well again. 预警中心已恢复正常。"


def test_who_was_not_called_yet_is_not_told_that_it_is_back() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    assert when(post.pass_s(200)) == [(90, "officer")]
    post.alive = True
    assert when(post.pass_s(600)) == [(10, "officer")]


def test_a_hub_that_was_never_heard_is_silent_and_the_broker_s_memory_of_it_proves_nothing() -> None:
    post = Post()
    post.alive = False
    post.watch.link(connected=True, now_s=post.now_s)
    post.beat()  # what the broker kept
    assert when(post.pass_s(200)) == [(90, "officer")]
    assert post.watch.state is State.SILENT


def test_what_was_heard_before_is_no_news_and_a_last_will_is_no_life() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    said = []
    for _ in range(10):
        said += post.pass_s(10)
        post.seq -= 1
        post.beat()
        post.beat(online=False)
    assert when(said) == [(10, "officer")]


@pytest.mark.parametrize("start", [0, 8])
def test_a_hub_that_was_started_again_counts_from_one_again(start: int) -> None:
    post = Post()
    post.start = max(0, start - 1)  # 0: a hub of before, which does not count its starts
    post.pass_s(100)
    post.hub_s -= 10_000  # its clock was set back: that is no sign of a recording
    post.restarted(start=start, boot="b")
    assert post.pass_s(600) == []


def test_a_recording_of_an_earlier_start_is_no_life() -> None:
    """Of one that this watcher never heard, with its own counts: whoever holds the broker can play it for ever."""
    post = Post()
    post.pass_s(100)
    post.restarted(start=6, boot="c")
    assert when(post.pass_s(200)) == [(90, "officer")]
    post.restarted(start=0, boot="d")
    assert when(post.pass_s(200)) == [(190, "desk")]
    post.restarted(start=8, boot="e")
    assert when(post.pass_s(20)) == [(10, "officer"), (10, "desk")]


def test_a_restored_hub_has_another_id_and_counts_from_its_backup_on() -> None:
    post = Post()
    post.pass_s(100)
    post.hub = "1" * 16
    post.restarted(start=3, boot="b")
    assert post.pass_s(600) == []
    for hub, hub_s in (("0" * 16, post.hub_s), ("2" * 16, 0)):  # the one of before, and one of still before
        post.hub, post.hub_s = hub, hub_s
        post.restarted(start=99, boot=hub[0])
        said = post.pass_s(400)
        assert [who for _, who in when(said)] == ["officer", "desk"]
        post.hub, post.hub_s = "1" * 16, 90_000
        post.restarted(start=post.watch._start + 1, boot="f")
        assert when(post.pass_s(20)) == [(10, "officer"), (10, "desk")]


def test_a_broker_that_is_away_is_another_story() -> None:
    post = Post()
    post.pass_s(100)
    post.linked = False
    said = post.pass_s(100)
    assert when(said) == [(91, "officer")]
    assert "cannot be seen: the broker cannot be reached" in said[0][2]
    post.linked, post.alive = True, False
    said = post.pass_s(100)  # nothing is heard: that is no end of it
    assert when(said) == [(91, "officer")]
    assert "is silent: no heartbeat" in said[0][2]
    post.alive = True
    assert when(post.pass_s(20)) == [(10, "officer")]


def test_a_short_break_of_the_link_calls_nobody() -> None:
    post = Post()
    for _ in range(20):
        post.linked = False
        assert post.pass_s(60) == []
        post.linked = True
        assert post.pass_s(60) == []


def test_a_link_that_never_stays_is_an_alarm_too() -> None:
    """As of two watchers with one name, or a line that lets the greeting through and nothing else."""
    post = Post()
    post.pass_s(100)
    post.alive = False
    said = []
    for _ in range(30):
        post.linked = not post.linked
        said += post.pass_s(20)
    assert len(said) == 2, "the officer, and later the desk"
    assert "cannot be seen: the broker cannot be reached" in said[0][2]
    post.linked = post.alive = True
    assert when(post.pass_s(20)) == [(10, "officer"), (10, "desk")]


def test_a_link_that_breaks_while_the_hub_is_silent_does_not_end_the_alarm() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    assert when(post.pass_s(100)) == [(90, "officer")]
    post.linked = False
    assert when(post.pass_s(50)) == []
    post.linked = True
    assert when(post.pass_s(50)) == []
    assert post.watch.state is State.SILENT


def test_what_the_hub_says_of_itself_is_told_when_it_lasts() -> None:
    post = Post()
    post.pass_s(100)
    post.ills = ["the nightly backup failed: no room"]
    post.pass_s(500)
    post.ills = []
    assert post.pass_s(200) == []
    post.ills = ["the nightly backup failed: no room"]
    said = post.pass_s(700)
    assert when(said) == [(610, "officer")]
    assert "is in trouble (0 min). 预警中心有故障。: the nightly backup failed: no room" in said[0][2]


def test_a_call_that_failed_is_made_again_after_a_minute() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    assert when(post.pass_s(90)) == [(90, "officer")]
    post.watch.failed(OFFICER, post.now_s)
    assert when(post.pass_s(120)) == [(60, "officer")]


# --- the whole of it ------------------------------------------------------------------------------------------------


def watch_file(folder: Path, broker: str, public_key: str, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "watch.toml"
    path.write_text(f"""
[watch]
broker = "{broker}"
public_key = "{public_key}"
name = "weir"
silent_s = 3.0

[[call]]
name = "officer"
command = ["sh", "-c", 'printf "%s\\n" "$1" >> "$2"', "call", "{{text}}", "{folder / "called"}"]
{more}""")
    return path


async def test_a_real_hub_that_is_killed_is_noticed_and_so_is_its_return(tmp_path: Path, mosquitto: Mosquitto) -> None:
    files = HubFiles(tmp_path / "hub", mosquitto.url, [], "[watchdog]\nevery_s = 0.2\n")
    hub = Command(tmp_path / "hub-process", "hub", str(files.write()))
    path = watch_file(tmp_path / "watch", mosquitto.url, public_key_of(files.private_key))
    watcher = Command(tmp_path / "watch-process", "watch-hub", str(path))
    called = tmp_path / "watch" / "called"

    def lines() -> list[str]:
        return called.read_text().splitlines() if called.exists() else []

    def silences() -> int:
        return sum("Lin'an county is silent" in line for line in lines())

    async def well() -> bool:
        return not lines() or "Lin'an county is well again" in lines()[-1]

    async def told() -> bool:
        return silences() > before

    ear_heard: list[str] = []

    async def hear(topic: str, _: bytes) -> None:
        ear_heard.append(topic)

    async def lives() -> bool:
        return len(ear_heard) >= 3

    ear = Link(Broker.of(mosquitto.url), "ear", subscriptions=[topics.ALIVE], on_message=hear)
    try:
        async with beside(ear.run()):
            hub.start()
            watcher.start()
            await until(lives)
            await until(well)
            before = silences()
            hub.kill()
            await until(told)
            hub.start()
            await until(well)
    finally:
        watcher.stop()
        hub.stop()


async def test_what_another_signed_is_no_heartbeat_and_commands_that_fail_hold_up_nobody(
    tmp_path: Path, mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    (private, _), (_, other) = new_signing_key(), new_signing_key()
    more = '[[call]]\nname = "desk"\ncommand = ["no-such-command-at-all", "{text}"]\n'
    config = load_watch(watch_file(tmp_path, mosquitto.url, other, more))
    watcher = Watcher(config, SystemClock())
    ear = Link(Broker.of(mosquitto.url), "ear", subscriptions=[], on_message=watcher._on_message)

    async def called() -> bool:
        return (tmp_path / "called").exists() and "desk was not reached: no-such-command-at-all" in caplog.text

    async with beside(watcher.run()), beside(ear.run()):
        await ear.wait_connected()
        for seq in range(1, 4):
            await ear.publish(topics.ALIVE, signed(Alive(VERSION, "0", "x", "b", seq, 0, online=True), private))
        await until(called)
    assert "not the hub: tocsin/1/hub/alive: the signature does not fit" in caplog.text


def test_everybody_is_called_once_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = watch_file(tmp_path, "mqtt://127.0.0.1:9", "11" * 32)
    assert main(["watch-hub", str(path), "--test"]) == 0
    assert capsys.readouterr().out == "officer: the command worked\n"
    assert (tmp_path / "called").read_text().startswith("TEST 测试: weir: ")
    watch_file(tmp_path, "mqtt://127.0.0.1:9", "11" * 32,
               '[[call]]\nname = "desk"\ncommand = ["sh", "-c", "exit 3", "{text}"]\n')
    assert main(["watch-hub", str(path), "--test"]) == 1
    assert "desk: sh ended with 3" in capsys.readouterr().out
    assert main(["watch-hub", "--test"]) == 2


async def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    call = CallTable("officer", ["sh", "-c", "sleep 98765 & sleep 98765", "{text}"], timeout_s=0.2)
    watch = Watch(WatchConfig(WatchTable("mqtt://a:1", "11" * 32), [call]), 0.0)
    async with asyncio.timeout(10):
        assert await say(watch.test()[0]) == "sh was not done after 0.2 s"


# --- its file -------------------------------------------------------------------------------------------------------


def test_the_sample_is_good_shows_every_key_and_says_the_real_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    assert main(["check", str(SAMPLE)]) == 0
    assert "good, but it cannot run yet" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="which everybody knows"):
        load_watch(SAMPLE)
    live = re.sub(r"^# (\w+ = .*)$", r"\1", text.partition('[[call]]\nname = "county')[0], flags=re.MULTILINE)
    path = tmp_path / "watch.toml"
    path.write_text(live.replace("0" * 64, "1" * 64), encoding="utf-8")
    config = load_watch(path)
    for table in (config.watch, config.call[0]):
        for field in msgspec.structs.fields(type(table)):
            assert re.search(rf"^{field.encode_name} = ", live, re.MULTILINE), field.encode_name
            if not field.required and field.default is not msgspec.NODEFAULT:
                assert getattr(table, field.encode_name) == field.default


WATCH = '[watch]\nbroker = "mqtt://a:1"\npublic_key = "%s"\n'


@pytest.mark.parametrize(("text", "said"), [
    (WATCH.replace("mqtt://", "") + '[[call]]\nname = "a"\ncommand = ["x", "{text}"]\n', "use mqtt://host"),
    (f"call = []\n{WATCH}", "[[call]] is missing: nobody would be called"),
    (WATCH, "table [[call]] is missing; give at least one"),
    (WATCH + '[[call]]\nname = "a"\ncommand = ["x"]\n', 'call "a": command: no word has {text}'),
    (WATCH + '[[call]]\nname = "a"\ncommand = []\n', 'call "a": command'),
])
def test_a_file_that_could_call_nobody_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "watch.toml"
    path.write_text(text % ("11" * 32))
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_watch(path)
