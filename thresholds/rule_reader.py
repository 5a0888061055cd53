"""One rule: from what is written to whole numbers, and what is wrong with it."""

from collections.abc import Mapping

from thresholds.level_reader import LevelReader
from thresholds.rule import SCALE, TRENDS, Feature, LevelRule, Rule
from thresholds.rulefile import AT, EITHER_WAY, N_MIN, Direction, RuleTable, milli
from tocsin.levels import WARNING_LEVELS, Authority, Hazard, Level, Stage
from tocsin.quantities import QUANTITIES, SUMMED, quantity

_WINDOWED = frozenset({Feature.SUM, Feature.COINCIDENCE, *TRENDS})
_FITTED = frozenset({Feature.SLOPE, Feature.TIME_TO})

# which key belongs to which features
BELONGS: dict[str, frozenset[Feature]] = {
    "over_min": _WINDOWED,
    "min_valid": frozenset({Feature.SUM}),
    "n_min": _FITTED,
    "robust": _FITTED,
    "target": frozenset({Feature.TIME_TO}),
    "floor": frozenset({Feature.TIME_TO}),
    "reference": frozenset({Feature.CUSUM}),
    "allowance": frozenset({Feature.CUSUM}),
    "of": frozenset({Feature.COINCIDENCE}),
    "at": frozenset({Feature.COINCIDENCE}),
    "weights": frozenset({Feature.COINCIDENCE}),
}
REQUIRED: dict[str, str] = {
    "over_min": "give minutes",
    "target": "give the value that is waited for",
    "allowance": "give how far above the reference readings may lie on quiet days",
    "of": "give the name of the rule whose devices count",
}


class RuleReader:
    """Reads one rule and collects what is wrong with it. `others` are all rules of the file by name."""

    def __init__(self, written: RuleTable, place: str, others: Mapping[str, RuleTable]) -> None:
        self.written = written
        self.place = f'{place}: rule "{written.name}"'
        self.others = others
        self.problems: list[str] = []
        self.low = written.direction is Direction.LOW

    def refuse(self, key: str, why: str) -> None:
        self.problems.append(f"{self.place}: {key}: {why}")

    def rule(self) -> Rule | None:
        """None where there are problems."""
        name = self._quantity()
        if name is None:
            return None
        feature = self.written.feature or (Feature.SUM if name in SUMMED else Feature.VALUE)
        if not self._feature_fits(name, feature):
            return None
        self._check_keys(name, feature)
        self._check_window(feature)
        self._check_direction(name, feature)
        reader = LevelReader(self.written, name, feature, self.refuse)
        self._check_asked(name, reader)
        levels = reader.levels()
        numbers = {key: self._milli(key) for key in ("target", "floor", "allowance", "reference")}
        if feature is Feature.TIME_TO:
            self._check_floor(numbers["target"], numbers["floor"])
        weights = self._weights()
        self._check_second_gauge(name, feature, levels, weights)
        if self.problems:
            return None
        written = self.written
        return Rule(
            written.name, name, feature, round((written.over_min or 0) * 60_000), self.low, written.device or "",
            written.datum or "", levels,
            n_min=(written.n_min or N_MIN) if feature in _FITTED else 0,
            robust=written.robust is True,
            target=numbers["target"] or 0,
            floor=numbers["floor"],
            allowance=numbers["allowance"] or 0,
            reference=numbers["reference"],
            of=written.of or "",
            at=Level.of(written.at or AT) if feature is Feature.COINCIDENCE else Level.CLEAR,
            weights=weights,
        )

    def _quantity(self) -> str | None:
        written = self.written
        if written.feature is Feature.COINCIDENCE:
            return self._quantity_of_members()
        if written.quantity is None:
            self.refuse("quantity", f"is missing; use {', '.join(QUANTITIES)}")
            return None
        try:
            known = quantity(written.quantity)
        except ValueError as err:
            self.refuse("quantity", str(err))
            return None
        if known.increments:
            self.refuse("quantity", f'"{known.name}" only ever rises; use "{known.increments}" with over_min')
            return None
        return known.name

    def _quantity_of_members(self) -> str | None:
        """That of the rule named `of`; None where there is no such rule, or it is wrong itself."""
        written, names = self.written, ", ".join(f'"{name}"' for name in self._possible_members())
        cure = f"use {names}" if names else "write the rule of a single device first"
        if written.of is None:
            self.refuse("of", f"is missing; {REQUIRED['of']}: {cure}")
            return None
        member = self.others.get(written.of)
        if member is None:
            self.refuse("of", f'"{written.of}" is not a rule of this file; {cure}')
            return None
        if member.feature is Feature.COINCIDENCE:
            self.refuse("of", f'"{written.of}" is a coincidence itself; {cure}')
            return None
        if written.quantity is not None and written.quantity != member.quantity:
            self.refuse("quantity", f'"{written.quantity}" is not that of rule "{written.of}"; '
                                    f'use "{member.quantity}", or leave it out')
        self._check_at(member)
        return member.quantity if member.quantity in QUANTITIES and not QUANTITIES[member.quantity].increments else None

    def _possible_members(self) -> list[str]:
        return [name for name, one in self.others.items() if one.feature is not Feature.COINCIDENCE]

    def _check_at(self, member: RuleTable) -> None:
        there = [level for level in WARNING_LEVELS if getattr(member, level.word) is not None]
        at = Level.of(self.written.at or AT)
        if there and at > there[-1]:
            said = f'"{at.word}" is above' if self.written.at else f'is not given, and the default "{at.word}" is above'
            self.refuse("at", f'{said} every level of rule "{self.written.of}"; '
                              f"use {', '.join(level.word for level in there)}")

    def _feature_fits(self, name: str, feature: Feature) -> bool:
        allowed = _features_of(name)
        if feature in allowed:
            return True
        why = "as a sum" if name in SUMMED else "as it is"
        self.refuse("feature", f'"{feature}" is not allowed: {name} is judged {why}; use {", ".join(allowed)}')
        return False

    def _check_keys(self, name: str, feature: Feature) -> None:
        for key, features in BELONGS.items():
            given = getattr(self.written, key)
            given = None if given == {} else given
            if given is not None and feature not in features:
                owners = ", ".join(one for one in _features_of(name) if one in features)
                cure = f"leave it out, or use feature {owners}" if owners else "leave it out"
                self.refuse(key, f'{_shown(given)}is not allowed with feature "{feature}"; {cure}')
            elif given is None and feature in features and key in REQUIRED:
                self.refuse(key, f"is missing; {self._missing(key, name, feature)}")
        if feature is Feature.COINCIDENCE:
            for key in ("device", "datum", "direction"):
                given = getattr(self.written, key)
                if given is not None:
                    self.refuse(key, f'"{given}" is not allowed: it belongs to rule "{self.written.of}"')

    def _missing(self, key: str, name: str, feature: Feature) -> str:
        if key != "over_min" or feature is Feature.COINCIDENCE:
            return REQUIRED[key]
        if feature is Feature.SUM:
            return f"{name} is judged as a sum, give minutes"
        return "give minutes: 30 is a good start for readings each minute, 60 for one in five minutes"

    def _check_window(self, feature: Feature) -> None:
        over_min = self.written.over_min
        if over_min is None:
            return
        over_s = over_min * 60
        if feature is Feature.SUM and over_s > 3600 and over_s % 60:
            self.refuse("over_min", f"{over_min:g} is not allowed; use whole minutes above 60")
        elif over_s % 1:
            self.refuse("over_min", f"{over_min:g} is not allowed; use a window of whole seconds")

    def _check_direction(self, name: str, feature: Feature) -> None:
        if self.low and feature is Feature.SUM:
            self.refuse("direction", '"low" is not allowed for a sum; use "high"')
        elif self.written.direction is None and name in EITHER_WAY and feature is not Feature.COINCIDENCE:
            self.refuse("direction", f'is missing; say whether "high" or "low" {name} is the bad side')

    def _check_asked(self, name: str, reader: LevelReader) -> None:
        """What people are asked to do and who decides: of levels that are there, and no more than one rule can know."""
        written, feature = self.written, reader.feature
        for level in WARNING_LEVELS:
            there = getattr(written, level.word) is not None
            for key in ("stage", "authority"):
                given = getattr(getattr(written, key), level.word)
                if given is not None and not there:
                    self.refuse(f"{key}: {level.word}", f'"{given}" is not allowed: the rule has no {level.word}')
            stage, authority = reader.asks(level)
            if feature is Feature.SUM and stage is Stage.MOVE and authority is not Authority.CONFIRM:
                self.refuse(f"stage: {level.word}",
                            f'"move" on authority "{authority}" is not allowed for the rain of one gauge; '
                            f'use "prepare", or authority {level.word} = "confirm"')
            of_water = feature in TRENDS and QUANTITIES[name].hazard is Hazard.FLOOD
            if there and of_water and level > Level.YELLOW and authority is Authority.AUTO:
                self.refuse(f"authority: {level.word}",
                            f'"auto" is not allowed: a trend of {name} alone gives at most yellow; '
                            f'use {level.word} = "confirm" or "after", or leave the level out')

    def _check_floor(self, target: int | None, floor: int | None) -> None:
        if target is None or floor is None:
            return
        if (floor <= target) if self.low else (floor >= target):
            self.refuse("floor", f"{floor / SCALE:g} is on the wrong side of target {target / SCALE:g}; "
                                 f"use a number {'above' if self.low else 'below'} it")

    def _check_second_gauge(self, name: str, feature: Feature, levels: tuple[LevelRule, ...],
                            weights: tuple[tuple[str, int], ...]) -> None:
        """Rain moves people by itself only where no gauge alone can do it."""
        heaviest = max([SCALE, *(weight for _, weight in weights)])
        for level in levels:
            alone = level.on <= heaviest and level.stage is Stage.MOVE and level.authority is not Authority.CONFIRM
            if feature is Feature.COINCIDENCE and name in SUMMED and alone:
                self.refuse(level.level.word,
                            f'on {level.on / SCALE:g} is the weight of one gauge: "move" on authority '
                            f'"{level.authority}" is not allowed; use an on above {heaviest / SCALE:g}, or '
                            f'authority {level.level.word} = "confirm"')

    def _milli(self, key: str) -> int | None:
        value: float | None = getattr(self.written, key)
        if value is None:
            return None
        try:
            raw = milli(value)
        except ValueError as err:
            self.refuse(key, str(err))
            return None
        if key == "allowance" and raw <= 0:
            self.refuse(key, f"{value:g} is not allowed; use a number above 0")
        return raw

    def _weights(self) -> tuple[tuple[str, int], ...]:
        found = []
        for device, weight in sorted(self.written.weights.items()):
            try:
                found.append((device, milli(weight)))
            except ValueError as err:
                self.refuse(f"weights: {device}", str(err))
        return tuple(found)


def _shown(given: object) -> str:
    """A value as the file has it, and a space; of a table nothing."""
    match given:
        case bool():
            return "true " if given else "false "
        case int() | float():
            return f"{given:g} "
        case str():
            return f'"{given}" '
        case _:
            return ""


def _features_of(name: str) -> list[Feature]:
    """How a quantity can be judged. An amount means nothing without the time in which it fell."""
    if name in SUMMED:
        return [Feature.SUM, Feature.COINCIDENCE]
    return [feature for feature in Feature if feature is not Feature.SUM]
