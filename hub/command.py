"""`tocsin hub hub.toml`"""

import argparse
import logging
import sys
from pathlib import Path

from hub.broker import BrokerError
from hub.config import load_hub
from hub.database import DatabaseError
from hub.service import Hub, HubError
from tocsin.clock import clock_of
from tocsin.config import ConfigError
from tocsin.service import run_until_stopped


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tocsin hub", description="Run the hub until stopped.")
    parser.add_argument("file", type=Path, help="the hub's configuration, hub.toml")
    parser.add_argument("--clock", default="system", help="system, or scaled:ORIGIN_MS:SPEED[:STARTED_S] to rehearse")
    parser.add_argument("--verbose", action="store_true", help="say what connects and what does not")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING, format="%(asctime)s %(message)s")
    try:
        config, clock = load_hub(args.file), clock_of(args.clock)
        run_until_stopped(lambda: Hub(config, clock).run())
    except (ConfigError, DatabaseError, BrokerError, HubError) as err:
        print(err, file=sys.stderr)
        return 1
    except ValueError as err:
        print(f"tocsin hub: {err}", file=sys.stderr)
        return 2
    return 0
