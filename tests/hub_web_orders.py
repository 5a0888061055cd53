"""What a station was told, for the tests of its page."""

from hub.orders import CommandRow, CommandState, StationOrders
from tocsin.messages import VERSION
from tocsin.orders import RulesState

_MINUTE = 60_000
STATUS = f"""Upper bridge (bridge){' ' * 19}2024-08-08T00:03:00Z
LEVELS
  orange stage{' ' * 36}since 60 s
    gauge/stage_m
READINGS
  gauge/stage_m{' ' * 31}2.6 m     60 s"""
STATUS_ZH = f"""上桥 (bridge){' ' * 27}2024-08-08T00:03:00Z
预警
  橙色 stage{' ' * 39}已 60 秒
    gauge/stage_m
读数
  gauge/stage_m{' ' * 31}2.6 m    60 秒"""


def orders_at(now: int) -> StationOrders:
    """Rules refused, one command in each state."""
    state = RulesState(VERSION, "longtan-upper", now, 6, "ab" * 8, 7, ['rule "stage": "rad" is not a key'],
                       ["规则“stage”：没有“rad”这个键"])
    asks = ['{"do":"siren_test","who":"Zhao Min"}', '{"do":"service","who":"Zhao Min","device":"radar","minutes":30}']
    rows = [
        CommandRow(f"c{number}", "longtan-upper", "Zhao Min", asks[number % 2], now - (number + 1) * _MINUTE,
                   now + 3_600_000, one, answered, said, zh)
        for number, (one, answered, said, zh) in enumerate([
            (CommandState.WAITS, 0, "", ""), (CommandState.SENT, 0, "", ""),
            (CommandState.DONE, now - _MINUTE, STATUS, STATUS_ZH),
            (CommandState.REFUSED, now - _MINUTE, "a <warning> is open", "有<预警>"),
            (CommandState.EXPIRED, 0, "", "")])
    ]
    return StationOrders(8, "Zhao Min", now - _MINUTE, state, rows)
