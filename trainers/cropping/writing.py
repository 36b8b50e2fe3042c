"""Five crops of every image, written as the files that the published training reads.

``plan_crops`` looks at what is there and what is missing, ``begun`` makes the folders, and
``write_crops`` writes those of one image. A file gets its name when all of it is on the disk, so
whatever has a name is complete, and a run that was killed can be continued.
"""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ppap.data import VOID, Dataset, printable
from ppap.data.crops import CROPS, OWN, folder_name, named_after, part, record_file
from ppap.writing import writing
from trainers.cache.errors import CacheError
from trainers.cache.locks import try_lock
from trainers.cropping.record import Record, TargetError, check_folder, class_file, record_of

# Hidden, so that nobody takes them for crops; the process's number keeps two apart.
PARTIAL = ".tmp"
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


class WritingError(RuntimeError):
    """Something went wrong on the way; the same command goes on from there."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Crops to be written, and how many of them there are already."""

    dataset: Dataset
    folder: Path
    """Holds ``img``, ``label`` and the record."""
    record: Record
    pending: tuple[int, ...]
    """Images of which a crop is missing."""

    @property
    def crops(self) -> int:
        """All of them."""
        return len(CROPS) * self.record.images

    def image_file(self, crop: int) -> Path:
        """Crop ``n = 5 · image + crop``."""
        return self.folder / "img" / self.record.split / f"{crop}.jpg"

    def label_file(self, crop: int) -> Path:
        """Its label map."""
        return self.folder / "label" / self.record.split / f"{crop}.png"


def target_folder(data: Path, out: Path | None, of: str, ratio: float) -> Path:
    """The folder that the crops go into; its name is what they are opened by.

    Args:
        data: the data set; without ``out`` they go into its ``cropped``.
        out: a folder to make it in, or it itself.
        of: what it is named after.
        ratio: side of a crop by side of its image.

    Raises:
        TargetError: ``out`` is named like the crops of something else.
    """
    name = folder_name(of, ratio)
    if out is None:
        return data / "cropped" / name
    given = out.resolve().name
    if named_after(given) is None:
        return out / name
    if given != name:
        raise TargetError(
            f"argument --out: {printable(out)} is named like other crops: call it {name}, or give "
            "the folder to create it in"
        )
    return out


def plan_crops(
    dataset: Dataset, folder: Path, *, of: str, ratio: float = 0.5, quality: int = 95
) -> Plan:
    """Compare what is to be written with what is there; writes nothing.

    Args:
        dataset: the images to crop.
        folder: see ``target_folder``.
        of: see ``target_folder``.
        ratio: above 0 and at most 1.
        quality: of the JPEG files, 1 to 100.

    Raises:
        TargetError: the folder holds other crops, or crops that nobody wrote down.
    """
    record = record_of(dataset, of, ratio, quality)
    check_folder(folder, record)
    pictures = finished(folder / "img" / record.split)
    maps = finished(folder / "label" / record.split) if record.labelled else frozenset()
    pending = [
        image
        for image in range(record.images)
        if any(
            f"{n}.jpg" not in pictures or (record.labelled and f"{n}.png" not in maps)
            for n in range(len(CROPS) * image, len(CROPS) * (image + 1))
        )
    ]
    return Plan(dataset, folder, record, tuple(pending))


def finished(folder: Path) -> frozenset[str]:
    """Names of the files in ``folder``; without empty ones, which a power cut may leave."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(e.name for e in entries if e.name[0] != "." and e.stat().st_size)
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()


@contextmanager
def begun(plan: Plan) -> Iterator[None]:
    """Folders, the record, and the right to write, which no other process has meanwhile.

    Half-written files are cleared away at the end, those of a run that was killed before, too.

    Raises:
        TargetError: a folder cannot be made or written to, or another process is writing there.
        WritingError: the disk is full.
    """
    with told_as(TargetError, plan.folder):
        plan.image_file(0).parent.mkdir(parents=True, exist_ok=True)
        if plan.record.labelled:
            plan.label_file(0).parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = try_lock(plan.folder / f".crops_{plan.record.split}.lock", exclusive=True)
    except CacheError as error:
        raise TargetError(str(error)) from error
    if lock is None:
        raise TargetError(f"Another process is writing crops into {printable(plan.folder)}")
    try:
        with told_as(TargetError, plan.folder):
            write_record(plan)
        yield
    finally:
        with suppress(OSError):
            clear(plan)
        lock.release()


def write_record(plan: Plan) -> None:
    """What the crops are made of, before the first of them; and the classes of one's own data."""
    if plan.record.dataset == OWN and plan.record.classes:
        with writing(plan.folder / "classes.txt") as partial:
            partial.write_bytes(class_file(plan.record.classes))
    with writing(record_file(plan.folder, plan.record.split)) as partial:
        partial.write_text(json.dumps(asdict(plan.record), indent=2) + "\n", encoding="utf-8")


def clear(plan: Plan) -> None:
    """Remove half-written files; no other process may be at work."""
    for folder in (plan.image_file(0).parent, plan.label_file(0).parent):
        for partial in folder.glob(f".*{PARTIAL}"):
            partial.unlink(missing_ok=True)


def write_crops(plan: Plan, image: int) -> int:
    """Write the missing crops of one image: the label map first, so that none lacks one.

    An image without a label map in a split where others have one gets maps that are all void.

    Returns:
        How many bytes.

    Raises:
        DataError: the image or its label map cannot be read.
        WritingError: a crop cannot be written.
    """
    whole = plan.dataset.load(image)
    height, width = whole.photo.rgb.shape[:2]
    written = 0
    for crop in range(len(CROPS)):
        n = len(CROPS) * image + crop
        rows, columns = part(height, width, crop, plan.record.ratio)
        if plan.record.labelled and not is_finished(plan.label_file(n)):
            labels = np.full((height, width), VOID) if whole.labels is None else whole.labels
            # Void becomes 0 and class c becomes c + 1, which a byte holds for 255 classes.
            kind = np.uint8 if len(plan.dataset.classes) <= 255 else np.uint16
            stored = (labels[rows, columns] + 1).astype(kind)
            written += save(plan.label_file(n), stored, format="PNG")
        if not is_finished(plan.image_file(n)):
            rgb = np.ascontiguousarray(whole.photo.rgb[rows, columns])
            # Colours in full resolution: Pillow would halve it, which on COCO's photos doubles the
            # error at this quality (3.1 instead of 1.6 of 255).
            quality = plan.record.quality
            written += save(plan.image_file(n), rgb, format="JPEG", quality=quality, subsampling=0)
    return written


def is_finished(file: Path) -> bool:
    """As ``finished``, of one file."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


def save(file: Path, values: np.ndarray, **options: Any) -> int:
    """Write a picture under a name of its own, then give it its name; how many bytes it has.

    Not forced to the disk file by file, which would take longer than all the rest.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}{PARTIAL}")
    with told_as(WritingError, file):
        encoded = io.BytesIO()
        Image.fromarray(values).save(encoded, **options)
        try:
            partial.write_bytes(encoded.getbuffer())
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    return encoded.getbuffer().nbytes


@contextmanager
def told_as(kind: type[Exception], path: Path) -> Iterator[None]:
    """OSError → ``kind`` with a sentence that names ``path``; a full disk is a WritingError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise WritingError(
                f"The disk is full: {printable(path)} could not be written. Free some space and "
                "run the same command again; it continues from there."
            ) from error
        reason = error.strerror or str(error)
        raise kind(f"{printable(error.filename or path)} cannot be written: {reason}") from error
