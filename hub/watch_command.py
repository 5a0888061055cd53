"""`tocsin watch-hub watch.toml`: on another machine, calls somebody when the hub's heartbeat stops."""

import asyncio
import logging
import sys
from pathlib import Path

from hub.programs import problem_of
from hub.watch import Call, Watch
from hub.watch_config import TEXT, WatchConfig, load_watch
from tocsin.alive import alive_of
from tocsin.clock import Clock
from tocsin.config import ConfigError
from tocsin.link import Link
from tocsin.notify import Notify
from tocsin.service import run_until_stopped, serve
from tocsin.signing import SealError
from tocsin.topics import ALIVE

TICK_S = 1.0

log = logging.getLogger(__name__)


def run(argv: list[str]) -> int:
    """`--test` calls everybody once and ends: 0 if all commands worked."""
    if "--test" in argv:
        return _test([word for word in argv if word != "--test"])
    return serve("watch-hub", argv, load_watch, _start, "a watch over the hub",
                 "tocsin watch-hub FILE --test calls everybody once instead, and ends")


class Watcher:
    """The ring around a Watch: a link, a clock, commands."""

    def __init__(self, config: WatchConfig, clock: Clock) -> None:
        self.watch = Watch(config, clock.monotonic_s())
        self.link = Link(config.broker, f"tocsin-{config.watch.name}-watch", subscriptions=[ALIVE],
                         on_message=self._on_message)
        self._clock = clock
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled."""
        notify = Notify.of_environment()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.link.run(), name="link")
            notify.say("READY=1")
            while True:
                self.tick()
                notify.say("WATCHDOG=1", f"STATUS=hub: {self.watch.state.name.lower()}")
                await self._clock.sleep_until(self._clock.monotonic_s() + TICK_S)

    def tick(self) -> None:
        """Each call in a task of its own: a command that hangs holds up no other."""
        now_s = self._clock.monotonic_s()
        self.watch.link(connected=self.link.connected, now_s=now_s)
        for one in self.watch.tick(now_s):
            task = asyncio.ensure_future(self._call(one))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _on_message(self, _topic: str, payload: bytes) -> None:
        try:
            self.watch.heard(alive_of(payload, self.watch.config.watch.public_key), self._clock.monotonic_s())
        except SealError as err:
            log.warning("not the hub: %s", err)

    async def _call(self, one: Call) -> None:
        log.warning("calls %s: %s", one.call.name, one.text)
        if problem := await say(one):
            log.error("%s was not reached: %s", one.call.name, problem)
            self.watch.failed(one.call, self._clock.monotonic_s())


async def say(one: Call) -> str:
    """Runs the command; what went wrong, "" where it ended with 0 in time."""
    words = [word.replace(TEXT, one.text) for word in one.call.command]
    return await problem_of(words, one.call.timeout_s)


def _start(config: WatchConfig, clock: Clock) -> None:
    run_until_stopped(lambda: Watcher(config, clock).run())


def _test(argv: list[str]) -> int:
    if len(argv) != 1:
        print("usage: tocsin watch-hub FILE --test", file=sys.stderr)
        return 2
    try:
        config = load_watch(Path(argv[0]))
    except ConfigError as err:
        print(err, file=sys.stderr)
        return 1

    async def everybody() -> list[str]:
        return list(await asyncio.gather(*(say(one) for one in Watch(config, 0.0).test())))

    problems = asyncio.run(everybody())
    for call, problem in zip(config.call, problems, strict=True):
        print(f"{call.name}: {problem or 'the command worked'}")
    return 1 if any(problems) else 0
