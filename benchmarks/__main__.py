"""`python -m benchmarks [NAME...] [--quick] [--write FILE]`: measures, and prints a table for each bench."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks._extra import MissingPeerError
from benchmarks._report import COLUMNS, cells, markdown, merged
from benchmarks._rows import BenchError, Row
from tocsin import plugins
from tocsin.log import replace_file


def main(argv: list[str]) -> int:
    """Exit code: 0 measured, 1 a bench could not measure, 2 the command line is off.

    Neither a missed bar nor a peer that is not installed is a failure.
    """
    known = plugins.names(benchmarks)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"what to measure, everything unless given: {known}")
    parser.add_argument("--quick", action="store_true", help="tiny counts: it runs; the numbers mean nothing")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this file too")
    args = parser.parse_args(argv)
    unknown = [name for name in args.name if name not in known]
    if unknown:
        parser.error(f'"{unknown[0]}" is not a bench; use {", ".join(known)}')
    if args.quick and args.write:
        parser.error("--write is not allowed with --quick: those numbers mean nothing")
    sections: dict[str, str] = {}
    for name in args.name or known:
        module = plugins.load(benchmarks, name)
        try:
            rows = module.run(args.quick)
        except MissingPeerError as err:
            print(f"{name}: left out: {err}", file=sys.stderr)
            continue
        except BenchError as err:
            print(f"{name}: {err}", file=sys.stderr)
            return 1
        _show(name, rows)
        sections[name] = markdown(name, module.__doc__ or "", rows, f"python -m benchmarks {name}")
    if args.write:
        replace_file(args.write, merged(args.write, sections, known).encode(), sync=False)
    return 0


def _show(name: str, rows: list[Row]) -> None:
    table = Table(*COLUMNS, title=name, title_justify="left")
    for row in rows:
        table.add_row(*cells(row))
    console = Console()
    console.print(table) if console.is_terminal else Console(width=200).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
