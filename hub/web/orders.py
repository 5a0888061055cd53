"""A command as a line on a page."""

import msgspec

from hub.orders import CommandRow, CommandState
from hub.web.words import Words

_LONGEST = 120


def words_of(row: CommandRow) -> str:
    """What was asked, in the words of `tocsin send`: service device=gauge minutes=30."""
    try:
        ask = msgspec.json.decode(row.ask, type=dict[str, object])
    except ValueError:
        return row.ask[:_LONGEST]
    more = [f"{key}={value}" for key, value in ask.items() if key not in {"do", "who"}]
    return " ".join([str(ask.get("do", "")), *more])[:_LONGEST]


def state_of(row: CommandRow, say: Words) -> str:
    """Where it stands, in the reader's language."""
    match row.state:
        case CommandState.WAITS:
            return say("command_waits")
        case CommandState.SENT:
            return say("command_sent")
        case CommandState.DONE:
            return say("command_done")
        case CommandState.REFUSED:
            return say("command_refused")
        case CommandState.EXPIRED:
            return say("command_expired")
