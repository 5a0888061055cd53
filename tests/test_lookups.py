"""A name server that does not answer holds up only those who ask for that name."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from tocsin.lookups import _MOST, PATIENCE_S, Loop

HUNG = "store.example"
FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]


class Resolver:
    """Hangs on HUNG until `answers` is set, knows all else."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.hangs = True
        self.asked: list[str] = []

    def __call__(self, host: str, *_: object) -> list[object]:
        hangs = host == HUNG and self.hangs
        self.asked.append(host)
        if hangs:
            self.answers.wait(30)
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return list(FOUND)

    async def hanging(self) -> None:
        while not self.asked:
            await asyncio.sleep(0)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.answers.set()


async def ask(name: str) -> object:
    return await asyncio.get_running_loop().getaddrinfo(name, 80, type=socket.SOCK_STREAM)


def test_a_name_that_hangs_takes_one_thread_and_none_of_the_default(resolver: Resolver) -> None:
    async def main() -> None:
        waiting = [asyncio.create_task(ask(HUNG)) for _ in range(5 * _MOST)]
        await asyncio.sleep(0)
        assert await ask("broker.example") == FOUND
        assert await asyncio.to_thread(lambda: 7) == 7
        assert sorted(resolver.asked) == ["broker.example", HUNG]
        for task in waiting[1:]:
            task.cancel()
        resolver.answers.set()
        with pytest.raises(socket.gaierror):
            await waiting[0]
        assert await ask("broker.example") == FOUND    # nothing is kept of an answer
        assert resolver.asked.count("broker.example") == 2

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


def test_an_answer_that_nobody_waits_for_is_no_error(resolver: Resolver) -> None:
    told: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        task = asyncio.create_task(ask(HUNG))
        await asyncio.sleep(0)
        task.cancel()
        resolver.answers.set()
        await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(socket.gaierror):
            await ask(HUNG)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
    assert told == []


def test_a_name_that_hangs_keeps_no_loop_from_its_end(resolver: Resolver) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(HUNG), 0.01)

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
    assert not resolver.answers.is_set()


def test_a_look_up_that_never_comes_back_does_not_have_the_last_word(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server is well again; the broker's name must not be lost until the next start."""
    async def main() -> None:
        now_s = [1000.0]
        first = asyncio.create_task(ask(HUNG))
        await resolver.hanging()
        real_s = loop.time()
        monkeypatch.setattr(loop, "time", lambda: real_s + now_s[0] - 1000.0)
        now_s[0] += PATIENCE_S - 1
        second = asyncio.create_task(ask(HUNG))
        await asyncio.sleep(0)
        resolver.hangs = False
        now_s[0] += 1.1
        assert await ask(HUNG) == FOUND
        assert resolver.asked == [HUNG, HUNG]
        resolver.answers.set()
        assert [type(one) for one in await asyncio.gather(first, second, return_exceptions=True)] == 2 * [
            socket.gaierror]
        assert await ask(HUNG) == FOUND

    with asyncio.Runner(loop_factory=Loop) as runner:
        loop = runner.get_loop()
        runner.run(main())


@pytest.mark.parametrize("host", ["192.0.2.1", "::1", "fe80::1%lo"])
def test_a_number_does_not_wait_behind_names_that_hang(resolver: Resolver, host: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        names = [asyncio.create_task(ask(HUNG)), *(
            asyncio.create_task(loop.getaddrinfo(HUNG, port)) for port in range(_MOST))]
        await resolver.hanging()
        async with asyncio.timeout(10):
            assert await ask(host) == FOUND
        for task in names:
            task.cancel()

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
