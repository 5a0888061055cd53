"""`tocsin hub hub.toml` runs the hub; `tocsin hub WORD ...` does what the word says, see WORDS."""

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from hub.config import HubConfig, load_hub
from tocsin.clock import Clock
from tocsin.config import ConfigError
from tocsin.service import run_until_stopped, serve

# a first word that is one of these, and the function that does it (argv -> exit code), imported only then; any other
# word is a file
WORDS = {
    "setup": "hub.influx.setup:main",
    "approve": "hub.approve:main",
    "backup": "hub.backup_command:backup_main",
    "restore": "hub.backup_command:restore_main",
    "password": "hub.officers:main",
}


def run(argv: list[str]) -> int:
    if argv and argv[0] in WORDS:
        module, _, function = WORDS[argv[0]].partition(":")
        code: int = getattr(importlib.import_module(module), function)(argv[1:])
        return code
    return serve("hub", argv, lambda path: (path, load_hub(path)), _start, "the hub")


def _start(loaded: tuple[Path, HubConfig], clock: Clock) -> None:
    """Raises ConfigError where what the file asks for cannot be had on this machine."""
    file, config = loaded
    with ThreadPoolExecutor(1) as beside, _broker(config, beside) as broker_is_up:
        # imported while the broker comes up: a station that restarts with its hub waits for both
        from hub.broker import BrokerError
        from hub.database import DatabaseError
        from hub.errors import HubError
        from hub.service import Hub

        try:
            broker_is_up()
            run_until_stopped(lambda: Hub(config, clock, file).run())
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
