"""The least of a hub: `python -m benchmarks._committer PORT ID KEY [CA]` answers `committed` to all of a station.

Stands in for a hub where only the station is measured; it keeps nothing.
"""

import asyncio
import ssl
import sys

import aiomqtt
import msgspec

from hub.checks import RecordId
from hub.committed import APART_S, ranges_of
from tocsin import topics
from tocsin.messages import VERSION, Committed, digest, encode, upload_of
from tocsin.signing import seal

_AGAIN_S = 0.5
_LANES = (topics.READINGS, topics.DETECTIONS, topics.ANSWERS)


class _Id(msgspec.Struct):
    boot: str
    seq: int


async def serve(port: int, station: str, key: str, ca: str = "") -> None:
    """For ever; a broker that goes away is waited for. `ca`: the file of who signed the broker's certificate."""
    tls = ssl.create_default_context(cafile=ca) if ca else None
    while True:
        try:
            async with aiomqtt.Client(
                "127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5, tls_context=tls
            ) as client:
                for lane in _LANES:
                    await client.subscribe(topics.up(station, lane), qos=1)
                await _answer(client, station, key)
        except aiomqtt.MqttError:
            await asyncio.sleep(_AGAIN_S)


async def _answer(client: aiomqtt.Client, station: str, key: str) -> None:
    waiting: list[RecordId] = []
    telling = asyncio.create_task(_tell(client, station, key, waiting))
    try:
        async for message in client.messages:
            for record in upload_of(bytes(message.payload)).records:
                one = msgspec.json.decode(record, type=_Id)
                waiting.append(RecordId(one.boot, one.seq, digest(bytes(record))))
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _tell(client: aiomqtt.Client, station: str, key: str, waiting: list[RecordId]) -> None:
    topic = topics.committed(station)
    while True:
        await asyncio.sleep(APART_S)
        if waiting:
            ranges = ranges_of(waiting)
            waiting.clear()
            await client.publish(topic, seal(encode(Committed(VERSION, "bench", ranges)), topic, key), qos=1)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:]))
