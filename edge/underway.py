"""Records that were published and that the hub has not answered for yet."""

import itertools
from dataclasses import dataclass

from edge.spans import within
from tocsin.digests import digest_of_digests
from tocsin.log import Entry
from tocsin.messages import Range, digest

ANSWER_WITHIN_S = 5.0  # then a record is offered again; on a slow link twice the time that answers take
LONGEST_WAIT_S = 60.0
GIVEN_UP = 20_000      # digests kept of records that wait to be offered again: a late answer counts


@dataclass(frozen=True, slots=True)
class Sent:
    """When a record was published, monotonic seconds, and what it was."""

    at_s: float
    digest: str


class Underway:
    """`sent` are under way, the oldest first; `given_up` have had no answer for longer than `patience_s`."""

    def __init__(self) -> None:
        self.sent: dict[int, Sent] = {}
        self.given_up: dict[int, Sent] = {}
        self.patience_s = ANSWER_WITHIN_S
        self._stuck_at, self._stuck_since_s = -1, 0.0

    def put(self, entry: Entry, now_s: float) -> None:
        """It goes now, at that monotonic second."""
        self.sent.pop(entry.seq, None)  # to the end: the oldest stand first
        self.sent[entry.seq] = Sent(now_s, digest(entry.payload))

    def knows(self, part: Range, now_s: float) -> bool:
        """Whether every record of an answered range was sent, with the content that the hub has."""
        if part.last - part.first >= len(self.sent) + len(self.given_up):
            return False
        sent = [self.sent.get(seq) or self.given_up.get(seq) for seq in range(part.first, part.last + 1)]
        known = [one for one in sent if one is not None]
        if not known or len(known) < len(sent) or digest_of_digests([one.digest for one in known]) != part.digest:
            return False
        self.patience_s = min(max(ANSWER_WITHIN_S, 2 * (now_s - known[-1].at_s)), LONGEST_WAIT_S)
        return True

    def settle(self, first: int, last: int) -> None:
        """The hub has these, or nobody ever will."""
        for which in (self.sent, self.given_up):
            for seq in within(which, first, last):
                del which[seq]

    def give_up_old(self, now_s: float) -> None:
        """What has no answer for too long may be offered again."""
        old = itertools.takewhile(lambda item: now_s - item[1].at_s > self.patience_s, self.sent.items())
        for seq, sent in list(old):
            del self.sent[seq]
            self.given_up[seq] = sent
        for seq in list(itertools.islice(self.given_up, max(0, len(self.given_up) - GIVEN_UP))):
            del self.given_up[seq]

    def give_up_all(self) -> None:
        """The connection is another one; answers to the last one's may still come."""
        self.given_up |= self.sent
        self.sent.clear()

    def stuck(self, floor: int, now_s: float, *, waits: bool) -> bool:
        """Whether `floor`, up to where the hub has all, has not moved for too long though something `waits` for it."""
        if floor != self._stuck_at or not waits:
            self._stuck_at, self._stuck_since_s = floor, now_s
        return now_s - self._stuck_since_s > self.patience_s

    def wait_longer(self, now_s: float) -> None:
        """Twice as long as before, at most LONGEST_WAIT_S: a slow link must not be full of repeats."""
        self._stuck_since_s = now_s
        self.patience_s = min(2 * self.patience_s, LONGEST_WAIT_S)

    def forget(self) -> None:
        """Another hub: its answers are about nothing that was sent."""
        self.sent.clear()
        self.given_up.clear()
