"""Whose turn it is to compute: clicks first, what goes on in the background behind them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Device:
    """A lock for ``with``: torch spreads one product over all cores, so that two at once would
    only slow each other down.

    Whoever takes it with ``behind()`` gets it when nobody else waits. Not reentrant.
    """

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._busy = False
        self._waiting = 0

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
    def behind(self) -> Iterator[None]:
        """Hold it for a moment of work that can wait; keep that moment short."""
        with self._turn:
            self._turn.wait_for(lambda: not self._busy and not self._waiting)
            self._busy = True
        try:
            yield
        finally:
            self.__exit__()
