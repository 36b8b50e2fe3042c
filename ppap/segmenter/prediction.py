"""Features and probes → a cluster and a class for every pixel.

Features are upsampled bilinearly before the probes, as published. Upsampled whole they would fill
gigabytes, and need not be: a linear map and bilinear upsampling can change places (the weights of
the four neighbours sum to 1, so the bias may, too). That serves the linear probe's logits and the
cluster probe's products. Cosines also need the length of each upsampled feature, and lengths
cannot change places; they are summed up over a few channels at a time. Which cosine is the
largest does not depend on the length at all.
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
    """|f| of upsampled features: ``(B, h, w, D)`` → float32 ``(B, 1, H, W)``, never 0."""
    maps = features.float().permute(0, 3, 1, 2)
    squares = maps.new_zeros(len(maps), 1, *size)
    for some in maps.split(channels_at_once(len(maps), size), dim=1):
        squares += upsampled(some, size).square_().sum(dim=1, keepdim=True)
    return squares.sqrt_().clamp_(min=SHORTEST)


def channels_at_once(images: int, size: tuple[int, int]) -> int:
    """How many float32 maps of ``size``, one for every image, fit CHUNK_BYTES; at least one."""
    return max(1, CHUNK_BYTES // (4 * images * size[0] * size[1]))
