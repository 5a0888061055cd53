"""What InfluxDB says of lines, by version.

1.x             400 "partial write: ...", 400 "unable to parse ..."; beyond retention: 400 "partial write: points beyond
                retention policy dropped=3"
2.x             422 "failure writing points to database: partial write: ...", 400 "unable to parse ..."; 2.0 said 500
1.12, 2.7.11    beyond retention: "partial write: dropped 3 points outside retention policy of duration ..."
3.x             400 "partial write of line protocol occurred"; beyond retention: kept, and left out of answers

Points beyond retention are only told when nothing else was wrong with a write: all its other lines are kept then.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

import httpx

from hub.errors import TransientError

_LONGEST = 500
_REFUSALS = frozenset({httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE, httpx.codes.UNPROCESSABLE_ENTITY})
_EXPIRED = re.compile(
    r"partial write: (?:points beyond retention policy dropped=(\d+)|dropped (\d+) points outside retention policy)"
)
_LINE_FAULT = re.compile(r"partial write|unable to parse|field type conflict|line protocol|write_lp|invalid column")


class Said(Enum):
    """What an answer to lines means."""

    KEPT = auto()
    EXPIRED = auto()    # kept, but for those beyond retention
    REFUSED = auto()    # one line at least
    AWAY = auto()       # worth another try


@dataclass(frozen=True, slots=True)
class Answer:
    """`words` are the server's, cut short; `expired` points are beyond retention; `of_lines` says that the words are
    about lines and not, say, those of a proxy."""

    said: Said
    words: str
    expired: int = 0
    of_lines: bool = False


def understood(answer: httpx.Response) -> Answer:
    """An answer to a write."""
    if answer.is_success:
        return Answer(Said.KEPT, "")
    words = f"{answer.status_code} {words_of(answer)}"
    of_lines = _LINE_FAULT.search(words) is not None
    # InfluxDB 2.0 told refused lines with 500
    told_by_500 = answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR and "partial write: " in words
    if answer.status_code not in _REFUSALS and not told_by_500:
        return Answer(Said.AWAY, words)
    if found := _EXPIRED.search(answer.text):
        return Answer(Said.EXPIRED, words, int(found[1] or found[2]))
    return Answer(Said.REFUSED, words, of_lines=of_lines)


def words_of(answer: httpx.Response) -> str:
    return answer.text[:_LONGEST].strip()


def failed(url: object, err: httpx.HTTPError) -> TransientError:
    """No answer at all."""
    return TransientError(f"{url}: {err or type(err).__name__}")
