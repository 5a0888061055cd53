"""The station's log against SQLite

A station's log takes one record for each poll of a device, and syncs every 10 s in calm, at every poll above clear.
SQLite (WAL) is given the same bytes, one commit for each poll; with FULL each commit is synced, with NORMAL only
checkpoints are. "FULL, a commit each 10 s" is SQLite's least, but a process that dies loses up to 10 s of records.
The load is 20 series from 20 devices every 10 s: a round is 20 records, a day 8,640 rounds.

*Charged* bytes are the pages that the process makes dirty. *Device* bytes are what the block device takes, the file
system's journal included. The rounds follow each other at once, but for the last rows, "a day in real time": there
the polls are spread over their 10 s for four minutes, and ext4 also commits its journal by itself every 5 s. As root
the bench mounts file systems of its own (ext4 in a file), so that the device's counter sees it alone; without root
there are no rows in real time, and the counter sees what every process of the machine writes.

The log writes zeros ahead, 256 KiB at a time, so that a sync need not write the file's size. A byte of them is counted
once, when the record that takes its place is written: the zeros that stand ready at the end of a run are left out. What
remains beside the records is ext4's note of the file's times, with each commit of its journal; `commit=300`, as
`deploy/tocsin-edge.service` mounts it, makes that rare, and what was synced is safe all the same: the bar is for that.
`python -m benchmarks card` has the whole agent.
"""

import contextlib
import os
import shutil
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

from benchmarks._disk import Device, ahead, charged_bytes, filesystem_of_our_own, flush, folder_on_disk
from benchmarks._rows import BenchError, Row, repeats_of
from edge.recorder import KINDS
from tocsin.log import Entry, Log
from tocsin.messages import Readings, encode

SERIES = 20
EVERY_S = 10.0
DAY_ROUNDS = 24
RECORDS_A_DAY = 86_400 / EVERY_S * SERIES
BAR_MB_A_DAY = 100.0
START_MS = 1_723_075_200_000
JOURNAL = ("zeros are written ahead of the records, so that each byte goes to the device twice; "
           "SQLite writes over a WAL whose size has settled")
TIMES = ("5 s after each sync ext4 writes the file's times through its journal, 12 KiB on blocks of 4: 106 MB a day "
         "for whoever writes every 10 s; the log's own share is its records, padded to pages, and as many zeros ahead")
PAGES = ("a group of records begins on a page of its own where it would spread over two: fewer pages are written, "
         "not all full")
NO_SYNC = "SQLite NORMAL syncs nothing between checkpoints: a power cut takes what came since"
SPEED = {"calm": NO_SYNC, "warned": JOURNAL}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one way to write, for each record: bytes by each counter (device 0 where there is none), and seconds."""

    charged: float
    device: float
    grown: float
    seconds: float


Write = Callable[[Iterable[Entry]], None]
Way = Callable[[Path], contextlib.AbstractContextManager[Write]]


def run(quick: bool) -> list[Row]:
    """Rows of bytes, MB a day and speed. Raises BenchError where writes are not counted."""
    rounds, repeats = polls(3 if quick else 100), repeats_of(quick, slow=True)
    with contextlib.ExitStack() as stack:
        own = None if quick else stack.enter_context(filesystem_of_our_own())
        folder = own or stack.enter_context(folder_on_disk())
        costs = _measure(folder, rounds, repeats)
        if own is None:
            print("log: the rows in real time are left out: they need root, a loop device and the full run",
                  file=sys.stderr)
        days = {} if own is None else _days(repeats)
    rows = _byte_rows("charged", {name: cost.charged for name, cost in costs.items()}, repeats)
    day_mb = {name: cost.charged * RECORDS_A_DAY / 1e6 for name, cost in costs.items()}
    if all(cost.device for cost in costs.values()):
        rows += _byte_rows("device", {name: cost.device for name, cost in costs.items()}, repeats)
    rows.append(Row("file growth", costs["calm"].grown, costs["normal"].grown, "SQLite", "B/record", repeats,
                    why=PAGES))
    rows += _speed_rows({name: cost.seconds for name, cost in costs.items()}, repeats)
    rows += _day_rows("charged bytes, a day of calm", day_mb, repeats, BAR_MB_A_DAY)
    if days:
        rows += _day_rows("device bytes, a day in real time with ext4's own 5 s", days, repeats)
        rows.append(Row("device bytes, a day in real time as the unit mounts it, commit=300", days[RARELY],
                        days["bare"], "bare write and sync each 10 s, 5 s", "MB", repeats, floor=True,
                        bar=BAR_MB_A_DAY))
    return rows


def polls(rounds: int) -> list[list[Entry]]:
    """Rounds of one record a series, as the recorder gives them to the log."""
    numbers = iter(range(1, rounds * SERIES + 1))
    return [[_entry(next(numbers), number, index) for index in range(SERIES)] for number in range(rounds)]


def _entry(seq: int, number: int, index: int) -> Entry:
    t_ms = START_MS + round(number * EVERY_S * 1000) + index
    record = Readings("0123456789abcdef", seq, [t_ms], [f"gauge-{index:02}/stage_m"], [1.234 + index], [0])
    return Entry(seq, KINDS[Readings], encode(record))


@contextlib.contextmanager
def _segments(folder: Path, *, grouped: bool, synced: bool) -> Iterator[Write]:
    """The log as the recorder uses it; `synced`: each poll by itself, as it is above clear."""
    log = Log(folder, early=True)

    def write(entries: Iterable[Entry]) -> None:
        for group in [list(entries)] if grouped else ([entry] for entry in entries):
            log.append(group)
            if synced:
                log.sync()
        log.sync()

    yield write
    log.close()


@contextlib.contextmanager
def _sqlite(folder: Path, *, mode: str, grouped: bool) -> Iterator[Write]:
    connection = sqlite3.connect(folder / "log.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {mode}")
    connection.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, payload BLOB NOT NULL)")

    def write(entries: Iterable[Entry]) -> None:
        if grouped:
            connection.execute("BEGIN")
        for entry in entries:
            connection.execute("INSERT INTO log VALUES (?, ?, ?)", (entry.seq, entry.kind, entry.payload))
        if grouped:
            connection.execute("COMMIT")

    yield write
    connection.close()


@contextlib.contextmanager
def _bare(folder: Path) -> Iterator[Write]:
    """The least that keeps a round: its payloads in one write, and one sync."""
    file = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT)

    def write(entries: Iterable[Entry]) -> None:
        os.write(file, b"".join(entry.payload for entry in entries))
        os.fdatasync(file)

    yield write
    os.close(file)


WAYS: dict[str, Way] = {
    "calm": lambda folder: _segments(folder, grouped=False, synced=False),
    "warned": lambda folder: _segments(folder, grouped=False, synced=True),
    "group": lambda folder: _segments(folder, grouped=True, synced=True),
    "normal": lambda folder: _sqlite(folder, mode="NORMAL", grouped=False),
    "full": lambda folder: _sqlite(folder, mode="FULL", grouped=False),
    "full group": lambda folder: _sqlite(folder, mode="FULL", grouped=True),
    "bare": _bare,
}
RARELY = "calm, mounted with commit=300"
DAYS = {"calm": "loop", RARELY: "loop,commit=300", "normal": "loop", "bare": "loop"}    # and how each is mounted


def _measure(folder: Path, rounds: list[list[Entry]], repeats: int) -> dict[str, Cost]:
    """The medians of every way; the ways take turns."""
    found: dict[str, list[Cost]] = {name: [] for name in WAYS}
    for _ in range(repeats):
        for name, way in WAYS.items():
            found[name].append(_cost(folder / "log", way, rounds))
    return {name: Cost(*(statistics.median(values) for values in zip(*map(astuple, costs), strict=True)))
            for name, costs in found.items()}


def _cost(folder: Path, way: Way, rounds: list[list[Entry]]) -> Cost:
    folder.mkdir()
    device = Device(folder)
    with way(folder) as write:
        flush(folder.iterdir())
        charged, written = charged_bytes(), device.written_bytes()
        began_s = time.perf_counter()
        for entries in rounds:
            write(entries)
        seconds = time.perf_counter() - began_s
        flush(folder.iterdir())
        charged, written = charged_bytes() - charged, device.written_bytes() - written
    zeros = ahead(folder)
    charged, written = charged - zeros, max(0, written - zeros)
    grown = sum(path.stat().st_size for path in folder.iterdir()) - zeros
    shutil.rmtree(folder)
    return Cost(*(amount / (len(rounds) * SERIES) for amount in (charged, written, grown, seconds)))


def _days(repeats: int) -> dict[str, float]:
    """MB of a day of calm that the device takes. All ways at once: each has a file system, and so a device, of its own.

    Raises BenchError where one cannot be had.
    """
    names = [name for name in DAYS for _ in range(repeats)]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(len(names)) as pool:
        folders = [stack.enter_context(filesystem_of_our_own(DAYS[name])) for name in names]
        if None in folders:
            raise BenchError(f"{len(names)} file systems of our own cannot be mounted here")
        ways = [WAYS["calm" if name == RARELY else name] for name in names]
        taken = list(pool.map(_day, [folder / "day" for folder in folders if folder], ways))
    return {name: statistics.median(mb for other, mb in zip(names, taken, strict=True) if other == name)
            for name in DAYS}


def _day(folder: Path, way: Way) -> float:
    """MB of a day, from some rounds whose polls lie as far apart as they do at a station."""
    folder.mkdir()
    device = Device(folder)
    with way(folder) as write:
        flush(folder.iterdir())
        before = device.written_bytes()
        for entries in polls(DAY_ROUNDS):
            write(_slowly(entries))
        flush(folder.iterdir())
        taken = device.written_bytes() - before - ahead(folder)
    return taken / (DAY_ROUNDS * SERIES) * RECORDS_A_DAY / 1e6


def _slowly(entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        time.sleep(EVERY_S / SERIES)
        yield entry


def _byte_rows(counter: str, per_record: dict[str, float], repeats: int) -> list[Row]:
    def row(what: str, ours: str, peer: str, name: str) -> Row:
        return Row(f"{counter} bytes, {what}", per_record[ours], per_record[peer], name, "B/record", repeats,
                   why=JOURNAL if counter == "device" else "")

    return [
        row("calm", "calm", "normal", "SQLite NORMAL"),
        row("calm", "calm", "full group", "SQLite FULL, a commit each 10 s"),
        row("above clear", "warned", "full", "SQLite FULL"),
    ]


def _day_rows(what: str, mb: dict[str, float], repeats: int, bar: float | None = None) -> list[Row]:
    return [
        Row(what, mb["calm"], mb["bare"], "bare write and sync each 10 s", "MB", repeats, floor=True, bar=bar,
            why=TIMES),
        Row(what, mb["calm"], mb["normal"], "SQLite NORMAL", "MB", repeats),
    ]


def _speed_rows(seconds: dict[str, float], repeats: int) -> list[Row]:
    def row(what: str, ours: str, peer: str, name: str) -> Row:
        return Row(what, 1 / seconds[ours], 1 / seconds[peer], name, "records/s", repeats, more_is_better=True,
                   why=SPEED[ours])

    group_ms = SERIES * 1000
    return [
        row("speed, calm: a sync for 20 records", "calm", "normal", "SQLite NORMAL, no sync"),
        row("speed, above clear: a sync for each", "warned", "full", "SQLite FULL"),
        Row("20 records in one synced group", seconds["group"] * group_ms, seconds["full group"] * group_ms,
            "SQLite FULL, one commit", "ms", repeats, why=JOURNAL),
        Row("20 records in one synced group", seconds["group"] * group_ms, seconds["bare"] * group_ms,
            "bare write and sync", "ms", repeats, floor=True),
    ]
