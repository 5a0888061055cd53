"""What a station remembers of its hub's words, in its data folder: the hub's key, and the commands it has had."""

from pathlib import Path

import msgspec

from tocsin.log import replace_file
from tocsin.messages import encode

KEY = "hub-key"
LEDGER = "commands"
MOST_KNOWN = 500


class _Key(msgspec.Struct, frozen=True):
    """`pinned` stood in the station file when the hub changed its key to `now`."""

    pinned: str
    now: str


class KeyRing:
    """The hub's public key: the pinned one, or the one that signatures lead to from there.

    A key that is pinned anew in the station file counts from then on.
    """

    def __init__(self, folder: Path, pinned: str) -> None:
        self._place = folder / KEY
        self._pinned = pinned
        self.public_key = pinned
        try:
            kept = msgspec.json.decode(self._place.read_bytes(), type=_Key)
        except (OSError, ValueError):  # none, or torn: the hub sends the whole way from the pinned one
            return
        if pinned and kept.pinned == pinned:
            self.public_key = kept.now

    def change(self, public_key: str) -> None:
        """From now on, also over a restart. Raises OSError, and nothing has changed."""
        replace_file(self._place, encode(_Key(self._pinned, public_key)), sync=True)
        self.public_key = public_key


class Known(msgspec.Struct, frozen=True):
    """A command that came. `ended`: it has its answer."""

    id: str
    issued: int
    ended: bool = False


class _Kept(msgspec.Struct):
    known: list[Known] = []
    forgotten: int = 0


class Ledger:
    """Commands that came, the MOST_KNOWN issued last of them. What was issued before these is never done again.

    `newest` is when the newest was issued, by the hub's clock: time cannot be before it. `forgotten` is when the newest
    of those was issued that are no longer known.
    """

    def __init__(self, folder: Path) -> None:
        """A file that is torn or damaged is begun anew: a command may then be done twice."""
        self._place = folder / LEDGER
        try:
            kept = msgspec.json.decode(self._place.read_bytes(), type=_Kept)
        except (OSError, ValueError):
            kept = _Kept()
        self._known = {one.id: one for one in kept.known}
        self.forgotten = kept.forgotten

    @property
    def newest(self) -> int:
        """ms UTC; where no command is known, that of the newest forgotten one."""
        return max((one.issued for one in self._known.values()), default=self.forgotten)

    def has(self, command: str) -> bool:
        """Whether a command of this id came and is known still."""
        return command in self._known

    def begun(self) -> list[Known]:
        """Those without an answer."""
        return [one for one in self._known.values() if not one.ended]

    def begin(self, known: Known) -> None:
        """On the disk when it returns. Raises OSError; it is not known then."""
        self._put(known)

    def end(self, known: Known) -> None:
        """Raises OSError."""
        self._put(msgspec.structs.replace(known, ended=True))

    def _put(self, known: Known) -> None:
        """Always on the disk: a file renamed before its content is there can be empty after a power cut, and all
        that was ever done with it could be done again."""
        kept = sorted((self._known | {known.id: known}).values(), key=lambda one: one.issued)
        gone, kept = kept[:-MOST_KNOWN], kept[-MOST_KNOWN:]
        forgotten = max([self.forgotten, *(one.issued for one in gone)])
        replace_file(self._place, encode(_Kept(kept, forgotten)), sync=True)
        self._known, self.forgotten = {one.id: one for one in kept}, forgotten
