"""Whatever stands in a record, it comes out of each store as it went in, as CSV and as Parquet."""

import csv
import gzip

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub import export
from tests.hub_imports import taken
from tests.hub_messages import NOON_MS
from tests.hub_records import hub_file, rows
from tests.services import InfluxDb
from tocsin.times import iso

Sheet = list[list[str]]
Cells = dict[tuple[str, str], float | str]    # by time and column; what is empty is not there

DAY_MS = 86_400_000
NAMES = ("stage_m", "stage_radar_m", "ch4_west_pct_lel", "radar/speed_kn", "anomaly", "flag", "标记", "stage_m_quality")
NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False).map(repr), st.integers(-10**15, 10**15).map(str),
                    st.sampled_from(["0", "-0.0", "1e-320", "007", "+1.50", "1E5"]))
# a store may make one line of a text
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\n\r"), max_size=12) | st.sampled_from(
    ["nan", "1_0", " ", '"', "\\", 'a\\"b,c=d', "\ufeff", "\x85\u2028", "#", "\\n"])


@st.composite
def sheets(draw: st.DrawFn) -> Sheet:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True).filter(lambda some: some != [NAMES[-1]]))
    if "stage_m" not in names and NAMES[-1] in names:
        names.remove(NAMES[-1])
    times = draw(st.lists(st.integers(NOON_MS - 3 * DAY_MS, NOON_MS + 3 * DAY_MS), max_size=12, unique=True))
    sheet = [["time", *names]]
    for t in times:
        row = {name: draw(WORDS if name in {"flag", "标记"} else st.just("") | NUMBERS) for name in names}
        if NAMES[-1] in row:
            row[NAMES[-1]] = draw(st.sampled_from(["", "0", "3", "64"])) if row["stage_m"] else ""
        sheet.append([iso(t), *row.values()])
    return sheet


def cells(sheet: Sheet) -> tuple[set[str], set[str], Cells]:
    """Columns but marks, times, and cells: numbers as numbers, good marks left out."""
    head, *others = sheet
    found = {(row[0], name): _parsed(cell) for row in others for name, cell in zip(head[1:], row[1:], strict=True)
             if cell and not (name == NAMES[-1] and _parsed(cell) == 0)}
    return set(head) - {NAMES[-1]}, {row[0] for row in others}, found


def _parsed(cell: str) -> float | str:
    try:
        number = float(cell)
    except ValueError:
        return cell
    return number if "_" not in cell and number - number == 0 else cell


@pytest.mark.parametrize("influx", [False, True])
@settings(max_examples=12)
@example(sheet=[["time", "flag", "stage_m"], [iso(NOON_MS), "", ""], [iso(NOON_MS - 1), "", "1"]])
@given(sheet=sheets())
def test_a_record_comes_out_as_it_went_in(
    influxdb: InfluxDb, tmp_path_factory: pytest.TempPathFactory, influx: bool, sheet: Sheet
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    hub = hub_file(folder, influxdb if influx else None)
    with gzip.open(folder / "bridge.csv.gz", "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(sheet)
    assert taken(hub, folder / "bridge.csv.gz") == 0
    assert export.run([str(hub), "--csv", str(folder / "csv")]) == 0
    assert export.run([str(hub), "--parquet", str(folder / "parquet")]) == 0
    if len(sheet) == 1:
        return
    assert cells(list(rows(folder / "csv" / "bridge.csv.gz"))) == cells(sheet)
    again = folder / "again"
    again.mkdir()
    other = hub_file(again)
    assert taken(other, folder / "parquet" / "bridge.parquet") == 0
    assert export.run([str(other), "--csv", str(again)]) == 0
    assert (again / "bridge.csv.gz").read_bytes()[10:] == (folder / "csv" / "bridge.csv.gz").read_bytes()[10:]
