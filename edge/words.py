"""Words of what is shown in a station's terminal, in English and Chinese, and how wide they are there."""

import re
import unicodedata
from collections.abc import Mapping

from tocsin.said import LANGS, Sayings

WIDTH = 60      # what a telephone's terminal shows across, laid on its side
NARROWEST = 40  # and held upright
# a word with the blanks behind it; Chinese may be broken anywhere, and so may what is longer than a line
_PIECES = re.compile(r"[^\s\u2e80-\uffff]{1,36}\s*|[\u2e80-\uffff]\s*")


class Words:
    """One language's words of a table: `words("link", host=...)`."""

    def __init__(self, table: Mapping[str, tuple[str, str]], lang: str) -> None:
        self._say = Sayings(table)
        self._lang = lang
        self.at = LANGS.index(lang)

    def __call__(self, key: str, /, **values: object) -> str:
        return self._say(key, **values).in_(self._lang)

    def span(self, seconds: float) -> str:
        """How long, in the largest unit that leaves a small number."""
        for size, en, zh in ((86_400, "d", "天"), (3_600, "h", "小时"), (60, "min", "分")):
            if seconds >= 2 * size:
                return f"{seconds / size:.0f} {zh if self.at else en}"
        return f"{max(0.0, seconds):.0f} {'秒' if self.at else 's'}"


def width(text: str) -> int:
    """Columns that it takes; a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def cells(left: str, right: str, columns: int = WIDTH) -> str:
    """Left and right on one line; the left end is cut where both do not fit."""
    room = columns - width(right) - 1
    while width(left) > room:
        left = left[:-1]
    return f"{left}{' ' * (columns - width(left) - width(right))}{right}"


def folded(text: str, indent: str = "  ", first: str = "", columns: int = WIDTH) -> list[str]:
    """Lines of at most so many columns, the following ones indented; broken at blanks, or in Chinese."""
    lines, line = [], first
    for word in _PIECES.findall(text):
        if width(line + word.rstrip()) > columns and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += word
    return [*lines, line.rstrip()] if line.strip() else lines
