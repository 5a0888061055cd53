"""From the columns of a record to devices and quantities: a column says in its name what it holds.

    stage_m                 quantity stage_m of the device "record"
    stage_naegok_m          quantity stage_m of the device "naegok": a tag between what is measured and its unit
    flow_m3s=stage_m        said on the command line: this column is to be judged as that quantity
    flow_m3s=weir/stage_m   and belongs to that device
"""

import re
from collections.abc import Iterable, Mapping

from tocsin.quantities import QUANTITIES, quantity

DEVICE = "record"    # where the name of a column says nothing of its device
_DEVICE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


class ColumnError(ValueError):
    """A column that cannot become a series: which one, and what is allowed."""


def series_name(column: str) -> tuple[str, str] | None:
    """(device, quantity) of a column by its name alone; None where no quantity is in it."""
    if column in QUANTITIES:
        return DEVICE, column
    found = [(len(stem), tag, name) for name in QUANTITIES for stem, unit in _cuts(name)
             if (tag := _between(column, stem, unit))]
    if not found:
        return None
    # the longest stem: rain_total_x_mm is a running total, not the rain of "total_x"
    _, tag, name = max(found)
    return tag, name


def chosen(column: str, words: str) -> tuple[str, str]:
    """(device, quantity) of a column as a person says it: QUANTITY or DEVICE/QUANTITY. Raises ColumnError."""
    device, slash, name = words.rpartition("/")
    by_name = series_name(column)
    if not slash:
        device = by_name[0] if by_name else DEVICE
    if not _DEVICE.fullmatch(device):
        raise ColumnError(f'column {column}: device "{device}" is not allowed; use small letters, digits, - and _')
    try:
        quantity(name)
    except ValueError as err:
        raise ColumnError(f"column {column}: {err}") from None
    return device, name


def series_of(columns: Iterable[str], named: Mapping[str, str], wanted: frozenset[str]) -> dict[str, tuple[str, str]]:
    """(device, quantity) of each column that holds something rules judge; `wanted` are their quantities.

    `named` are the columns that a person spoke of, which are always taken. Raises ColumnError, also where two columns
    would be one series.
    """
    found: dict[str, tuple[str, str]] = {}
    owner: dict[tuple[str, str], str] = {}
    for column in columns:
        name = chosen(column, named[column]) if column in named else series_name(column)
        if name is None or (column not in named and _judged_as(name[1]) not in wanted):
            continue
        if name in owner:
            raise ColumnError(f"columns {owner[name]} and {column} are both {'/'.join(name)}; "
                              f"say --column {column}=DEVICE/{name[1]} for one of them")
        owner[name] = column
        found[column] = name
    return found


def _judged_as(name: str) -> str:
    return QUANTITIES[name].increments or name


def _cuts(name: str) -> Iterable[tuple[str, str]]:
    """Every way to cut a quantity's name in two: what is measured, and its unit."""
    for at, letter in enumerate(name):
        if letter == "_":
            yield name[:at], name[at + 1:]


def _between(column: str, stem: str, unit: str) -> str:
    """What stands between stem and unit, "" where nothing does or it cannot be a device's name."""
    if not (column.startswith(f"{stem}_") and column.endswith(f"_{unit}")):
        return ""
    tag = column[len(stem) + 1:-len(unit) - 1]
    return tag if _DEVICE.fullmatch(tag) else ""
