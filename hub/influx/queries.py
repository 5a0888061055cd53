"""What is asked of InfluxDB, in InfluxQL, the one language of its three versions. Names are quoted, never pasted: the
bound parameters of 1.x are not in the published API of 2.x."""

from typing import Any

from hub.influx.place import DOWNSAMPLED
from hub.store import Point, Row
from hub.tables import COLUMNS, Table, TableRow

_WIDTHS = frozenset({Table.BY_10_MIN, Table.BY_HOUR, Table.BY_DAY})

Found = list[dict[str, Any]]    # the series of one statement's answer


def latest(station: str) -> str:
    where = f'"station" = {text(station)} GROUP BY "device", "quantity"'
    return f'SELECT last("value"), "quality" FROM "readings" WHERE {where}'  # noqa: S608 - quoted by `text`


def latest_all() -> str:
    return 'SELECT last("value"), "quality" FROM "readings" GROUP BY "station", "device", "quantity"'


def labels(station: str, start_ms: int, end_ms: int, most: int) -> str:
    """`most` of 0 is all."""
    return (f'SELECT "text", "device", "quantity" FROM "labels" WHERE "station" = {text(station)}'  # noqa: S608 - quoted
            f" AND time >= {int(start_ms)}ms AND time < {int(end_ms)}ms ORDER BY time{_cut(most)}")


STATIONS = ('SELECT last("value") FROM "readings" GROUP BY "station"',
            'SELECT last("text") FROM "labels" GROUP BY "station"',
            'SELECT last("level") FROM "detections" GROUP BY "station"',
            'SELECT last("detail") FROM "events" GROUP BY "station"')


def table(asked: Table, station: str, start_ms: int, end_ms: int, most: int) -> str:
    """`most` of 0 is all."""
    source = f'"{asked}"' if asked not in _WIDTHS else f'"{DOWNSAMPLED}"."readings_{asked}"'
    names = ", ".join(f'"{name}"' for name in COLUMNS[asked])
    return (f'SELECT {names} FROM {source} WHERE "station" = {text(station)}'  # noqa: S608 - quoted
            f" AND time >= {int(start_ms)}ms AND time < {int(end_ms)}ms ORDER BY time{_cut(most)}")


def table_rows(asked: Table, found: Found) -> list[TableRow]:
    """The answer to `table`. An event of the station itself has no device."""
    kinds = tuple(COLUMNS[asked].values())
    return [(int(t), *("" if cell is None and kind is str else None if cell is None else kind(cell)
                       for kind, cell in zip(kinds, cells, strict=True)))
            for one in found for t, *cells in one["values"]]


def span(station: str, device: str, quantity: str, start_ms: int, end_ms: int) -> str:
    """FROM and WHERE of one series with start <= time < end."""
    return (f'FROM "readings" WHERE "station" = {text(station)} AND "device" = {text(device)}'
            f' AND "quantity" = {text(quantity)} AND time >= {int(start_ms)}ms AND time < {int(end_ms)}ms')


def text(words: str) -> str:
    """A string of InfluxQL."""
    return "'" + words.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def identifier(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def points(found: Found, station: str = "") -> list[Point]:
    """The newest of each series, ordered by station, device and quantity; `station` where its tag was not asked for."""
    made = []
    for series in found:
        (t_ms, value, quality), tags = series["values"][0], series["tags"]
        made.append(Point(tags.get("station", station), tags["device"], tags["quantity"], t_ms, float(value),
                          int(quality or 0)))
    return sorted(made, key=lambda point: (point.station, point.device, point.quantity))


def words(found: Found) -> list[tuple[int, str, str, str]]:
    """The answer to `labels`: time, text, device, quantity."""
    return [(int(t), said, device, quantity) for one in found for t, said, device, quantity in one["values"]]


def _cut(most: int) -> str:
    return f" LIMIT {int(most)}" if most else ""


def values(found: Found) -> list[tuple[int, float]]:
    """(time, value); empty buckets have no value."""
    return [(row[0], float(row[1])) for series in found for row in series["values"] if row[1] is not None]


def rows(found: Found) -> list[Row]:
    """(time, value, quality)."""
    return [(int(t), float(value), int(bits or 0)) for series in found for t, value, bits in series["values"]
            if value is not None]
