"""Sentences that come in English, as a log has them, in Chinese: by their patterns."""

import re
from collections.abc import Iterable

Patterns = tuple[tuple[re.Pattern[str], str], ...]


def compiled(pairs: Iterable[tuple[str, str]]) -> Patterns:
    """Of each the English pattern and the Chinese sentence, with {} for what the groups caught."""
    return tuple((re.compile(english, re.DOTALL), chinese) for english, chinese in pairs)


def in_chinese(sentence: str, patterns: Patterns) -> str:
    """The sentence as it came where none fits."""
    for english, chinese in patterns:
        if found := english.fullmatch(sentence):
            return chinese.format(*found.groups("")).removesuffix("（）")
    return sentence
