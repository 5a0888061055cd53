"""`tocsin hub hub.toml` runs the hub; `tocsin hub WORD ...` does what the word says, see WORDS."""

import fcntl
import importlib
import logging
import os
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

log = logging.getLogger(__name__)


def run(argv: list[str]) -> int:
    if argv and argv[0] in WORDS:
        module, _, function = WORDS[argv[0]].partition(":")
        code: int = getattr(importlib.import_module(module), function)(argv[1:])
        return code
    more = f"beside that, each with --help: tocsin hub {' | '.join(WORDS)}"
    return serve("hub", argv, lambda path: (path, load_hub(path)), _start, "the hub", more)


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
            broker_is_up()  # before the lock, which a child process would keep
            with _alone(Path(config.hub.data)):
                run_until_stopped(lambda: Hub(config, clock, file).run())
        except (BrokerError, DatabaseError, HubError) as err:
            raise ConfigError([str(err)]) from err


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Two hubs on one folder would both answer stations, forward and call people. The lock goes with the process.

    Raises ConfigError where another hub has it, or there can be no such folder.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = _opened(data)
    except (FileExistsError, NotADirectoryError) as err:
        raise ConfigError([f"hub: data: {data}: a file stands there or in its way; name a folder"]) from err
    except OSError as err:
        raise ConfigError([f"hub: data: {data}: {err.strerror}"]) from err
    try:
        _lock(file, data)
        yield
    finally:
        os.close(file)


def _opened(data: Path) -> int:
    """A file of its own: hub.backup locks the folder that its archives go to, which may be this one."""
    try:
        return os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # a full disk: the hub warns all the same
        return os.open(data, os.O_RDONLY | os.O_DIRECTORY)


def _lock(file: int, data: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        raise ConfigError(
            [f"hub: data: another hub runs on {data}; stop that one, or give this one its own folder"]) from err
    except OSError as err:  # a file system without such locks: the hub warns all the same
        log.warning("%s cannot be locked against a second hub: %s", data, err.strerror)


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
