"""Charts: what they show is what was measured, and they are pictures that everybody can read."""

import math
import re
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hub.store import Point
from hub.web import chart, curves
from hub.web.chart import Chart, Threshold
from hub.web.panels import Frame, panels
from hub.web.words import LANGS, Lang, Words
from tests.hub_web_store import MemoryStore
from tocsin.levels import Hazard, Level
from tocsin.messages import RuleCard, SeriesCard, StationCard
from tocsin.times import DAY_MS, HOUR_MS, MINUTE_MS, ms_of

ZONE = ZoneInfo("Asia/Shanghai")
NOON = ms_of("2024-08-08T04:00:00Z")
SVG = "{http://www.w3.org/2000/svg}"
FOUR = tuple(Threshold(level, value) for level, value in zip(list(Level)[1:], (2.0, 2.6, 3.4, 4.0), strict=True))

sizes = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


def drawn(svg: str) -> etree._Element:
    return etree.fromstring(str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def plain(*thresholds: Threshold, lang: Lang = "en") -> Chart:
    return Chart("c1", "water stage", "m", NOON - HOUR_MS, NOON, ZONE, Words(lang), thresholds)


@given(sizes, sizes, st.integers(3, 8))
def test_ticks_are_round_and_hold_the_range(one: float, other: float, most: int) -> None:
    low, high = sorted((one, other))
    ticks = curves.nice_ticks(low, high, most)
    assert 2 <= len(ticks) <= most + 1
    assert ticks[0] <= low + 1e-6 * abs(low)
    assert ticks[-1] >= high - 1e-6 * abs(high)
    steps = {f"{b - a:.6g}" for a, b in pairwise(ticks)}
    assert len({float(step) for step in steps}) == 1
    assert re.fullmatch(r"[125]0*", f"{float(steps.pop()):.9f}".replace(".", "").strip("0") or "1")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_no_axis_without_end(value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        curves.nice_ticks(0.0, value)


def test_a_gap_is_a_gap() -> None:
    points = [(0, 1.0), (60, 2.0), (121, 3.0), (181, 4.0)]
    assert curves.pieces(points, 60) == [points[:2], points[2:]]
    assert curves.pieces([], 60) == []


def test_a_counters_reset_is_not_rain() -> None:
    assert curves.fallen([(1, 98.0), (2, 99.5), (3, 0.5), (4, 1.0)]) == [(1, 0.0), (2, 1.5), (3, 1.5), (4, 2.0)]


tips = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 20)), max_size=40)


@given(tips, st.integers(0, 2_000), st.integers(1, 300))
def test_bars_add_up_to_the_rain_that_fell(steps: list[tuple[int, int]], start: int, width: int) -> None:
    sums, t, total = [(0, 0.0)], 0, 0
    for wait, tip in steps:
        t, total = t + wait, total + tip
        sums.append((t, float(total)))
    edges = list(range(start, start + 20 * width, width))
    bars = curves.per_interval(sums, edges)
    at = {edge: max(v for when, v in sums if when <= edge) for edge in edges}
    assert sum(bar for bar in bars if bar is not None) == at[edges[-1]] - at[edges[0]]
    empty = [not any(a < when <= b for when, _ in sums) for a, b in pairwise(edges)]
    assert [bar is None for bar in bars] == empty


@given(tips, st.integers(1, 1_000))
def test_a_window_sum_is_what_fell_in_the_window(steps: list[tuple[int, int]], window: int) -> None:
    sums, fell, t, total = [(0, 0.0)], [(0, 0)], 0, 0
    for wait, tip in steps:
        t, total = t + wait, total + tip
        sums.append((t, float(total)))
        fell.append((t, tip))
    assert curves.over_window(sums, window) == [
        (end, float(sum(tip for when, tip in fell if end - window < when <= end))) for end, _ in sums
    ]


def test_marks_lie_on_local_hours() -> None:
    marks = curves.time_marks(NOON - 6 * HOUR_MS, NOON, 4 * HOUR_MS, ZONE)
    assert marks == [ms_of("2024-08-08T00:00:00Z"), NOON]
    days = curves.time_marks(NOON - 3 * DAY_MS, NOON, 6 * HOUR_MS, ZONE, curves.RAIN_DAY_STARTS_H)
    assert [(t + 8 * HOUR_MS) % DAY_MS // HOUR_MS for t in days] == [14, 20, 2, 8] * 3


@pytest.mark.parametrize(
    ("start", "end", "midnights"),
    [("2024-03-30T12:00:00Z", "2024-04-02T12:00:00Z", ["03-30T23", "03-31T22", "04-01T22"]),
     ("2024-10-25T12:00:00Z", "2024-10-28T12:00:00Z", ["10-25T22", "10-26T22", "10-27T23"])],
)  # fmt: skip
def test_midnights_stay_midnights_where_clocks_are_set(start: str, end: str, midnights: list[str]) -> None:
    marks = curves.time_marks(ms_of(start), ms_of(end), DAY_MS, ZoneInfo("Europe/Berlin"))
    assert marks == [ms_of(f"2024-{moment}:00:00Z") for moment in midnights]


@pytest.mark.parametrize("lang", LANGS)
def test_a_chart_speaks(lang: Lang) -> None:
    svg = drawn(chart.lines(plain(*FOUR, lang=lang), [(NOON - MINUTE_MS, 1.0), (NOON, 2.5)], MINUTE_MS))
    title, description = svg.findtext(f"{SVG}title"), svg.findtext(f"{SVG}desc")
    assert title == "water stage (m)"
    assert description
    for value in ("1.00", "2.50", "2024-08-08 11:00", Words(lang).level(Level.RED)):
        assert value in description
    named = {element.get("id") for element in svg.iter() if element.get("id")}
    assert set((svg.get("aria-labelledby") or "").split()) == named


def test_only_the_thresholds_that_matter_now_set_the_scale() -> None:
    points = [(NOON, 2.1)]
    labels = [text.text for text in drawn(chart.lines(plain(*FOUR), points, 1)).iter(f"{SVG}text")]
    assert {"blue 2", "yellow 2.6"} <= set(labels)
    assert not {"orange 3.4", "red 4"} & set(labels)
    assert [limit.level for limit in chart.beyond(FOUR, points)] == [Level.ORANGE, Level.RED]


def test_a_low_threshold_is_dangerous_below() -> None:
    oxygen = (Threshold(Level.YELLOW, 19.5, low=True), Threshold(Level.RED, 18.0, low=True))
    assert chart.beyond(oxygen, [(NOON, 20.9)]) == [oxygen[1]]
    assert chart.beyond(oxygen, [(NOON, 19.0)]) == []
    band = drawn(chart.lines(plain(*oxygen), [(NOON, 19.0)], 1)).find(f".//{SVG}rect[@class='band red']")
    assert band is not None
    assert float(band.get("y", "")) + float(band.get("height", "")) == chart.HEIGHT_PX


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.one_of(st.floats(-50, 50), finite), min_size=1, max_size=4, unique=True), finite)
def test_words_of_thresholds_never_overlap_and_curves_stay_inside(values: list[float], newest: float) -> None:
    limits = [Threshold(level, value) for level, value in zip(list(Level)[1:], sorted(values), strict=False)]
    svg = drawn(chart.lines(plain(*limits), [(NOON - HOUR_MS, -newest), (NOON, newest)], HOUR_MS))
    heights = [float(text.get("y", "")) for text in svg.iter(f"{SVG}text") if text.get("class") == "limit-label"]
    assert heights
    assert all(b - a >= chart.LABEL_PX - 0.2 for a, b in pairwise(heights))
    (path,) = svg.iter(f"{SVG}path")
    for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d", "")):
        assert 0 <= float(x) <= chart.WIDE
        assert 0 <= float(y) <= chart.HEIGHT_PX


def test_a_lone_reading_is_seen() -> None:
    (path,) = drawn(chart.lines(plain(), [(NOON, 1.0)], 1)).iter(f"{SVG}path")
    assert (path.get("d") or "").endswith("h0")


def test_an_unknown_interval_is_not_a_dry_one() -> None:
    edges = [NOON - 3 * MINUTE_MS, NOON - 2 * MINUTE_MS, NOON - MINUTE_MS, NOON]
    svg = drawn(chart.bars(plain(), edges, [0.0, None, 2.5]))
    kinds = [(r.get("class"), r.findtext(f"{SVG}title")) for r in svg.iter(f"{SVG}rect")]
    assert kinds == [
        ("bar", "11:57–11:58: 0.00 m"), ("hole", "11:58–11:59: no reading"), ("bar", "11:59–12:00: 2.50 m"),
    ]  # fmt: skip


def test_a_title_cannot_break_out() -> None:
    evil = Chart("c1", "<script>alert(1)</script>", "m", NOON - HOUR_MS, NOON, ZONE, Words("en"))
    assert drawn(chart.lines(evil, [], 1)).findtext(f"{SVG}title") == "<script>alert(1)</script> (m)"


@pytest.mark.parametrize("lang", LANGS)
def test_nothing_measured_is_said(lang: Lang) -> None:
    texts = [text.text for text in drawn(chart.lines(plain(*FOUR, lang=lang), [], 1)).iter(f"{SVG}text")]
    assert Words(lang)("no_data") in texts


@pytest.mark.parametrize(("since_min", "silent_min", "pieces"), [
    (40, 0, 1), (24 * 60, 0, 1), (24 * 60, 40, 2), (50 * 60, 0, 1)])
async def test_a_thinned_curve_is_whole_also_of_a_station_that_came_up_just_now(
    since_min: int, silent_min: int, pieces: int
) -> None:
    """A total read every 2 s, and the sum of its last 24 h over the last hour."""
    store = MemoryStore()
    begin, silent = NOON - since_min * MINUTE_MS, range(NOON - 50 * MINUTE_MS, NOON - (50 - silent_min) * MINUTE_MS)
    store.points["hill", "bucket", "rain_total_mm"] = [
        (t, (t - begin) / MINUTE_MS) for t in range(begin, NOON, 2_000) if t not in silent]
    rule = RuleCard("rain 24 h", "bucket/rain_mm", "rain_mm", Hazard.FLOOD, {"red": 200.0}, 86_400, feature="sum")
    card = StationCard("Hill", "山", "330112001001", 30.2, 119.7,
                       [SeriesCard("bucket/rain_total_mm", "rain_total_mm", 2.0, (0.0, 1e9))], [rule], "")
    newest = Point("hill", "bucket", "rain_total_mm", NOON, float(since_min), 0)
    frame = Frame("hill", NOON - HOUR_MS, NOON, 5 * MINUTE_MS, ZONE, Words("en"), latest=[newest])
    _, over = await panels(store, card, frame)
    curve = max((path.get("d") or "" for path in drawn(over.svg).iter(f"{SVG}path")), key=len)
    assert curve.count("M") == pieces
