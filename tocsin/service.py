"""A long-running command: a configuration file, a clock, and a run until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from tocsin.beside import Threads
from tocsin.clock import Clock, clock_of
from tocsin.config import ConfigError
from tocsin.logs import set_up
from tocsin.lookups import Loop

T = TypeVar("T")
_THREADS = 32  # made as they are needed. A disk may hang in some: others must not wait


def serve(
    command: str, argv: list[str], load: Callable[[Path], T], start: Callable[[T, Clock], None], what: str,
    more: str = "",
) -> int:
    """Reads `tocsin COMMAND FILE [--clock SPEC] [--verbose] [--log-json]`, loads the file, calls `start`, which
    returns at the end. `more` stands at the end of the help.

    Exit code: 0 after a clean end, 1 where the file or the service is refused (a ConfigError, told as it is), 2 for a
    wrong command line.
    """
    parser = argparse.ArgumentParser(prog=f"tocsin {command}", description=f"Run {what} until stopped.", epilog=more)
    parser.add_argument("file", type=Path, help="its configuration file")
    parser.add_argument("--clock", default="system", help="system, or scaled:ORIGIN_MS:SPEED[:STARTED_S] to rehearse")
    parser.add_argument("--verbose", action="store_true", help="say what connects and what does not")
    parser.add_argument("--log-json", action="store_true", help="a JSON object a line, for programs that read logs")
    args = parser.parse_args(argv)
    set_up(verbose=args.verbose, as_json=args.log_json)
    try:
        clock = clock_of(args.clock)
    except ValueError as err:
        print(f"tocsin {command}: {err}", file=sys.stderr)
        return 2
    try:
        start(load(args.file), clock)
    except ConfigError as err:
        print(err, file=sys.stderr)
        return 1
    return 0


def run_until_stopped(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Makes the coroutine inside a loop and cancels it on SIGTERM or SIGINT. Its own errors are raised."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - inside a coroutine that runs
        loop = asyncio.get_running_loop()
        loop.set_default_executor(Threads(_THREADS, "beside"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        await make()

    with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
