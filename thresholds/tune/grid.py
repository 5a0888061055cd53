"""Which values are tried: from the command line, from a sweep file, and what holds where neither says anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from thresholds.rule import Feature, Rule
from thresholds.rulefile import defaults_of
from thresholds.tables import NEVER
from thresholds.tune.sheet import Sheet
from tocsin.config import ConfigError, read_toml

Value = float | int | str | bool
Values = dict[str, tuple[Value, ...]]

OFF_KEYS = ("off", "off_fraction", "off_below", "off_above")
N_OF_M = "n_of_m"
LEVEL_KEYS = ("on", *OFF_KEYS, N_OF_M, "on_delay_s", "off_delay_min", "min_valid")
RULE_KEYS = ("over_min", "n_min", "robust", "target", "floor", "reference", "allowance")
KEYS = LEVEL_KEYS + RULE_KEYS
HELP = {
    "on": "thresholds, in the unit of the rule", "off": "where the level falls", "off_fraction": "off as a part of on",
    "off_below": "off as on minus this", "off_above": "off as on plus this", "n_of_m": "N/M: 1/1,2/3,3/5",
    "on_delay_s": "seconds before it rises", "off_delay_min": "minutes before it falls",
    "min_valid": "least coverage of a low sum", "over_min": "windows, minutes", "n_min": "least readings of a slope",
    "robust": "true,false", "target": "what a time counts to", "floor": "least value for a time to count",
    "reference": "of a cumulative sum", "allowance": "of a cumulative sum",
}
WHOLE = frozenset({"n_min"})
MOST_VALUES = 2000

# Where nothing is said. Time to a threshold: from a quarter of an hour, in which a village can be woken, to three
# hours. CUSUM: parts and multiples of the file's own threshold.
HORIZONS_MIN = (15, 20, 30, 45, 60, 90, 120, 180)
CUSUM_FACTORS = (0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4)
FRACTIONS = (0.9, 0.8, 0.7)
N_OF_MS = ("1/1", "2/3", "3/5")
STEPS = 24
FINE = 50            # steps that the range of thresholds is at least cut into, when rounded
OFTEN, MOST_OFTEN = 0.1, 0.5    # part of readings that reach the lowest threshold tried, where events are rare or not
SHARES = (0.02, 0.05, 0.1)    # of the range of `on`, below it


@dataclass(frozen=True, slots=True)
class _Range:
    low: Decimal
    high: Decimal
    step: Decimal

    def values(self, key: str) -> tuple[Value, ...]:
        if self.step <= 0 or self.high < self.low:
            raise ConfigError([f"{key}: {self.low}:{self.high}:{self.step} is not a range; "
                               "use LOW:HIGH:STEP with a step above 0"])
        count = int((self.high - self.low) / self.step) + 1
        if count > MOST_VALUES:
            raise ConfigError([f"{key}: {count} values are too many; use at most {MOST_VALUES}"])
        return tuple(_plain(key, self.low + self.step * number) for number in range(count))


def values_of(key: str, text: str) -> tuple[Value, ...]:
    """The values of `--key TEXT`: LOW:HIGH:STEP, or a list with commas. Raises ConfigError."""
    name = f"--{key.replace('_', '-')}"
    if key == N_OF_M:
        return tuple(_n_of_m(name, part) for part in text.split(","))
    if key == "robust":
        return tuple(_truth(name, part.strip()) for part in text.split(","))
    if ":" in text:
        parts = [_decimal(name, part) for part in text.split(":")]
        if len(parts) != 3:
            raise ConfigError([f'{name}: "{text}" is not a range; use LOW:HIGH:STEP'])
        return _Range(*parts).values(key)
    return tuple(dict.fromkeys(_plain(key, _decimal(name, part)) for part in text.split(",")))


def sweep_file(path: Path) -> Values:
    """The `[sweep]` of a file: a list a key, or {from, to, step}. Raises ConfigError with every problem."""
    tables = read_toml(path)
    given = tables.get("sweep")
    if not isinstance(given, Mapping) or set(tables) != {"sweep"}:
        raise ConfigError([f"{path}: must hold one table, [sweep], and nothing else"])
    found: Values = {}
    problems: list[str] = []
    for key, value in given.items():
        try:
            found[key] = _written(key, value)
        except ConfigError as err:
            problems += [f"{path}: sweep: {problem}" for problem in err.problems]
    if problems:
        raise ConfigError(problems)
    return found


def _written(key: str, value: Any) -> tuple[Value, ...]:
    if key not in KEYS:
        raise ConfigError([f'"{key}" is not a key; use {", ".join(KEYS)}'])
    if isinstance(value, Mapping):
        if set(value) != {"from", "to", "step"}:
            raise ConfigError([f"{key}: give from, to and step, or a list"])
        return values_of(key, ":".join(str(value[part]) for part in ("from", "to", "step")))
    if not isinstance(value, list) or not value:
        raise ConfigError([f"{key}: give a list of values, or {{ from = , to = , step = }}"])
    return values_of(key, ",".join(str(part) for part in value))


def _decimal(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ConfigError([f'{name}: "{text.strip()}" is not a number; use LOW:HIGH:STEP or a list: 1,2,3']) from None
    if not value.is_finite():
        raise ConfigError([f"{name}: {text.strip()} is not allowed; use finite numbers"])
    return value


def _plain(key: str, value: Decimal) -> Value:
    if key in WHOLE:
        if value != int(value):
            raise ConfigError([f"{key}: {value} is not a whole number"])
        return int(value)
    return float(value)


def _n_of_m(name: str, text: str) -> str:
    n, slash, m = text.strip().partition("/")
    if not (slash and n.isdecimal() and m.isdecimal()):
        raise ConfigError([f'{name}: "{text.strip()}" is not N/M; use for example 1/1,2/3,3/5'])
    return f"{int(n)}/{int(m)}"


def _truth(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ConfigError([f'{name}: "{text}" is not allowed; use true, false or both'])
    return text.lower() == "true"


def defaults(rule: Rule, own_on: float, sheet: Sheet, share: float) -> Values:
    """What is tried of `on`, `off` and N of M where nothing is said of them. `share`: of the time, that is events."""
    found: Values = {}
    match rule.feature:
        case Feature.TIME_TO:
            found["on"] = HORIZONS_MIN
        case Feature.CUSUM | Feature.COINCIDENCE:
            found["on"] = tuple(_round(own_on * factor) for factor in CUSUM_FACTORS)
        case _:
            found["on"] = _spread(rule, sheet, min(MOST_OFTEN, max(OFTEN, 5 * share)))
    default = defaults_of(rule.quantity, rule.feature)
    if rule.feature is not Feature.TIME_TO:
        if default.off_fraction is not None and not (rule.low and rule.feature is Feature.VALUE):
            found["off_fraction"] = FRACTIONS
        else:
            ons = [float(value) for value in found["on"]]
            reach = max(ons) - min(ons) or abs(own_on)
            found["off_above" if rule.low else "off_below"] = tuple(
                dict.fromkeys(_round(share * reach) for share in SHARES))
    if default.m > 1:
        found[N_OF_M] = N_OF_MS
    return found


def _spread(rule: Rule, sheet: Sheet, often: float) -> tuple[Value, ...]:
    """Values of the feature that this part of readings reaches, down to a handful in all: evenly in the logarithm."""
    value = sheet.reaching(NEVER + 1)[1].copy()
    count = len(value)
    if not count:
        return ()
    value.sort()
    most = often * count
    ranks = [min(count - 1, round(most * (3 / most) ** (step / (STEPS - 1)))) for step in range(STEPS)]
    picked = [int(value[count - 1 - rank]) * rule.sign / rule.scale for rank in ranks]
    digits = _digits((max(picked) - min(picked)) / FINE)
    rounded = {round(one, digits) for one in picked}
    return tuple(sorted(one for one in rounded if one > 0 or rule.feature is Feature.VALUE or rule.low))


def _digits(step: float) -> int:
    """How many decimals show such a step; no more than thousandths, which is what rules hold."""
    return next((digits for digits in range(3) if 10.0**-digits <= step), 3)


def _round(value: float) -> float:
    """Three digits: what a person would write."""
    return round(float(f"{value:.3g}"), 3)
