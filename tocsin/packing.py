"""Messages made small: a payload that begins with `{` is JSON as it is, one that begins with `x` is zlib around it."""

import zlib

WORTH = 200      # bytes; below it nothing is won
_ZLIB = 0x78     # the first byte of every zlib stream that this side makes; no JSON begins so


def pack(data: bytes, least: int = WORTH) -> bytes:
    """Compressed where it has `least` bytes or more and that makes it smaller."""
    if len(data) < least:
        return data
    packed = zlib.compress(data, 6)
    return packed if len(packed) < len(data) else data


def unpack(data: bytes, most: int) -> bytes:
    """What `pack` was given. Raises ValueError where it is damaged or would be more than `most` bytes."""
    if not data or data[0] != _ZLIB:
        return data
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, most)
    except zlib.error as err:
        raise ValueError(f"compressed, and damaged: {err}") from err
    if stream.unconsumed_tail:
        raise ValueError(f"compressed, and more than {most} bytes")
    if not stream.eof or stream.unused_data:
        raise ValueError("compressed, and cut off or followed by something else")
    return plain
