"""Batches of the same images with different features, found again instead of made again."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ppap.studio.access.visitor import current
from ppap.studio.store import BatchGone, BatchStore, Held

# What of a recipe says which features, not which images.
FEATURES = frozenset(("backbone", "checkpoint", "run", "at", "output"))
MOST = 1024


class Alike:
    """Which held batch has whose images and which features. Safe for many threads.

    The slider over a run's checkpoints goes back and forth between a few of them.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, object], str] = OrderedDict()
        self._roots: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, base: str, network: object, key: str) -> None:
        """From now on the batch ``key`` has the images of ``base`` with these features."""
        with self._lock:
            root = self._roots.get(base, base)
            self._roots[key] = root
            self._known[current().user, root, network] = key
            while len(self._roots) > MOST:
                self._roots.popitem(last=False)
            while len(self._known) > MOST:
                self._known.popitem(last=False)

    def find(self, base: str, network: object, store: BatchStore) -> Held | None:
        """The batch with the images of ``base`` and these features; None where it is gone."""
        with self._lock:
            root = self._roots.get(base, base)
            key = self._known.get((current().user, root, network))
        try:
            return None if key is None else store.get(key)
        except BatchGone:
            return None
