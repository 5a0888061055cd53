"""The peers that only the benches need: pandas, polars, bottleneck and numba, of the extra `bench`."""

import importlib
import sys
from typing import Any

from benchmarks._rows import BenchError

CURE = "make bench installs it (the extra `bench`)"


class MissingPeerError(BenchError):
    """A peer is not installed; what it would have been compared with is left out."""


def peer(name: str) -> Any:
    """The peer's module. Raises MissingPeerError."""
    try:
        return importlib.import_module(name)
    except ImportError as err:
        raise MissingPeerError(f"{name} is not installed: {CURE}") from err


def have(bench: str, *names: str) -> bool:
    """Whether these peers are installed; says on stderr what is left out where one is not."""
    for name in names:
        try:
            peer(name)
        except MissingPeerError as err:
            print(f"{bench}: what stands beside {name} is left out: {err}", file=sys.stderr)
            return False
    return True
