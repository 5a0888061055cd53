"""A socket read in large pieces gives the same bytes, and says what it still holds."""

import asyncio
import random
import select
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lines import until
from tests.services import Mosquitto
from tests.tasks import beside
from tests.tls import Authority, TlsMosquitto
from tocsin.broker import Broker
from tocsin.inflow import AT_ONCE, Inflow
from tocsin.link import Link

Pair = tuple[socket.socket, Inflow]


@pytest.fixture
def pair() -> Iterator[Pair]:
    there, here = socket.socketpair()
    here.setblocking(False)
    yield there, Inflow(here)
    there.close()
    here.close()


@given(sent=st.binary(min_size=1, max_size=5_000), asked=st.lists(st.integers(1, 3 * AT_ONCE), min_size=1))
def test_what_was_sent_comes_in_order_however_it_is_asked_for(sent: bytes, asked: list[int]) -> None:
    there, here = socket.socketpair()
    with there, here:
        inflow = Inflow(here)
        there.sendall(sent)
        there.shutdown(socket.SHUT_WR)
        found = b""
        for most in [*asked, *[1_000] * 6]:
            piece = inflow.recv(most)
            assert len(piece) <= most
            found += piece
            if not piece:
                break
        assert found == sent
        assert inflow.recv(1) == b""


SIZES = [1, 2, 50, 1_000, 16_384, 16_385, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 90_000]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of the server and of the client."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    own = authority.sign("server", "127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(own.cert, own.key)
    return server, ssl.create_default_context(cafile=authority.cert)


@settings(deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.sampled_from(SIZES)), min_size=3), tls=st.booleans())
def test_no_byte_is_lost_or_doubled_however_pieces_come_and_are_asked_for(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], steps: list[tuple[bool, int]], *, tls: bool
) -> None:
    """Each step sends so many bytes or asks for them."""
    chance, (there, here) = random.Random(len(steps)), socket.socketpair()
    if tls:
        there, here = secured(there, here, contexts)
    with there, here:
        here.setblocking(False)
        inflow, sent, found = Inflow(here), b"", b""
        for sends, size in steps:
            if sends:
                while len(sent) - len(found) > 50_000 and (piece := asked(inflow, 7_777)):
                    found += piece
                sent += (piece := chance.randbytes(size))
                there.sendall(piece)
            else:
                found += asked(inflow, size)
        while piece := asked(inflow, 1_000):
            found += piece
        assert found == sent


def asked(inflow: Inflow, most: int) -> bytes:
    """Nothing where nothing is there. What is there is pending, or the socket wakes who waits for it."""
    pending, woken = inflow.pending(), bool(select.select([inflow.fileno()], [], [], 0)[0])
    try:
        piece = inflow.recv(most)
    except (BlockingIOError, ssl.SSLWantReadError):
        assert not pending
        return b""
    assert len(piece) <= most
    assert pending or woken
    return piece


def secured(
    there: socket.socket, here: socket.socket, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    with ThreadPoolExecutor(1) as beside_us:
        other = beside_us.submit(contexts[0].wrap_socket, there, server_side=True)
        mine = contexts[1].wrap_socket(here, server_hostname="127.0.0.1")
        return other.result(), mine


def test_what_was_read_and_not_asked_for_is_pending(pair: Pair) -> None:
    there, inflow = pair
    there.sendall(b"abcdef")
    assert inflow.pending() == 0
    assert inflow.recv(2) == b"ab"
    assert inflow.pending() == 4
    assert inflow.recv(AT_ONCE) == b"cdef"
    assert inflow.pending() == 0


def test_nothing_there_is_said_as_the_socket_says_it(pair: Pair) -> None:
    there, inflow = pair
    for most in (1, AT_ONCE):
        with pytest.raises(BlockingIOError):
            inflow.recv(most)
    there.sendall(b"x")
    assert inflow.recv(1) == b"x"
    with pytest.raises(BlockingIOError):
        inflow.recv(1)


@pytest.mark.parametrize("tls", [False, True])
async def test_messages_of_all_sizes_come_whole_and_in_order_and_others_have_their_turn(
    tmp_path: Path, *, tls: bool
) -> None:
    authority = Authority(tmp_path / "authority") if tls else None
    server = TlsMosquitto(tmp_path / "broker", authority.sign("server", "127.0.0.1")) if authority else Mosquitto(
        tmp_path / "broker", max_queued=0)
    chance = random.Random(5)
    sent = [chance.randbytes(chance.choice([0, 1, 50, 2_000, 20_000, AT_ONCE, 200_000])) for _ in range(200)]
    heard: list[bytes] = []

    async def on_message(_topic: str, payload: bytes) -> None:
        heard.append(payload)

    server.start()
    try:
        broker = Broker.of(server.url, str(authority.cert) if authority else "")
        link = Link(broker, "all-sizes", subscriptions=["tocsin/1/a/readings"], on_message=on_message)
        async with beside(link.run()), asyncio.timeout(30):
            await link.wait_connected()
            await asyncio.gather(*(link.publish("tocsin/1/a/readings", payload) for payload in sent))
            await until(lambda: len(heard) == len(sent))
    finally:
        server.kill()
    assert heard == sent


async def test_what_is_there_already_is_handled_a_few_at_a_time(tmp_path: Path) -> None:
    server = Mosquitto(tmp_path / "broker", max_queued=0)
    heard: list[int] = []
    turns = 0

    async def on_message(_topic: str, _payload: bytes) -> None:
        heard.append(turns)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    server.start()
    try:
        link = Link(Broker.of(server.url), "a-few", subscriptions=["tocsin/1/a/readings"], on_message=on_message)
        async with beside(link.run()), asyncio.timeout(30):
            await link.wait_connected()
            async with beside(others()):
                await asyncio.gather(*(link.publish("tocsin/1/a/readings", b"{}") for _ in range(100)))
                await until(lambda: len(heard) == 100)
    finally:
        server.kill()
    assert max(heard.count(turn) for turn in heard) <= 11
