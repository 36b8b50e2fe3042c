"""A look at a folder before it is chosen: which data set it seems to be, and its first images."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

from ppap.data import DataError, Dataset, available_splits, open_dataset, printable
from ppap.data.formats import is_image_name
from ppap.data.images import opened, to_rgb
from ppap.data.opening import LAYOUTS, detect_kind, layout_of
from ppap.data.searching import bounded
from ppap.studio.access.visitor import current
from ppap.studio.answers import answering
from ppap.studio.patience import Patience
from ppap.studio.requests import LONGEST_TEXT, RequestError, mapping, sendable
from ppap.studio.sources import Sources, resolved

# A look ends after so many files and folders, and counts no more after so many seconds.
LOOKED_AT, COUNTING_SECONDS, SECONDS = 20_000, 3.0, 8.0
THUMBNAILS, SIDE = 6, 112
# A JPEG is decoded at a fraction of its size, everything else whole.
MAX_JPEG_PIXELS, MAX_OTHER_PIXELS, MAX_BYTES = 64_000_000, 16_000_000, 128 * 2**20
THUMBNAIL_SECONDS = 2.0
NOTES = 8
KEPT, KEPT_SECONDS = 128, 30.0
ALL = "all"
# Of the data set's notes, the one on a search that is as short as it is for a look alone.
CUT = "The search stopped"
IMAGES = "images"


class _Seen(NamedTuple):
    """A look that is remembered for a moment: pages ask again and again."""

    time: float
    told: dict[str, Any]


class Looking:
    """Looks into folders. Safe for many threads.

    Args:
        sources: says what may be shown.
        patience: waits for disks.
    """

    def __init__(self, sources: Sources, patience: Patience) -> None:
        self.sources, self.patience = sources, patience
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()
        self._lock = threading.Lock()

    @answering
    def look_at_folder(self, request: Any) -> dict[str, Any]:
        """What a folder seems to be, in a sentence, with its splits, notes and first images."""
        text = mapping(request).get("path")
        if not isinstance(text, str) or len(text) > LONGEST_TEXT or sendable(text) != text:
            raise RequestError("The path must be text.")
        return self.patience.within(SECONDS, lambda: self.look(text))

    def look(self, text: str) -> dict[str, Any]:
        """The same for scripts; RequestError where the folder may not be shown."""
        folder = self.sources.folder(text)
        key = (current().user, str(folder))
        with self._lock:
            seen = self._seen.get(key)
        if seen is not None and time.monotonic() - seen.time < KEPT_SECONDS:
            return {**seen.told, "path": text}
        with self.sources.links(), bounded(LOOKED_AT):
            told = self._told(folder)
        with self._lock:
            self._seen[key] = _Seen(time.monotonic(), told)
            self._seen.move_to_end(key)
            while len(self._seen) > KEPT:
                self._seen.popitem(last=False)
        return {**told, "path": text}

    def _told(self, folder: Path) -> dict[str, Any]:
        told: dict[str, Any] = {
            "name": printable(folder.name or str(folder)),
            "kind": detect_kind(folder),
            "title": "",
            "text": "",
            "splits": [],
            "classes": 0,
            "cut": False,
            "notes": [],
            "thumbnails": [],
        }
        try:
            opened_first = self._count(folder, told)
        except DataError as error:
            return told | {"text": refusal_in_words(told, error)}
        told["text"] = in_words(told)
        told["thumbnails"] = self._thumbnails(opened_first)
        return told

    def _count(self, folder: Path, told: dict[str, Any]) -> Dataset:
        """Open the splits, one after another; the first of them."""
        if told["kind"] is None:
            layout_of(folder, None)  # says what was expected
        title = next(one.title for one in LAYOUTS if one.kind == told["kind"])
        told["title"] = title.partition(",")[0]
        end = time.monotonic() + COUNTING_SECONDS
        first: Dataset | None = None
        names = available_splits(folder)
        for split in names:
            if (split == ALL and len(names) > 1) or (first and time.monotonic() > end):
                continue
            found = open_dataset(folder, split=split)
            told["splits"].append([split, len(found)])
            first = first or found
        if first is None:
            first = open_dataset(folder, split=names[0] if names else "")
        told["classes"] = len(first.classes)
        told["cut"] = any(note.startswith(CUT) for note in first.notes)
        notes = [note for note in first.notes if not note.startswith(CUT)]
        told["notes"] = [sendable(note) for note in notes[:NOTES]]
        return first

    def _thumbnails(self, dataset: Dataset) -> list[dict[str, str]]:
        """Of the first images; some may be left out."""
        end = time.monotonic() + THUMBNAIL_SECONDS
        made = []
        for item in dataset.items[:THUMBNAILS]:
            if time.monotonic() > end:
                break
            real = resolved(str(item.image))
            if real is None or not self.sources.shows(real) or not is_image_name(real.name):
                continue
            try:
                data = thumbnail(real)
            except (DataError, OSError):
                continue
            address = f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
            made.append({"name": sendable(item.name), "image": address})
        return made


def thumbnail(path: Path) -> bytes:
    """The middle of a picture as a small JPEG.

    Raises:
        DataError: it cannot be read, or is larger than a look is worth.
    """
    if path.stat().st_size > MAX_BYTES:
        raise DataError(path, "is too large to preview")
    with opened(path, path.name) as image:
        most = MAX_JPEG_PIXELS if image.format == "JPEG" else MAX_OTHER_PIXELS
        if image.width * image.height > most:
            raise DataError(path, "has too many pixels to preview")
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        small = image
        if image.mode in ("RGB", "L", "RGBA", "P"):
            small = image.convert("RGBA" if image.has_transparency_data else "RGB")
        rgb = to_rgb(small, path.name, [])
        rgb = ImageOps.exif_transpose(rgb) or rgb
        square = ImageOps.fit(rgb, (SIDE, SIDE), Image.Resampling.BILINEAR)
    out = io.BytesIO()
    square.save(out, "JPEG", quality=80)
    return out.getvalue()


def in_words(told: dict[str, Any]) -> str:
    """``CamVid: train 367, val 101, test 233; 11 classes``."""
    counts = told["splits"]
    if told["kind"] == IMAGES:
        number = counts[0][1]
        more = "More than " if told["cut"] else ""
        return f"{more}{number:,} {'image' if number == 1 else 'images'} without labels"
    parts = ", ".join(f"{name} {number:,}" for name, number in counts)
    classes = told["classes"]
    labels = f"; {classes} {'class' if classes == 1 else 'classes'}" if classes else ""
    if not classes:
        labels = "; no labels"
    return f"{told['title']}: {parts}{labels}"


def refusal_in_words(told: dict[str, Any], error: DataError) -> str:
    """What is in the way of opening it; of a folder without any pictures, that."""
    if told["kind"] is None:
        hint = str(error).partition(" It ")[2]
        # The search was a short one.
        return f"No images were found. It {hint}" if hint else "No images were found."
    return f"{told['title']}: {sendable(str(error))}"
