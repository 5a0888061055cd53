"""Open pages are told that something changed."""

from contextlib import aclosing
from pathlib import Path

import pytest

from hub.model import Warning as HubWarning
from hub.web.live import changes, since_of
from hub.web.problems import Problem
from tests.hub_web_view import PlainView, calm, client_of


@pytest.fixture
def view(tmp_path: Path) -> PlainView:
    return calm(tmp_path)


async def test_a_page_that_missed_a_change_is_told_at_once(view: PlainView) -> None:
    await view.change()
    await view.change()
    async with aclosing(changes(view, 1, pace_s=0)) as events:
        assert await anext(events) == "data: 2\n\n"


async def test_each_change_is_told_once(view: PlainView) -> None:
    async with aclosing(changes(view, -1, pace_s=0, keep_alive_s=0.001)) as events:
        assert await anext(events) == "data: 0\n\n"
        assert await anext(events) == ": calm\n\n"
        await view.change()
        assert await anext(events) == "data: 1\n\n"


async def test_a_calm_line_is_kept_alive(view: PlainView) -> None:
    async with aclosing(changes(view, 0, pace_s=0, keep_alive_s=0.001)) as events:
        assert await anext(events) == ": calm\n\n"
        await view.change()
        assert "data: 1\n\n" in [await anext(events), await anext(events)]


@pytest.mark.parametrize(("word", "since"), [("0", 0), ("-1", -1), ("-99", -1), ("12", 12)])
def test_a_page_says_what_it_has_seen(word: str, since: int) -> None:
    assert since_of(word) == since


@pytest.mark.parametrize("word", ["", "x", "1.5", "9" * 5000])
def test_what_is_not_a_number_is_refused(word: str) -> None:
    with pytest.raises(Problem, match="is not allowed; use a whole number"):
        since_of(word)


async def test_a_page_carries_the_number_that_it_shows(view: PlainView) -> None:
    await view.change()
    async with client_of(view) as client:
        assert 'data-changes="1"' in (await client.get("/")).text


async def test_what_changes_while_a_page_is_made_brings_it_anew(
    view: PlainView, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = view.open_warnings

    async def read_and_changed() -> list[HubWarning]:
        found = await read()
        await view.change()
        return found

    monkeypatch.setattr(view, "open_warnings", read_and_changed)
    async with client_of(view) as client:
        assert 'data-changes="0"' in (await client.get("/")).text
    assert view.changes == 1
