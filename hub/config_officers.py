"""[[officer]] of hub.toml: who may use the duty desk."""

from typing import Annotated

import msgspec

from tocsin.config import Table

OfficerName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?=.{1,80}\Z)[^\x00-\x20\x7f:][^\x00-\x1f\x7f:]*\Z", description="1 to 80 letters, no colon"),
]
PasswordHash = Annotated[
    str, msgspec.Meta(pattern=r"^scrypt:[0-9a-f]{32}:[0-9a-f]{64}\Z", description="what `tocsin hub password` prints")
]

EXAMPLE_PASSWORD = f"scrypt:{'0' * 32}:{'0' * 64}"
EXAMPLE_WARNING = "this password is an example that fits nobody: `tocsin hub password` makes an entry"


class OfficerTable(Table, frozen=True):
    """[[officer]]: a name as it stands in the journal, and what its password is checked against."""

    name: OfficerName
    password: PasswordHash
