"""Server-sent events: tells open pages that something changed, so that they fetch themselves anew."""

import asyncio
from collections.abc import AsyncGenerator

from hub.web.problems import Problem
from hub.web.view import View

PACE_S = 1.0
KEEP_ALIVE_S = 20.0


def since_of(word: str) -> int:
    """Raises Problem."""
    try:
        return max(-1, int(word))
    except ValueError:
        raise Problem.of_value("since", word, "a whole number, as in the page's data-changes",
                               zh="整数，即页面的 data-changes") from None


async def changes(
    view: View, since: int, pace_s: float = PACE_S, keep_alive_s: float = KEEP_ALIVE_S
) -> AsyncGenerator[str, None]:
    """One event per change, at most one every `pace_s`; a comment when all is calm, so that a dead line is noticed.

    The network's time, not the hub's clock: a rehearsal at sixty times the speed must not flood a phone.
    """
    while True:
        try:
            newest = await asyncio.wait_for(view.wait_changed(since), keep_alive_s)
        except TimeoutError:
            yield ": calm\n\n"
            continue
        if newest > since:
            since = newest
            yield f"data: {newest}\n\n"
        await asyncio.sleep(pace_s)
