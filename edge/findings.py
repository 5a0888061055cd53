"""What the kernel finds, as records and in words."""

from edge.device import Device
from thresholds.kernel import Change, Freshness
from thresholds.rule import SCALE, Feature, Rule
from tocsin.inputs import Shadow
from tocsin.messages import Detection, Event, EventKind
from tocsin.quantities import quantity
from tocsin.readings import Reading, Reason, Rejection


def detection(change: Change) -> Detection:
    """A change of level as it is logged and published."""
    rule = change.track.rule
    return Detection(
        boot="",
        seq=0,
        t=change.t_ms,
        series=change.track.series.key,
        rule=rule.name,
        hazard=rule.hazard,
        level=int(change.level),
        previous=int(change.previous),
        revision=change.revision,
        episode=change.episode,
        since=change.since_ms,
        stage=change.stage,
        authority=change.authority,
        value=change.value,
        threshold=change.threshold,
        over_s=rule.over_s,
        hold_s=change.hold_s,
        feature=rule.feature.value,
        target=target_of(change),
        shelved=change.shelved,
    )


def target_of(change: Change) -> float | None:
    """What the way is to, where the feature has one."""
    rule = change.track.rule
    if rule.feature is Feature.TIME_TO:
        return rule.target / SCALE
    return change.track.series.plausible[1] if rule.feature is Feature.COINCIDENCE else None


def shadow(change: Change) -> Shadow:
    """What a candidate rule would have told."""
    return Shadow(
        "", 0, change.t_ms, change.track.series.key, change.track.rule.name, int(change.level), int(change.previous),
        change.revision, change.episode, change.since_ms, change.value, change.threshold,
    )  # fmt: skip


def freshness(fresh: Freshness, stale_ms: int, *, in_service: bool) -> Event:
    """A series fell silent, or came back; `reason` says how bad it is."""
    if not fresh.stale:
        return Event("", 0, fresh.t_ms, EventKind.FRESH, "good readings again", series=fresh.series.key)
    if fresh.unconfirmed:
        reason, detail = "unconfirmed", "silent for hours while its level holds: somebody must look"
    elif fresh.urgent:
        reason, detail = "urgent", f"no good reading for {stale_ms / 1000:g} s while another series is above clear"
    else:
        reason, detail = "", f"no good reading for {stale_ms / 1000:g} s"
    if in_service and not fresh.unconfirmed:
        reason, detail = "service", f"{detail}: somebody works on the device"
    return Event("", 0, fresh.t_ms, EventKind.STALE, detail, series=fresh.series.key, reason=reason)


def reason_of(change: Change) -> str:
    """Why the siren is told."""
    rule = change.track.rule
    over = f" in {rule.over_s // 60} min" if rule.feature is Feature.SUM else ""
    # what a CUSUM adds up is above zero whichever side is bad
    down = rule.feature is Feature.TIME_TO or (rule.low and rule.feature is not Feature.CUSUM)
    if change.level == change.previous:
        return f"{rule.name}: stands, and is shelved no longer"
    if change.level > change.previous:
        word = "at or below" if down else "at or above"
    else:
        word = "above" if down else "below"
    return f"{rule.name}: {change.value:g}{_unit(rule)}{over} is {word} {change.threshold:g}"


def _unit(rule: Rule) -> str:
    unit = quantity(rule.quantity).unit
    match rule.feature:
        case Feature.RATE | Feature.SLOPE:
            return f" {unit}/h"
        case Feature.TIME_TO:
            return f" min to {rule.target / SCALE:g} {unit}"
        case Feature.COINCIDENCE:
            return " of weight"
        case _:
            return f" {unit}"


def implausible(device: Device, reading: Reading, value: float) -> Rejection:
    """A value outside what the site allows."""
    series = device.series[reading.quantity].series
    low, high = series.plausible
    detail = f"{series.quantity} {value:g} is outside the plausible {low:g} to {high:g}"
    return Rejection(Reason.IMPLAUSIBLE, detail, reading.quantity)
