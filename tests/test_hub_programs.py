"""Commands that hang, or say without end, cost neither time nor memory."""

import tracemalloc

import pytest

from hub.programs import problem_of


@pytest.mark.parametrize(("script", "said"), [
    ("exit 0", ""),
    ("echo nothing to say; exit 0", ""),
    ("echo why >&2; exit 4", "sh ended with 4: why"),
    ("exit 5", "sh ended with 5: "),
    ("printf '\\377 x'; exit 1", "sh ended with 1: \ufffd x"),
    ("kill -9 $$", "sh ended with -9: "),
])
async def test_what_went_wrong_is_told_in_its_own_words(script: str, said: str) -> None:
    assert await problem_of(["sh", "-c", script], 20) == said


async def test_what_it_said_last_is_told_and_the_rest_is_not_held() -> None:
    tracemalloc.start()
    try:
        said = await problem_of(["sh", "-c", "head -c 50000000 /dev/zero | tr '\\0' a; echo the end; exit 3"], 60)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert said.startswith("sh ended with 3: aaa")
    assert said.endswith("athe end")
    assert len(said) < 400
    assert most < 4 << 20


async def test_words_that_no_command_can_have_are_told() -> None:
    assert await problem_of(["no-such-command-at-all"], 20) == "no-such-command-at-all: No such file or directory"
    assert (await problem_of(["sh", "a\0b"], 20)).startswith("sh: ")
