"""What the units of a serial line still owe: answers to questions that nobody waits for any more.

Nothing in a Modbus RTU answer says which question it answers, so a late one must never meet another question that it
would fit. A unit that owes an answer is therefore asked only what the late one cannot be taken for: a question whose
answer has another function or length. A slave answers in the order it was asked, so once it has answered that, the
owed answer is lost, and the same question may be asked again; another one of the same length waits until the
owed answer is too late to come.
"""

from dataclasses import dataclass

from edge import modbus
from tocsin.devices import Request, Write

_TOO_LATE_FACTOR = 4     # a reply later than this many configured deadlines is held to be lost


@dataclass(slots=True)
class _Debt:
    ask: Request | Write
    asked_s: float
    until_s: float
    passed: bool = False


class Owed:
    """By unit. Times are the loop's."""

    def __init__(self) -> None:
        self._debts: dict[int, _Debt] = {}

    def __len__(self) -> int:
        return len(self._debts)

    def add(self, unit: int, ask: Request | Write, asked_s: float, most_s: float, now_s: float) -> None:
        """A question went without its answer; `most_s` is the device's configured deadline.

        Of two, the one that was there stays: a unit that answers neither owes the answer that can do harm.
        """
        before = self._debts.get(unit)
        until_s = now_s + _TOO_LATE_FACTOR * most_s
        if before is None or before.passed or not _differ(before.ask, ask):
            self._debts[unit] = _Debt(ask, asked_s, until_s)
        else:
            before.until_s = max(before.until_s, until_s)

    def may_ask(self, unit: int, ask: Request | Write, now_s: float) -> bool:
        """Whether no late answer could be taken for this question's."""
        debt = self._debts.get(unit)
        if debt is None or isinstance(ask, Write):
            return True
        if debt.until_s <= now_s:
            del self._debts[unit]
            return True
        return _differ(debt.ask, ask) or (debt.passed and debt.ask == ask)

    def answered(self, unit: int, ask: Request | Write) -> None:
        """The unit answered a later question."""
        debt = self._debts.get(unit)
        if debt is not None:
            debt.passed = debt.passed or _differ(debt.ask, ask)
            if debt.ask == ask:
                del self._debts[unit]

    def came(self, unit: int) -> float | None:
        """A frame of this unit that answers no open question: the owed one. When that was asked; None for no debt."""
        debt = self._debts.pop(unit, None)
        return debt.asked_s if debt else None

    def clear(self) -> None:
        self._debts.clear()


def _differ(owed: Request | Write, ask: Request | Write) -> bool:
    return owed.function != ask.function or modbus.answer_length(owed) != modbus.answer_length(ask)
