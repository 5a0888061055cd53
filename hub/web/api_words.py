"""The words of the interface for programs: in English they stand in its description, in Chinese beside them."""

ZH: dict[str, str] = {}  # by the English words


def both(english: str, chinese: str) -> str:
    """The English words, whose Chinese is known from now on."""
    ZH[english] = chinese
    return english
