"""Rain of the last hour and day on the console, and what it costs the store."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.embedded import SqliteStore
from hub.errors import TransientError
from hub.store import Point
from hub.web.freshness import of_station
from hub.web.panels import Frame, panels
from hub.web.rain import KEPT_MS, MOST_POINTS, SPAN_MS, Fallen, Rainfall, fallen
from hub.web.words import Words
from tests.hub_web_view import HOUR, MINUTE, NOW, RAIN, PlainView, calm, card, page_of, station, text_of
from tocsin.messages import SeriesCard, StationCard
from tocsin.times import DAY_MS

Client = httpx.AsyncClient
GAUGE = ("longtan-upper", "gauge", "rain_total_mm")
TOTAL = "rain_total_mm"


@pytest.fixture
def view(tmp_path: Path) -> PlainView:
    return calm(tmp_path)


async def values_of(client: Client, lang: str = "en") -> list[str]:
    """What the console says of the first station, value by value; what is struck out stands in ~."""
    spans = (await page_of(client, f"/?lang={lang}")).xpath("//ul[@class='stations']/li[1]/p[@class='values']/span")
    return [f"~{text_of(span)}~" if span.get("class") == "old" else text_of(span) for span in spans]


def tips(view: PlainView, *points: tuple[int, float]) -> None:
    """The gauge's running total, as (minutes before now, mm)."""
    view.store.points[GAUGE] = [(NOW - ago * MINUTE, total) for ago, total in points]


async def test_the_console_shows_rain_of_the_hour_and_the_day_and_not_the_total(
    view: PlainView, client: Client
) -> None:
    tips(view, (25 * 60, 800.0), (24 * 60, 801.0), (24 * 60 - 1, 803.5), (60, 810.0), (59, 812.4), (0, 840.2))
    assert await values_of(client) == ["water stage 4.32 m", "rain in 1 h 30.2 mm", "rain in 24 h 39.2 mm"]
    assert (await values_of(client, "zh"))[1:] == ["雨量（1 小时内） 30.2 mm", "雨量（24 小时内） 39.2 mm"]
    rows = [text_of(row) for row in (await page_of(client, "/stations/longtan-upper?lang=en")).xpath("//tbody/tr")]
    assert any(row.startswith("rain, running total gauge 840.2 mm") for row in rows)


async def test_a_counter_that_began_anew_adds_nothing(view: PlainView, client: Client) -> None:
    tips(view, (25 * 60, 800.0), (40, 812.0), (30, 0.2), (0, 1.2))
    assert (await values_of(client))[1:] == ["rain in 1 h 13.0 mm", "rain in 24 h 13.0 mm"]


async def test_a_value_that_cannot_be_is_not_rain(view: PlainView, client: Client) -> None:
    tips(view, (25 * 60, 800.0), (40, 801.0), (30, 4e9), (20, -1.0), (0, 802.0))
    assert (await values_of(client))[1:] == ["rain in 1 h 2.0 mm", "rain in 24 h 2.0 mm"]


async def test_where_the_readings_do_not_reach_back_it_is_at_least_that_much(
    view: PlainView, client: Client
) -> None:
    tips(view, (60, 100.0), (0, 104.0))
    assert (await values_of(client))[1:] == ["rain in 1 h 4.0 mm", "rain in 24 h ≥ 4.0 mm"]


async def test_no_reading_is_not_no_rain(view: PlainView, client: Client) -> None:
    tips(view, (25 * 60, 100.0), (90, 104.0))
    assert (await values_of(client))[1:] == ["rain in 1 h –", "~rain in 24 h 4.0 mm~"]
    view.clock.wind_to(NOW + 30 * HOUR)
    assert (await values_of(client))[1:] == ["rain in 1 h –", "rain in 24 h –"]


async def test_the_store_is_asked_once_per_gauge_and_ten_seconds(view: PlainView, client: Client) -> None:
    for _ in range(3):
        await values_of(client)
    view.clock.wind_to(NOW + KEPT_MS - 1)
    await values_of(client)
    assert view.store.asked == [(*GAUGE, NOW - SPAN_MS, NOW + 1, MOST_POINTS)]
    view.clock.wind_to(NOW + KEPT_MS)
    view.store.points[GAUGE].append((NOW + KEPT_MS, view.store.points[GAUGE][-1][1] + 50))
    before = await values_of(client)
    assert len(view.store.asked) == 2
    assert float(before[1].split()[-2]) > 50


async def test_many_who_look_at_once_ask_the_store_once(
    view: PlainView, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = view.store.series, []

    async def slow(*arguments: Any) -> list[tuple[int, float]]:
        asked.append(arguments)
        await asyncio.sleep(0)
        return await real(*arguments)

    monkeypatch.setattr(view.store, "series", slow)
    pages = await asyncio.gather(*(values_of(client) for _ in range(3)))
    assert (len(asked), pages[0]) == (1, pages[2])


async def test_a_clock_that_was_set_back_gets_no_rain_of_the_future(view: PlainView, client: Client) -> None:
    tips(view, (25 * 60, 0.0), (70, 0.0), (0, 9.0))
    assert (await values_of(client))[1] == "rain in 1 h 9.0 mm"
    view.clock = type(view.clock)(NOW - 5_000)
    assert (await values_of(client))[1] == "rain in 1 h –"


async def test_while_the_store_is_down_it_is_not_asked_for_rain(view: PlainView, client: Client) -> None:
    view.store.down = True
    assert "The store cannot be reached." in (await client.get("/")).text
    assert (await values_of(client), view.store.asked) == ([], [])
    view.store.down = False
    assert len(await values_of(client)) == 3


async def test_a_store_that_falls_in_between_is_asked_once_a_page(
    view: PlainView, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    view.stations_.append(station("second", card("Second", "", [RAIN], [])))
    view.store.points["second", "gauge", TOTAL] = [(NOW, 1.0)]
    asked = []

    async def series(*arguments: object) -> list[tuple[int, float]]:
        asked.append(arguments)
        raise TransientError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(view.store, "series", series)
        assert (await values_of(client))[1:] == ["rain in 1 h –", "rain in 24 h –"]
        assert len(asked) == 1
    assert "–" not in " ".join(await values_of(client))


@given(
    st.lists(st.tuples(st.integers(1, 5 * HOUR), st.integers(0, 40)), max_size=40),
    st.integers(0, DAY_MS),
    st.sampled_from(["rain_mm", TOTAL]),
)
def test_a_window_holds_what_a_plain_count_of_tips_finds(
    steps: Sequence[tuple[int, int]], start: int, quantity: str
) -> None:
    t, total = NOW - SPAN_MS + start % HOUR, 10
    points, amounts = [(t, float(total if quantity == TOTAL else 0))], {}
    for wait, more in steps:
        t, total = t + wait, total + more
        if t > NOW:
            break
        amounts[t] = more
        points.append((t, float(total if quantity == TOTAL else more)))
    for window in fallen(points, quantity, NOW):
        told = [more for t, more in amounts.items() if NOW - window.window_ms < t <= NOW]
        expected = sum(told) if told else None
        assert window == Fallen(window.window_ms, expected, whole=True)


async def rain_of(view: PlainView, series: SeriesCard) -> Sequence[Fallen]:
    newest = Point("longtan-upper", "gauge", series.quantity, NOW, 0.2, 0)
    seen = replace(station("longtan-upper", card("", "", [series], [])), latest=[newest])
    (rain,) = (await Rainfall(view).of([of_station(seen, NOW)])).values()
    return rain


async def test_of_a_fast_gauge_a_window_begins_at_most_a_minute_off(view: PlainView, tmp_path: Path) -> None:
    """On the real embedded store, which thins the day's 18,000 readings out."""
    store = SqliteStore(tmp_path / "store.sqlite")
    steps = SPAN_MS // 5_000
    await store.write([Point(*GAUGE, NOW - n * 5_000, (steps - n) * 0.2, 0) for n in range(steps)])
    view.store = store  # type: ignore[assignment]
    rain = await rain_of(view, RAIN)
    await store.close()
    for window in rain:
        assert window.mm == pytest.approx(window.window_ms / 5_000 * 0.2, abs=0.2 * 60_000 / 5_000)


@pytest.mark.parametrize(("period_s", "mm"), [(10.0, None), (30.0, 24.0), (60.0, 12.0)])
async def test_amounts_that_the_store_would_thin_out_are_not_summed(
    view: PlainView, period_s: float, mm: float | None
) -> None:
    every = int(period_s) * 1000
    view.store.points["longtan-upper", "gauge", "rain_mm"] = [
        (t, 0.2) for t in range(NOW - SPAN_MS + every, NOW + 1, every)
    ]
    (hour, _) = await rain_of(view, SeriesCard("gauge/rain_mm", "rain_mm", period_s, (0.0, 50.0)))
    assert hour.mm == (mm if mm is None else pytest.approx(mm))


async def test_a_week_of_rain_by_the_minute_is_summed_whole_in_the_bars(tmp_path: Path) -> None:
    """More readings than a chart has points: of amounts none may be left out."""
    store = SqliteStore(tmp_path / "store.sqlite")
    week_ms = 7 * 86_400_000
    await store.write([Point("a", "bucket", "rain_mm", NOW - n * 60_000, 0.25, 0) for n in range(7 * 1440)])
    series = SeriesCard("bucket/rain_mm", "rain_mm", 60.0, (0.0, 500.0), "")
    frame = Frame("a", NOW - week_ms, NOW, 6 * 3_600_000, ZoneInfo("UTC"), Words("en"))
    (panel,) = await panels(store, StationCard("A", "", "0" * 12, 0.0, 0.0, [series], [], ""), frame)
    bars = [float(mm) for mm in re.findall(r"([\d.]+) mm</title>", panel.svg)]
    assert sum(bars) == pytest.approx(7 * 1440 * 0.25, abs=0.3)
    await store.close()


async def test_a_curve_ends_with_the_newest_reading_though_it_is_no_extreme(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    heights = [2.0 + n % 2 for n in range(3 * 1440 - 1)] + [2.5]
    begin = NOW - 60_000 * (len(heights) - 1)
    await store.write([Point("a", "radar", "stage_m", begin + n * 60_000, value, 0) for n, value in enumerate(heights)])
    series = SeriesCard("radar/stage_m", "stage_m", 60.0, (0.0, 9.0), "")
    frame = Frame("a", NOW - 3 * DAY_MS, NOW, 6 * 3_600_000, ZoneInfo("UTC"), Words("en"), 0.0, await store.latest("a"))
    (panel,) = await panels(store, StationCard("A", "", "0" * 12, 0.0, 0.0, [series], [], ""), frame)
    assert re.search(r"last 2\.5\d* m", panel.svg)
    assert 'class="newest" cx="100.00%"' in panel.svg
    await store.close()
