"""One audible test of the siren, from its beginning to what it proved."""

import asyncio


class Trial:
    """`agreed`: the output was on and said so. `proved` is set at its end."""

    def __init__(self, until_s: float) -> None:
        """`until_s`: the second of the agent's clock (monotonic) in which it ends."""
        self.until_s = until_s
        self.proved: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.agreed = False

    def end(self, *, proved: bool = True) -> None:
        """At its time, or before: then it proved nothing."""
        if not self.proved.done():
            self.proved.set_result(proved and self.agreed)
