"""docs/events.md names every event and every reason that a station can tell."""

import re

import pytest

from tests.shared_data import REPOSITORY
from tocsin.faults import Fault
from tocsin.messages import EventKind
from tocsin.readings import Reason

pytestmark = pytest.mark.docs

PAGE = (REPOSITORY / "docs" / "events.md").read_text()
ROWS = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))


def test_every_event_and_reason_stands_on_the_page_and_nothing_else() -> None:
    assert {*EventKind, *Reason, *Fault, "start"} == ROWS
