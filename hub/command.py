"""`tocsin hub hub.toml`, and what is done beside a running hub: `tocsin hub approve hub.toml`."""

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from hub.config import HubConfig, load_hub
from tocsin.clock import Clock
from tocsin.config import ConfigError
from tocsin.service import run_until_stopped, serve

BESIDE = {"approve": "hub.approve"}  # first word, and the module whose `main` takes the others


def run(argv: list[str]) -> int:
    if argv and argv[0] in BESIDE:
        code: int = importlib.import_module(BESIDE[argv[0]]).main(argv[1:])
        return code
    return serve("hub", argv, load_hub, _start, "the hub")


def _start(config: HubConfig, clock: Clock) -> None:
    """Raises ConfigError where what the file asks for cannot be had on this machine."""
    with ThreadPoolExecutor(1) as beside, _broker(config, beside) as broker_is_up:
        # imported while the broker comes up: a station that restarts with its hub waits for both
        from hub.broker import BrokerError
        from hub.database import DatabaseError
        from hub.service import Hub, HubError

        try:
            broker_is_up()
            run_until_stopped(lambda: Hub(config, clock).run())
        except (BrokerError, DatabaseError, HubError) as err:
            raise ConfigError([str(err)]) from err


@contextmanager
def _broker(config: HubConfig, beside: ThreadPoolExecutor) -> Iterator[Callable[[], None]]:
    """Starts the embedded broker, where the hub has one, in that thread; gives what waits for it."""
    if config.embedded_port is None:
        yield lambda: None
        return
    from hub.broker import EmbeddedBroker

    broker = EmbeddedBroker(config.embedded_port)
    starting = beside.submit(broker.start)
    try:
        yield starting.result
    finally:
        broker.stop()
