"""tocsin, the bell that wakes a village: the words that every part shares."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tocsin")
except PackageNotFoundError:  # read from a tree that was never installed
    __version__ = "0"
