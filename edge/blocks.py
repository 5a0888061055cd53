"""Which reads of a device go over the wire together: requests that lie side by side become one block.

A question and the head of its answer cost a line about as much as ten registers, so a gap of up to GAP registers that
nobody wants is read along. A request itself is never cut: what a driver reads at once belongs together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.modbus import BIT_FUNCTIONS
from tocsin.devices import Request

MAX_REGISTERS, MAX_BITS = 125, 2000     # Modbus Application Protocol 1.1b3, 6.1 and 6.3
GAP = 8
_BITS_A_REGISTER = 16


@dataclass(frozen=True, slots=True)
class Block:
    """One read. `parts`: of each request in it the place in the driver's list, and where in the answer it begins."""

    request: Request
    parts: tuple[tuple[int, int], ...]


def blocks_of(requests: Sequence[Request], max_registers: int = MAX_REGISTERS) -> list[Block]:
    """The reads for these requests, in the order in which the first of each block stands in the list.

    No block is longer than `max_registers` (or as many times 16 bits), but for a request that is so by itself.
    """
    order = sorted(range(len(requests)), key=lambda i: (requests[i].function, requests[i].address, requests[i].count))
    groups: list[tuple[Request, list[int]]] = []
    for i in order:
        joined = _joined(groups[-1][0], requests[i], max_registers) if groups else None
        if joined is None:
            groups.append((requests[i], [i]))
        else:
            groups[-1] = (joined, [*groups[-1][1], i])
    groups.sort(key=lambda group: min(group[1]))
    return [Block(whole, tuple((i, requests[i].address - whole.address) for i in sorted(members)))
            for whole, members in groups]


def singles(requests: Sequence[Request], block: Block) -> list[Block]:
    """A block's requests each by itself: for a device that refuses the block."""
    return [Block(requests[i], ((i, 0),)) for i, _ in block.parts]


def cut(requests: Sequence[Request], block: Block, words: list[int]) -> dict[int, list[int]]:
    """By its place in the list, what each request of the block asked for."""
    return {i: words[at:at + requests[i].count] for i, at in block.parts}


def _joined(first: Request, then: Request, max_registers: int) -> Request | None:
    """Both in one read, or None where they do not belong together; `then` does not begin before `first`."""
    bits = first.function in BIT_FUNCTIONS
    most = min(MAX_BITS, max_registers * _BITS_A_REGISTER) if bits else min(MAX_REGISTERS, max_registers)
    gap = GAP * _BITS_A_REGISTER if bits else GAP
    end = first.address + first.count
    count = max(end, then.address + then.count) - first.address
    if first.function != then.function or then.address - end > gap:
        return None
    return Request(first.function, first.address, count) if count <= most or count == first.count else None
