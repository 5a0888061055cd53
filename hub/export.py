"""`tocsin export HUB.toml --csv DIR | --parquet DIR`: the readings and labels of the hub's store, a file a station, or
another of its tables (`--what`).

The hub may run meanwhile. A file has its name only when it is whole.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from rich.progress import Progress, SpinnerColumn, TextColumn

from hub.config import load_hub
from hub.database import DatabaseError
from hub.errors import TransientError
from hub.export_tables import export_table
from hub.importing import STOPPED
from hub.sheets import CSV_ENDS, GET_PARQUET, PARQUET_END, QUALITY, SheetError, column_of, need_parquet, written
from hub.store import LATEST_MS, OLDEST_MS, LabelPoint, Point, Row, Store
from hub.stores import AnyStore, open_existing
from hub.tables import Cell, Table
from tocsin.config import ConfigError
from tocsin.times import iso, ms_of

PAGE = 20_000
_READINGS = "readings"

Rows = list[tuple[int, list[Cell]]]


class ExportError(Exception):
    """Why nothing is exported; a sentence."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is exported: "" is every station or series, start <= time < end in ms; a `what` of None is readings."""

    what: Table | None = None
    station: str = ""
    series: str = ""
    start_ms: int = OLDEST_MS
    end_ms: int = LATEST_MS


@dataclass(slots=True)
class _Column:
    """One series on its way out: what was read of it and is not written yet."""

    point: Point
    next_ms: int
    page: list[Row] = field(default_factory=list)
    at: int = 0
    done: bool = False


async def export_station(store: Store, station: str, choice: Choice, path: Path, told: Callable[[int], None]) -> int:
    """Writes one file, Parquet by its ending; returns the number of rows, and writes nothing where there is none.
    Raises TransientError, SheetError and OSError."""
    points = [one for one in await store.latest_all() if one.station == station and _chosen(one, choice)]
    names = await _label_names(store, station, choice)
    marked = [point for point in points if await _is_marked(store, point, choice)]
    columns = sorted({(one.device, one.quantity) for one in points} | names.keys())
    place = {name: at for at, name in enumerate(columns)}
    marks = {(one.device, one.quantity): len(columns) + at for at, one in enumerate(marked)}
    head = [column_of(*name) for name in columns] + [column_of(*name) + QUALITY for name in marks]
    kinds: list[type] = [str if names.get(name) else float for name in columns] + [int] * len(marks)
    count = 0
    with written(path, head, kinds) as put:
        async for rows in _rows(store, station, points, names, choice, place, marks):
            put(rows)
            count += len(rows)
            told(len(rows))
    return count


async def _rows(
    store: Store, station: str, points: list[Point], names: dict[tuple[str, str], bool], choice: Choice,
    place: dict[tuple[str, str], int], marks: dict[tuple[str, str], int],
) -> AsyncIterator[Rows]:
    """All rows in order of time, some thousand at once: up to where every series is read."""
    waiting = [_Column(point, choice.start_ms) for point in points]
    labels = _labels(store, station, choice) if names else None
    pending: list[LabelPoint] = []
    blank: list[Cell] = [None] * (len(place) + len(marks))
    while True:
        for column in waiting:
            await _fill(store, column, choice.end_ms)
        until = min((column.page[-1][0] + 1 for column in waiting if not column.done), default=choice.end_ms)
        while labels is not None and (not pending or pending[-1].t_ms < until):
            some = await anext(labels, None)
            if some is None:
                labels = None
            else:
                pending += some
        rows: dict[int, list[Cell]] = {}
        kept = next((at for at, one in enumerate(pending) if one.t_ms >= until), len(pending))
        for label in pending[:kept]:
            if (at := place.get((label.device, label.quantity))) is not None:
                rows.setdefault(label.t_ms, blank.copy())[at] = label.text or None
        pending = pending[kept:]
        for column in waiting:
            _take(column, until, rows, blank, place, marks)
        yield sorted(rows.items())
        if until >= choice.end_ms:
            return


def _take(
    column: _Column, until: int, rows: dict[int, list[Cell]], blank: list[Cell],
    place: dict[tuple[str, str], int], marks: dict[tuple[str, str], int],
) -> None:
    """Puts the series' cells before `until` into the rows."""
    name = column.point.device, column.point.quantity
    at, mark = place[name], marks.get(name)
    while column.at < len(column.page) and column.page[column.at][0] < until:
        t, value, bits = column.page[column.at]
        cells = rows.setdefault(t, blank.copy()) if t not in rows else rows[t]
        cells[at] = value
        if mark is not None:
            cells[mark] = bits
        column.at += 1


async def _fill(store: Store, column: _Column, end_ms: int) -> None:
    """The next page where the last one is used up."""
    if column.done or column.at < len(column.page):
        return
    column.page = await store.readings(column.point, column.next_ms, end_ms, PAGE)
    column.at = 0
    column.done = len(column.page) < PAGE
    if column.page:
        column.next_ms = column.page[-1][0] + 1


async def _labels(store: Store, station: str, choice: Choice) -> AsyncIterator[list[LabelPoint]]:
    """The station's labels page by page, each once."""
    start_ms = choice.start_ms
    while page := await store.labels(station, start_ms, choice.end_ms, PAGE):
        yield page
        start_ms = page[-1].t_ms + 1


async def _label_names(store: Store, station: str, choice: Choice) -> dict[tuple[str, str], bool]:
    """Of each column of labels whether it has a word; some stand only for rows without a value."""
    found: dict[tuple[str, str], bool] = {}
    async for page in _labels(store, station, choice):
        for one in page:
            name = one.device, one.quantity
            found[name] = found.get(name, False) or bool(one.text)
    return {name: words for name, words in found.items() if choice.series in {"", "/".join(name)}}


async def _is_marked(store: Store, point: Point, choice: Choice) -> bool:
    """Whether any reading of the series is not simply good."""
    column = _Column(point, choice.start_ms)
    while not column.done:
        column.at = len(column.page)
        await _fill(store, column, choice.end_ms)
        if any(bits for _, _, bits in column.page):
            return True
    return False


def run(argv: list[str]) -> int:
    """Exit code: 0 all is written, 1 something is not, 2 the command line is off, 130 stopped."""
    args = _parser().parse_args(argv)
    what = None if args.what == _READINGS else Table(args.what)
    choice = Choice(what, args.station, args.series, args.start, args.end)
    try:
        if args.parquet is not None:
            need_parquet()
        return asyncio.run(_export(args, choice))
    except KeyboardInterrupt:
        print("stopped; files that were whole stay", file=sys.stderr)
        return STOPPED
    except (ConfigError, DatabaseError, ExportError, SheetError, TransientError, OSError) as err:
        print(err, file=sys.stderr)
    return 1


async def _export(args: argparse.Namespace, choice: Choice) -> int:
    if choice.start_ms >= choice.end_ms:
        raise ExportError(f"--from {iso(choice.start_ms)} is not before --to {iso(choice.end_ms)}; use an earlier one")
    if choice.series and choice.what is Table.EVENTS:
        raise ExportError(f"--series is not for {choice.what}; leave it out")
    folder, ending = (args.csv, CSV_ENDS[1]) if args.csv is not None else (args.parquet, PARQUET_END)
    store = open_existing(load_hub(args.hub))
    try:
        chosen = await _stations(args.hub, store, choice)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as err:
            raise ExportError(f"{folder}: is not a folder; use one, or a new name") from err
        for station in chosen:
            await _export_one(store, station, choice, folder, ending)
    finally:
        await store.close()
    return 0


async def _export_one(store: AnyStore, station: str, choice: Choice, folder: Path, ending: str) -> None:
    middle = f".{choice.what}" if choice.what else ""
    path = folder / f"{station}{middle}{ending}"
    with _spinner(path.name) as told:
        if choice.what is None:
            count = await export_station(store, station, choice, path, told)
        else:
            span = choice.start_ms, choice.end_ms
            count = await export_table(store, choice.what, station, span, choice.series, path, told)
    print(f"{path}: {count} rows" if count else f"{station}: nothing in this choice, no file")


async def _stations(place: Path, store: AnyStore, choice: Choice) -> list[str]:
    """Those that are exported. Raises ExportError where the store does not know what was chosen."""
    stations = await store.stations()
    if choice.station and choice.station not in stations:
        raise ExportError(f'{place}: the store has nothing of "{choice.station}"; '
                          f"use {', '.join(stations) or 'a hub that has heard something'}")
    chosen = [choice.station] if choice.station else stations
    by_name = choice.series and choice.what is not Table.DETECTIONS    # those may be of a series without readings here
    if by_name and not (known := await _known(store, chosen)) & {choice.series}:
        raise ExportError(f'{place}: the store has no series "{choice.series}" of {", ".join(chosen)}; '
                          f"use {', '.join(sorted(known))}")
    return chosen


async def _known(store: Store, stations: list[str]) -> set[str]:
    """Every series of these stations, labels too."""
    found = {f"{one.device}/{one.quantity}" for one in await store.latest_all() if one.station in stations}
    for station in stations:
        found |= {"/".join(name) for name in await _label_names(store, station, Choice())}
    return found


def _chosen(point: Point, choice: Choice) -> bool:
    return choice.series in {"", f"{point.device}/{point.quantity}"}


@contextmanager
def _spinner(title: str) -> Iterator[Callable[[int], None]]:
    """On a terminal."""
    bar = Progress(SpinnerColumn(), TextColumn("{task.description}: {task.completed} rows"), transient=True)
    bar.disable = not bar.console.is_terminal
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda rows: bar.advance(task, rows)


def _moment(text: str) -> int:
    try:
        date.fromisoformat(text)
    except ValueError:
        pass
    else:
        text += "T00:00:00Z"
    try:
        return ms_of(text)
    except (ValueError, OverflowError) as err:
        raise argparse.ArgumentTypeError(f'"{text}" is not allowed; use 2018-08-20 or 2018-08-20T06:00:00Z') from err


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tocsin export", description="Write what the hub's store holds into files, one a station.",
        epilog="tocsin export hub.toml --station upper-bridge --from 2024-06-01 --csv export; "
               "tocsin export hub.toml --what detections --csv export")
    parser.add_argument("hub", type=Path, metavar="HUB.toml")
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--csv", type=Path, metavar="DIR", help="gzipped CSV")
    form.add_argument("--parquet", type=Path, metavar="DIR", help=f"Parquet; needs {GET_PARQUET}")
    parser.add_argument("--what", choices=[_READINGS, *map(str, Table)], default=_READINGS,
                        help="readings with the labels of records, as without this option, or another table of the "
                             "store; 10m, 1h, 1d are rollups")
    parser.add_argument("--station", default="", help="only this one")
    parser.add_argument("--series", default="", metavar="DEVICE/QUANTITY", help="only this one")
    parser.add_argument("--from", dest="start", type=_moment, default=OLDEST_MS, metavar="TIME",
                        help="from this time on: 2018-08-20 or 2018-08-20T06:00:00Z")
    parser.add_argument("--to", dest="end", type=_moment, default=LATEST_MS, metavar="TIME", help="up to before this")
    return parser
