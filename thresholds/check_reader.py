"""The checks of a file: from what is written to whole numbers, and what is wrong with them."""

from collections.abc import Iterator, Sequence

from thresholds.rule import Check
from thresholds.rulefile import RAIN_PER_MIN, CheckTable, milli
from tocsin.quantities import SUMMED, quantity


def read_checks(tables: Sequence[CheckTable], place: str) -> tuple[tuple[Check, ...], list[str]]:
    """The checks, and every problem as a sentence."""
    problems: list[str] = []
    checks: list[Check] = []
    for number, table in enumerate(tables, 1):
        wrong = list(_wrong(table, tables[:number - 1]))
        problems += [f"{place}: check {number}: {why}" for why in wrong]
        if not wrong:
            checks.append(_check(table))
    return tuple(checks), problems


def default_check(judged_as: str) -> Check:
    """What holds for a quantity without a check of its own: rain faster than any rain is held back."""
    return Check(judged_as, rate_per_min=milli(RAIN_PER_MIN) if judged_as in SUMMED else 0)


def _check(table: CheckTable) -> Check:
    default = default_check(table.quantity)
    return Check(
        quantity=table.quantity,
        device=table.device or "",
        rate_per_min=default.rate_per_min if table.max_rate_per_min is None else milli(table.max_rate_per_min),
        floor=milli(table.spike_floor or 0.0),
        stuck_ms=round((table.stuck_after_h or 0.0) * 3_600_000),
        blocked=milli(table.blocked_mm or 0.0),
        stale_ms=round((table.stale_after_min or 0.0) * 60_000),
    )


def _wrong(table: CheckTable, before: Sequence[CheckTable]) -> Iterator[str]:
    try:
        known = quantity(table.quantity)
    except ValueError as err:
        yield f"quantity: {err}"
        return
    if known.increments:
        yield f'quantity: "{known.name}" is checked as "{known.increments}"; use that'
    if any((one.quantity, one.device or "") == (table.quantity, table.device or "") for one in before):
        device = f' of device "{table.device}"' if table.device else ""
        yield f'quantity: "{known.name}"{device} has a check already; keep one of them'
    for key in ("max_rate_per_min", "spike_floor", "blocked_mm"):
        value = getattr(table, key)
        try:
            milli(value or 0.0)
        except ValueError as err:
            yield f"{key}: {err}"
    if table.blocked_mm is not None and known.name not in SUMMED:
        yield f"blocked_mm: {table.blocked_mm:g} is not allowed: it belongs to {', '.join(sorted(SUMMED))}"
