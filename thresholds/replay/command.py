"""`tocsin replay RULES RECORD...`: what these rules would have decided. `tocsin replay FOLDER`: what a station did.

With group rules, or a hub.toml alone, the hub's own rules over several stations are replayed (hub.groups_replay).
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path
from types import ModuleType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from thresholds.replay.choice import Choice, add_choice, add_reading, choice_of, is_csv, reading_of
from thresholds.replay.episodes import Episode, episodes_told
from thresholds.replay.history import History, HistoryError, Reading, history_of, plan_for
from thresholds.replay.lines import json_lines
from thresholds.replay.page import About, page, section
from thresholds.replay.run import replay
from thresholds.replay.tables import episode_table, quality_table
from thresholds.replay.tally import Tally
from thresholds.rule import Rules
from thresholds.rules import load_rules
from tocsin.config import ConfigError, read_toml
from tocsin.readings import Quality
from tocsin.records import RecordError, read

WIDTH = 160    # of a table that no terminal is there for

# of the command line: what would change a decision, which what a station decided itself cannot take
CHANGING = {"start": "--from", "end": "--to", "station": "--station", "no_latch": "--no-latch", "period": "--period",
            "column": "--column", "plausible": "--plausible", "datum": "--datum"}

REFUSED = (ConfigError, HistoryError, RecordError, OSError)

# who reads a record that is no CSV file; imported only when asked for, for layers and for those without the extra
READERS = {"log": ("edge.history", "edge"), "hub": ("hub.history", "hub"), "groups": ("hub.groups_replay", "hub")}


def run(argv: list[str]) -> int:
    """Exit code: 0 done, 1 a file or a record is refused (the others are done), 2 the command line is off."""
    parser = argparse.ArgumentParser(
        prog="tocsin replay", description="Say what rules would have decided over records: CSV files, the data folder "
        "of a station, or the store of a hub (its hub.toml). With a station's data folder alone: what it decided.")
    parser.add_argument("rules", type=Path, help="a rules file, or a station's data folder")
    parser.add_argument("records", nargs="*", type=Path, metavar="RECORD", help="CSV file, data folder, or hub.toml")
    parser.add_argument("--json", action="store_true", help="one object a line for each episode")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page with plots, which needs nothing else")
    parser.add_argument("--no-latch", action="store_true", help="let levels fall that wait for an acknowledgement: "
                        "nobody acknowledges in a replay")
    add_choice(parser)
    add_reading(parser)
    args = parser.parse_args(argv)
    try:
        if args.rules.is_dir():
            return _own(args)
        if (kind := _hub_s(args)):
            return _groups(args, own=kind == "hub")
        if not args.records:
            parser.error("no RECORD is given")
        rules = load_rules(args.rules)
        return _Session(args, unlatched(rules) if args.no_latch else rules).run()
    except REFUSED as err:
        print(err, file=sys.stderr)
        return 1


class _Session:
    """One run of the command over all its records; memory holds one history at a time."""

    def __init__(self, args: argparse.Namespace, rules: Rules) -> None:
        self._args = args
        self._rules = rules
        self._zone: tzinfo = args.tz
        self._reading: Reading = reading_of(args)
        self._choice: Choice = choice_of(args)
        self._notes: list[str] = []
        self._episodes: list[Episode] = []
        self._tallies: list[tuple[str, Sequence[Tally]]] = []
        self._sections: list[str] = []
        self._columns: set[str] = set()
        self._wrong = False

    def run(self) -> int:
        files = sum(is_csv(path) for path in self._args.records)
        if self._choice.station and files > 1:
            raise HistoryError(f'--station "{self._choice.station}" names one record, and {files} CSV files are given; '
                               "leave it out (each has its file's name), or replay them one by one")
        for path in self._args.records:
            with self._told():
                for history in self._histories(path):
                    with self._told():
                        self._take(history, says_datum=not is_csv(path))
        if not self._args.json and self._tallies:
            _print(self._episodes, self._tallies, self._zone)
        with self._told():
            self._write()
        for column, words in self._args.column:
            if column not in self._columns:
                self._refuse(f"--column {column}={words}: no record has that column")
        return 1 if self._wrong else 0

    def _write(self) -> None:
        """The page, where one is asked for."""
        path: Path | None = self._args.html
        if path is None or not self._sections:
            return
        about = About(str(self._args.rules), self._rules.hash, len(self._episodes), self._notes)
        try:
            path.write_text(page(self._sections, about, self._zone), encoding="utf-8")
        except OSError as err:
            raise HistoryError(f"{path}: cannot be written: {err.strerror}") from err

    def _histories(self, path: Path) -> Iterator[History]:
        """The histories of a record, one a station. Raises HistoryError, RecordError, ConfigError or OSError."""
        if path.is_dir() or path.suffix == ".toml":
            found = _reader("log" if path.is_dir() else "hub").histories(path, self._rules, self._choice)
        elif is_csv(path):
            record = read(path)
            self._columns |= {*record.columns, *record.labels}
            found = iter([history_of(record, self._rules, self._reading, self._choice.station)])
        else:
            what = "is no record" if path.exists() else "is not there"
            raise HistoryError(f"{path}: {what}; name a CSV file (.csv, .csv.gz), a station's data folder or a "
                               "hub.toml")
        for history in found:
            part = history.between(self._choice.start_ms, self._choice.end_ms)
            if not len(part.t_ms):
                raise HistoryError(f"{path}: {history.station}: holds nothing in the time that --from and --to leave")
            yield part

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What is refused is said, and does not stop the others."""
        try:
            yield
        except REFUSED as err:
            self._refuse(str(err))

    def _refuse(self, why: str) -> None:
        self._wrong = True
        print(why, file=sys.stderr)

    def _take(self, history: History, *, says_datum: bool) -> None:
        if any(station == history.station for station, _ in self._tallies):
            raise HistoryError(f"{history.station}: another record has this name; rename one of the files")
        plan, left_out = plan_for(self._rules, history.series)
        for why in left_out:
            self._note(f"{history.station}: left out: {why}")
        assumed = set() if says_datum else {series.datum for series in plan.series} - {"", self._reading.datum}
        for datum in sorted(assumed):
            self._note(f'{history.station}: its stages are taken to count from "{datum}", as the rules do')
        latching = [rule.name for rule in plan.rules.rules if any(level.latch for level in rule.levels)]
        if latching:
            self._note(f"{history.station}: {', '.join(latching)}: a level that waits for an acknowledgement stays, "
                       "because nobody acknowledges in a replay; with --no-latch it falls")
        with _progress(history) as progress:
            found = replay(history, plan, progress=progress)
        for why in _disordered(found.tallies):
            self._note(f"{history.station}: {why}")
        if self._args.html:
            self._sections.append(section(found, len(self._episodes), self._zone))
        self._episodes += found.episodes
        self._tallies.append((history.station, found.tallies))
        if self._args.json:
            print(json_lines(found.episodes), end="", flush=True)

    def _note(self, words: str) -> None:
        self._notes.append(words)
        print(f"note: {words}", file=sys.stderr)


def _disordered(tallies: Sequence[Tally]) -> Iterator[str]:
    """Why most of a series is not judged, where its rows do not stand in order of time."""
    for one in tallies:
        late = one.marked[Quality.LATE]
        if 2 * late > one.readings:
            yield (f"{one.series.key}: {late} of {one.readings} readings are not newer than one before them, and are "
                   "not judged; sort the record by time")


def unlatched(rules: Rules) -> Rules:
    """The same rules, of which no level waits for a person. They are other rules: episodes have other ids."""
    return replace(rules, rules=tuple(
        replace(rule, levels=tuple(replace(level, latch=False) for level in rule.levels)) for rule in rules.rules))


def _reader(kind: str) -> ModuleType:
    module, extra = READERS[kind]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as err:
        how = f"pip install '.[{extra}]' in tocsin's folder"
        raise HistoryError(f"to read this record, {how}: {err.name} is not there") from err


def _own(args: argparse.Namespace) -> int:
    """What a station decided itself, found again from the inputs in its log."""
    if args.records or args.html:
        raise HistoryError(f"{args.rules}: is a folder; to judge it by other rules, name the rules file first")
    for name, option in CHANGING.items():
        if getattr(args, name):
            raise HistoryError(f"{option} is not for what a station decided itself; to judge its readings anew, name a "
                               f"rules file and then {args.rules}")
    own = _reader("log").own(args.rules)
    episodes = episodes_told(own.station, own.decided, own.quantities)
    if args.json:
        print(json_lines(episodes), end="")
    else:
        _print(episodes, [], args.tz)
    same = "exactly what the station told" if own.same else "NOT what the station told"
    for words in (f"{len(own.decided)} changes of level follow from the log's inputs: {same}", *own.notes):
        print(f"{own.station}: {words}", file=sys.stderr)
    return 0 if own.same and own.whole else 1


def _hub_s(args: argparse.Namespace) -> str:
    """`group` for a file of group rules, `hub` for a hub.toml alone, else ""."""
    tables = read_toml(args.rules) if args.rules.suffix == ".toml" and args.rules.is_file() else {}
    if "group" in tables:
        return "group"
    return "hub" if "hub" in tables and not isinstance(tables.get("station"), dict) and not args.records else ""


def _groups(args: argparse.Namespace, *, own: bool) -> int:
    """What a hub's rules over several stations decided, or what others would have."""
    for name, option in {**CHANGING, "html": "--html"}.items():
        if getattr(args, name):
            raise HistoryError(f"{option} is not for group rules; they judge all that the hub has landed")
    rules, hubs = (None, [args.rules]) if own else (args.rules, args.records)
    for line in _reader("groups").run_command(rules, hubs, args.tz, as_json=args.json):
        print(line)
    return 0


def _print(episodes: Sequence[Episode], tallies: Sequence[tuple[str, Sequence[Tally]]], zone: tzinfo) -> None:
    # names are shown as they are, brackets and colons too
    console = Console(markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(width=WIDTH, markup=False, emoji=False)
    console.print(episode_table(episodes, zone) if episodes else "No episode: nothing was raised. 没有预警过程。")
    if tallies:
        console.print(quality_table(tallies))


@contextmanager
def _progress(history: History) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(history.station, total=len(history.t_ms))
        yield lambda rows: bar.update(task, completed=rows)
