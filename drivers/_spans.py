"""What drivers with a measuring span share: the instrument's own span, not what is plausible at a site."""

import math
from enum import StrEnum

from tocsin.readings import Reading, Reason, Rejection

Span = tuple[float, float]


class Measures(StrEnum):
    """What a level instrument is set to give: the way down to the water, or the level over its own zero."""

    DISTANCE = "distance"
    LEVEL = "level"

    @property
    def quantity(self) -> str:
        return {"distance": "distance_m", "level": "depth_m"}[self.value]


def check_span(key: str, span: Span) -> None:
    """Raises ValueError that names the key unless both ends are finite and the low one comes first."""
    low, high = span
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{key}: [{low}, {high}] is not allowed; use [low, high], two finite numbers, low below high")


def within(quantity: str, value: float, span: Span) -> Reading | Rejection:
    """The reading where `value` lies inside the span, its ends included; otherwise its refusal (RANGE)."""
    low, high = span
    if low <= value <= high:
        return Reading(quantity, value)
    return Rejection(Reason.RANGE, f"{value} is outside the instrument's span {low} to {high}", quantity)
