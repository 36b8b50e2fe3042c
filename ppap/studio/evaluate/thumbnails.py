"""Small pictures for the list of a report's images, made when they come into sight."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from PIL import Image

from ppap.data import DataError, Dataset, read_image
from ppap.data.base import read_as_stored, read_upright
from ppap.studio.answers import jpeg
from ppap.studio.requests import RequestError

HEIGHT, WIDTH = 56, 84
"""The most of each, in pixels: twice what the list shows, for fine screens."""
MOST_KEPT = 4000
# Pictures decoded at once: a list that is scrolled fast must not fill the memory.
AT_ONCE = 2

Key = tuple[str, str, str, int]


class Thumbnails:
    """The thumbnails made last, by data set and item. Safe for many threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.BoundedSemaphore(AT_ONCE)

    def of(self, dataset: Dataset, index: int) -> bytes:
        """An item's photo as a small JPEG.

        Raises:
            RequestError: it cannot be read.
        """
        key = (dataset.name, str(dataset.root), dataset.split, index)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        with self._turn:
            made = _made(dataset, index)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return made


def _made(dataset: Dataset, index: int) -> bytes:
    try:
        item = dataset.items[index]
        if dataset.read_photo in (read_upright, read_as_stored) and isinstance(item.image, Path):
            upright = dataset.read_photo is read_upright
            photo = read_image(item.image, upright=upright, at_least=HEIGHT)
        else:
            photo = dataset.read_photo(item)
    except (DataError, IndexError) as error:
        raise RequestError(str(error)) from None
    image = Image.fromarray(photo.rgb)
    image.thumbnail((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    return jpeg(image)
