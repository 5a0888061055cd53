"""Runs a command that may hang: it and all that it started end in time."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

_TOLD = 300  # characters of what it said last
_KEPT = 4 * _TOLD  # bytes of it
_PIECE = 64 << 10


async def problem_of(words: Sequence[str], timeout_s: float) -> str:
    """What went wrong, "" where it ended with 0 in time."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as err:
        return f"{words[0]}: {err.strerror}"
    except ValueError as err:  # a word that no command can be given, with a NUL in it
        return f"{words[0]}: {err}"
    try:
        async with asyncio.timeout(timeout_s):
            said = await _end_of(process.stdout)
            await process.wait()
    except TimeoutError:
        return f"{words[0]} was not done after {timeout_s:g} s"
    finally:
        with contextlib.suppress(ProcessLookupError):  # what it started may outlive it
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    ended = process.returncode
    return f"{words[0]} ended with {ended}: {said.decode(errors='replace').strip()[-_TOLD:]}" if ended else ""


async def _end_of(output: asyncio.StreamReader | None) -> bytes:
    """What it said last, once it and what it started say no more: however much that was, little is kept."""
    kept = b""
    while output is not None and (piece := await output.read(_PIECE)):
        kept = (kept + piece)[-_KEPT:]
    return kept
