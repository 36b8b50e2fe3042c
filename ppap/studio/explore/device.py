"""Whose turn it is to compute: clicks first, what goes on in the background behind them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

# After a click the page draws, most often on the same machine.
REST_SECONDS = 0.03


class Device:
    """A lock for ``with``: torch spreads one product over all cores, so that two at once would
    only slow each other down.

    Whoever takes it with ``behind()`` gets it when nobody else wants it. Not reentrant.
    """

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._busy = False
        self._waiting = 0
        self._rest = 0.0

    def __enter__(self) -> Device:
        with self._turn:
            self._waiting += 1
            try:
                self._turn.wait_for(lambda: not self._busy)
            finally:
                self._waiting -= 1
            self._busy = True
        return self

    def __exit__(self, *_: object) -> None:
        with self._turn:
            self._busy = False
            self._turn.notify_all()

    @contextmanager
    def first(self) -> Iterator[None]:
        """Let nothing begin in the background while a click is answered, and shortly after.

        It does not take the lock.
        """
        with self._turn:
            self._waiting += 1
        try:
            yield
        finally:
            with self._turn:
                self._waiting -= 1
                self._rest = time.monotonic() + REST_SECONDS
                self._turn.notify_all()

    def urgent(self, call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A call that is answered ``first()``."""

        @wraps(call)
        def answer(argument: Any = None) -> Any:
            with self.first():
                return call(argument)

        return answer

    @contextmanager
    def behind(self) -> Iterator[None]:
        """Hold it for a moment of work that can wait; keep that moment short."""
        with self._turn:
            while True:
                self._turn.wait_for(lambda: not self._busy and not self._waiting)
                rest = self._rest - time.monotonic()
                if rest <= 0:
                    break
                self._turn.wait(rest)
            self._busy = True
        try:
            yield
        finally:
            self.__exit__()
