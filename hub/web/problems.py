"""What goes wrong in a request, said so that the reader knows what to do: parameter, value, what is allowed."""

from litestar.exceptions import HTTPException

SHOWN = 80


class Problem(HTTPException):
    """A sentence for the reader and an HTTP status."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(detail=sentence, status_code=status)
        self.sentence = sentence

    @classmethod
    def of_value(cls, name: str, value: str, allowed: str, status: int = 400) -> "Problem":
        return cls(f'{name} "{shortened(value)}" is not allowed; use {allowed}', status)

    @classmethod
    def missing(cls, name: str, allowed: str) -> "Problem":
        return cls(f"{name} is missing; give {allowed}")


def shortened(value: str) -> str:
    return value if len(value) <= SHOWN else value[:SHOWN] + "…"
