"""What goes wrong in a request, said so that the reader knows what to do: parameter, value, what is allowed."""

from collections.abc import Mapping

import msgspec
from litestar.exceptions import HTTPException

SHOWN = 80


class ErrorOut(msgspec.Struct, frozen=True):
    """Why there is no answer, in English and Chinese. Where one thing of the request is to blame, `place` names it,
    `value` is what it was (shortened), and `allowed` what it may be; else they are empty."""

    error: str
    error_zh: str
    place: str = ""
    value: str = ""
    allowed: str = ""
    allowed_zh: str = ""


class Problem(HTTPException):
    """A sentence for the reader and an HTTP status. `told` is all that programs are given."""

    def __init__(
        self, sentence: str, status: int = 400, *, zh: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """`zh` is the sentence in Chinese; the same sentence where none is given."""
        super().__init__(detail=sentence, status_code=status, headers=dict(headers or {}))
        self.told = ErrorOut(sentence, zh or sentence)

    @classmethod
    def of_value(cls, name: str, value: str, allowed: str, status: int = 400, *, zh: str = "") -> "Problem":
        """`zh` is `allowed` in Chinese, where words in it differ."""
        value, zh = shortened(value), zh or allowed
        sentence_zh = f"{name} “{value}” 无效；可用：{zh}"
        problem = cls(f'{name} "{value}" is not allowed; use {allowed}', status, zh=sentence_zh)
        problem.told = msgspec.structs.replace(problem.told, place=name, value=value, allowed=allowed, allowed_zh=zh)
        return problem

    @classmethod
    def missing(cls, name: str, allowed: str, *, zh: str = "") -> "Problem":
        zh = zh or allowed
        problem = cls(f"{name} is missing; give {allowed}", zh=f"缺少 {name}；请给出：{zh}")
        problem.told = msgspec.structs.replace(problem.told, place=name, allowed=allowed, allowed_zh=zh)
        return problem


def shortened(value: str) -> str:
    return value if len(value) <= SHOWN else value[:SHOWN] + "…"
