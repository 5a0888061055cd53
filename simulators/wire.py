"""What every simulated wire is: started, stopped, with a fault a unit and answers that come late."""

import asyncio
from collections.abc import Callable, Iterable
from typing import ClassVar, Self

from simulators.faults import Fault


class Timers:
    """Late answers; all are dropped when the wire stops."""

    def __init__(self) -> None:
        self._handles: set[asyncio.TimerHandle] = set()

    @property
    def waiting(self) -> int:
        """How many are still to come."""
        return len(self._handles)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Does it after so many seconds of real time, unless the wire stops before."""
        def run() -> None:
            self._handles.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._handles.add(handle)

    def drop(self) -> None:
        for handle in self._handles:
            handle.cancel()
        self._handles.clear()


class Wire:
    """What all wires share. `where` says how to reach it, once started."""

    CANNOT: ClassVar[tuple[type, ...]] = ()

    def __init__(self, units: Iterable[int]) -> None:
        self._timers = Timers()
        self._units = tuple(units)
        self.faults: dict[int, Fault] = {}

    def set_fault(self, unit: int, fault: Fault | None) -> None:
        """From the next request (or line) on. Raises ValueError for a unit not here, or a fault it cannot have."""
        if unit not in self._units:
            raise ValueError(f"unit {unit} is not on this wire; use {', '.join(map(str, self._units)) or 'none'}")
        if type(fault) in self.CANNOT:
            raise ValueError(f"{type(self).__name__}: {fault} is not allowed; this wire has no such fault")
        if fault is None:
            self.faults.pop(unit, None)
        else:
            self.faults[unit] = fault

    @property
    def where(self) -> str:
        raise NotImplementedError

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
