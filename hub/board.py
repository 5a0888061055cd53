"""The newest warning of every area and hazard: where an event belongs. Never two open warnings for one of them.

Technical alarms have a place of their own: they must not hide a danger, nor speak for one.
"""

from collections.abc import Iterable, Iterator

from hub.happened import EpisodeChanged
from hub.model import Warning as HubWarning
from hub.model import WarningState
from hub.warnings import key_of
from tocsin.levels import Hazard


class Board:
    """The newest warning of every area and hazard."""

    def __init__(self, warnings: Iterable[HubWarning] = ()) -> None:
        """Of several warnings for one area and hazard the open one counts, or the one opened last."""
        newest: dict[tuple[str, Hazard, bool], HubWarning] = {}
        for warning in warnings:    # of all years: one after the other, never all at once
            before = newest.get(place := _place(warning))
            if before is None or _rank(before) <= _rank(warning):
                newest[place] = warning
        self._newest = {_place(warning): warning for warning in sorted(newest.values(), key=_rank)}

    def __iter__(self) -> Iterator[HubWarning]:
        return iter(self._newest.values())

    def copy(self) -> "Board":
        return Board(self._newest.values())

    def put(self, warning: HubWarning) -> None:
        """A new warning, or the new state of one that is here."""
        self._newest[_place(warning)] = warning

    def get(self, warning_id: str) -> HubWarning | None:
        return next((warning for warning in self._newest.values() if warning.id == warning_id), None)

    def of(self, event: EpisodeChanged) -> HubWarning | None:
        """Where the detection belongs: with its own raised episode, wherever its station says it stands by now."""
        key = key_of(event.station, event.detection)
        for warning in self._newest.values():
            if key in warning.episodes and warning.episodes[key].level > 0:
                return warning
        return self._newest.get((event.area, event.detection.hazard, event.technical))

    def open(self, area: str | None = None) -> list[HubWarning]:
        """Open warnings, of one area or of all, in the order in which they were opened."""
        return [
            warning
            for warning in self._newest.values()
            if warning.state is WarningState.OPEN and area in {None, warning.area}
        ]


def _place(warning: HubWarning) -> tuple[str, Hazard, bool]:
    return warning.area, warning.hazard, warning.technical


def _rank(warning: HubWarning) -> tuple[bool, int]:
    return warning.state is WarningState.OPEN, warning.opened_at
