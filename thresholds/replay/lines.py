"""Episodes as JSON, one object a line, for programs."""

from collections.abc import Iterable
from typing import Any

import msgspec

from thresholds.replay.episodes import Episode, Told
from tocsin.times import iso


def json_lines(episodes: Iterable[Episode]) -> str:
    """One line an episode, in order; "" where there is none. Times are ISO 8601 in UTC."""
    return "".join(msgspec.json.encode(_line(one)).decode() + "\n" for one in episodes)


def _line(one: Episode) -> dict[str, Any]:
    top = one.evidence
    return {
        "station": one.station,
        "rule": one.rule,
        "quantity": one.quantity,
        "feature": one.feature,
        "series": one.series,
        "episode": one.id,
        "level": one.level.word,
        "level_zh": one.level.zh,
        "raised_at": iso(one.raised_ms),
        "cleared_at": None if one.cleared_ms is None else iso(one.cleared_ms),
        "stage": top.stage,
        "authority": top.authority,
        "evidence": {
            "value": top.value, "threshold": top.threshold, "unit": one.unit, "since": iso(one.since_ms),
            "at": iso(top.t_ms), "over_s": one.over_s,
        },
        "peak": None if one.peak is None else {"value": one.peak.value, "at": iso(one.peak.t_ms)},
        "changes": [_change(told) for told in one.told],
    }


def _change(told: Told) -> dict[str, Any]:
    return {
        "at": iso(told.t_ms), "level": told.level.word, "previous": told.previous.word, "revision": told.revision,
        "value": told.value, "threshold": told.threshold, "stage": told.stage, "authority": told.authority,
    } | ({"shelved": True} if told.shelved else {})
