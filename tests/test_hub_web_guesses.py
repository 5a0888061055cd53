"""Whoever guesses passwords at the duty desk is slow, and keeps no officer out."""

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from hub import officers
from hub.web import door, lines
from hub.web.app import app
from tests.hub_web_view import PlainView
from tests.test_hub_web_door import PASSWORD, SUN_YAN, asking, asking_of, locked, no_pause

__all__ = ["locked", "no_pause"]


async def test_guesses_are_checked_one_at_a_time_and_those_inside_do_not_wait(
    locked: PlainView, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(locked) as client:
        assert (await client.get("/", auth=SUN_YAN)).status_code == 200
        at_once: list[int] = []
        running = 0
        genuine = officers.fits

        def counted(password: str, kept: str) -> bool:
            nonlocal running
            running += 1
            at_once.append(running)
            try:
                return genuine(password, kept)
            finally:
                running -= 1

        monkeypatch.setattr(officers, "fits", counted)
        guesses = [asyncio.create_task(client.get("/warnings/w-gas", auth=("孙燕", f"guess {n}"))) for n in range(30)]
        await asyncio.sleep(0)
        assert (await client.get("/", auth=SUN_YAN)).status_code == 200
        statuses = [(await guess).status_code for guess in guesses]
    assert set(at_once) == {1}
    assert statuses.count(401) == lines.MOST_WAITING
    assert statuses.count(429) == 30 - lines.MOST_WAITING


def guessing(client: httpx.AsyncClient, **more: Any) -> list["asyncio.Task[httpx.Response]"]:
    """More than one line holds."""
    return [asyncio.create_task(client.get("/held", auth=("孙燕", f"guess {n}"), **more))
            for n in range(2 * lines.MOST_WAITING)]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.Door.__init__, "__defaults__", (3600.0,))


async def ended(tasks: Iterable["asyncio.Task[httpx.Response]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.usefixtures("slow")
async def test_whoever_guesses_elsewhere_keeps_no_officer_out(locked: PlainView) -> None:
    hub = app(locked)
    async with asking_of(hub, "10.6.6.6") as attacker, asking_of(hub, "10.1.2.3") as officer:
        guesses = guessing(attacker)
        await asyncio.sleep(0)
        assert (await attacker.get("/held", auth=SUN_YAN)).status_code == 429
        assert (await attacker.get("/held", auth=SUN_YAN, headers={"x-forwarded-for": "10.1.2.3"})).status_code == 429
        assert (await officer.get("/held", auth=SUN_YAN)).status_code == 200
        await ended(guesses)


@pytest.mark.usefixtures("slow")
async def test_behind_a_web_server_on_this_machine_places_are_told_apart_by_what_it_adds(locked: PlainView) -> None:
    hub = app(locked)
    async with asking_of(hub, "::1") as server:
        guesses = guessing(server, headers={"x-forwarded-for": "10.1.2.3, 2001:db8::6"})
        await asyncio.sleep(0)
        for said, status in (("2001:db8::7", 429), ("10.1.2.3", 200)):
            answer = await server.get("/held", auth=SUN_YAN, headers={"x-forwarded-for": said})
            assert answer.status_code == status, said
        await ended(guesses)


@pytest.mark.usefixtures("slow")
async def test_a_browser_that_an_officer_used_before_gets_in_though_every_place_is_full(
    locked: PlainView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MOST_PLACES", 1)
    async with asking(locked, login=SUN_YAN) as client:
        first = await client.get("/held")
        seal = first.cookies["browser"]
        assert "httponly" in first.headers["set-cookie"].lower()
        assert "set-cookie" not in (await client.get("/held")).headers, "it has it"
    hub = app(locked)  # started anew
    async with asking_of(hub, "10.6.6.6") as attacker, asking_of(hub, "10.1.2.3") as officer:
        guesses = guessing(attacker)
        await asyncio.sleep(0)
        assert (await officer.get("/held", auth=SUN_YAN)).status_code == 429
        for made_up in ("x", "", "-", f"{seal}0", f"0{seal}", "é-é"):
            answer = await officer.get("/held", auth=SUN_YAN, headers={b"cookie": f"browser={made_up}".encode()})
            assert answer.status_code == 429, made_up
        kept = {"cookie": f"browser={seal}"}
        assert (await officer.get("/held", headers=kept)).status_code == 401, "it opens nothing"
        assert (await officer.get("/held", auth=SUN_YAN, headers=kept)).status_code == 200
        await ended(guesses)


async def test_what_a_browser_asks_at_once_is_looked_at_once(
    locked: PlainView, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    genuine = officers.fits

    def counted(password: str, kept: str) -> bool:
        looked.append(password)
        return genuine(password, kept)

    monkeypatch.setattr(officers, "fits", counted)
    async with asking(locked, login=SUN_YAN) as client:
        answers = await asyncio.gather(*(client.get("/held") for _ in range(lines.MOST_WAITING)))
    assert {answer.status_code for answer in answers} == {200}
    assert looked == [PASSWORD]
