"""What the hub's parts need of the link to say something."""

from collections.abc import Awaitable
from typing import Protocol


class Publish(Protocol):
    """tocsin.link.Link.publish: returns when the broker has it. Raises tocsin.link.LinkDownError."""

    def __call__(self, topic: str, payload: bytes, *, retain: bool = False) -> Awaitable[None]: ...
