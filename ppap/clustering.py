"""Pictures without any training: the frozen backbone's features, gathered into clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.backbones import Backbone
from ppap.checks import check_count
from ppap.data.fitting import Picture, answered, as_rgb, at_size, resized, seen_whole, work_size
from ppap.evaluation.crf import CrfInput, CrfPool, require_crf, smooth
from ppap.evaluation.pamr import pamr
from ppap.predictor import Refine, checked_refine
from ppap.segmenter import merged_start
from ppap.segmenter.inference import PLAIN, Inference, check_fits, look
from ppap.segmenter.prediction import CLUSTER_SCALE, largest, lengths
from ppap.segmenter.probes import upsampled

# More patches than this take k-means many seconds, and hardly change what it finds.
MOST_PATCHES = 20_000
SIZE = 448


class Seen(NamedTuple):
    """A picture as the backbone saw it; keep it to ask for other clusters."""

    rgb: np.ndarray
    """uint8 ``(h, w, 3)``, at the size that the backbone saw."""
    features: Tensor
    """float32 ``(1, rows, columns, D)``, on the CPU; finer by ``shifts``."""
    height: int
    """The picture's own."""
    width: int


@torch.no_grad()
def see(
    backbone: Backbone, image: Picture, *, size: int = SIZE, inference: Inference = PLAIN
) -> Seen:
    """Show a whole picture to the backbone, in its own proportions.

    Args:
        backbone: in whichever state; nothing of it changes.
        image: as of ``Predictor.segment``.
        size: pixels of the shorter side, rounded to whole patches.
        inference: whether it looks more than once. With shifts the features are a grid so many
            times as fine.

    Raises:
        TypeError, ValueError: as ``Predictor.segment``, or for ``size`` or ``inference``.
    """
    check_count("size", size, backbone.patch_size)
    check_fits(inference, backbone.patch_size)
    rgb = as_rgb(image)
    height, width = rgb.shape[:2]
    patch = backbone.patch_size
    seen = resized(rgb, work_size(height, width, size, patch))
    like = backbone.mean

    def looked(images: Tensor) -> Tensor:
        return look(lambda part: backbone(part.to(like)), images, inference, patch=patch)

    features = seen_whole(looked, seen, patch=patch, size=size)
    return Seen(seen, features.float().cpu(), height, width)


@torch.no_grad()
def find_clusters(pictures: Sequence[Seen], count: int, seed: int = 0) -> Tensor:
    """Clusters that the patches of some pictures fall into, all pictures together.

    They grow together from smaller ones (``merged_start``), so that a large uniform part, such as
    a sky, is one cluster and not several.

    Args:
        pictures: from ``see``, with the same backbone.
        count: how many, 1 to the number of patches.
        seed: of k-means, and of the choice where there are more than MOST_PATCHES patches.

    Returns:
        Unit vectors ``(count, D)``, the one with the most patches first.

    Raises:
        ValueError: no picture, features of different length, or a count out of range.
    """
    if not pictures:
        raise ValueError("there are no images to find clusters in")
    if len({one.features.shape[-1] for one in pictures}) > 1:
        raise ValueError("the images were processed by different backbones")
    patches = torch.cat([one.features.flatten(0, 2) for one in pictures])
    if len(patches) > MOST_PATCHES:
        chance = torch.Generator().manual_seed(seed)
        patches = patches[torch.randperm(len(patches), generator=chance)[:MOST_PATCHES]]
    check_count("count", count, 1, len(patches))
    found = merged_start(patches, count, seed)
    nearest = (F.normalize(patches, dim=1) @ found.T).argmax(dim=1)
    order = torch.bincount(nearest, minlength=count).argsort(descending=True, stable=True)
    return found[order]


@torch.no_grad()
def clusters_of(
    picture: Seen,
    clusters: Tensor,
    *,
    crf: bool = False,
    refine: Refine | None = None,
    pool: CrfPool | None = None,
) -> np.ndarray:
    """The most similar cluster of every pixel.

    Args:
        picture: from ``see``.
        clusters: from ``find_clusters``, ``(K, D)``.
        crf: the same as ``refine="crf"``.
        refine: "none", or refine with "pamr" or "crf", at the size that the backbone saw, as the
            cluster probe's predictions are.
        pool: processes for the CRF; left out, it runs in this one.

    Returns:
        int64 ``(height, width)``, 0 to K − 1, at the picture's own size.

    Raises:
        CrfUnavailableError: the CRF without pydensecrf.
        ValueError: another ``refine``; clusters of another length than the features.
    """
    how = checked_refine(refine, crf)
    features = picture.features
    if clusters.ndim != 2 or clusters.shape[1] != features.shape[-1]:
        raise ValueError(
            f"clusters must have the shape (K, {features.shape[-1]}), not {tuple(clusters.shape)}"
        )
    products = (features @ F.normalize(clusters.float(), dim=1).T).permute(0, 3, 1, 2)
    size = answered(picture.height, picture.width)
    if how != "none":
        if how == "crf":
            require_crf()
        seen = (picture.rgb.shape[0], picture.rgb.shape[1])
        cosines = upsampled(products, seen) / lengths(features, seen)
        logs = cosines.mul_(CLUSTER_SCALE).log_softmax(dim=1)[0]
        given = CrfInput(picture.rgb, logs)
        if how == "pamr":
            refined = pamr(*given)
        else:
            refined = smooth(*given) if pool is None else next(pool.map([given]))
        products = refined.unsqueeze(0)
    return at_size(largest(products, size)[0], picture.height, picture.width)
