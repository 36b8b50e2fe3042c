"""Features and probes → a cluster and a class for every pixel.

Features are upsampled bilinearly before the probes, as published. Upsampled whole they would fill
gigabytes, and need not be: a linear map and bilinear upsampling can change places (the weights of
the four neighbours sum to 1, so the bias may, too). That serves the linear probe's logits and the
cluster probe's products. Cosines also need the length of each upsampled feature, which follows
from lengths on the grid of the patches. Which cosine is the largest does not depend on it at all.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ppap.segmenter.probes import ClusterProbe, LinearProbe, upsampled

# Maps of label size that exist at once beside the result.
CHUNK_BYTES = 64 * 2**20
# Cosines times this give the cluster probe's log-probabilities for the CRF, as published.
CLUSTER_SCALE = 2.0
SHORTEST = 1e-12


class Prediction(NamedTuple):
    """What both probes say of B images of H × W pixels."""

    clusters: Tensor
    """Best centroid, int64 ``(B, H, W)``; not yet matched with classes."""
    classes: Tensor
    """Best class of the linear probe, int64 ``(B, H, W)``."""
    cluster_log_probabilities: Tensor | None = None
    """log softmax of 2 · cosine, float32 ``(B, K, H, W)``, where asked for (a CRF needs it)."""
    class_log_probabilities: Tensor | None = None
    """log softmax of the logits, float32 ``(B, C, H, W)``, where asked for."""


@torch.no_grad()
def predict(
    features: Tensor,
    cluster_probe: ClusterProbe,
    linear_probe: LinearProbe,
    size: tuple[int, int],
    *,
    log_probabilities: bool = False,
) -> Prediction:
    """Clusters and classes at ``size``.

    Args:
        features: ``(B, h, w, D)``.
        cluster_probe: K centroids.
        linear_probe: C classes.
        size: H and W wanted, usually those of the labels.
        log_probabilities: also give these, which take 4·B·(K + C)·H·W bytes.
    """
    products, logits = cluster_probe.products(features), linear_probe.logits(features)
    if not log_probabilities:
        return Prediction(largest(products, size), largest(logits, size))
    products, logits = upsampled(products, size), upsampled(logits, size)
    clusters, classes = products.argmax(dim=1), logits.argmax(dim=1)
    cosines = products.div_(lengths(features, size))
    return Prediction(
        clusters,
        classes,
        cosines.mul_(CLUSTER_SCALE).log_softmax(dim=1),
        logits.log_softmax(dim=1),
    )


def largest(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """``upsampled(maps, size).argmax(dim=1)`` a few channels at a time: int64 ``(B, H, W)``."""
    best: Tensor | None = None
    index = torch.empty(0)
    start = 0
    for some in maps.split(channels_at_once(len(maps), size), dim=1):
        value, place = upsampled(some, size).max(dim=1)
        if best is None:
            best, index = value, place
        else:
            better = value > best
            best = torch.where(better, value, best)
            index = torch.where(better, place + start, index)
        start += some.shape[1]
    return index


def lengths(features: Tensor, size: tuple[int, int]) -> Tensor:
    """|f| of upsampled features: ``(B, h, w, D)`` → float32 ``(B, 1, H, W)``, never 0.

    Along a line |a + t(b − a)|² = (1 − t)|a|² + t|b|² − t(1 − t)|b − a|². Used twice, across and
    down, that needs only lengths on the grid of the patches, not all channels of every pixel.
    """
    f = features.float()
    down = torch.diff(f, dim=1, append=f[:, -1:])  # from each patch to the one below
    rows, columns = places(f.shape[1], size[0], f.device), places(f.shape[2], size[1], f.device)
    here, below = across(f, columns), across(down, columns)
    return between(here, below, 1, rows).clamp_(min=SHORTEST**2).sqrt_().unsqueeze(1)


class Places(NamedTuple):
    """Where the pixels of one side lie between patches."""

    before: Tensor
    """The last patch whose centre is not beyond the pixel's, int64."""
    way: Tensor
    """How far the pixel is on the way to the next patch, in [0, 1)."""


def places(patches: int, pixels: int, device: torch.device) -> Places:
    """As ``upsampled`` places them: between the centres of patches, and held at the borders."""
    at = (torch.arange(pixels, device=device) + 0.5) * patches / pixels - 0.5
    at = at.clamp(0, patches - 1)
    before = at.floor()
    return Places(before.long(), at - before)


def across(f: Tensor, columns: Places) -> Tensor:
    """|f|² upsampled across: ``(B, h, w, D)`` → ``(B, h, W)``."""
    steps = torch.diff(f, dim=2, append=f[:, :, -1:])
    return between(f.square().sum(dim=3), steps.square().sum(dim=3), 2, columns)


def between(ends: Tensor, steps: Tensor, dim: int, place: Places) -> Tensor:
    """|f|² between patches along ``dim``, from those at them and of the steps between them."""
    after = (place.before + 1).clamp(max=ends.shape[dim] - 1)
    t = place.way.view([-1 if d == dim else 1 for d in range(3)])
    first, second = ends.index_select(dim, place.before), ends.index_select(dim, after)
    return (1 - t) * first + t * second - t * (1 - t) * steps.index_select(dim, place.before)


def channels_at_once(images: int, size: tuple[int, int]) -> int:
    """How many float32 maps of ``size``, one for every image, fit CHUNK_BYTES; at least one."""
    return max(1, CHUNK_BYTES // (4 * images * size[0] * size[1]))
