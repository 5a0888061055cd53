"""`tocsin import HUB.toml FILE...`: records into the hub's store, values as they stand, beside a hub that runs.

A file is looked through first; where something in it is bad, nothing of it is written. What the store has already is
left as it is, so that an import that was stopped is simply made again.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hub.config import HubConfig, load_hub
from hub.database import DatabaseError
from hub.errors import PermanentError, TransientError
from hub.influx.downsample import make_days
from hub.sheets import CSV_ENDS, PARQUET_END, SheetError, lines, name_of
from hub.store import OLDEST_MS, LabelPoint, Point, Store
from hub.stores import open_store
from hub.survey import TOLD, Survey, points, survey
from tocsin.clock import SystemClock
from tocsin.config import ConfigError
from tocsin.times import DAY_MS, iso
from tocsin.topics import STATION_ID

BATCH = 10_000    # points of one write
STOPPED = 130
_PAGE = 20_000

Key = tuple[type, str, str, int]
Content = tuple[float, int] | str    # value and marks of a reading, text of a label
Told = Callable[[int], None]    # so many more rows are done


class ImportRefusedError(Exception):
    """Why nothing of a file was written; sentences."""


class Importer:
    """Writes a surveyed file into a store. `counts`: written, there already, different."""

    def __init__(self, store: Store, station: str, *, replace: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self.first_different = ""
        self.days: set[int] = set()    # since 1970, those that the file has readings of
        self._store = store
        self._station = station
        self._replace = replace

    async def take(self, of: Survey, told: Told) -> None:
        """Raises SheetError, TransientError, PermanentError. What was written before stays."""
        known = {(one.device, one.quantity) for one in await self._store.latest_all() if one.station == self._station}
        batch: list[Point | LabelPoint] = []
        rows = 0
        with closing(lines(of.path)) as found:    # also where this is stopped in the middle
            for row in points(of, self._station, found):
                batch += row
                rows += 1
                if len(batch) >= BATCH:
                    await self._write(batch, known)
                    told(rows)
                    batch, rows = [], 0
        await self._write(batch, known)
        told(rows)

    async def _write(self, batch: Sequence[Point | LabelPoint], known: set[tuple[str, str]]) -> None:
        """`known` are the series that the store had when the file was begun: no other is looked up."""
        if not batch:
            return
        self.days |= {one.t_ms // DAY_MS for one in batch if isinstance(one, Point)}
        held = await self._held(batch, known)
        new: list[Point | LabelPoint] = []
        for point in batch:
            there = held.get(_key(point))
            if there is None:
                new.append(point)
            elif there == _content(point):
                self.counts["there already"] += 1
            else:
                self._differs(point, there)
                new += [point] if self._replace else []
        if new:
            await self._store.write(new)
            self.counts["written"] += len(new)

    async def _held(self, batch: Sequence[Point | LabelPoint], known: set[tuple[str, str]]) -> dict[Key, Content]:
        """What the store has at the times of the batch."""
        found: dict[Key, Content] = {}
        by_series: dict[tuple[str, str], list[Point]] = {}
        for one in batch:
            if isinstance(one, Point) and (one.device, one.quantity) in known:
                by_series.setdefault((one.device, one.quantity), []).append(one)
        for (device, quantity), some in by_series.items():
            start, end = min(one.t_ms for one in some), max(one.t_ms for one in some) + 1
            while rows := await self._store.readings(some[0], start, end, _PAGE):
                found |= {(Point, device, quantity, t): (value, bits) for t, value, bits in rows}
                start = rows[-1][0] + 1
        labels = [one.t_ms for one in batch if isinstance(one, LabelPoint)]
        start, end = min(labels, default=0), max(labels, default=-1) + 1
        while start < end and (page := await self._store.labels(self._station, start, end, _PAGE)):
            found |= {(LabelPoint, one.device, one.quantity, one.t_ms): one.text for one in page}
            start = page[-1].t_ms + 1
        return found

    def _differs(self, point: Point | LabelPoint, there: Content) -> None:
        self.counts["different"] += 1
        if not self.first_different:
            store, file = (one if isinstance(one, str) else repr(one[0]) for one in (there, _content(point)))
            self.first_different = (f"{point.device}/{point.quantity} at {iso(point.t_ms)}: "
                                    f"the store has {store}, the file {file}")


def run(argv: list[str]) -> int:
    """Exit code: 0 all is in the store, 1 something is not, 2 the command line is off, 130 stopped."""
    args = _parser().parse_args(argv)
    try:
        config = load_hub(args.hub)
        return asyncio.run(_import(config, args))
    except KeyboardInterrupt:
        print("stopped; what was written stays: the same command goes on from there", file=sys.stderr)
        return STOPPED
    except (ConfigError, DatabaseError, SheetError, ImportRefusedError) as err:
        print(err, file=sys.stderr)
    except (TransientError, PermanentError) as err:
        print(f"{err}\nwhat was written stays: the same command goes on from there", file=sys.stderr)
    return 1


async def _import(config: HubConfig, args: argparse.Namespace) -> int:
    for path in args.files:
        _station_of(path, args.station)
    store = open_store(config)
    code = 0
    try:
        for path in args.files:
            code |= await _import_one(store, config, path, args)
    finally:
        await store.close()
    return code


async def _import_one(store: Store, config: HubConfig, path: Path, args: argparse.Namespace) -> int:
    station = _station_of(path, args.station)
    of = survey(path, _oldest_ms(config))
    if of.bad:
        _tell_bad(of, skipped=args.skip_bad)
        if not args.skip_bad:
            return 1
    importer = Importer(store, station, replace=args.replace)
    with _bar(path.name, of.rows) as told:
        await importer.take(of, told)
    await make_days(config, store, station, importer.days)
    counts = importer.counts
    print(f'{path}: {of.rows} rows for station "{station}": {counts["written"]} values written, '
          f"{counts['there already']} were there already")
    if counts["different"]:
        left = "now as in the file" if args.replace else "left as they are; --replace takes those of the file"
        print(f"{path}: {counts['different']} values differ from the store's, {left}; the first: "
              f"{importer.first_different}", file=sys.stderr)
    return int(bool(counts["different"]) and not args.replace)


def _tell_bad(of: Survey, *, skipped: bool) -> None:
    for bad in of.bad[:TOLD]:
        print(f"{of.path}:{bad.line}: {bad.words}", file=sys.stderr)
    more = f" ({of.bad_count - TOLD} more are not shown)" if of.bad_count > TOLD else ""
    does = ("left out, the rest is imported" if skipped else
            "nothing of this file is imported; mend it, or leave them out with --skip-bad")
    print(f"{of.path}: {of.bad_count} bad rows or cells{more}: {does}", file=sys.stderr)


def _oldest_ms(config: HubConfig) -> int:
    """What is older would be deleted again at once, or not be taken at all."""
    today = SystemClock().now_ms() // DAY_MS
    if config.store.kind == "embedded":
        return (today - config.store.keep_days) * DAY_MS if config.store.keep_days else OLDEST_MS
    # of its oldest day InfluxDB takes only a part
    return (today - config.store.influx_keep_days + 1) * DAY_MS if config.store.influx_keep_days else OLDEST_MS


def _station_of(path: Path, said: str) -> str:
    """Raises ImportRefusedError."""
    if not path.name.endswith((*CSV_ENDS, PARQUET_END)):
        raise ImportRefusedError(f"{path}: use a file whose name ends in {', '.join((*CSV_ENDS, PARQUET_END))}")
    station = said or name_of(path)
    if not STATION_ID.fullmatch(station):
        raise ImportRefusedError(f'{path}: "{station}" is not allowed as a station; use --station with small letters, '
                                 "digits, -")
    return station


def _key(point: Point | LabelPoint) -> Key:
    return type(point), point.device, point.quantity, point.t_ms


def _content(point: Point | LabelPoint) -> Content:
    return point.text if isinstance(point, LabelPoint) else (point.value, point.quality)


@contextmanager
def _bar(title: str, total: int) -> Iterator[Told]:
    """On a terminal."""
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed} of {task.total} rows"),
                   TimeRemainingColumn(), transient=True)
    bar.disable = not bar.console.is_terminal
    with bar:
        task = bar.add_task(title, total=total)
        yield lambda rows: bar.advance(task, rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tocsin import", description="Put records into the hub's store. A hub that runs may go on running.",
        epilog="tocsin import hub.toml upper-bridge.csv.gz --station upper-bridge")
    parser.add_argument("hub", type=Path, metavar="HUB.toml")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="CSV as docs/store.md says (.csv, "
                        ".csv.gz), or Parquet of tocsin export (.parquet)")
    parser.add_argument("--station", default="", help="whose readings they are (default: the name of the file)")
    parser.add_argument("--skip-bad", action="store_true", help="leave bad rows and cells out, instead of the file")
    parser.add_argument("--replace", action="store_true", help="where the store has another value at the same time, "
                        "take that of the file")
    return parser
