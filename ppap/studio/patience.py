"""Work that may never end, such as a look at a disk that no longer answers, waited for so long."""

from __future__ import annotations

import contextvars
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ppap.studio.access.visitor import current
from ppap.studio.requests import RequestError

T = TypeVar("T")
# Calls under way: of one user, or where nobody logs in, of one page; and of all together. One that
# hangs for ever keeps its place, so that a dead disk takes no more threads than these.
EACH, ALL = 4, 12
SLOW = "This folder is responding too slowly. Choose another, or try again."
BUSY = "Other folders are still being read. Wait a moment, then try again."


class _Answer(Generic[T]):
    """What a call came to."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.value: T | None = None
        self.error: BaseException | None = None


class Patience:
    """Does things in threads of their own and waits for them within limits. Safe for many threads.

    Args:
        each: calls under way of one share (see ``Visitor.share``).
        most: of all together.
    """

    def __init__(self, each: int = EACH, most: int = ALL) -> None:
        self.each, self.most = each, most
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()

    def within(self, seconds: float, work: Callable[[], T]) -> T:
        """What ``work`` returns or raises.

        Raises:
            RequestError: it takes longer, or too many are under way already.
        """
        share = current().share
        with self._lock:
            if self._under_way[share] >= self.each or self._under_way.total() >= self.most:
                raise RequestError(BUSY)
            self._under_way[share] += 1
        answer: _Answer[T] = _Answer()
        context = contextvars.copy_context()  # whoever asks, for the thread, too
        threading.Thread(
            target=context.run, args=(self._do, work, answer, share), name="look", daemon=True
        ).start()
        if not answer.ready.wait(seconds):
            raise RequestError(SLOW)
        if answer.error is not None:
            raise answer.error
        result: Any = answer.value
        return result

    def _do(self, work: Callable[[], T], answer: _Answer[T], share: str) -> None:
        try:
            answer.value = work()
        except BaseException as error:
            answer.error = error
        finally:
            with self._lock:
                self._under_way[share] -= 1
                self._under_way += Counter()  # forget those with none
            answer.ready.set()
