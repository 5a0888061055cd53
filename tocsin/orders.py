"""What a hub tells one station to do, and what the station says to it. docs/commands.md tells the rules in prose.

A command, rules and the hub's next key travel down signed (tocsin.signing.sign) and bound to the station's own topic.
`Obeyed` and `Papers` are records of the station's log like any other; `RulesState` is retained beside them. Times are
ms UTC.
"""

import msgspec

LONGEST_TEXT = 256 * 1024   # characters of a rules file that travels
LONGEST_COMMAND_MS = 24 * 3_600_000
LONGEST_WAY = 20            # changes of the hub's key that one message may carry
LARGEST_STATE = 64 << 10    # bytes of a station's word on its rules
LARGEST_VERSION = 1 << 53   # of rules; any reader of JSON holds it exactly


class Command(msgspec.Struct, frozen=True):
    """One thing to do, once, before `expires`. `ask` is an edge.operate.Ask; `id` is the hub's, unique a station."""

    v: int
    id: str
    station: str
    issued: int
    expires: int
    ask: msgspec.Raw


class RulesOrder(msgspec.Struct, frozen=True):
    """The text of a rules file. A station takes a higher `version` than the one it has, and no other."""

    v: int
    version: int
    station: str
    issued: int
    who: str
    text: str


class NewKey(msgspec.Struct, frozen=True):
    """The hub's next public key, signed by the one before."""

    v: int
    station: str
    public_key: str


class RulesState(msgspec.Struct, frozen=True):
    """`version` is in force (0: the station's own file), with the kernel's hash of the rules.

    `refused` is the newest version that was not taken, `problems` why, `problems_zh` in Chinese as far as it is known.
    """

    v: int
    station: str
    t: int
    version: int
    hash: str
    refused: int = 0
    problems: list[str] = []
    problems_zh: list[str] = []


class Obeyed(msgspec.Struct, frozen=True, tag="obeyed", tag_field="kind"):
    """The answer to a command: whether it was done, and a sentence; `zh`: in Chinese, "" where it is the same."""

    boot: str
    seq: int
    t: int
    id: str
    done: bool
    said: str
    zh: str = ""


class Papers(msgspec.Struct, frozen=True, tag="papers", tag_field="kind"):
    """What a successor of the station needs: its station file without secrets, and the files that it names, by name.

    `rules_version` is that of the hub's rules in force (0: none), `hash` that of all rules in force. `calibration` is
    the station's calibration.toml, "" where it has none.
    """

    boot: str
    seq: int
    t: int
    config: str
    files: dict[str, str]
    hash: str
    rules_version: int = 0
    calibration: str = ""
