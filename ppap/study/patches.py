"""A labelled batch, and the anchors that a study draws in it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import patches_by_image
from ppap.evaluation.trust import VOID

# Anchors whose sets are in memory together.
ANCHORS_AT_ONCE = 250


class Patches(NamedTuple):
    """A labelled batch as rules need it."""

    f: Tensor
    """L2-normalised features ``(N, D)``, image by image."""
    labels: Tensor
    """Class of every patch, int64 ``(N,)``, −1 where void."""
    images: int | tuple[int, ...]
    """How many images share the patches evenly, or the patches of each."""
    anchors: Tensor
    """Indices of the anchors, int64 ``(A,)``, all with a class."""


def sample_anchors(labels: Tensor, count: int, seed: int) -> Tensor:
    """``count`` random patches that have a class, or all there are; int64, ascending."""
    known = (labels != VOID).nonzero()[:, 0]
    chance = torch.Generator().manual_seed(seed)
    return known[torch.randperm(len(known), generator=chance)[:count]].sort().values


def image_of_each(batch: Patches) -> Tensor:
    """Which image every patch is of, int64 ``(N,)``, from 0."""
    counts = torch.tensor(patches_by_image(batch.images, len(batch.f)))
    return torch.arange(len(counts)).repeat_interleave(counts).to(batch.f.device)
