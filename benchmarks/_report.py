"""Rows as tables: for a terminal, and for docs/performance.md."""

import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks._rows import Row

COLUMNS = ("what", "tocsin", "peer", "which peer", "ratio", "unit", "bar", "repeats")
_SECTION = re.compile(r"^## (\S+)\n(?:(?!## ).*\n?)*", re.MULTILINE)
HEAD = """# Performance

Every number stands beside that of a named peer, or of a floor (the least that could be done), measured in the same run
and taking turns with it: read the ratios, the rest depends on the machine. `ratio` is tocsin over peer. Each number is
the median of so many repeats; each percentile the median of the percentiles of the repeats.

    make bench                                            everything, to the terminal
    make bench ARGS="log kernel"                          some of it
    make bench ARGS="--write docs/performance.md"         everything, into this file

This file is written by that command, but for what stands between *Measured* and a table: the circumstances of a run,
which a new one takes away. Measure on a machine that does nothing else.
"""


def number(value: float) -> str:
    """Three figures, or all of those before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cells(row: Row) -> tuple[str, ...]:
    """A row's texts, one a column."""
    return (row.what, number(row.ours), number(row.peer), ("floor: " if row.floor else "") + row.peer_name,
            number(row.ratio) + (" (worse)" if row.worse else ""), row.unit, _bar(row), str(row.repeats))


def markdown(name: str, module_words: str, rows: list[Row], command: str) -> str:
    """One bench's section: what it means, when and where it was measured, the table, and where the peer is better."""
    title, _, meaning = module_words.strip().partition("\n")
    table = [COLUMNS, tuple("---" for _ in COLUMNS), *map(cells, rows)]
    lines = [f"| {' | '.join(texts)} |" for texts in table]
    words = [f"## {name}", "", f"**{title}**", "", meaning.strip(), "", f"{machine()} `{command}`"]
    return "\n".join([*words, "", *lines, "", *_worse(rows), *_missed(rows), ""])


def machine() -> str:
    """When and on what, without the name of the machine."""
    return (f"Measured {datetime.now(UTC):%Y-%m-%d}; {os.cpu_count()} cores ({platform.machine()}), "
            f"{platform.system()}, {platform.python_implementation()} {platform.python_version()}.")


def merged(path: Path, sections: dict[str, str], order: Iterable[str]) -> str:
    """The whole file: the new sections, and of the old file those that were not measured now."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    known = {found[1]: found[0].rstrip() + "\n" for found in _SECTION.finditer(old)}
    known |= sections
    return "\n".join([HEAD, *(known[name] for name in order if name in known)])


def _bar(row: Row) -> str:
    said = []
    if row.bar is not None:
        said.append(f"{'≥' if row.more_is_better else '≤'} {number(row.bar)} {row.unit}")
    if row.ratio_bar is not None:
        said.append(f"ratio ≤ {row.ratio_bar:.3g}")
    return (", ".join(said) + (": **missed**" if row.missed else ": met")) if said else ""


def _worse(rows: list[Row]) -> list[str]:
    if all(row.floor for row in rows):
        return ["There is no peer here, only floors."]
    worse = [row for row in rows if row.worse]
    if not worse:
        return ["Nowhere worse than the peer here."]
    return ["Worse than the peer:", "", *(f"- {row.what}, {number(row.ratio)} of {row.peer_name}: "
                                          f"{_why(row)}." for row in worse)]


def _missed(rows: list[Row]) -> list[str]:
    missed = [row for row in rows if row.missed]
    if not missed:
        return []
    return ["", "Bars missed:", "", *(f"- {row.what}: {_bar(row).partition(':')[0]}, measured {number(row.ours)} "
                                      f"{row.unit}, ratio {number(row.ratio)} of {row.peer_name}: {_why(row)}."
                                      for row in missed)]


def _why(row: Row) -> str:
    return row.why or "the reason is not known yet"
