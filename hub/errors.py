"""Whether it is worth trying again. Stores and channels raise these; whoever called them decides what to do. HubError
ends the hub."""

from collections.abc import Sequence


class HubError(RuntimeError):
    """The hub cannot run; says why."""


class TransientError(Exception):
    """It did not work now: try the same again later."""


class PermanentError(Exception):
    """Trying the same again cannot help.

    A store lists in `bad` what it refuses, each with the reason in words, and counts in `expired` points older than it
    keeps any; everything else of that batch is written.
    """

    def __init__(self, message: str, bad: Sequence[tuple[object, str]] = (), expired: int = 0) -> None:
        super().__init__(message)
        self.bad = list(bad)
        self.expired = expired
