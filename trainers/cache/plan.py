"""What a cache will need, before any of it is made."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.backbones import Backbone, Grid, TrunkOutput
from ppap.checks import check_count
from ppap.data import Dataset
from trainers.cache.errors import CacheError
from trainers.cache.key import Facts, facts_of_backbone, facts_of_data
from trainers.cache.rows import row_type, stored_checksums

GIGABYTE = 10**9
# Left free on the disk for everything else.
RESERVE_BYTES = GIGABYTE


class Computed(NamedTuple):
    """What the backbone gives for B squares, in half precision, as a row keeps it."""

    tokens: Tensor
    """``(B, T, D)``, or a CNN's ``(B, h', w', C)``: channels last, as they lie in memory."""
    beside: Tensor | None
    frozen: Tensor | None


@dataclass(frozen=True, eq=False)
class CachePlan:
    """One cache: where it is, how large, and how much of it is there already."""

    folder: Path
    images: int
    missing: int
    """Images whose features are not stored yet."""
    size: int
    """Side of the squares in pixels."""
    row: np.dtype
    """What is stored of an image, by name."""
    grid: Grid
    labelled: bool
    """Whether any item has a label map."""
    facts: Facts
    backbone: str
    """Its name, for people."""

    @property
    def state(self) -> str:
        """``complete``, ``partial`` or ``absent``."""
        if not self.missing:
            return "complete"
        return "absent" if self.missing == self.images else "partial"

    @property
    def bytes_per_image(self) -> int:
        """On the disk."""
        return self.row.itemsize

    @property
    def bytes_needed(self) -> int:
        """By the whole cache, what is stored already included."""
        return self.images * (self.row.itemsize + 8)

    @property
    def bytes_missing(self) -> int:
        """Still to be written."""
        return self.missing * self.row.itemsize

    def free(self) -> int:
        """Bytes free on the disk of the folder, now."""
        return free_bytes(self.folder)

    def sentence(self) -> str:
        """What there is and what it will need, in plain words."""
        what = f"Cached features of {self.images:,} images at {self.size} px"
        where = f"{in_words(self.bytes_needed)} in {self.folder}"
        if self.state == "complete":
            return f"{what} already exist: {where}."
        free = f"free: {in_words(self.free())}"
        if self.state == "absent":
            return f"{what} take {where} ({free})."
        return (
            f"{what} take {where}; {self.missing:,} are missing: {in_words(self.bytes_missing)} "
            f"to write ({free})."
        )

    def why_not(self, budget_bytes: float) -> str | None:
        """Why the cache has no room, as a sentence; None where it has.

        Args:
            budget_bytes: the most that it may take.
        """
        what = f"Cached features of {self.images:,} images at {self.size} px"
        if self.bytes_needed > budget_bytes:
            return (
                f"{what} would take {in_words(self.bytes_needed)}, more than the "
                f"{in_words(budget_bytes)} allowed for caches."
            )
        free = self.free()
        if self.bytes_missing and self.bytes_missing + RESERVE_BYTES > free:
            return (
                f"{what} need {in_words(self.bytes_missing)} more in {self.folder.parent}, where "
                f"{in_words(free)} are free; {in_words(RESERVE_BYTES)} of that must stay free."
            )
        return None

    def fits(self, budget_bytes: float) -> bool:
        """Whether it stays within ``budget_bytes`` and the disk has room for what is missing."""
        return self.why_not(budget_bytes) is None


def plan_cache(
    dataset: Dataset,
    backbone: Backbone,
    *,
    size: int,
    root: Path,
    frozen: bool | None = None,
    rgb: bool = False,
) -> CachePlan:
    """Find out which cache this data and backbone have, and what it needs; nothing is written.

    Lists the data set's files and runs the backbone once, on a blank square.

    Args:
        dataset: any; several kinds of crops, splits and sizes have a cache each.
        backbone: frozen, on the device where it shall run.
        size: side of the squares in pixels, as in ``ppap.data.square``.
        root: the folder that all caches share.
        frozen: also keep the backbone's own features, the guidance. Left out, they are kept where
            ``keeps_frozen`` says so.
        rgb: also keep the squares themselves.

    Raises:
        DataError: a file of the data set is missing.
        CacheError: the data set is empty.
        ValueError: a size that the backbone does not take.
    """
    check_count("size", size, 1)
    if not len(dataset):
        raise CacheError(f"{dataset.root} has no images in its split '{dataset.split}'")
    grid = backbone.grid(size, size)
    blank = computed(backbone, torch.zeros(1, 3, size, size), frozen=True)
    parts = {"tokens": half(blank.tokens)}
    if blank.beside is not None:
        parts["beside"] = half(blank.beside)
    if blank.frozen is not None and (keeps_frozen(blank) if frozen is None else frozen):
        parts["frozen"] = half(blank.frozen)
    labelled = any(item.labels is not None for item in dataset.items)
    if labelled:
        parts["labels"] = np.dtype((label_type(dataset), (size, size)))
    if rgb:
        parts["rgb"] = np.dtype((np.uint8, (size, size, 3)))
    facts = Facts(
        facts_of_data(dataset),
        facts_of_backbone(backbone),
        size,
        {name: [part.base.name, list(part.shape)] for name, part in parts.items()},
    )
    row = row_type(parts)
    folder = root / facts.folder_name(backbone.info.name)
    stored = stored_checksums(folder, len(dataset), row)
    return CachePlan(
        folder=folder,
        images=len(dataset),
        missing=int((stored == 0).sum()),
        size=size,
        row=row,
        grid=grid,
        labelled=labelled,
        facts=facts,
        backbone=backbone.info.name,
    )


@torch.no_grad()
def computed(backbone: Backbone, images: Tensor, *, frozen: bool) -> Computed:
    """Trunk and, if asked for, the backbone's own features of ``(B, 3, S, S)`` in [0, 1].

    In the backbone's own precision whatever autocast says, then in half precision on the CPU.
    """
    like = backbone.mean
    with torch.autocast(like.device.type, enabled=False):
        trunk = backbone.trunk(images.to(like.device, like.dtype))
        finished = backbone.finish(trunk) if frozen else None
    tokens = trunk.tokens.permute(0, 2, 3, 1) if trunk.tokens.ndim == 4 else trunk.tokens
    return Computed(kept(tokens), optional(trunk.beside), optional(finished))


def kept(part: Tensor) -> Tensor:
    """In half precision, on the CPU."""
    return part.half().cpu()


def optional(part: Tensor | None) -> Tensor | None:
    """``kept``, of what may be missing."""
    return None if part is None else kept(part)


def as_trunk(tokens: Tensor, beside: Tensor | None, grid: Grid) -> TrunkOutput:
    """A trunk's output again, from what ``computed`` gave."""
    return TrunkOutput(tokens.permute(0, 3, 1, 2) if tokens.ndim == 4 else tokens, beside, grid)


def keeps_frozen(blank: Computed) -> bool:
    """Whether the backbone's own features are worth their place on the disk.

    A ViT's are: working them out again takes a third of the time of its trained block, and they
    are as large as the tokens. Most of the embedded network's are ``beside`` already; its last
    stage takes a fifteenth of the trained one's time, and would double the cache.
    """
    return blank.beside is None


def half(part: Tensor) -> np.dtype:
    """The type of one image's part of a batch ``(1, …)``."""
    return np.dtype((np.float16, tuple(part.shape[1:])))


def label_type(dataset: Dataset) -> np.dtype:
    """The smallest type for class ids and −1."""
    most = int(dataset.table.max(initial=0))
    return np.dtype(
        next(kind for kind in (np.int8, np.int16, np.int32) if most <= np.iinfo(kind).max)
    )


def free_bytes(folder: Path) -> int:
    """Bytes free on the disk where ``folder`` is, or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def in_words(count: float) -> str:
    """A number of bytes for people, in decimal units."""
    for unit, name in ((10**12, "TB"), (GIGABYTE, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= 0.995 * unit or (unit == GIGABYTE and count >= unit / 10):
            return f"{count / unit:.{0 if count >= 10 * unit else 1}f} {name}"
    return f"{count:.0f} bytes"
