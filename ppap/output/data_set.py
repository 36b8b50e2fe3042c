"""Segmented pictures as a data set to take away: label maps, overlays, COCO's JSON, the photos."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from ppap.checks import check_share
from ppap.data import ClassList, DataError
from ppap.data.class_files import CLASSES, read_classes
from ppap.output.coco_json import LabelMap, described, document
from ppap.output.label_files import as_png, label_png, one_line, overlaid
from ppap.output.naming import FileNames, file_names, renamed

# Bytes of annotations that stay in memory.
SPOOLED = 32 * 2**20
NAMED = "classes.json"
RENAMED = "renamed.csv"
README = """\
{parts}
Label maps store 255 where there is no class. With more than 255 classes they have 16 bits and no
palette, and store 65535 there.

A label map has the name of its image. Where two images share a name, the second is called
"name (2)", in all files; where they differ in their suffix alone, label maps have it in their
names (a.jpg.png). Characters that not every system can store are "_".

{use}
"""
WITH_PHOTOS = """\
This folder is a data set of kind "folder": ppap train RECIPE --data FOLDER trains on it."""
WITHOUT_PHOTOS = """\
Together with a folder images/ of the images (same names), this is a data set of kind "folder"."""


class Segmented(NamedTuple):
    """A picture, what it is called and the class of every pixel."""

    name: str
    """With or without a suffix; file names are made of it."""
    rgb: np.ndarray | Callable[[], np.ndarray]
    """uint8 ``(H, W, 3)``, or what reads it when it is needed."""
    ids: np.ndarray
    """Whole numbers ``(H, W)``; what is outside the classes is of no class."""
    file: Path | None = None
    """Where the photo lies, upright as it is shown; None: it is written as a PNG."""

    def pixels(self) -> np.ndarray:
        """uint8 ``(H, W, 3)``."""
        return self.rgb if isinstance(self.rgb, np.ndarray) else self.rgb()


@dataclass(frozen=True)
class Taken:
    """What goes into the data set, and how."""

    opacity: float = 0.6
    """Of the overlays; see ``overlaid``."""
    outline: bool = False
    overlays: bool = True
    """Whether there are any."""
    photos: bool = False
    """Whether the photos lie beside their label maps."""
    polygons: bool = False
    """Masks in the JSON as polygons (see ``polygons_of``), not as run lengths."""
    note: str = ""
    """A sentence on how the pictures were segmented, for README.txt."""


class Sink(Protocol):
    """Where files go, by their names."""

    def put(self, name: str, data: bytes | Path) -> None:
        """A whole file, from bytes or copied."""

    def opened(self, name: str) -> Any:
        """A file to write to, bit by bit, in a ``with`` block; no other meanwhile."""


class ZipSink:
    """Files in a ZIP."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def put(self, name: str, data: bytes | Path) -> None:
        """See ``Sink``. Nothing is compressed that is already."""
        small = not name.endswith((".txt", ".json", ".csv"))
        info = zipfile.ZipInfo(name, time.localtime()[:6])
        info.external_attr = 0o644 << 16
        info.compress_type = zipfile.ZIP_STORED if small else zipfile.ZIP_DEFLATED
        if isinstance(data, bytes):
            self.archive.writestr(info, data)
            return
        info.file_size = data.stat().st_size
        with data.open("rb") as source, self.archive.open(info, "w") as entry:
            shutil.copyfileobj(source, entry, 2**20)

    def opened(self, name: str) -> Any:
        """See ``Sink``."""
        return self.archive.open(name, "w", force_zip64=True)


class FolderSink:
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, data: bytes | Path) -> None:
        """See ``Sink``."""
        file = self._place(name)
        if isinstance(data, bytes):
            file.write_bytes(data)
        else:
            shutil.copyfile(data, file)

    def opened(self, name: str) -> Any:
        """See ``Sink``."""
        return self._place(name).open("wb")

    def _place(self, name: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        return file


def write_zip(
    file: IO[bytes],
    pictures: Iterable[Segmented | None],
    classes: ClassList,
    *,
    names: Sequence[str],
    taken: Taken = Taken(),
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write a data set into one ZIP.

    Args:
        file: where to.
        pictures: taken one at a time; None for one that cannot be had after all.
        classes: names and colours by id.
        names: of all the pictures, in their order.
        taken: what goes into it.
        progress: told how many pictures are done.

    Raises:
        TypeError, ValueError: as ``label_png`` and ``overlaid``.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        write_to(ZipSink(archive), pictures, classes, names=names, taken=taken, progress=progress)


def write_to(
    sink: Sink,
    pictures: Iterable[Segmented | None],
    classes: ClassList,
    *,
    names: Sequence[str],
    taken: Taken = Taken(),
    progress: Callable[[int], None] | None = None,
) -> None:
    """As ``write_zip``, to anywhere."""
    check_share("opacity", taken.opacity)
    called = file_names(names)

    def maps() -> Iterator[LabelMap]:
        for number, (one, own) in enumerate(zip(pictures, called, strict=True), 1):
            if one is not None:
                put_picture(sink, one, own, classes, taken)
                yield LabelMap(own.image, one.ids)
            if progress is not None:
                progress(number)

    write_annotations(sink, maps(), classes.names, polygons=taken.polygons)
    name, data = classes_file(classes.names)
    sink.put(name, data)
    changed = renamed(names, called)
    if changed:
        sink.put(RENAMED, table([("image", "here"), *changed]))
    sink.put("README.txt", readme(taken, name, bool(changed)).encode())


def put_picture(
    sink: Sink, one: Segmented, own: FileNames, classes: ClassList, taken: Taken
) -> None:
    """One picture's label map, overlay and photo."""
    sink.put(f"labels/{own.stem}.png", label_png(one.ids, classes.colours))
    rgb = one.pixels() if taken.overlays or (taken.photos and one.file is None) else None
    if rgb is not None and taken.overlays:
        painted = overlaid(rgb, one.ids, classes.colours, taken.opacity, outline=taken.outline)
        sink.put(f"overlays/{own.stem}.png", as_png(Image.fromarray(painted)))
    if taken.photos:
        written = one.file or as_png(Image.fromarray(one.pixels() if rgb is None else rgb))
        sink.put(f"images/{own.image}", written)


def write_annotations(
    sink: Sink, maps: Iterable[LabelMap], names: Sequence[str], *, polygons: bool = False
) -> None:
    """Add COCO's JSON. The masks of many images wait on disk: they may take gigabytes, and a ZIP
    gets one file at a time."""
    images: list[dict[str, Any]] = []
    comma = ""
    with tempfile.SpooledTemporaryFile(max_size=SPOOLED, mode="w+", encoding="utf-8") as spool:
        for image, annotations in described(maps, len(names), polygons=polygons):
            images.append(image)
            for one in annotations:
                spool.write(comma + as_json(one))
                comma = ","
        whole = as_json(document(images, [], names, description="Segmented with PPAP Studio"))
        spool.seek(0)
        with sink.opened("annotations.json") as entry:
            # It ends with the empty list of the annotations.
            entry.write(whole.removesuffix("]}").encode())
            while part := spool.read(2**20):
                entry.write(part.encode())
            entry.write(b"]}")


def classes_file(names: Sequence[str]) -> tuple[str, bytes]:
    """The file that names the classes, which a data set of kind ``folder`` reads: its name and
    what is in it. Names that a line of text would say something else by, such as "# 1" or
    "void 0", are in JSON."""
    lines = [one_line(name) for name in names]
    text = "".join(f"{line}\n" for line in lines).encode()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / CLASSES
        file.write_bytes(text)
        try:
            found = read_classes(file)
        except DataError:
            found = None
    if found is not None and found.names == lines and found.counted and not found.colours:
        return CLASSES, text
    return NAMED, json.dumps(lines, ensure_ascii=False, indent=0).encode()


def table(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def readme(taken: Taken, classes: str, changed: bool) -> str:
    """What is in the folder, and how to read it."""
    masks = (
        "masks as polygons, several for segments with parts or holes"
        if taken.polygons
        else "masks as uncompressed run lengths"
    )
    found = [
        ("images/", "the images", taken.photos),
        ("labels/", "a PNG for every image: class ids from 0, in the colours of the classes", True),
        ("overlays/", "the images overlaid with the colours of the classes", taken.overlays),
        ("annotations.json", f"COCO format; {masks}; category_id = class id + 1", True),
        (classes, "the class names, id 0 first", True),
        (RENAMED, "the images that have a different name here", changed),
    ]
    parts = "".join(f"{name:18} {text}\n" for name, text, there in found if there)
    use = WITH_PHOTOS if taken.photos else WITHOUT_PHOTOS
    return README.format(parts=parts, use=f"{use}\n\n{taken.note}" if taken.note else use)


def as_json(document: dict[str, Any]) -> str:
    """JSON in one line: run lengths would fill a line each."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


@contextmanager
def whole_folder(folder: Path) -> Iterator[FolderSink]:
    """A folder that is filled, or not there at all; FileExistsError where there is one already."""
    folder.mkdir(parents=True)
    try:
        yield FolderSink(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
