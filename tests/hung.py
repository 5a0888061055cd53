"""Programs that do not begin, as from a disk that hangs."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def hung_programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Who begins a program in the block is held until its end; set once somebody is. Not on the test's own loop."""
    popen, entered, free = subprocess.Popen, threading.Event(), threading.Event()

    def hang(*args: Any, **kwargs: Any) -> Any:
        assert threading.current_thread() is not threading.main_thread(), "everything else waits for the disk"
        entered.set()
        free.wait(60)
        return popen(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", hang)
        try:
            yield entered
        finally:
            free.set()
