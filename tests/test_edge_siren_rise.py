"""What rises and keeps its rhythm is heard: in words at once, and as a rhythm that begins anew."""

from edge.siren_table import SirenTable
from tests.test_edge_siren import Stand, sound
from tocsin.levels import Level, Stage


async def test_a_rise_that_keeps_its_rhythm_says_its_words_at_once_and_begins_anew() -> None:
    async with Stand().running() as stand:
        stand.command(sound(Level.ORANGE))
        assert await stand.rhythm(14) == 6 * "#" + 6 * "." + 2 * "#"
        assert stand.talk.spoken == []
        stand.command(sound(Level.RED))
        assert stand.talk.spoken == ["move red"]
        assert await stand.rhythm(3) == "..."
        assert stand.told[-1] == ("red", "move"), "the words are the first that is heard of it"
        stand.talk.on_end()
        assert await stand.rhythm(12) == 6 * "#" + 6 * "."
        stand.talk.on_end()
        assert await stand.rhythm(12) == 6 * "#" + 6 * ".", "the end of words moves nothing else"
        await stand.passes(20.0)
        assert stand.talk.spoken == ["move red", "move red"]


async def test_words_of_a_rise_without_end_hold_the_rhythm_up_for_18_s_at_most() -> None:
    async with Stand().running() as stand:
        stand.command(sound(Level.ORANGE))
        await stand.passes(50.0)
        assert stand.talk.spoken == ["move orange"]
        stand.command(sound(Level.RED))
        stand.command(sound(Level.RED))
        assert await stand.rhythm(24) == 18 * "." + 6 * "#"
        assert stand.talk.spoken == ["move orange", "move red"]


async def test_a_rise_without_a_voice_begins_its_rhythm_anew() -> None:
    async with Stand(voice=False).running() as stand:
        stand.command(sound(Level.ORANGE))
        await stand.passes(8.0)
        stand.command(sound(Level.RED))
        assert await stand.rhythm(12) == 6 * "#" + 6 * "."
        stand.command(sound(Level.ORANGE))
        stand.command(sound(Level.RED, answered=True), sound(Level.ORANGE))
        assert await stand.rhythm(6) == 6 * "#"


async def test_a_stage_that_rises_on_the_same_rhythm_is_said_at_once_also() -> None:
    """Counties differ: some have one rhythm for both."""
    async with Stand(SirenTable(device="siren", prepare=(6, 6), move=(6, 6))).running() as stand:
        stand.command(sound(Level.ORANGE, Stage.PREPARE))
        await stand.passes(3.0)
        stand.command(sound(Level.ORANGE))
        assert stand.talk.spoken == ["move orange"]


async def test_a_siren_that_is_cleared_in_a_pause_is_told_to_be_silent() -> None:
    async with Stand().running() as stand:
        stand.command(sound(Level.RED))
        await stand.passes(8.0)
        stand.command()
        await stand.passes(1.0)
    assert stand.told == [("clear", ""), ("red", "move"), ("clear", "")]
    assert stand.siren.level is Level.CLEAR
