"""tocsin, the bell that wakes a village: the words that every part shares."""

__version__ = "0.1.0"  # looked up by importlib.metadata it would cost a station 1 MB
