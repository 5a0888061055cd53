"""Who is told to install something more is told how: from the checkout, for the name on an index may be anybody's."""

import pytest

from tests.shared_data import REPOSITORY


@pytest.mark.parametrize("folder", ["edge", "drivers", "thresholds", "simulators", "tocsin", "hub", "docs"])
def test_no_message_sends_anybody_to_an_index_for_an_extra(folder: str) -> None:
    files = [path for path in (REPOSITORY / folder).rglob("*") if path.suffix in {".py", ".toml", ".md"}]
    assert files
    assert [path.name for path in files if "tocsin[" in path.read_text(encoding="utf-8")] == []
