"""A replay: the kernel over a history, and all that can be said of it afterwards. No files, no pages."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from thresholds.kernel import start, step
from thresholds.plan import Plan
from thresholds.replay import tally
from thresholds.replay.episodes import Episode, episodes_of
from thresholds.replay.history import ROWS, History, longest_silence_ms, pieces
from thresholds.replay.look import peaks
from thresholds.replay.tally import Tally
from thresholds.tables import U8
from thresholds.tell import Change, Freshness


@dataclass(frozen=True, slots=True)
class Replay:
    """What these rules make of a history. `marks` is uint8[rows, series]: quality bits as the kernel gave them."""

    history: History
    plan: Plan
    episodes: list[Episode]
    freshness: list[Freshness]
    tallies: tuple[Tally, ...]
    marks: U8


def replay(history: History, plan: Plan, rows: int = ROWS, progress: Callable[[int], None] | None = None) -> Replay:
    """Runs the rules over the history, in blocks of about `rows`; `progress` is told the rows done so far."""
    state = start(plan, history.station)
    tallies = tuple(Tally(series) for series in plan.series)
    marks = np.zeros(history.quality.shape, np.uint8)
    changes: list[Change] = []
    freshness: list[Freshness] = []
    for piece in pieces(history, rows, longest_silence_ms(plan)):
        outcome = step(state, piece.block)
        changes += outcome.changes
        freshness += outcome.freshness
        marks[piece.first:piece.first + len(piece.own)] = outcome.quality[piece.own]
        tally.take(tallies, piece, outcome.quality, outcome.freshness)
        if progress:
            progress(piece.first + len(piece.own))
    episodes = peaks(history, plan, episodes_of(history.station, changes), rows)
    return Replay(history, plan, episodes, freshness, tallies, marks)
