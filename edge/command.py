"""`tocsin edge station.toml`"""

import argparse
import logging
import sys
from pathlib import Path

from edge.agent import Agent
from edge.config import load_station
from tocsin.clock import clock_of
from tocsin.config import ConfigError
from tocsin.service import run_until_stopped


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tocsin edge", description="Run the agent of one station until stopped.")
    parser.add_argument("file", type=Path, help="the station's configuration, station.toml")
    parser.add_argument("--clock", default="system", help="system, or scaled:ORIGIN_MS:SPEED[:STARTED_S] to rehearse")
    parser.add_argument("--verbose", action="store_true", help="say what connects and what does not")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING, format="%(asctime)s %(message)s")
    try:
        station = load_station(args.file)
        clock = clock_of(args.clock)
    except ConfigError as err:
        print(err, file=sys.stderr)
        return 1
    except ValueError as err:
        print(f"tocsin edge: {err}", file=sys.stderr)
        return 2
    try:
        run_until_stopped(lambda: Agent(station, clock).run())
    except ConfigError as err:
        print(err, file=sys.stderr)
        return 1
    return 0
