"""Threads for what may hang, a disk or a name that is looked up: they hold up neither others nor the process's end."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")
LEAVE_AFTER_S = 5.0  # a card that is busy has answered by then

log = logging.getLogger(__name__)


class Threads(ThreadPoolExecutor):
    """As its base, with daemon threads: `shutdown` waits for LEAVE_AFTER_S at most, the interpreter's end not at all.

    The base's own threads are joined at the interpreter's end however long they hang. asyncio takes only a
    ThreadPoolExecutor for its default.
    """

    def __init__(self, most: int, name: str) -> None:
        """At most so many threads, made as they are needed."""
        super().__init__(most, name)
        self._most = most
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: list[threading.Thread] = []
        self._open = 0      # jobs that are waiting or being done
        self._ended = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Raises RuntimeError after `shutdown`."""
        future: Future[T] = Future()
        with self._lock:
            if self._ended:
                raise RuntimeError("it was shut down")
            self._open += 1
            if self._open > len(self._running) < self._most:
                thread = threading.Thread(target=self._work, name=f"{self._name} {len(self._running)}", daemon=True)
                self._running.append(thread)
                thread.start()
            self._jobs.put((future, partial(fn, *args, **kwargs)))
        return future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            _do(*job)
            del job  # what it gave must not stay in memory until the next one
            with self._lock:
                self._open -= 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """What hangs is left alone; `hanging` says so. What waits is done, or hangs too."""
        with self._lock:
            self._ended = True
        with suppress(queue.Empty):
            while cancel_futures and (job := self._jobs.get_nowait()):
                job[0].cancel()  # who waits for it must not wait for ever
        for _ in self._running:
            self._jobs.put(None)
        until_s = time.monotonic() + LEAVE_AFTER_S
        for thread in self._running if wait else ():
            thread.join(max(0.0, until_s - time.monotonic()))
        if wait and self.hanging:
            log.error("%s: it does not answer, and is not waited for", self._name)

    @property
    def hanging(self) -> bool:
        """After `shutdown`: something is still under way."""
        return any(thread.is_alive() for thread in self._running)


def _do(future: "Future[T]", job: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = job()
    except BaseException as err:  # noqa: BLE001 - whatever it is belongs to who asked
        future.set_exception(err)
    else:
        future.set_result(result)
