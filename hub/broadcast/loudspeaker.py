"""Village loudspeakers and sirens by MQTT: the bulletin, signed with the hub's key, retained for area and hazard.

    topic  tocsin/1/area/<code>/bulletin/<hazard>    retained; a closing bulletin too
           tocsin/1/area/<code>/bulletin             emptied: what older hubs retained there would stand for ever
    body   {"v":1,"sig":"<Ed25519, hex>","body":<messages.Bulletin>}   signed over topic, line feed and the body's bytes
"""

from hub.config import HubConfig
from hub.errors import TransientError
from hub.model import Warning as HubWarning
from hub.publish import Publish
from tocsin import topics
from tocsin.link import LinkDownError
from tocsin.messages import Bulletin, encode
from tocsin.signing import sign


class Channel:
    """A broker forgets what it retained when it is wiped: the hub sends it again at each connection."""

    retained = True

    def __init__(self, config: HubConfig, publish: Publish) -> None:
        self._private_key = config.hub.private_key
        self._publish = publish
        self._swept: set[str] = set()  # areas whose old topic was emptied since the start

    async def send(self, bulletin: Bulletin, warning: HubWarning) -> str:  # noqa: ARG002 - the bulletin says it all
        topic = topics.bulletin(bulletin.area, bulletin.hazard)
        try:
            await self._publish(topic, sign(encode(bulletin), topic, self._private_key), retain=True)
            if bulletin.area not in self._swept:
                await self._publish(f"{topics.ROOT}/area/{bulletin.area}/bulletin", b"", retain=True)
                self._swept.add(bulletin.area)
        except LinkDownError as err:
            raise TransientError(f"loudspeaker: broker: {err}") from err
        return topic
