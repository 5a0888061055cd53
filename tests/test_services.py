"""The servers of the tests are themselves tested: what they lose and keep, and that nothing outlives a test run."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import aiomqtt
import psutil
import pytest

from tests import services
from tests.browser import Browser
from tests.conftest import NewMosquitto
from tests.services import InfluxDb, Mosquitto, ServiceError, free_port
from tests.shared_data import REPOSITORY, shared_path


def client(broker: Mosquitto) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5)


async def leave(broker: Mosquitto, topic: str, words: str) -> None:
    async with client(broker) as visitor:
        await visitor.publish(topic, words, qos=1, retain=True)


async def retained(broker: Mosquitto, topic: str) -> str | None:
    """What a newcomer is told; a marker sent behind the retained message ends the wait where there is none."""
    async with client(broker) as visitor:
        await visitor.subscribe(topic, qos=1)
        await visitor.publish(topic, "marker", qos=1)
        async for message in visitor.messages:
            assert isinstance(message.payload, bytes)
            return message.payload.decode() if message.retain else None
    return None


async def test_a_broker_carries_messages(mosquitto: Mosquitto) -> None:
    await leave(mosquitto, "services/carries", "hello")
    assert await retained(mosquitto, "services/carries") == "hello"
    assert await retained(mosquitto, "services/nothing") is None


async def test_a_persistent_broker_keeps_its_state_when_stopped_and_loses_it_when_wiped(
    new_mosquitto: NewMosquitto,
) -> None:
    broker = new_mosquitto(persistence=True)
    await leave(broker, "kept", "hello")
    broker.stop()
    broker.start()
    assert await retained(broker, "kept") == "hello"
    broker.stop()
    broker.wipe()
    broker.start()
    assert await retained(broker, "kept") is None


async def test_a_killed_broker_comes_back_on_its_port_without_what_it_knew(new_mosquitto: NewMosquitto) -> None:
    broker = new_mosquitto(persistence=True)
    url = broker.url
    await leave(broker, "kept", "hello")
    broker.kill()
    assert not broker.ready()
    broker.start()
    assert broker.url == url
    assert await retained(broker, "kept") is None


def test_state_is_wiped_only_while_the_server_is_down(mosquitto: Mosquitto) -> None:
    with pytest.raises(ServiceError, match="stop or kill it before"):
        mosquitto.wipe()
    assert mosquitto.state.is_dir()


def test_a_server_is_started_once(mosquitto: Mosquitto) -> None:
    with pytest.raises(ServiceError, match="already runs"):
        mosquitto.start()
    assert mosquitto.running


class Misread(Mosquitto):
    def arguments(self) -> list[str]:
        return ["--absent"]


def test_a_server_that_does_not_come_up_tells_its_own_reason(tmp_path: Path) -> None:
    broker = Misread(tmp_path)
    with pytest.raises(ServiceError, match=r"(?s)did not come up.*--absent"):
        broker.start()
    assert not broker.running


def test_a_store_answers_rows(influxdb: InfluxDb) -> None:
    influxdb.create("services")
    influxdb.write("services", "stage_m,station=a value=1.5 1000\nstage_m,station=b value=0 2000")
    rows = influxdb.query("services", "SELECT value FROM stage_m GROUP BY station")
    assert rows == [{"station": "a", "time": 1000, "value": 1.5}, {"station": "b", "time": 2000, "value": 0}]
    assert influxdb.query("services", "SELECT value FROM nothing") == []


def test_a_store_says_why_it_refuses(influxdb: InfluxDb) -> None:
    influxdb.create("services")
    with pytest.raises(ServiceError, match="error parsing query"):
        influxdb.query("services", "SELEKT")
    with pytest.raises(ServiceError, match="database not found"):
        influxdb.query("absent", "SELECT value FROM stage_m")
    with pytest.raises(ServiceError, match="unable to parse"):
        influxdb.write("services", "no value")


def test_a_killed_store_keeps_what_it_answered_for_until_it_is_wiped(new_influxdb: Callable[[], InfluxDb]) -> None:
    store = new_influxdb()
    store.create("kept")
    store.write("kept", "stage_m value=1.5 1000")
    store.kill()
    store.start()
    assert store.query("kept", "SELECT value FROM stage_m") == [{"time": 1000, "value": 1.5}]
    store.stop()
    store.wipe()
    store.start()
    assert store.query("", "SHOW DATABASES") == []


def test_ports_are_below_the_ephemeral_range_and_nobody_elses() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert all(20_000 <= port < 32_768 for port in ports)
    lines = f"from tests import services; services.PORTS = range({ports[0]}, {ports[0] + 1}); services.free_port()"
    other = subprocess.run([sys.executable, "-c", lines], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert f"ServiceError: no free port from {ports[0]} to {ports[0]}" in other.stderr


def test_a_port_that_somebody_listens_on_is_not_free(mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "PORTS", range(mosquitto.port, mosquitto.port + 1))
    monkeypatch.setattr(services, "_held_ports", {})
    monkeypatch.setattr("tempfile.tempdir", str(mosquitto.folder))  # away from the locks: the port itself must tell
    with pytest.raises(ServiceError, match="no free port"):
        free_port()


def test_a_missing_server_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda command, path: None)
    with pytest.raises(ServiceError, match=r"influxd is not installed.*apt-get install .* influxdb"):
        services.binary("influxd")


ORPHAN = """
import sys
from pathlib import Path
from tests.services import Mosquitto
broker = Mosquitto(Path(sys.argv[1]))
broker.start()
print(broker.pid, flush=True)
sys.stdin.read()
"""


def test_a_server_does_not_outlive_a_killed_test_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN, str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout
        broker = psutil.Process(int(run.stdout.readline()))
        os.kill(run.pid, signal.SIGKILL)
    _gone, alive = psutil.wait_procs([broker], timeout=30)
    for left in alive:
        left.kill()
    assert not alive


async def test_pages_open_as_a_phone_and_as_a_desktop(chromium: Browser) -> None:
    page = "data:text/html;charset=utf-8," + quote("<meta name=viewport content='width=device-width'><p>水位</p>")
    for view, width in ((await chromium.phone(), 360), (await chromium.desktop(), 1366)):
        await view.goto(page)
        assert await view.evaluate("document.documentElement.clientWidth") == width
        assert await view.inner_text("p") == "水位"


async def test_an_error_in_a_page_is_remembered(chromium: Browser) -> None:
    view = await chromium.desktop()
    async with view.expect_event("pageerror"):
        await view.goto("data:text/html,<script>absent()</script>")
    assert any("absent is not defined" in error for error in chromium.errors)
    chromium.errors.clear()


def test_shared_data_is_found_or_the_test_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here.csv").touch()
    monkeypatch.setenv("TOCSIN_SHARED", str(tmp_path))
    assert shared_path("here.csv") == tmp_path / "here.csv"
    monkeypatch.setenv("TOCSIN_REQUIRE_SHARED", "0")
    with pytest.raises(pytest.skip.Exception, match=r"absent\.csv.*TOCSIN_SHARED"):
        shared_path("absent.csv")
    monkeypatch.setenv("TOCSIN_REQUIRE_SHARED", "1")
    # both are caught: a skip that gets through would skip this test instead of failing it
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match=r"absent\.csv.*forbids") as refused:
        shared_path("absent.csv")
    assert refused.type is pytest.fail.Exception
