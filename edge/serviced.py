"""What is in service: names of devices and series (`device/quantity`), each with its end in ms UTC."""

from collections.abc import Sequence

import numpy as np

from thresholds.kernel import State, begin_anew
from tocsin.inputs import Service


def is_served(until: dict[str, int], name: str, t_ms: int) -> bool:
    """Whether somebody works on this device, or on this series or its device."""
    return bool(until) and t_ms < max(until.get(name, 0), until.get(name.partition("/")[0], 0))


def served(until: dict[str, int], record: Service) -> dict[str, int]:
    """What is in service after the record. What is said of a device holds for each of its series."""
    name = record.series or record.device
    left = {key: end for key, end in until.items() if not _is_of(key, name)}
    return left | {name: record.until} if record.until > record.t else left


def compare_anew(states: Sequence[State], record: Service) -> None:
    """The next reading of what the record names is compared with nothing before."""
    for state in states:
        series = [i for i, one in enumerate(state.plan.series) if _is_of(one.key, record.series or record.device)]
        begin_anew(state, np.array(series, np.int64))


def _is_of(key: str, name: str) -> bool:
    """Whether that is the device or series itself, or a series of the device."""
    return key == name or key.startswith(f"{name}/")
