"""Real records and frames are kept beside the checkout, not in it: `../shared`, or what TOCSIN_SHARED names."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def shared_root() -> Path:
    """The folder of shared data; it need not exist."""
    return Path(os.environ.get("TOCSIN_SHARED") or REPOSITORY.parent / "shared")


def shared_path(relative: str) -> Path:
    """A file or folder of the shared data, as in `shared_path("data/records/events.csv")`.

    Skips the test where it is absent. With TOCSIN_REQUIRE_SHARED=1 the test fails instead.
    """
    path = shared_root() / relative
    if path.exists():
        return path
    reason = f"no shared data at {path}: put it beside the checkout as ../shared, or name its folder in TOCSIN_SHARED"
    if os.environ.get("TOCSIN_REQUIRE_SHARED") == "1":
        pytest.fail(f"{reason} (TOCSIN_REQUIRE_SHARED=1 forbids skipping)")
    pytest.skip(reason)
