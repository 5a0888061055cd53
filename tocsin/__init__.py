"""tocsin, the bell that wakes a village: the words that every part shares."""


def __getattr__(name: str) -> str:
    """`__version__`, looked up when asked for: the look-up loads more than a station's kernel does."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tocsin")
    except PackageNotFoundError:  # read from a tree that was never installed
        return "0"
