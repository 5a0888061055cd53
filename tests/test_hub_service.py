"""The hub as a whole: its parts fall one at a time, and what it cannot have it names."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from hub.command import WORDS, _alone, run
from hub.config import load_hub
from hub.errors import HubError
from hub.landing import move_cursor
from hub.service import Hub
from hub.watch_command import run as watch
from tests.hubs import HubFiles, hub_on, running_hub
from tests.processes import Command
from tests.services import Mosquitto, free_port
from tests.village import Village
from tocsin.clock import SystemClock
from tocsin.config import ConfigError


async def test_a_part_that_fails_starts_again_and_the_others_go_on(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.service.RESTART_S", 0.0)
    files = HubFiles(tmp_path, mosquitto.url, [])
    failed = asyncio.Event()
    again = asyncio.Event()

    async def tick(_desk: object) -> None:
        (again if failed.is_set() else failed).set()
        if not again.is_set():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("hub.desk.Desk.tick", tick)
    async with running_hub(files.write(), SystemClock()) as hub:
        async with asyncio.timeout(30):
            await again.wait()
        assert hub.counts()["restarts: time"] == 1


async def test_group_rules_that_fail_keep_no_call_waiting(
    tmp_path: Path, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.service.RESTART_S", 0.0)
    monkeypatch.setattr("hub.service.TICK_S", 0.0)
    files = HubFiles(tmp_path, mosquitto.url, [])
    failed, called = asyncio.Event(), asyncio.Event()

    async def fail(_groups: object) -> None:
        failed.set()
        raise OSError(28, "No space left on device")

    async def tick(_desk: object) -> None:
        if failed.is_set():
            called.set()

    monkeypatch.setattr("hub.groups_run.Groups.tick", fail)
    monkeypatch.setattr("hub.desk.Desk.tick", tick)
    async with running_hub(files.write(), SystemClock()) as hub:
        async with asyncio.timeout(30):
            await called.wait()
        assert "restarts: time" not in hub.counts()


async def test_an_address_that_is_taken_is_named(tmp_path: Path, mosquitto: Mosquitto) -> None:
    files = HubFiles(tmp_path, mosquitto.url, [])
    why = f"hub: listen: 127.0.0.1:{files.port} cannot be had: "
    with socket.create_server(("127.0.0.1", files.port)), pytest.raises(HubError, match=why):
        await Hub(load_hub(files.write()), SystemClock()).run()


@pytest.mark.parametrize("wanted", ["broker", "listen"])
def test_the_command_says_in_a_sentence_why_it_cannot_run(tmp_path: Path, wanted: str) -> None:
    files = HubFiles(tmp_path, "mqtt://127.0.0.1:9", [])
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        files.broker, files.port = (f"embedded:{port}", files.port) if wanted == "broker" else (files.broker, port)
        hub = Command(tmp_path / "process", "hub", str(files.write()))
        try:
            hub.start()
            assert hub.wait(60) == 1
        finally:
            hub.kill()
    start = f"embedded broker, port {port}: " if wanted == "broker" else f"hub: listen: 127.0.0.1:{port} "
    assert hub.said.startswith(start)


@pytest.mark.parametrize(("command", "named"), [(run, WORDS), (watch, ["--test"])])
def test_help_names_what_else_the_command_does(
    command: Callable[[list[str]], int], named: Iterable[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(["--help"])
    told = capsys.readouterr().out
    assert all(name in told for name in named), told


class HubProcess(Command):
    """`tocsin hub` on its file; ready when its pages are."""

    def __init__(self, folder: Path, files: HubFiles) -> None:
        super().__init__(folder, "hub", str(files.write()))
        self._port = files.port

    def ready(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def test_a_second_hub_on_one_folder_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    first = HubProcess(tmp_path / "first", HubFiles(tmp_path, f"embedded:{free_port()}", []))
    first.start()
    files = HubFiles(tmp_path, f"embedded:{free_port()}", [])
    refused = Command(tmp_path / "refused", "hub", str(files.write()))
    try:
        refused.start()
        assert refused.wait(30) == 1
        assert refused.said.startswith(f"hub: data: another hub runs on {tmp_path / 'hub-data'}")
        beside = Command(tmp_path / "backup", "hub", "backup", str(files.write()), str(tmp_path / "hub-data"))
        beside.start()
        assert beside.wait(60) == 0, beside.said    # a backup locks its folder too
        first.kill()
        second = HubProcess(tmp_path / "second", files)
        second.start()
        second.kill()
    finally:
        refused.kill()
        first.kill()


def test_data_that_is_a_file_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = HubFiles(tmp_path, f"embedded:{free_port()}", [])
    (tmp_path / "hub-data").write_text("")
    assert run([str(files.write())]) == 1
    why = f"hub: data: {tmp_path / 'hub-data'}: a file stands there or in its way; name a folder"
    assert capsys.readouterr().err.strip() == why


def test_a_folder_in_which_no_file_can_be_made_is_locked_too(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with _alone(tmp_path), pytest.raises(ConfigError, match="another hub runs on"), _alone(tmp_path):
        pass
    with _alone(tmp_path):
        pass


async def test_what_waits_is_counted_at_one_cost_however_much_has_landed(tmp_path: Path) -> None:
    async with hub_on(Village(tmp_path)) as hub:
        database = hub._database
        assert await hub.behind() == 0
        with database.transaction() as connection:
            connection.execute(
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 30000)"
                " INSERT INTO landing (station, boot, seq, kind, digest, arrived, raw)"
                " SELECT 'a', 'b', n, 'readings', '', 0, '' FROM n")
            connection.execute("DELETE FROM landing WHERE id <= 1000")
        assert await hub.behind() == 29_000
        with database.transaction() as connection:
            move_cursor(connection, "forwarder", 29_990)
            move_cursor(connection, "desk", 29_995)
        steps: list[int] = []
        database.connection.set_progress_handler(lambda: steps.append(1), 100)
        assert await hub.behind() == 10
        database.connection.set_progress_handler(None, 0)
    assert len(steps) < 10, "hundreds of steps of the thread that warnings wait for"
