"""The hub's own heartbeat: retained, signed with the hub's key, with a last will, for whoever watches the hub."""

import msgspec

from tocsin.messages import VERSION, decode, encode
from tocsin.signing import SealError, sign, verify
from tocsin.topics import ALIVE


class Alive(msgspec.Struct, frozen=True, omit_defaults=True):
    """`boot`: 16 hex digits made at each start, within which `seq` rises by one; `t`: the hub's time, ms UTC. `start`
    rises with each start of a hub, 0 for one that does not count them.

    `reasons`: why the hub cannot do its work now, `troubles`: what somebody should look at; sentences. A last will has
    `online` false and seq 0.
    """

    v: int
    hub: str
    name: str
    boot: str
    seq: int
    t: int
    online: bool
    reasons: list[str] = []
    troubles: list[str] = []
    start: int = 0


_DECODER = msgspec.json.Decoder(Alive)


def signed(alive: Alive, private_key: str) -> bytes:
    return sign(encode(alive), ALIVE, private_key)


def alive_of(data: bytes, public_key: str) -> Alive:
    """Raises SealError for what this hub did not sign, or what is no heartbeat of a version that is known."""
    body = verify(data, ALIVE, public_key)
    try:
        alive = decode(_DECODER, body)
    except msgspec.DecodeError as err:
        raise SealError(f"{ALIVE}: {err}") from err
    if alive.v != VERSION:
        raise SealError(f"{ALIVE}: version {alive.v} of the wire contract; this side speaks {VERSION}")
    return alive
