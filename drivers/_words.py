"""What the Modbus drivers share: is the answer whole, and what number do its 16-bit words make."""

from collections.abc import Sequence

from tocsin.devices import Request
from tocsin.readings import Reason, RejectedError


def check_answers(answers: Sequence[Sequence[int]], requests: Sequence[Request]) -> None:
    """One answer a request, as many words as asked for, each of 16 bits. Raises RejectedError (FORMAT)."""
    if len(answers) != len(requests):
        raise RejectedError(Reason.FORMAT, f"{len(answers)} answers to {len(requests)} requests")
    for answer, request in zip(answers, requests, strict=True):
        if len(answer) != request.count:
            detail = f"{len(answer)} words from address {request.address}, asked for {request.count}"
            raise RejectedError(Reason.FORMAT, detail)
        for word in answer:
            if not 0 <= word <= 0xFFFF:
                raise RejectedError(Reason.FORMAT, f"{word} is not a 16-bit word")


def int16(word: int) -> int:
    """The word as a signed number, two's complement."""
    return word - 0x1_0000 if word & 0x8000 else word


def uint32(high: int, low: int) -> int:
    """Two words as one number without sign."""
    return high << 16 | low


def int32(high: int, low: int) -> int:
    """Two words as one signed number, two's complement."""
    value = uint32(high, low)
    return value - 0x1_0000_0000 if value & 0x8000_0000 else value
