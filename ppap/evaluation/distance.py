"""ImageNet-S distance matching: every position takes the class of its nearest labelled vectors.

As the paper's Table 4 is measured: a bank of one vector per labelled image and class (from
``train-semi``), then a weighted vote of the k nearest for every position of a validation image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checks import check_count, check_vectors
from ppap.evaluation.metrics import VOID, check_range, check_whole

UPSAMPLED = 4
NEIGHBOURS = 10
TEMPERATURE = 0.07
# One block of similarities and votes; about two such blocks live at a time.
BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Bank:
    """Labelled vectors: one for every class of every image."""

    vectors: Tensor
    """float32 ``(M, D)``, unit length."""
    classes: Tensor
    """Class of each vector, int64 ``(M,)``; 0 is ImageNet-S's "other"."""

    def __len__(self) -> int:
        return len(self.classes)


def upsample(features: Tensor) -> Tensor:
    """``(B, D, h, w)`` → float32 ``(B, D, 4h, 4w)``, bilinear."""
    return F.interpolate(
        features.float(), scale_factor=UPSAMPLED, mode="bilinear", align_corners=False
    )


def bank_of(features: Tensor, labels: Tensor, void: int = VOID) -> Bank:
    """The bank vectors of some labelled images, image by image and class by class.

    The upsampled features are averaged over the pixels of a class, then normalised. Label maps
    may be finer than the positions: each counts once for every pixel that lies in it, so that
    small objects are not lost. Where they are coarser, their pixels are repeated.

    Args:
        features: ``(B, D, h, w)``, not normalised.
        labels: class ids of the same part of the images, ``(B, H, W)``.
        void: the id of pixels that belong to no vector (1000 in ImageNet-S's own files, which
            ``ppap.data`` reads as −1).

    Raises:
        TypeError: features or labels are not of their kind.
        ValueError: the shapes do not fit each other, or an id is below 0 and not ``void``.
    """
    check_maps(features)
    check_whole("labels", labels)
    images, channels, height, width = features.shape
    rows, columns = UPSAMPLED * height, UPSAMPLED * width
    if labels.ndim != 3 or len(labels) != images or not labels.numel():
        raise ValueError(
            f"labels must have the shape (B, H, W) with B = {images}, not {tuple(labels.shape)}"
        )
    labels = labels.long()  # before comparing with void: as uint8, −1 would be 255
    labels = to_image_size(labels, max(labels.shape[1], rows), max(labels.shape[2], columns))
    position = positions(labels.shape[1], labels.shape[2], rows, columns).to(features.device)
    vectors, classes = [features.new_empty(0, channels, dtype=torch.float32)], []
    for one, label in zip(features, labels.to(features.device), strict=True):
        known = label != void
        ids, which = label[known].unique(return_inverse=True)
        if not len(ids):
            continue
        if int(ids[0]) < 0:
            raise ValueError(f"labels hold {int(ids[0])}, which is neither a class nor void")
        size = rows * columns
        pixels = torch.bincount(which * size + position[known], minlength=len(ids) * size)
        weight = pixels.view(len(ids), size).float()
        fine = upsample(one.unsqueeze(0))[0].flatten(1)  # (D, 16·h·w)
        vectors.append(F.normalize(weight @ fine.T / weight.sum(dim=1, keepdim=True), dim=1))
        classes.append(ids)
    nothing = torch.empty(0, dtype=torch.int64, device=features.device)
    return Bank(torch.cat(vectors), torch.cat([nothing, *classes]))


def positions(height: int, width: int, rows: int, columns: int) -> Tensor:
    """The position each pixel lies in, int64 ``(H, W)``: pixel y is in row ⌊y · rows / H⌋."""
    row = torch.arange(height) * rows // height
    column = torch.arange(width) * columns // width
    return row[:, None] * columns + column


def join(banks: Iterable[Bank]) -> Bank:
    """One bank of several; they may come one at a time.

    Raises:
        ValueError: there are no vectors at all, or their lengths differ.
    """
    parts = [bank for bank in banks if len(bank)]
    if not parts:
        raise ValueError("the bank is empty: no labelled image has a pixel that is not void")
    widths = {bank.vectors.shape[1] for bank in parts}
    if len(widths) > 1:
        raise ValueError(f"vectors of {sorted(widths)} channels do not go into one bank")
    return Bank(torch.cat([b.vectors for b in parts]), torch.cat([b.classes for b in parts]))


def classify(
    features: Tensor,
    bank: Bank,
    *,
    classes: int,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """The class of every upsampled position.

    A position's k most similar bank vectors vote for their classes, each with the weight
    exp(similarity / temperature); the class with most weight wins, the lower id in a tie. A bank
    of fewer than k vectors votes as a whole.

    Args:
        features: ``(B, D, h, w)``, not normalised.
        bank: what ``join`` returns; it is brought to the features' device.
        classes: how many ids there are, "other" included.
        k: how many neighbours vote.
        temperature: above 0; the smaller, the more the nearest decide.

    Returns:
        int64 ``(B, 4h, 4w)``.

    Raises:
        TypeError: features are not floating point.
        ValueError: shapes, or a setting outside its range.
    """
    check_maps(features)
    check_vectors("bank vectors", bank.vectors, "M")
    check_range("the bank", bank.classes, classes)
    check_count("k", k, 1)
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature!r}")
    images, channels, height, width = features.shape
    if bank.vectors.shape[1] != channels:
        raise ValueError(f"features of {channels} channels, bank of {bank.vectors.shape[1]}")
    vectors, ids = bank.vectors.to(features.device), bank.classes.to(features.device)
    k = min(k, len(bank))
    size = (UPSAMPLED * height, UPSAMPLED * width)
    found = torch.empty(images, size[0] * size[1], dtype=torch.int64, device=features.device)
    at_once = max(1, BLOCK_BYTES // (4 * (len(bank) + classes)))
    for image, one in enumerate(features):
        fine = F.normalize(upsample(one.unsqueeze(0))[0].flatten(1).T, dim=1)  # (16·h·w, D)
        for rows in torch.arange(len(fine), device=features.device).split(at_once):
            nearest = (fine[rows] @ vectors.T).topk(k, dim=1)
            found[image, rows] = vote(nearest.values, ids[nearest.indices], classes, temperature)
    return found.view(images, *size)


def vote(similarity: Tensor, ids: Tensor, classes: int, temperature: float) -> Tensor:
    """``(P, k)`` similarities, the nearest first, and classes → the winning class, ``(P,)``."""
    # Weights relative to the nearest: the same winner, and no overflow at low temperatures.
    weight = ((similarity - similarity[:, :1]) / temperature).exp()
    return weight.new_zeros(len(ids), classes).scatter_add_(1, ids, weight).argmax(dim=1)


def to_image_size(found: Tensor, height: int, width: int) -> Tensor:
    """Classes ``(B, rows, columns)`` → ``(B, height, width)``: each pixel takes the nearest one."""
    check_whole("classes", found)
    if found.ndim != 3:
        raise ValueError(f"classes must have the shape (B, rows, columns), not {found.shape}")
    check_count("height", height, 1)
    check_count("width", width, 1)
    # float64 holds every class id exactly.
    large = F.interpolate(found.unsqueeze(1).double(), (height, width), mode="nearest-exact")
    return large.squeeze(1).to(found.dtype)


def check_maps(features: Tensor) -> None:
    """Raise TypeError or ValueError unless ``features`` are finite maps ``(B, D, h, w)``."""
    if not isinstance(features, Tensor) or not features.is_floating_point():
        raise TypeError("features must be a floating-point tensor (B, D, h, w)")
    if features.ndim != 4 or features.numel() == 0:
        raise ValueError(
            f"features must have the shape (B, D, h, w), none of them 0, "
            f"not {tuple(features.shape)}"
        )
    if not torch.isfinite(features).all():
        raise ValueError("features hold NaN or infinity")
