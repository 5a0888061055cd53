"""10 min, 1 h and 1 day of readings: min, mean, max, sum and count of every series, in UTC windows.

    readings_10m, readings_1h, readings_1d     tags and policy: station, device, quantity; DOWNSAMPLED
                                               fields min, mean, max, sum float, count int; time is the window's begin

All values count as they are stored, whatever their marks. The rain day of 08:00 to 08:00 in China is the day of UTC.
"""

from hub.influx.lines import series_tags
from hub.influx.place import DOWNSAMPLED
from hub.influx.queries import identifier, text
from tocsin.times import DAY_MS, HOUR_MS, MINUTE_MS

WIDTHS_MS = {"10m": 10 * MINUTE_MS, "1h": HOUR_MS, "1d": DAY_MS}
REACH_MS = DAY_MS   # the server's own tasks look at windows that began within this; what is later is the hub's
_EVERY = {"10m": "10m", "1h": "1h", "1d": "1h"}
_REACH = {"10m": "1d", "1h": "1d", "1d": "2d"}
_FUNCTIONS = ("min", "mean", "max", "sum", "count")
_FIELDS = ", ".join(f'{name}("value") AS "{name}"' for name in _FUNCTIONS)

Row = tuple[int, float, float, float, float, int]    # window's begin in ms, min, mean, max, sum, count


def measurement(width: str) -> str:
    return f"readings_{width}"


def continuous_query(database: str, width: str) -> str:
    """InfluxQL of 1.x that makes the server keep one width."""
    return (f"CREATE CONTINUOUS QUERY {identifier('tocsin_' + width)} ON {identifier(database)} "
            f"RESAMPLE EVERY {_EVERY[width]} FOR {_REACH[width]} BEGIN {select_into(database, width)} END")


def select_into(database: str, width: str) -> str:
    target = ".".join(map(identifier, (database, DOWNSAMPLED, measurement(width))))
    return (f'SELECT {_FIELDS} INTO {target} FROM "readings"'  # noqa: S608 - quoted by `identifier`
            f' GROUP BY time({width}), "station", "device", "quantity"')


def select(station: str, width: str, start_ms: int, end_ms: int) -> str:
    """What the hub asks to make the windows of all series of a station from start to before end."""
    return (f'SELECT {_FIELDS} FROM "readings" WHERE "station" = {text(station)}'  # noqa: S608 - quoted by `text`
            f' AND time >= {start_ms}ms AND time < {end_ms}ms'
            f' GROUP BY time({width}), "station", "device", "quantity" fill(none)')


def line(width: str, station: str, device: str, quantity: str, row: Row) -> str:
    begin_ms, low, mean, high, total, count = row
    fields = f"min={float(low)!r},mean={float(mean)!r},max={float(high)!r},sum={float(total)!r},count={int(count)}i"
    return f"{measurement(width)},{series_tags(station, device, quantity)} {fields} {begin_ms}"


def flux_task(org: str, bucket: str, width: str) -> str:
    """Flux of 2.x that makes the server keep one width. Only whole windows: a part would overwrite the whole."""
    name, into = measurement(width), f"{bucket}_{DOWNSAMPLED}"
    keep = "\n".join(
        f'windows(fn: {one}) |> set(key: "_field", value: "{one}") |> to(bucket: {_flux(into)}, org: {_flux(org)})'
        for one in _FUNCTIONS
    )
    return f"""import "date"

option task = {{name: "tocsin {name}", every: {_EVERY[width]}, offset: 30s}}

windows = (fn) =>
    from(bucket: {_flux(bucket)})
        |> range(start: date.truncate(t: -{_REACH[width]}, unit: {width}), stop: date.truncate(t: now(), unit: {width}))
        |> filter(fn: (r) => r._measurement == "readings" and r._field == "value")
        |> aggregateWindow(every: {width}, fn: fn, createEmpty: false, timeSrc: "_start")
        |> set(key: "_measurement", value: "{name}")

{keep}
"""


def _flux(words: str) -> str:
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${") + '"'
