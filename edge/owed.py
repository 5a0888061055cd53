"""What the units of a line still owe: answers to questions that nobody waits for any more.

Nothing in a Modbus RTU answer says which question it answers, so a late one must never meet another question that it
would fit. A unit that owes answers is therefore asked only what no late one can be taken for: a question whose
answer has another function or length. A slave answers in the order it was asked, so once it has answered that, what it
owed is lost, and the same question may be asked again; another one of the same length waits until the owed
answer is too late to come.

An agent that begins does not know what the one before it asked last. Until that, too, is too late to come, a unit is
`strange`: it is asked with a probe first, and what comes before the probe's answer counts for nothing.
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
    """By unit, in the order asked. Times are the loop's."""

    def __init__(self) -> None:
        self._debts: dict[int, list[_Debt]] = {}
        self._met: set[int] = set()
        self._begun_s: float | None = None

    def begin(self, now_s: float) -> None:
        """The line is open; only the first time counts."""
        self._begun_s = now_s if self._begun_s is None else self._begun_s

    def meet(self, unit: int) -> None:
        """It answered a probe."""
        self._met.add(unit)

    def strange(self, unit: int, most_s: float, now_s: float) -> bool:
        """Whether an answer to somebody before us may still come; `most_s` is the device's configured deadline."""
        begun_s = now_s if self._begun_s is None else self._begun_s
        return unit not in self._met and now_s - begun_s < _TOO_LATE_FACTOR * most_s

    def __len__(self) -> int:
        return len(self._debts)

    def add(self, unit: int, ask: Request | Write, asked_s: float, most_s: float, now_s: float) -> None:
        """A question went without its answer; `most_s` is the device's configured deadline."""
        still = self._still(unit, now_s)
        self._debts[unit] = [*still, _Debt(ask, asked_s, now_s + _TOO_LATE_FACTOR * most_s)]

    def may_ask(self, unit: int, ask: Request | Write, now_s: float) -> bool:
        """Whether no late answer could be taken for this question's."""
        if isinstance(ask, Write):
            return True
        return all(_differ(debt.ask, ask) or (debt.passed and debt.ask == ask) for debt in self._still(unit, now_s))

    def answered(self, unit: int) -> None:
        """The unit answered a later question."""
        for debt in self._debts.get(unit, ()):
            debt.passed = True

    def came(self, frame: modbus.Frame) -> float | None:
        """An answer to no open question. When what it answers was asked; None where nothing of the kind is owed."""
        debts = self._debts.get(frame.unit, [])
        for place, debt in enumerate(debts):
            if frame.function == debt.ask.function | 0x80 or (
                frame.function == debt.ask.function and frame.length == modbus.answer_length(debt.ask)
            ):
                self._debts[frame.unit] = debts[place + 1:]     # those before it are lost
                return debt.asked_s
        return None

    def clear(self) -> None:
        self._debts.clear()

    def _still(self, unit: int, now_s: float) -> list[_Debt]:
        still = [debt for debt in self._debts.get(unit, ()) if debt.until_s > now_s]
        if still:
            self._debts[unit] = still
        else:
            self._debts.pop(unit, None)
        return still


def _differ(owed: Request | Write, ask: Request | Write) -> bool:
    return owed.function != ask.function or modbus.answer_length(owed) != modbus.answer_length(ask)
