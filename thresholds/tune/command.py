"""`tocsin tune RULES RECORD...`: which thresholds would have warned in time, and at what price."""

import argparse
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from thresholds.replay.choice import add_reading, duration_ms, reading_of, time_ms
from thresholds.replay.columns import series_of
from thresholds.replay.history import History, HistoryError, history_of
from thresholds.rule import Rule, Rules
from thresholds.rules import rules_of
from thresholds.tune import grid, report
from thresholds.tune.events import Event, EventError, Moment, Said, chosen, doubts, made, read_events
from thresholds.tune.page import About, page
from thresholds.tune.resume import Results, ResumeError, resume
from thresholds.tune.score import Terms
from thresholds.tune.study import Answer, Prepared, Problem, Progress, Study, answer, prepare
from thresholds.tune.study import run as run_study
from thresholds.tune.sweep import Target, target_of
from thresholds.tune.write import rules_file
from tocsin.config import ConfigError, read_toml
from tocsin.records import Record, RecordError, read

WIDTH = 170         # of a table that no terminal is there for
STOPPED = 130       # as a shell says it of Ctrl-C
LEFT = "tune.resume"
PART = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")


def run(argv: list[str]) -> int:
    """Exit code: 0 done, 1 a file is refused, 2 the command line is off, 130 stopped."""
    args = parser_of().parse_args(argv)
    try:
        return _Session(args, shlex.join(["tocsin", "tune", *argv])).run()
    except (ConfigError, EventError, HistoryError, RecordError, ResumeError, OSError) as err:
        print(err, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped before anything was tried", file=sys.stderr)
        return STOPPED


def parser_of() -> argparse.ArgumentParser:
    """The command line, for `run` and for the test of the documents."""
    parser = argparse.ArgumentParser(
        prog="tocsin tune", description="Try many thresholds for one level of one rule over records, score them "
        "against events, and choose by CSI at a lead floor. docs/tuning.md explains the numbers.")
    parser.add_argument("rules", type=Path, help="a rules file with the rule to be tuned")
    parser.add_argument("records", nargs="+", type=Path, metavar="RECORD", help="CSV file; its name is the station")
    parser.add_argument("--rule", default="", metavar="NAME", help="which rule (default: the only one)")
    parser.add_argument("--level", default="", help="which level of it (default: the only one)")
    parser.add_argument("--events", type=Path, metavar="FILE", help="what happened; else made with --event-level")
    parser.add_argument("--event-column", default="", metavar="COLUMN", help="events of this column")
    parser.add_argument("--event-level", type=float, metavar="VALUE", help="events at this level")
    parser.add_argument("--merge-gap", type=duration_ms, default=duration_ms("6h"), metavar="TIME",
                        help="crossings closer than this are one event (default 6h)")
    parser.add_argument("--lead-floor", type=lead_ms, required=True, metavar="TIME",
                        help="a warning must come so long before an event: 30min; -10min: at most so long after")
    parser.add_argument("--lead-to", type=Moment, default=Moment.ONSET, choices=list(Moment),
                        help="the moment of an event that leads count to (default onset)")
    parser.add_argument("--lead-max", type=lead_ms, default=duration_ms("24h"), metavar="TIME",
                        help="a warning earlier before the onset is none of this event (default 24h)")
    parser.add_argument("--judge", action="append", default=[], metavar="PART|STATION",
                        help="not tuned on, only judged: a year, of short records a month or day, or a station; "
                        "may be said several times")
    parser.add_argument("--from", dest="start", type=time_ms, metavar="TIME", help="readings from this time on")
    parser.add_argument("--to", dest="end", type=time_ms, metavar="TIME", help="readings before this time")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page with plots, which needs nothing else")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the rules file with the chosen level in it")
    parser.add_argument("--resume", type=Path, metavar="FILE",
                        help=f"goes on with what this file holds, and saves into it (Ctrl-C without it: {LEFT})")
    add_reading(parser)
    sweep = parser.add_argument_group("what is tried", "LOW:HIGH:STEP or a list with commas; what is not said is "
                                      "chosen for on, off and N of M, and stays as in the file for all else")
    sweep.add_argument("--sweep", type=Path, metavar="FILE", help="a file with a table [sweep] of these keys")
    for key in grid.KEYS:
        names = [f"--{key.replace('_', '-')}"] + (["--over"] if key == "over_min" else [])
        sweep.add_argument(*names, dest=f"try_{key}", metavar="VALUES", help=grid.HELP[key])
    return parser


def lead_ms(text: str) -> int:
    """A time like 30min; with - in front, so long after."""
    if text in {"0", "-0"}:
        return 0
    return -duration_ms(text[1:]) if text.startswith("-") else duration_ms(text)


class _Session:
    """One run of the command."""

    def __init__(self, args: argparse.Namespace, command: str) -> None:
        self._args = args
        self._command = command
        self._notes: list[Said] = []
        self._columns: set[str] = set()

    def run(self) -> int:
        args = self._args
        tables = read_toml(args.rules)
        rules = rules_of(tables, str(args.rules))
        target = replace(target_of(tables, rules, args.rule, args.level), text=args.rules.read_text(encoding="utf-8"))
        needed = _needed(rules, target)
        records = [read(path) for path in args.records]
        histories = self._histories(records, needed)
        events = self._events(records, [history.station for history in histories], target)
        self._check_judged([history.station for history in histories])
        terms = Terms(args.lead_floor, args.lead_to, args.lead_max)
        problem = Problem(target, needed, histories, tuple(events), terms, _values(args))
        with _progress() as progress:
            prepared = prepare(problem, progress)
        self._say(prepared, target)
        results = resume(args.resume, prepared.task) if args.resume else Results(prepared.task)
        try:
            with _progress() as progress:
                study = run_study(prepared, results, progress)
        except KeyboardInterrupt:
            return _stopped(results, prepared)
        self._tell(study, answer(study, self._judged))
        return 0

    def _histories(self, records: Sequence[Record], rules: Rules) -> tuple[History, ...]:
        names = [record.name for record in records]
        if len(set(names)) < len(names):
            raise HistoryError(f"{next(name for name in names if names.count(name) > 1)}: is there twice")
        found = []
        for record in records:
            self._columns |= set(series_of([*record.columns], dict(self._args.column),
                                           frozenset(rule.quantity for rule in rules.rules)))
            history = history_of(record, rules, reading_of(self._args)).between(self._args.start, self._args.end)
            if not len(history.t_ms):
                raise HistoryError(f"{record.name}: holds nothing in the time that --from and --to leave")
            found.append(history)
        return tuple(found)

    def _events(self, records: Sequence[Record], stations: Sequence[str], target: Target) -> list[Event]:
        args = self._args
        if args.events:
            return chosen(read_events(args.events), stations, args.event_column, args.event_level)
        if args.event_level is None:
            raise EventError("no events: give --events FILE, or --event-level with --event-column")
        column = args.event_column or target.rule.quantity
        return [event for record in records
                for event in made(record, column, args.event_level, args.merge_gap, low=target.rule.low)]

    def _check_judged(self, stations: Sequence[str]) -> None:
        for one in self._args.judge:
            if not PART.fullmatch(one) and one not in stations:
                raise EventError(f'--judge "{one}" is no year (2018), month (2018-08) or day, and no station; '
                                 f"the stations are {', '.join(stations)}")

    def _judged(self, station: str, part: str) -> bool:
        return station in self._args.judge or any(part.startswith(one) for one in self._args.judge)

    def _say(self, prepared: Prepared, target: Target) -> None:
        self._notes += doubts(prepared.field.events, target, self._columns, prepared.tried)
        if prepared.outside:
            self._notes.append((f"{prepared.outside} events lie outside the records and are left out",
                                f"{prepared.outside}次事件不在记录时段内，未计入"))
        if prepared.refused:
            count, first = len(prepared.refused), prepared.refused[0]
            self._notes.append((f"{count} combinations are no rules and are left out; the first: {first}",
                                f"{count}种组合不成其为规则，未试；例如：{first}"))
        own = target.rule.at_level(target.level)
        if own and own.latch:
            self._notes.append(("the level latches; here it falls by itself, as if somebody acknowledged at once",
                                "该等级须人工确认才能解除；此处按立即确认计算"))
        for note, _ in self._notes:
            print(f"note: {note}", file=sys.stderr)

    def _tell(self, study: Study, found: Answer) -> None:
        args, prepared = self._args, study.prepared
        target, one = prepared.problem.target, prepared.tried[found.number]
        lines = report.sentences(study, found)
        console = Console()
        if not console.is_terminal:
            console = Console(width=WIDTH)
        title = (f'Rule "{target.rule.name}", level {target.level.word}: {len(prepared.tried)} combinations tried, '
                 f"{len(prepared.field.events)} events, {len(prepared.field.spans)} records")
        console.print(report.settings_table(study, report.rows_of(study, found, found.tuned_on), title))
        if found.judged_on.any():
            rows = [row for row in report.rows_of(study, found, found.judged_on) if row.mark]
            console.print(report.settings_table(study, rows, "Judged on what was not tuned on 未参与率定部分的检验"))
        if found.folds:
            console.print(report.folds_table(study, found.folds))
        for line, _ in lines:
            console.print(line, highlight=False, markup=False)
        comments = [f"Level {target.level.word} chosen by: {self._command}",
                    *(line for line, _ in [*lines, *self._notes])]
        text = rules_file(target, one, comments) if args.out or args.html else ""
        if args.out:
            args.out.write_text(text, encoding="utf-8")
        if args.html:
            args.html.write_text(page(study, found, About(self._command, self._notes, text)), encoding="utf-8")


def _needed(rules: Rules, target: Target) -> Rules:
    """The rule that is tuned, the members of its group, and all checks."""
    kept: tuple[Rule, ...] = tuple(rule for rule in rules.rules if rule.name in {target.rule.name, target.rule.of})
    return Rules(kept, rules.checks, rules.place)


def _values(args: argparse.Namespace) -> grid.Values:
    """The command line wins over the sweep file."""
    values = grid.sweep_file(args.sweep) if args.sweep else {}
    for key in grid.KEYS:
        text = getattr(args, f"try_{key}")
        if text is not None:
            values[key] = grid.values_of(key, text)
    return values


def _stopped(results: Results, prepared: Prepared) -> int:
    path = results.path or Path(LEFT)
    results.save(path)
    print(f"stopped: {len(results.done)} of {len(prepared.tried)} combinations are in {path}; go on with the same "
          f"command and --resume {path}", file=sys.stderr)
    return STOPPED


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def show(words: str, done: int, total: int) -> None:
            if words not in tasks:
                tasks[words] = bar.add_task(words, total=total)
            bar.update(tasks[words], completed=done, total=total)

        yield show
