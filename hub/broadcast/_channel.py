"""What a channel is: one module in hub/broadcast, found by its file name, with a class `Channel`."""

from typing import Protocol, runtime_checkable

from hub.model import Warning as HubWarning
from tocsin.messages import Bulletin


@runtime_checkable
class AnyChannel(Protocol):
    """One way to say a bulletin. It is made as `Channel(config: HubConfig, publish: hub.publish.Publish)`."""

    @property
    def retained(self) -> bool:
        """Whether the newest bulletin of each area must be sent again when the broker comes back."""

    async def send(self, bulletin: Bulletin, warning: HubWarning) -> str:
        """Sends once, never sleeps; gives a receipt. Sending the same bulletin again is harmless.

        `warning` is the one that the bulletin speaks of, as it is now. Raises TransientError where it is worth trying
        again, PermanentError where it is not.
        """
