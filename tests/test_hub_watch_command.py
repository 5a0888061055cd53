"""A second machine notices that the hub stopped, calls the duty officer, and tells when it is back; its file."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from hub.watch import Watch
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

SAMPLE = REPOSITORY / "hub" / "watch_sample.toml"


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
    async with asyncio.timeout(30):
        assert await say(watch.test()[0]) == "sh was not done after 0.2 s"


# --- its file -------------------------------------------------------------------------------------------------------


def test_the_sample_is_good_shows_every_key_and_says_the_real_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    assert main(["check", str(SAMPLE)]) == 0
    good, key = capsys.readouterr().out.splitlines()
    assert good == f"{SAMPLE}: good, but it cannot run yet"
    assert key.startswith(f"{SAMPLE}: watch: public_key: is that of the sample file; put the hub's there")
    with pytest.raises(ConfigError, match="put the hub's there"):
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
