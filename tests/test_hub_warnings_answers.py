"""Answer links: for one person and one warning, and for nobody else."""


import msgspec
import pytest

from hub.answers import link, person_of, token
from tests.village import VILLAGE, Village, config
from tocsin.levels import Level


async def test_answer_links_are_for_one_person_and_one_warning(village: Village) -> None:
    await village.alarm(Level.ORANGE, 1)
    await village.alarm(Level.ORANGE, 1, "next-door")
    warnings = await village.desk.open_warnings()
    tokens = {
        (warning.id, person.name): token(village.config, warning.id, person.name)
        for warning in warnings
        for person in village.config.person
    }
    assert len(set(tokens.values())) == len(tokens) == 10
    elsewhere = {(warning.id, person) for warning, person in zip(
        sorted(warnings, key=lambda one: one.area != VILLAGE), ("Chen Bo", "Li Ming"), strict=True)}
    elsewhere.add((next(one.id for one in warnings if one.area != VILLAGE), "Wang Fang"))
    for (warning_id, person), text in tokens.items():
        found = person_of(village.config, text, warnings)
        if (warning_id, person) in elsewhere:    # who is never called for it has no link
            assert found is None
            continue
        assert found is not None
        assert (found[0].id, found[1]) == (warning_id, person)
    other = msgspec.structs.replace(village.config.hub, private_key="33" * 32)
    assert token(msgspec.structs.replace(village.config, hub=other), *next(iter(tokens))) not in tokens.values()


@pytest.mark.parametrize("given", ["", "a", "A" * 22, "\ud800", "中文", "A" * 100_000])
async def test_other_text_is_nobodys_link(village: Village, given: str) -> None:
    await village.alarm(Level.ORANGE, 1)
    assert person_of(village.config, given, await village.desk.open_warnings()) is None


def test_link_is_an_address_that_needs_no_quoting() -> None:
    with_url = link(config(public_url="https://warn.example.org/"), "flood-1", "李明")
    assert with_url.startswith("https://warn.example.org/answer/")
    text = with_url.rpartition("/")[2]
    assert len(text) == 22
    assert text.replace("-", "").replace("_", "").isalnum()
    assert link(config(), "flood-1", "李明") == f"/answer/{text}"
