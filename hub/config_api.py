"""[api] of hub.toml."""

from typing import Annotated

import msgspec

from tocsin.config import Table

Token = Annotated[
    str, msgspec.Meta(pattern=r"^[!-~]{32,200}\Z", description="32 to 200 letters, digits and signs, no blank")
]


class ApiTable(Table, frozen=True):
    """[api]: with `tokens`, programs read /api/v1 only with one of them, people as an [[officer]]."""

    tokens: list[Token] = []
