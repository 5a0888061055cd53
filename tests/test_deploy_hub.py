"""What deploy/ brings for a hub: units that systemd takes, brokers that start and guard, a whole compose file."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from dashboards.station import SOURCE
from tests.services import Mosquitto, binary, free_port
from tests.shared_data import REPOSITORY
from tests.tasks import beside
from tests.test_journey import until
from tests.tls import Authority, Pair
from tocsin import topics
from tocsin.__main__ import main
from tocsin.broker import Broker
from tocsin.link import Link, RefusedError

DEPLOY = REPOSITORY / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))
PROGRAM = "/opt/tocsin/.venv/bin/tocsin"


@pytest.mark.parametrize("name", ["tocsin-hub.service", "tocsin-watch-hub.service"])
def test_a_unit_is_one_that_systemd_takes_and_that_restarts_what_stands_still(tmp_path: Path, name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    for line in ("Type=notify", "Restart=always", "StartLimitIntervalSec=0", "ProtectSystem=strict",
                 "NoNewPrivileges=yes", "CapabilityBoundingSet="):
        assert f"\n{line}\n" in text
    (watchdog_s,) = re.findall(r"^WatchdogSec=(\d+)$", text, re.MULTILINE)
    assert int(watchdog_s) >= 60, "longer than the hub takes to tell that something stands still"
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        unit = tmp_path / name
        unit.write_text(text.replace(PROGRAM, sys.executable))
        done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_hub_may_write_only_where_its_data_are() -> None:
    text = (DEPLOY / "tocsin-hub.service").read_text(encoding="utf-8")
    assert "StateDirectory=tocsin-hub\n" in text
    assert 'data = "/var/lib/tocsin-hub"' in text
    assert "ReadWritePaths" not in text


def test_an_upgrade_of_large_files_is_not_cut_off() -> None:
    """READY=1 comes when the files are open, and a step that is killed begins again, for ever."""
    assert "\nTimeoutStartSec=6h\n" in (DEPLOY / "tocsin-hub.service").read_text(encoding="utf-8")


# --- mosquitto ------------------------------------------------------------------------------------------------------


class Deployed(Mosquitto):
    """With deploy/'s own configuration; only places and ports are this test's."""

    def __init__(self, folder: Path, pair: Pair, ca: Path, more: str = "") -> None:
        super().__init__(folder)
        self.local_port = free_port()
        self._more = more
        self.etc = folder / "etc"
        self.etc.mkdir(parents=True)
        shutil.copy(DEPLOY / "mosquitto" / "acl", self.etc / "acl")
        for source, name in ((ca, "ca.pem"), (pair.cert, "cert.pem"), (pair.key, "key.pem")):
            shutil.copy(source, self.etc / name)
        for number, user in enumerate(("hub", "watcher", "bridge", "weir")):
            create = ["-c"] if number == 0 else []
            subprocess.run([binary("mosquitto_passwd"), *create, "-b", str(self.etc / "passwords"), user, f"pw-{user}"],
                           check=True, capture_output=True)

    def arguments(self) -> list[str]:
        text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text(encoding="utf-8") + self._more
        for old, new in (("/etc/mosquitto/tocsin", str(self.etc)), ("/var/lib/mosquitto/", f"{self.state}/"),
                         ("listener 8883", f"listener {self.port}"),
                         ("listener 1883 127.0.0.1", f"listener {self.local_port} 127.0.0.1")):
            assert old in text
            text = text.replace(old, new)
        config = self.folder / "mosquitto.conf"
        config.write_text(text + ("user root\n" if os.getuid() == 0 else ""))
        return ["-c", str(config)]

    def broker(self, user: str, password: str = "") -> Broker:
        url = f"mqtts://{user}:{password or f'pw-{user}'}@localhost:{self.port}"
        return Broker.of(url, str(self.etc / "ca.pem"))

    def local(self, user: str) -> Broker:
        return Broker.of(f"mqtt://{user}:pw-{user}@127.0.0.1:{self.local_port}")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def deployed(tmp_path: Path, authority: Authority) -> Iterator[Deployed]:
    server = Deployed(tmp_path / "broker", authority.sign("localhost", "localhost"), authority.cert)
    try:
        server.start()
        yield server
    finally:
        server.kill()


class Ear:
    """A client that notes what it hears."""

    def __init__(self, broker: Broker, name: str, *subscriptions: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.link = Link(broker, name, subscriptions=subscriptions, on_message=self._hear)

    async def _hear(self, topic: str, payload: bytes) -> None:
        self.heard.append((topic, payload))


async def test_the_broker_lets_in_who_has_a_password_and_lets_nobody_speak_for_another(deployed: Deployed) -> None:
    hub = Ear(deployed.local("hub"), "hub", f"{topics.ROOT}/#")
    bridge = Ear(deployed.broker("bridge"), "bridge", topics.committed("bridge"), topics.committed("weir"))
    watcher = Ear(deployed.broker("watcher"), "watcher", topics.ALIVE, topics.up("bridge", topics.READINGS))
    wrong = Ear(deployed.broker("weir", "guessed"), "weir")
    async with (beside(hub.link.run()), beside(bridge.link.run()), beside(watcher.link.run()),
                beside(wrong.link.run())):
        for ear in (hub, bridge, watcher):
            await ear.link.wait_connected()
        for topic in (topics.up("weir", topics.READINGS), topics.ALIVE):
            with pytest.raises(RefusedError, match="Not authorized"):
                await bridge.link.publish(topic, b"of another")
        await bridge.link.publish(topics.up("bridge", topics.READINGS), b"own")
        for topic in (topics.committed("weir"), topics.committed("bridge"), topics.ALIVE):
            await hub.link.publish(topic, b"hub")

        async def arrived() -> bool:
            return len(hub.heard) >= 4 and bool(bridge.heard) and bool(watcher.heard)

        await until(arrived)
        assert not wrong.link.connected
    assert hub.heard[0] == (topics.up("bridge", topics.READINGS), b"own")
    assert bridge.heard == [(topics.committed("bridge"), b"hub")]
    assert watcher.heard == [(topics.ALIVE, b"hub")]


async def test_the_broker_keeps_what_is_retained_over_a_restart(deployed: Deployed) -> None:
    hub = Ear(deployed.local("hub"), "hub")
    async with beside(hub.link.run()):
        await hub.link.wait_connected()
        await hub.link.publish(topics.bulletin("431129101203", "flood"), b"said", retain=True)
    deployed.stop()
    deployed.start()
    again = Ear(deployed.local("hub"), "again", topics.bulletin("431129101203", "flood"))
    async with beside(again.link.run()):

        async def heard() -> bool:
            return bool(again.heard)

        await until(heard)
    assert again.heard == [(topics.bulletin("431129101203", "flood"), b"said")]


async def test_a_hub_that_only_dials_outward_meets_its_stations_at_a_relay(
    tmp_path: Path, authority: Authority, deployed: Deployed
) -> None:
    """`deployed` is the relay; the bridge is the broker beside the hub."""
    recipe = (DEPLOY / "mosquitto" / "relay-bridge.conf").read_text(encoding="utf-8")
    shutil.copy(authority.cert, deployed.etc / "relay-ca.pem")
    for old, new in (("relay.example.org:8883", f"localhost:{deployed.port}"), ("change-me", "pw-hub"),
                     ("/etc/mosquitto/tocsin/relay-ca.pem", str(deployed.etc / "relay-ca.pem"))):
        assert old in recipe
        recipe = recipe.replace(old, new)
    inner = Deployed(tmp_path / "inner", authority.sign("localhost", "localhost"), authority.cert, recipe)
    inner.start()
    hub = Ear(inner.local("hub"), "hub", *(f"{topics.ROOT}/+/{kind}" for kind in topics.UPLINKS),
              topics.rules_state("+"))
    station = Ear(deployed.broker("bridge"), "bridge", topics.committed("bridge"),
                  *(topics.order("bridge", kind) for kind in topics.ORDERS))
    watcher = Ear(deployed.broker("watcher"), "watcher", topics.ALIVE)
    ups = [topics.up("bridge", kind) for kind in topics.UPLINKS] + [topics.rules_state("bridge")]
    downs = [topics.committed("bridge"), *(topics.order("bridge", kind) for kind in topics.ORDERS)]
    try:
        async with beside(hub.link.run()), beside(station.link.run()), beside(watcher.link.run()):
            for ear in (hub, station, watcher):
                await ear.link.wait_connected()
            body = b"x" * 300_000

            async def all_up() -> bool:
                for topic in ups:
                    await station.link.publish(topic, body)
                return {topic for topic, _ in hub.heard} == set(ups)

            async def all_down() -> bool:
                for topic in (*downs, topics.ALIVE):
                    await hub.link.publish(topic, body)
                return {topic for topic, _ in station.heard} == set(downs) and bool(watcher.heard)

            await until(all_up)
            await until(all_down)
    finally:
        inner.kill()
    assert all(payload == body for ear in (hub, station, watcher) for _, payload in ear.heard)


@pytest.mark.docs
def test_the_list_of_the_docs_is_the_one_that_is_deployed() -> None:
    (shown,) = re.findall(r"```\n(# mosquitto.conf.*?)```", (REPOSITORY / "docs/commands.md").read_text(), re.DOTALL)
    assert shown == (DEPLOY / "mosquitto" / "acl").read_text()


# --- compose --------------------------------------------------------------------------------------------------------


def test_the_broker_of_the_containers_differs_in_its_local_listener_and_its_folder_alone() -> None:
    plain, packed = ((DEPLOY / name / "mosquitto.conf").read_text().splitlines() for name in ("mosquitto", "compose"))
    settings = [[line for line in lines if not line.startswith("#")] for lines in (plain, packed)]
    assert [pair for pair in zip(*settings, strict=True) if pair[0] != pair[1]] == [
        ("listener 1883 127.0.0.1", "listener 1883"),
        ("persistence_location /var/lib/mosquitto/", "persistence_location /mosquitto/data/")]
    # the image gives its user this folder alone
    assert "mosquitto-data:/mosquitto/data" in COMPOSE["services"]["mosquitto"]["volumes"]
    assert "1883:1883" not in str(COMPOSE)
    assert "set_tcp_nodelay true" in settings[0], "without it a third of the readings come through in a second"


def test_the_compose_file_is_whole() -> None:
    assert set(COMPOSE) == {"name", "services", "volumes"}
    assert set(COMPOSE["services"]) == {"mosquitto", "influxdb", "hub", "dashboards", "grafana"}
    named = set()
    made_by_who_installs = {"./mosquitto", "./hub.toml"}
    for name, service in COMPOSE["services"].items():
        assert ("image" in service) != ("build" in service)
        assert service["restart"] == ("no" if name == "dashboards" else "unless-stopped")
        assert ":" in service.get("image", "x:1").removesuffix(":latest"), "a version is named"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert source in made_by_who_installs or (DEPLOY / "compose" / source).exists(), source
            else:
                named.add(source)
    assert named == set(COMPOSE["volumes"])
    build = COMPOSE["services"]["hub"]["build"]
    assert build == COMPOSE["services"]["dashboards"]["build"]
    assert (DEPLOY / "compose" / build["context"] / build["dockerfile"]).resolve().is_file()
    for port in (port for one in COMPOSE["services"].values() for port in one.get("ports", [])):
        assert port == "8883:8883" or port.startswith("127.0.0.1:"), "only TLS is open to the world"


def test_compose_itself_takes_the_file() -> None:
    """Debian's docker-compose reads it by the specification's schema; only the project's name it does not know yet."""
    folder = DEPLOY / "compose"
    text = (folder / "compose.yaml").read_text(encoding="utf-8")
    done = subprocess.run(
        [binary("docker-compose"), "--env-file", ".env.sample", "-f", "-", "config"], cwd=folder, check=False,
        input=text.replace("\nname: tocsin\n", "\n"), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    shown = yaml.safe_load(done.stdout)
    assert set(shown["services"]) == set(COMPOSE["services"])
    assert shown["services"]["grafana"]["environment"]["INFLUXDB_TOKEN"] == "change-me"


def test_the_containers_make_the_dashboards_that_grafana_reads(tmp_path: Path) -> None:
    words = [word.replace("/opt/grafana", str(tmp_path / "made"), 1) if number == 2 else word
             for number, word in enumerate(COMPOSE["services"]["dashboards"]["command"])]
    for _ in ("first", "after an upgrade"):
        assert main(words) == 0
    provider = yaml.safe_load((DEPLOY / "compose/grafana/dashboards/tocsin.yaml").read_text())["providers"][0]
    seen = Path(provider["options"]["path"])
    assert f"{seen.parent}:ro" in str(COMPOSE["services"]["grafana"]["volumes"])
    assert list((tmp_path / "made" / seen.name).glob("*.json"))


def test_the_hub_of_the_containers_has_a_good_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(DEPLOY / "compose" / "hub.sample.toml")]) == 0
    assert "good, but it cannot run yet" in capsys.readouterr().out


def test_every_secret_of_the_compose_file_stands_in_the_sample() -> None:
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?see \.env\.sample\}", text))
    assert "${" not in re.sub(r"\$\{\w+:\?see \.env\.sample\}", "", text)
    sample = (DEPLOY / "compose" / ".env.sample").read_text().splitlines()
    assert {line.partition("=")[0] for line in sample if not line.startswith("#")} == asked


def test_the_containers_agree_on_names_and_tokens() -> None:
    hub = tomllib.loads((DEPLOY / "compose" / "hub.sample.toml").read_text(encoding="utf-8"))
    source = yaml.safe_load((DEPLOY / "compose/grafana/datasources/tocsin.yaml").read_text())["datasources"][0]
    influx = COMPOSE["services"]["influxdb"]["environment"]
    assert source["uid"] == SOURCE
    assert hub["store"]["org"] == influx["DOCKER_INFLUXDB_INIT_ORG"]
    assert hub["store"]["bucket"] == influx["DOCKER_INFLUXDB_INIT_BUCKET"] == source["jsonData"]["dbName"]
    assert hub["store"]["url"] == source["url"] == "http://influxdb:8086"
    env = (DEPLOY / "compose" / ".env.sample").read_text()
    assert f"INFLUXDB_TOKEN={hub['store']['token']}\n" in env
    provider = yaml.safe_load((DEPLOY / "compose/grafana/dashboards/tocsin.yaml").read_text())["providers"][0]
    assert COMPOSE["services"]["dashboards"]["command"][-2:] == ["--seen-as", provider["options"]["path"]]
    assert hub["hub"]["data"] in str(COMPOSE["services"]["hub"]["volumes"])


def test_the_image_gets_every_package_and_only_what_is_there() -> None:
    wanted = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "compose" / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names == {"pyproject.toml", "README.md", "LICENSE",
                     *wanted["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}
    assert all((REPOSITORY / name).exists() for name in names)
