"""Whether a data set has what clusters and retrieval are asked for, said while a form is typed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from ppap.data import DataError, open_dataset
from ppap.studio.evaluate.measures import Measures
from ppap.studio.requests import Mistakes, RequestError
from ppap.studio.sources import Sources

MOST_KNOWN = 16


class Fitting:
    """Looks into data sets, at most once into each; safe for many threads.

    Args:
        sources: says which folders may be looked into.
    """

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._classes: OrderedDict[tuple[Path, str, str, int], int | None] = OrderedDict()
        self._lock = threading.Lock()

    def check(
        self, measures: Measures, data: str, kind: str, split: str, mistakes: Mistakes
    ) -> None:
        """Keep what does not fit, for the fields ``train`` and ``clusters``.

        Args:
            measures: what is asked for.
            data: the data set's folder, known to exist; or "samples".
            kind: of the data set; empty: found out.
            split: that is scored; empty: val.
            mistakes: of the whole request.
        """
        if data in ("", "samples") or not measures.learns:
            return
        with mistakes.at("train"):
            try:
                self.sources.check_split(Path(data), measures.train, kind or None)
            except RequestError as error:  # it says "split", which is the other one's field
                raise RequestError(str(error), field="train", offers=error.offers) from None
        if not measures.clusters:
            return
        least, classes = min(measures.clusters), self._count(Path(data), kind, split or "val")
        with mistakes.at("clusters"):
            if classes is not None and least < classes:
                raise RequestError(
                    f"{least} clusters are fewer than the data set's {classes} classes."
                )

    def _count(self, folder: Path, kind: str, split: str) -> int | None:
        """The number of classes; None where it cannot be told: the evaluation will say why."""
        try:
            key = (folder, kind, split, folder.stat().st_mtime_ns)
        except OSError:
            return None
        with self._lock:
            if key not in self._classes:
                try:
                    with self.sources.links():
                        found = open_dataset(folder, kind=kind or None, split=split)
                    self._classes[key] = len(found.classes)
                except (DataError, OSError):
                    self._classes[key] = None
            self._classes.move_to_end(key)
            while len(self._classes) > MOST_KNOWN:
                self._classes.popitem(last=False)
            return self._classes[key]
