"""A rules file with some keys of one rule changed and everything else, comments too, as its owner wrote it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from thresholds.tune.toml import key_text, value_text

RULE = re.compile(r"\s*\[\[\s*rule\s*\]\]")


def edited(text: str, number: int, changed: Mapping[str, Any], evidence: Sequence[str]) -> str:
    """`number`: which rule of the file; `evidence` goes above it, as it stands.

    Works line by line, which is right for a file as people write them: the caller reads what comes out once more.
    """
    lines = text.splitlines()
    heads = [at for at, line in enumerate(lines) if RULE.match(line)]
    if number >= len(heads):
        return text
    begin = heads[number]
    end = next((at for at in range(begin + 1, len(lines)) if lines[at].lstrip().startswith("[")), len(lines))
    own = lines[begin:end]
    for key, value in changed.items():
        _put(own, key, value)
    return "\n".join([*lines[:begin], *evidence, *own, *lines[end:], ""])


def _put(own: list[str], key: str, value: Any) -> None:
    """In place of the key's line, whose comment stays; else behind the last key."""
    said = f"{key_text(key)} = {value_text(value)}"
    pattern = re.compile(rf"(\s*)(?:{re.escape(key)}|\"{re.escape(key)}\")\s*=")
    for at, line in enumerate(own):
        found = pattern.match(line)
        if found:
            own[at] = f"{found[1]}{said}{_comment(line)}"
            return
    last = max(at for at, line in enumerate(own) if line.strip() and not line.lstrip().startswith("#"))
    own.insert(last + 1, said)


def _comment(line: str) -> str:
    """With the blanks before it; the line's value may hold a # in quotes."""
    plain = re.sub(r'"(?:\\.|[^"\\])*"|\'[^\']*\'', lambda one: "_" * len(one[0]), line)
    found = re.search(r"\s*#.*", plain)
    return line[found.start():] if found else ""
