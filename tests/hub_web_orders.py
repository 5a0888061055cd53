"""What a station was told, for the tests of its page."""

from hub.orders import CommandRow, CommandState, StationOrders
from tocsin.messages import VERSION
from tocsin.orders import RulesState

_MINUTE = 60_000


def orders_at(now: int) -> StationOrders:
    """Rules refused, one command in each state."""
    state = RulesState(VERSION, "longtan-upper", now, 6, "ab" * 8, 7, ['rule "stage": "rad" is not a key'])
    asks = ['{"do":"siren_test","who":"Zhao Min"}', '{"do":"service","who":"Zhao Min","device":"radar","minutes":30}']
    rows = [
        CommandRow(f"c{number}", "longtan-upper", "Zhao Min", asks[number % 2], now - (number + 1) * _MINUTE,
                   now + 3_600_000, one, answered, said)
        for number, (one, answered, said) in enumerate([
            (CommandState.WAITS, 0, ""), (CommandState.SENT, 0, ""), (CommandState.DONE, now - _MINUTE, "it sounded"),
            (CommandState.REFUSED, now - _MINUTE, "a <warning> is open"), (CommandState.EXPIRED, 0, "")])
    ]
    return StationOrders(8, "Zhao Min", now - _MINUTE, state, rows)
