"""A heartbeat made as small as the broker needs it: what matters least goes first, and is counted.

First go devices that are well, then words are cut, then devices that are not well, then faults: those of single devices
before those of the whole station; at last what is said of siren and log. That the station is there, for what its siren
sounds and how it is powered is said in any case.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from tocsin.faults import Fault
from tocsin.health import DeviceHealth, Heartbeat, LogHealth, SirenHealth
from tocsin.messages import encode

_WORDS = 100  # characters of what is wrong with one thing: as long as most are

T = TypeVar("T")
Packer = Callable[[bytes], bytes]


def fitted(beat: Heartbeat, most: int, packer: Packer) -> bytes:
    """In at most `most` bytes; where that cannot be, as small as it gets."""
    if len(whole := packer(encode(beat))) <= most:
        return whole
    ill = sum(bool(device.fault) for device in beat.devices) + len(beat.faults)
    for form, least in ((beat, ill), (_cut(beat), 0), (_bare(beat), 0)):
        packed = _most_of(form, least, most, packer)
        if len(packed) <= most:
            break
    return packed


def _most_of(beat: Heartbeat, least: int, most: int, packer: Packer) -> bytes:
    """With as many devices and faults as there is room for, `least` of them in any case."""
    fits, beyond = least, len(beat.devices) + len(beat.faults) + 1
    packed = packer(encode(_with(beat, fits)))
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        more = packer(encode(_with(beat, middle)))
        if len(more) <= most:
            fits, packed = middle, more
        else:
            beyond = middle
    return packed


def _with(beat: Heartbeat, count: int) -> Heartbeat:
    """So many of its faults and devices, those first that are not well; the others are counted."""
    faults = _first(beat.faults, count, lambda one: one.fault == Fault.SENSOR)
    devices = _first(beat.devices, count - len(faults), lambda one: not one.fault)
    return msgspec.structs.replace(
        beat, faults=faults, devices=devices,
        more_faults=len(beat.faults) - len(faults), more_devices=len(beat.devices) - len(devices),
        more_ill=sum(bool(one.fault) for one in beat.devices) - sum(bool(one.fault) for one in devices))


def _first(ones: Sequence[T], count: int, later: Callable[[T], bool]) -> list[T]:
    """So many of them in their order; those that are `later` only where there is room left."""
    kept = sorted(range(len(ones)), key=lambda at: later(ones[at]))[:count]
    return [ones[at] for at in sorted(kept)]


def _cut(beat: Heartbeat) -> Heartbeat:
    return msgspec.structs.replace(
        beat, devices=[_cut_device(device) for device in beat.devices],
        faults=[msgspec.structs.replace(one, detail=one.detail[:_WORDS], zh=one.zh[:_WORDS]) for one in beat.faults],
        siren_health=_cut_siren(beat.siren_health), log=_cut_log(beat.log))


def _cut_device(device: DeviceHealth) -> DeviceHealth:
    return msgspec.structs.replace(device, fault=device.fault[:_WORDS])


def _cut_siren(siren: SirenHealth | None) -> SirenHealth | None:
    return siren and msgspec.structs.replace(siren, fault=siren.fault[:_WORDS], fault_zh=siren.fault_zh[:_WORDS])


def _cut_log(health: LogHealth | None) -> LogHealth | None:
    return health and msgspec.structs.replace(health, fault=health.fault[:_WORDS])


def _bare(beat: Heartbeat) -> Heartbeat:
    return msgspec.structs.replace(_cut(beat), siren_health=None, log=None)
