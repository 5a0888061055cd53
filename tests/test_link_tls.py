"""The link over TLS, against a real Mosquitto: whom it trusts, who it is, and what it says when that fails."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from aiomqtt import MqttError

from edge.config import check
from hub.config import check as check_hub
from hub.config import load_hub
from tests.hubs import HubFiles
from tests.lines import until
from tests.stations import StationFiles
from tests.tasks import beside
from tests.tls import Authority, Pair, TlsMosquitto
from tocsin.broker import Broker, in_words
from tocsin.link import Link

# paho leaves the socket of a failed handshake to the garbage collector
pytestmark = [pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
              pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]


class NewBroker(Protocol):
    def __call__(self, own: Pair, clients: Path | None = None) -> TlsMosquitto: ...


@pytest.fixture
def new_broker(tmp_path: Path) -> Iterator[NewBroker]:
    with ExitStack() as stack:

        def make(own: Pair, clients: Path | None = None) -> TlsMosquitto:
            server = TlsMosquitto(tmp_path / "mosquitto", own, clients)
            stack.callback(server.kill)
            server.start()
            return server

        yield make


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Pair:
    return authority.sign("server", "127.0.0.1")


async def there_and_back(broker: Broker) -> bytes:
    """What comes back of a message that this link publishes and has subscribed to."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def on_message(_topic: str, payload: bytes) -> None:
        heard.put_nowait(payload)

    link = Link(broker, "station", subscriptions=["tocsin/1/a/readings"], on_message=on_message)
    async with beside(link.run()), asyncio.timeout(30):
        await link.wait_connected()
        assert link.trouble.en == ""
        await link.publish("tocsin/1/a/readings", b"{}")
        return await heard.get()


async def trouble_with(broker: Broker) -> str:
    async def ignore(_topic: str, _payload: bytes) -> None:
        """Nothing comes."""

    link = Link(broker, "station", subscriptions=[], on_message=ignore)
    first = link.trouble.en
    async with beside(link.run()):
        await until(lambda: link.trouble.en not in {"", first})
        assert not link.connected
        return link.trouble.en


async def test_a_broker_whose_authority_is_named_is_trusted(
    new_broker: NewBroker, authority: Authority, server: Pair
) -> None:
    url = new_broker(server).url
    assert await there_and_back(Broker.of(url, str(authority.cert))) == b"{}"
    said = await trouble_with(Broker.of(url))
    assert "not signed by an authority that is trusted here: the system's; give ca" in said


async def test_an_authority_that_did_not_sign_is_not_trusted(
    new_broker: NewBroker, server: Pair, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other", "other")
    said = await trouble_with(Broker.of(new_broker(server).url, str(other.cert)))
    assert f'not signed by an authority that is trusted here: ca "{other.cert}"' in said


async def test_with_a_certificate_of_its_own_a_station_is_let_in_and_without_one_it_is_not(
    new_broker: NewBroker, authority: Authority, server: Pair, tmp_path: Path
) -> None:
    url, ca = new_broker(server, authority.cert).url, str(authority.cert)
    own = authority.sign("bridge", "bridge.example")
    assert await there_and_back(Broker.of(url, ca, str(own.cert), str(own.key))) == b"{}"
    # the alert of TLS 1.3 that says so can be lost: then it is told as what may be (below)
    said = await trouble_with(Broker.of(url, ca))
    assert re.search("wants a certificate of ours: give cert and cert_key|may want a certificate of ours", said)
    forged = Authority(tmp_path / "forger", "forger").sign("bridge", "bridge.example")
    said = await trouble_with(Broker.of(url, ca, str(forged.cert), str(forged.key)))
    assert re.search("the broker does not trust our certificate|may not trust our certificate", said)


@pytest.mark.parametrize(("cert", "said"), [
    ("", "the broker hung up in the TLS handshake: it may want a certificate of ours (cert and cert_key)"),
    ("our.crt", "the broker hung up in the TLS handshake: it may not trust our certificate"),
])
def test_a_broker_that_hangs_up_without_an_alert_may_mean_our_certificate(cert: str, said: str) -> None:
    for text in ("failed to receive on socket: EOF occurred in violation of protocol (_ssl.c:2427)",
                 "[Errno 104] Connection reset by peer"):
        tls, plain = Broker("10.0.0.1", 8883, tls=True, cert=cert), Broker("10.0.0.1", 1883)
        assert in_words(MqttError(text), tls).en == f"{said} ({text})"
        assert in_words(MqttError(text), plain).en == text


@pytest.mark.parametrize(("host", "days", "said"), [
    ("127.0.0.1", -1, "the broker's certificate has expired, or the clock of this machine is wrong"),
    ("hub.example", 30, 'the broker\'s certificate is for another host than "127.0.0.1"'),
    ("10.0.0.1", 30, 'the broker\'s certificate is for another host than "127.0.0.1"'),
])
async def test_a_certificate_that_is_old_or_of_another_host_is_told(
    new_broker: NewBroker, authority: Authority, host: str, days: int, said: str
) -> None:
    url = new_broker(authority.sign(f"server-{host}-{days}", host, days)).url
    assert said in await trouble_with(Broker.of(url, str(authority.cert)))


async def test_a_file_that_is_missing_or_wrong_is_named_and_the_link_goes_on_trying(
    new_broker: NewBroker, authority: Authority, server: Pair, tmp_path: Path
) -> None:
    url, ca, nothing = new_broker(server).url, str(authority.cert), tmp_path / "none.pem"
    noise = tmp_path / "noise.pem"
    noise.write_text("no certificate")
    missing = f'ca: "{nothing}" cannot be opened: no such file or directory'
    assert await trouble_with(Broker.of(url, str(nothing))) == missing
    assert f'ca: "{noise}" cannot be read' in await trouble_with(Broker.of(url, str(noise)))
    other = authority.sign("other", "other.example")
    said = await trouble_with(Broker.of(url, ca, str(server.cert), str(other.key)))
    assert f'cert: "{server.cert}" with cert_key: "{other.key}" do not belong together' in said
    broker, ready = Broker.of(url, str(nothing)), asyncio.Event()

    async def ignore(_topic: str, _payload: bytes) -> None:
        """Nothing comes."""

    async def on_connect() -> None:
        ready.set()

    link = Link(broker, "station", subscriptions=[], on_message=ignore, on_connect=on_connect)
    async with beside(link.run()), asyncio.timeout(30):
        await until(lambda: "cannot be opened" in link.trouble.en)
        nothing.write_bytes(authority.cert.read_bytes())    # whoever installs the station brings it later
        await ready.wait()


async def test_a_port_without_tls_is_told(new_broker: NewBroker, server: Pair, authority: Authority) -> None:
    reached = new_broker(server)
    plain = await trouble_with(Broker.of(reached.url.replace("mqtts", "mqtt")))
    assert plain    # Mosquitto just hangs up: there is nothing more to say
    listening = await asyncio.start_server(lambda _, writer: writer.write(b"220 hello\r\n"), "127.0.0.1", 0)
    url = f"mqtts://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    assert "no TLS is spoken on this port" in await trouble_with(Broker.of(url, str(authority.cert)))
    listening.close()


def test_check_names_files_beside_the_station_file(tmp_path: Path, authority: Authority) -> None:
    files = StationFiles(tmp_path, "tcp://127.0.0.1:9", broker="mqtts://hub.example")
    path = files.write()
    text = path.read_text()
    path.write_text(text.replace("[hub]\n", '[hub]\nca = "ca.pem"\n'))
    assert check(path) == [f'{path}: hub: ca: "{tmp_path}/ca.pem" cannot be opened: no such file or directory']
    (tmp_path / "ca.pem").write_bytes(authority.cert.read_bytes())
    assert check(path) == []
    path.write_text(text.replace("[hub]\n", '[hub]\ncert = "c.pem"\n'))
    assert 'key "cert_key" is missing' in check(path)[0]
    path.write_text(text.replace("mqtts:", "mqtt:").replace("[hub]\n", '[hub]\nca = "ca.pem"\n'))
    assert 'ca: is for TLS alone, and "mqtt://hub.example" is without' in check(path)[0]


def test_a_hub_names_its_files_beside_its_own(tmp_path: Path, authority: Authority) -> None:
    path = HubFiles(tmp_path, "mqtts://broker.example", [("bridge", "ab" * 32)]).write()
    path.write_text(path.read_text().replace("[hub]\n", '[hub]\nca = "ca.pem"\n'))
    assert check_hub(path) == [f'{path}: hub: ca: "{tmp_path}/ca.pem" cannot be opened: no such file or directory']
    (tmp_path / "ca.pem").write_bytes(authority.cert.read_bytes())
    assert check_hub(path) == []
    assert load_hub(path).broker == Broker("broker.example", 8883, True, ca=str(tmp_path / "ca.pem"))
