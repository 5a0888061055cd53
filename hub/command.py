"""`tocsin hub hub.toml`"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from hub.config import HubConfig, load_hub
from tocsin.clock import Clock, clock_of
from tocsin.config import ConfigError
from tocsin.service import run_until_stopped


def run(argv: list[str]) -> int:
    """Exit code: 0 after Ctrl-C or SIGTERM, 1 where the hub cannot run, 2 for a wrong command line."""
    parser = argparse.ArgumentParser(prog="tocsin hub", description="Run the hub until stopped.")
    parser.add_argument("file", type=Path, help="the hub's configuration, hub.toml")
    parser.add_argument("--clock", default="system", help="system, or scaled:ORIGIN_MS:SPEED[:STARTED_S] to rehearse")
    parser.add_argument("--verbose", action="store_true", help="say what connects and what does not")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING, format="%(asctime)s %(message)s")
    try:
        config, clock = load_hub(args.file), clock_of(args.clock)
    except ConfigError as err:
        print(err, file=sys.stderr)
        return 1
    except ValueError as err:
        print(f"tocsin hub: {err}", file=sys.stderr)
        return 2
    return _serve(config, clock)


def _serve(config: HubConfig, clock: Clock) -> int:
    with ThreadPoolExecutor(1) as beside, _broker(config, beside) as broker_is_up:
        # imported while the broker comes up: a station that restarts with its hub waits for both
        from hub.broker import BrokerError
        from hub.database import DatabaseError
        from hub.service import Hub, HubError

        try:
            broker_is_up()
            run_until_stopped(lambda: Hub(config, clock).run())
        except (BrokerError, DatabaseError, HubError) as err:
            print(err, file=sys.stderr)
            return 1
    return 0


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
