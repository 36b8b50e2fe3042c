"""Which images are alike: STEGO pairs each with one of its nearest."""

from __future__ import annotations

import torch
from torch import Tensor

from ppap.checks import check_count, check_vectors
from ppap.propagation import chunks, cosines, unit

# Neighbours per image, as published.
NEIGHBOURS = 7


@torch.no_grad()
def nearest_images(pooled: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """The k images most similar to each: the highest cosine of their mean features.

    Memory is bounded: similarities are there for a chunk of images at a time.

    Args:
        pooled: one vector per image ``(N, D)``, any scale: the mean of its frozen features over
            all patches, as they come from the backbone (``features.mean(dim=(1, 2))``).
        k: how many, 1 or more.

    Returns:
        int64 ``(N, min(k, N − 1))``, the nearest first, never the image itself, on the device of
        ``pooled``. Which of equally near images come in is left to chance of order.

    Raises:
        TypeError: ``pooled`` is not floating point.
        ValueError: a wrong shape, not finite, fewer than 2 images, or k below 1.
    """
    check_vectors("pooled", pooled, "N")
    check_count("k", k, 1)
    if len(pooled) == 1:
        raise ValueError("nearest images need at least 2 images: the only one has no neighbour")
    f = unit(pooled)
    found = torch.empty(len(f), min(k, len(f) - 1), dtype=torch.int64, device=f.device)
    for rows in chunks(f, len(f)):
        similarity = cosines(f[rows], f)
        own = torch.arange(rows.start, rows.stop, device=f.device)
        # An image is taken out by its place: a copy of it elsewhere is a neighbour like others.
        similarity.scatter_(1, own.unsqueeze(1), -torch.inf)
        found[rows] = similarity.topk(found.shape[1], dim=1).indices
    return found
