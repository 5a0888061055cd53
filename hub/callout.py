"""Who must answer, when to call again, and when to go one tier up. Pure: warning, time and policy in, calls out.

Published practice calls each person up to three times inside five minutes, then goes to the superior; one person's
answer stops that person's calls alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import msgspec

from hub.config import HubConfig, PersonTable
from hub.model import Call, Tier, Why
from hub.model import Warning as HubWarning

UNKNOWN_AREA = "0" * 12
TIERS = tuple(Tier)
_FIRST = (Tier.HOUSEHOLD, Tier.VILLAGE)
_GROUPS = (2, 2, 2, 3, 3)  # province, city, county, town, village


@dataclass(frozen=True, slots=True)
class Policy:
    """What the decisions about a warning depend on besides events and time.

    `repeat_s` between two calls to one person, `times` calls at most, `too_old_s` the age on arrival from which a
    raise is history, `renew_s` after which an open warning is said again so that it does not expire.
    """

    people: Sequence[PersonTable] = ()
    repeat_s: float = 100.0
    times: int = 3
    too_old_s: float = 1800.0
    renew_s: float = 3 * 3600.0

    @classmethod
    def of(cls, config: HubConfig) -> "Policy":
        call = config.call
        return cls(tuple(config.person), call.repeat_s, call.times, call.too_old_s, config.cap.expires_s / 2)

    def person(self, name: str) -> PersonTable | None:
        return next((person for person in self.people if person.name == name), None)


@dataclass(frozen=True, slots=True)
class Ask:
    """Call this person now, for the `times`-th time."""

    person: str
    tier: Tier
    level: int
    times: int
    why: Why


def covers(code: str, other: str) -> bool:
    """Whether area `code` is or contains area `other`: trailing zeros, group by group, mean all below."""
    return other.startswith(significant(code))


@lru_cache(maxsize=10_000)
def significant(code: str) -> str:
    """The code without the groups at its end that are all zero."""
    end = len(code)
    for size in reversed(_GROUPS):
        if set(code[end - size : end]) != {"0"}:
            break
        end -= size
    return code[:end]


def responsible(people: Iterable[PersonTable], area: str, tiers: Sequence[Tier]) -> list[PersonTable]:
    """People of these tiers whose area contains `area` or lies in it."""
    return [
        person for person in people if person.tier in tiers and (covers(person.area, area) or covers(area, person.area))
    ]


def first(people: Iterable[PersonTable], area: str, *, technical: bool = False) -> list[PersonTable]:
    """Household and village; where nobody is there, the next tier that has people. Technical: those on duty."""
    everyone = list(people)
    steps: list[tuple[Tier, ...]] = [_FIRST, (Tier.TOWN,), (Tier.COUNTY,)]
    if technical:
        steps = [(Tier.TOWN,), (Tier.COUNTY,)]
    elif area == UNKNOWN_AREA:
        # the place is not known: only the top of the chain can find out, and waking every village would cry wolf
        steps = [(tier,) for tier in reversed(TIERS)]
    return next((found for tiers in steps if (found := responsible(everyone, area, tiers))), [])


def call_all(warning: HubWarning, why: Why, now_ms: int, policy: Policy) -> tuple[HubWarning, list[Ask]]:
    """Everybody called so far and everybody who is called first, anew: earlier answers were for something lower."""
    wanted = {person.name: person for person in first(policy.people, warning.area, technical=warning.technical)}
    wanted |= {name: person for name in warning.calls if (person := policy.person(name)) is not None}
    return _call(warning, wanted.values(), why, now_ms)


def call_due(warning: HubWarning, now_ms: int, policy: Policy) -> tuple[HubWarning, list[Ask]]:
    """What time alone brings: a repeat for whoever has not answered, and after the last one the next tier up."""
    calls, asks = dict(warning.calls), list[Ask]()
    above: dict[str, PersonTable] = {}
    for name, call in warning.calls.items():
        # a clock set back must not stop the calls: a second call is better than none
        if call.answered_at or 0 <= now_ms - call.last_at < policy.repeat_s * 1000:
            continue
        if call.times < policy.times:
            calls[name] = msgspec.structs.replace(call, last_at=now_ms, times=call.times + 1)
            asks.append(Ask(name, call.tier, call.level, call.times + 1, Why.REPEAT))
        else:
            above |= {person.name: person for person in _next_tier(policy.people, warning.area, call.tier)}
    if not asks and above.keys() <= calls.keys():
        return warning, []
    warning = msgspec.structs.replace(warning, calls=calls)
    new = [person for name, person in above.items() if name not in calls]
    warning, more = _call(warning, new, Why.ESCALATED, now_ms)
    return warning, asks + more


def answered(warning: HubWarning, person: str, how: str, note: str, at: int, policy: Policy) -> HubWarning:
    """The warning with that answer; a second answer changes nothing. Someone never called is listed too."""
    call = warning.calls.get(person)
    if call is None:
        known = policy.person(person)
        role, tier = (known.role, known.tier) if known else ("", Tier.HOUSEHOLD)
        call = Call(person, role, tier, warning.level, first_at=0, last_at=0, times=0)
    if call.answered_at:
        return warning
    call = msgspec.structs.replace(call, answered_at=at, how=how, note=note)
    return msgspec.structs.replace(warning, calls=warning.calls | {person: call})


def _call(
    warning: HubWarning, people: Iterable[PersonTable], why: Why, now_ms: int
) -> tuple[HubWarning, list[Ask]]:
    calls, asks = dict(warning.calls), []
    for person in people:
        calls[person.name] = Call(person.name, person.role, person.tier, warning.level, now_ms, now_ms, times=1)
        asks.append(Ask(person.name, person.tier, warning.level, 1, why))
    return msgspec.structs.replace(warning, calls=calls), asks


def _next_tier(people: Iterable[PersonTable], area: str, tier: Tier) -> list[PersonTable]:
    everyone = list(people)
    higher = TIERS[TIERS.index(tier) + 1 :]
    return next((found for step in higher if (found := responsible(everyone, area, (step,)))), [])
