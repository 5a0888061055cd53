"""What a state's memory consists of, and what each part of it depends on.

A *part* is a series, a ring, a window, a CUSUM, a track ... Its identity is all that it depends on: a part with the
same identity under other rules may keep its memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from thresholds.plan import Plan, Track
from thresholds.state import TREND_SUMS, State
from thresholds.tables import MINIMA, Rings

_SERIES = ("last_t", "good_t", "first_tick", "stale", "seen", "past_raw", "held_t", "held_raw", "dropped", "same_t",
           "wet_t", "rained_at", "total", "covered")
_TRACK = ("on_bits", "off_bits", "run_since", "run_for", "off_since", "latched", "acked", "level", "since", "cleared_t",
          "episode", "revision", "shelved")
_SLOTS = ("slot_t", "slot_total", "slot_covered")
_MINUTES = ("minute_total", "minute_covered")
_TREND = ("trend_t", "trend_x", *TREND_SUMS)
_FEATURE = ("value", "valid", "span", "lone")
OF_ALL = frozenset({"rained", "past_t"})    # fields that are no parts: one number, and one row a series of any width

Index = int | slice
Identity = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What of which fields of Memory belongs to it. `series` counts through `Plan.all_series`."""

    series: int
    fields: dict[str, Index]

    def begin(self, name: str) -> int:
        """Its first place in that field."""
        place = self.fields[name]
        return place.start if isinstance(place, slice) else place


def parts(state: State) -> dict[Identity, Part]:
    """Every part of a state's memory by its identity. Together they are all of it but OF_ALL."""
    return dict([*_of_series(state), *_of_sums(state), *_of_trends(state), *_of_cusums(state), *_of_tracks(state)])


def _who(plan: Plan) -> list[Identity]:
    """What a series depends on."""
    own: list[Identity] = [(one, check) for one, check in zip(plan.series, plan.checks, strict=True)]
    return own + [(group.series, group.rule) for group in plan.groups]


def _of_series(state: State) -> Iterator[tuple[Identity, Part]]:
    for i, who in enumerate(_who(state.plan)):
        yield ("series", *who), Part(i, dict.fromkeys(_SERIES, i))
    values = state.tables.values
    for f, i in enumerate(values.series.tolist()):
        yield ("value", *_who(state.plan)[i], int(values.sign[f])), Part(i, dict.fromkeys(_FEATURE, values.first + f))


def _ring(rings: Rings, number: int) -> tuple[tuple[int, int], slice]:
    """Its shape, and its place."""
    at, size = int(rings.at[number]), int(rings.size[number])
    return (int(rings.slot[number]), size), slice(at, at + size)


def _of_sums(state: State) -> Iterator[tuple[Identity, Part]]:
    sums, who = state.tables.sums, _who(state.plan)
    for r, i in enumerate(sums.slots.series.tolist()):
        shape, place = _ring(sums.slots, r)
        yield ("slots", *who[i], shape), Part(i, {"slot_count": r, **dict.fromkeys(_SLOTS, place)})
    for r, i in enumerate(sums.minutes.series.tolist()):
        shape, place = _ring(sums.minutes, r)
        yield ("minutes", *who[i], shape), Part(i, dict.fromkeys(_MINUTES, place))
    for f, i in enumerate(sums.series.tolist()):
        short = f < sums.short
        shape, _ = _ring(sums.slots if short else sums.minutes, int(sums.ring[f]))
        window = int(sums.window[f])
        fields: dict[str, Index] = dict.fromkeys(("apart_t", "apart"), f)
        yield ("window", *who[i], window, shape), Part(i, fields | ({"head": f} if short else {}))
        yield ("sum", *who[i], window), Part(i, dict.fromkeys(_FEATURE, sums.first + f))


def _of_trends(state: State) -> Iterator[tuple[Identity, Part]]:
    trends, who = state.tables.trends, _who(state.plan)
    for r, i in enumerate(trends.rings.series.tolist()):
        shape, place = _ring(trends.rings, r)
        yield ("trend ring", *who[i], int(trends.unit[r]), shape), Part(
            i, {"trend_count": r, **dict.fromkeys(_TREND, place)})
    for w, i in enumerate(trends.series.tolist()):
        ring = int(trends.ring[w])
        shape, _ = _ring(trends.rings, ring)
        yield ("trend window", *who[i], int(trends.window[w]), int(trends.unit[ring]), shape), Part(
            i, {"trend_head": w, "trend_hole": w})
    for d, w in enumerate(trends.of.tolist()):
        i = int(trends.series[w])
        kind = "rate" if d < trends.rates else "slope" if d < trends.rates + trends.slopes else "time to"
        what = [int(column[d]) for column in (trends.sign, trends.n_min, trends.target, trends.floor)]
        yield (kind, *who[i], int(trends.window[w]), *what), Part(i, dict.fromkeys(_FEATURE, trends.first + d))


def _of_cusums(state: State) -> Iterator[tuple[Identity, Part]]:
    cusums, who = state.tables.cusums, _who(state.plan)
    for r, i in enumerate(cusums.minima_series.tolist()):
        yield ("minima", *who[i], int(cusums.minima_sign[r])), Part(
            i, {"minima": slice(MINIMA * r, MINIMA * (r + 1)), "reference": r})
    for f, i in enumerate(cusums.series.tolist()):
        what = [int(column[f]) for column in (cusums.sign, cusums.allowance, cusums.cap, cusums.fixed)]
        yield ("cusum", *who[i], *what), Part(i, {"cusum": f, **dict.fromkeys(_FEATURE, cusums.first + f)})


def _of_tracks(state: State) -> Iterator[tuple[Identity, Part]]:
    plan, who = state.plan, _who(state.plan)
    for k, track in enumerate(plan.tracks):
        # a rule that is gone goes on for one device: it is the same rule there
        identity = ("track", *who[track.series_index], replace(track.rule, device=""))
        yield identity, Part(track.series_index, dict.fromkeys(_TRACK, k))
    place = 0
    for number, group in enumerate(plan.groups):
        i = len(plan.series) + number
        yield ("group", *who[i]), Part(i, {"group_t": number})
        for member, _ in group.members:
            yield ("member", *who[i], *named(plan.tracks[member])), Part(i, {"member_t": place})
            place += 1


def named(track: Track) -> tuple[str, str]:
    """What people call a track: rule and series. The same over reloads."""
    return track.rule.name, track.series.key
