"""What is wrong with a rules file, for `tocsin check`."""

from pathlib import Path

from thresholds.rules import load_rules
from tocsin.config import ConfigError


def check(path: Path) -> list[str]:
    """Every problem of the file as a sentence; none if it is good. Whether a station fits the rules is bind's word."""
    try:
        load_rules(path)
    except ConfigError as err:
        return err.problems
    return []
