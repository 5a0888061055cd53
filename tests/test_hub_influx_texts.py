"""Lines made by column are the lines that are made point by point; what cannot be written is left to those."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from hub.influx import line_of
from hub.influx.texts import text_of
from hub.store import EARLIEST_MS, LATEST_MS, OLDEST_MS, Point, points_of, problem_of
from tests.hub_messages import BOOT
from tests.services import InfluxDb
from tocsin.messages import Readings, encode, record_of

NAMES = st.text(max_size=12) | st.sampled_from(["radar", "rain gauge", "a,b=c", "雨量", "back\\slash", "tab\t"])
ROWS = st.lists(
    st.tuples(
        st.integers(EARLIEST_MS - 1, EARLIEST_MS + 9) | st.integers(LATEST_MS - 9, LATEST_MS),
        st.tuples(NAMES, NAMES).map("/".join),
        st.floats(),
        st.integers(0, 255) | st.sampled_from([0, -1, 1 << 62, 1 << 63]),
    ),
    max_size=6,
)


def record(rows: list[tuple[int, str, float, int]]) -> Readings:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    return Readings(BOOT, 1, *columns)


def parts(line: str) -> tuple[str, float, str]:
    """A line with its value as a number."""
    head, value, tail = re.fullmatch(r"(?s)(.*) value=([^ ]*?)(,quality=.*)", line).groups()  # type: ignore[union-attr]
    return head, float(value), tail


@given(ROWS, st.dictionaries(st.integers(0, 5), st.integers(EARLIEST_MS, EARLIEST_MS + 99)))
@example([(EARLIEST_MS, "radar/stage_m", 1e16, 0), (EARLIEST_MS, "radar/stage_m", -0.0, 3)], {1: EARLIEST_MS + 1})
@example([(EARLIEST_MS - 1, "radar/stage_m", 1.0, 0)], {})
@example([(OLDEST_MS - 1, "radar/stage_m", 1.0, 0)], {})
@example([(EARLIEST_MS, "radar/stage_m", 5e-324, 0), (EARLIEST_MS + 1, "a b/c=d,e", 2.0, 0)], {})
def test_lines_by_column_are_those_by_point(rows: list[tuple[int, str, float, int]], times: dict[int, int]) -> None:
    made = record(rows)
    points = [point for point in points_of("lin-an-01", made, times) if isinstance(point, Point)]
    text = text_of("lin-an-01", made, times)
    if any(map(problem_of, points)):
        assert text is None
    else:
        assert text is not None
        assert [parts(line) for line in text.split("\n") if line] == [parts(line_of(point)) for point in points]


def test_influxdb_reads_the_same_bits_from_them(influxdb: InfluxDb) -> None:
    values = [0.1, 1e16, -1e22, 5e-324, 1.7976931348623157e308, -2.5, 3.0, 1 / 3, 123456789.125]
    made = record([(EARLIEST_MS + n, "radar/stage_m", value, n % 2) for n, value in enumerate(values)])
    influxdb.create("columns")
    influxdb.write("columns", text_of("lin-an-01", record_of_own(made), {}) or "")
    found = influxdb.query("columns", "SELECT value, quality FROM readings")
    assert [(repr(float(row["value"])), row["quality"]) for row in found] == [
        (repr(value), n % 2) for n, value in enumerate(values)
    ]


def record_of_own(made: Readings) -> Readings:
    """As it comes from a station."""
    found = record_of(encode(made))
    assert isinstance(found, Readings)
    return found
