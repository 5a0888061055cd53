"""All that a decider remembers beside its rules, in bytes (MessagePack), without a copy of what is large."""

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from edge.sounding import Heard, Wait
from thresholds.kernel import StateError

Part = bytes | memoryview
_MAP, _BIN, _HEAD_OF_BYTES = 0x80, 0xC6, struct.Struct(">BI")  # a small map; bytes with their length


class Saved(msgspec.Struct, frozen=True):
    """`live` and `shadow` are what the kernel saved. `hidden`: rule and series of levels last told as shelved."""

    live: memoryview
    shadow: memoryview | None
    now_ms: int
    begun_ms: int
    service: dict[str, int]
    stuck: list[str]
    waits: list[Wait]
    gone: list[tuple[str, str, int]]
    answered: list[Heard] = []
    quiet: list[Heard] = []
    hidden: list[tuple[str, str]] = []


def packed(saved: Saved, large: Mapping[str, Sequence[Part]]) -> list[Part]:
    """As MessagePack has it; the parts of the fields that `large` names stand in place of what `saved` has there."""
    parts: list[Part] = [bytes([_MAP | len(saved.__struct_fields__)])]
    for name in saved.__struct_fields__:
        parts.append(msgspec.msgpack.encode(name))
        if name in large:
            parts += [_HEAD_OF_BYTES.pack(_BIN, sum(map(len, large[name]))), *large[name]]
        else:
            parts.append(msgspec.msgpack.encode(getattr(saved, name)))
    return parts


def loaded(memory: Part) -> Saved:
    """Its views are of `memory`. Raises StateError."""
    try:
        return msgspec.msgpack.decode(memory, type=Saved)
    except msgspec.MsgspecError as err:
        raise StateError(f"what was saved cannot be read: {err}") from err


def squeezed(parts: Iterable[Part]) -> bytes:
    """Compressed with zlib, one after the other."""
    squeezing = zlib.compressobj(1)
    return b"".join([*map(squeezing.compress, parts), squeezing.flush()])
