"""The list of who may publish that deploy/ and docs/commands.md give, on a real Mosquitto."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hub.database import Database
from hub.orders import state_of
from simulators.devices import RadarLevel, Relay
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles
from tests.services import Mosquitto
from tests.shared_data import REPOSITORY
from tests.stations import STAGE_RULES, START_MS, StationFiles, radar_device
from tests.tasks import beside
from tests.test_journey import until
from tests.test_orders_journey import WHO, Valley, both
from tocsin import topics
from tocsin.broker import Broker
from tocsin.clock import WoundClock
from tocsin.link import Link, RefusedError
from tocsin.messages import VERSION, Event, EventKind, Upload, encode
from tocsin.orders import RulesState
from tocsin.signing import new_signing_key

BOOT = "00000000000000aa"


class Guarded(Mosquitto):
    """With the list of deploy/. Names are believed: passwords are the broker's own business."""

    def arguments(self) -> list[str]:
        found = super().arguments()
        (self.folder / "acl").write_text((REPOSITORY / "deploy" / "mosquitto" / "acl").read_text())
        config = self.folder / "mosquitto.conf"
        config.write_text(config.read_text() + f"acl_file {self.folder / 'acl'}\n")
        return found

    def url_of(self, user: str) -> str:
        return f"mqtt://{user}:x@127.0.0.1:{self.port}"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Guarded]:
    server = Guarded(tmp_path / "broker")
    try:
        server.start()
        yield server
    finally:
        server.kill()


def word(seq: int) -> bytes:
    event = Event(BOOT, seq, START_MS, EventKind.FAULT, "made up")
    return encode(Upload(VERSION, "bridge", [msgspec.Raw(encode(event))]))


async def test_all_that_a_station_and_its_hub_need_goes_through_and_nobody_speaks_for_another(
    tmp_path: Path, broker: Guarded, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[str] = []

    async def hear(topic: str, _payload: bytes) -> None:
        heard.append(topic)

    async with ModbusTcp({1: RadarLevel(Measures.LEVEL), 9: Relay()}) as wire:
        private, public = new_signing_key()
        station = StationFiles(tmp_path / "edge", f"tcp://127.0.0.1:{wire.port}", broker.url_of("bridge"),
                               devices=radar_device(), public_key=public)
        files = HubFiles(tmp_path / "hub", broker.url_of("hub"), [("bridge", station.key)], private_key=private)
        station.write()
        files.write()
        valley = Valley(RadarLevel(Measures.LEVEL), WoundClock(START_MS), broker, station, files)
        weir, bridge = (Link(Broker.of(broker.url_of(user)), f"{user}-by-hand", on_message=hear,
                             subscriptions=[topics.order("bridge", kind) for kind in topics.ORDERS] * (user == "weir"))
                        for user in ("weir", "bridge"))
        async with both(valley) as (hub, agent), beside(weir.run()), beside(bridge.run()):
            await weir.wait_connected()
            await bridge.wait_connected()
            assert (await valley.say(capsys, "rules", valley.rules(STAGE_RULES), *WHO))[0] == 0
            assert await valley.say(capsys, "command", "levels", *WHO) == (0, "everything is clear")
            await valley.arrived(hub, agent)
            assert heard == [], "nor does another station hear what this one is told"
            with pytest.raises(RefusedError):
                await weir.publish(topics.up("bridge", topics.READINGS), word(1))
            with pytest.raises(RefusedError):
                await weir.publish(topics.rules_state("bridge"), encode(RulesState(VERSION, "bridge", 1, 1, "", 99)))
            await bridge.publish(topics.up("bridge", topics.READINGS), word(2))

            async def arrived() -> bool:
                rows = hub._database.connection.execute("SELECT seq FROM landing WHERE boot = ?", (BOOT,))
                return (2,) in rows.fetchall()

            await until(arrived)
        database = Database(tmp_path / "hub" / "hub-data" / "hub.sqlite")
        found = database.connection.execute("SELECT seq FROM landing WHERE boot = ?", (BOOT,)).fetchall()
        state = state_of(database.connection, "bridge")
        database.close()
        assert found == [(2,)]
        assert state is not None
        assert state.refused == 0
