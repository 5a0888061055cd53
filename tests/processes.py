"""tocsin's own commands as processes that can be killed like any other server."""

import subprocess
import sys
from pathlib import Path

from tests.services import Server
from tests.shared_data import REPOSITORY


class Command(Server):
    """`python -m tocsin WORDS...`; up as soon as it is started: who needs more waits for what it does."""

    command = "setpriv"  # what every server is started through

    def __init__(self, folder: Path, *words: str) -> None:
        super().__init__(folder)
        self._program = sys.executable
        self._words = words

    def arguments(self) -> list[str]:
        return ["-c", f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); "
                      f"from tocsin.__main__ import main; sys.exit(main({list(self._words)!r}))"]

    def ready(self) -> bool:
        return True

    @property
    def said(self) -> str:
        """Everything it wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def wait(self, within_s: float) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        process: subprocess.Popen[bytes] | None = self._process
        assert process is not None, "not started"
        return process.wait(within_s)
