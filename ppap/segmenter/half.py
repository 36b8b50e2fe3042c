"""The probes in half precision, rounded where the published code rounds under autocast."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.contrast.in_half import product_in_half
from ppap.segmenter.prediction import CLUSTER_SCALE, Prediction
from ppap.segmenter.probes import VOID, ClusterProbe, LinearProbe, check_label_maps, upsampled

# Pixels answered at a time.
AT_ONCE = 2**15


def cosines_in_half(probe: ClusterProbe, features: Tensor) -> Tensor:
    """Of ``(…, D)`` with the centroids: float16 ``(…, K)``."""
    return product_in_half(
        F.normalize(features.float(), dim=-1), F.normalize(probe.clusters.float(), dim=1).T
    )


def logits_in_half(probe: LinearProbe, features: Tensor) -> Tensor:
    """The linear probe's of ``(…, D)``: float16 ``(…, C)``."""
    return product_in_half(features, probe.weight.flatten(1).T, probe.bias)


@torch.no_grad()
def predict_in_half(
    features: Tensor,
    cluster_probe: ClusterProbe,
    linear_probe: LinearProbe,
    size: tuple[int, int],
    *,
    log_probabilities: bool = False,
) -> Prediction:
    """As ``predict``, in the published order: features upsampled as a whole, then half precision.

    Takes 4·D·H·W bytes beside the result.
    """
    found = [
        _one(one.unsqueeze(0), cluster_probe, linear_probe, size, log_probabilities)
        for one in features
    ]
    whole = [None if parts[0] is None else torch.cat(parts) for parts in zip(*found, strict=True)]
    clusters, classes, *logs = whole
    assert clusters is not None
    assert classes is not None
    return Prediction(clusters, classes, *logs)


def _one(
    features: Tensor,
    cluster_probe: ClusterProbe,
    linear_probe: LinearProbe,
    size: tuple[int, int],
    log_probabilities: bool,
) -> Prediction:
    """Of one image ``(1, h, w, D)``."""
    fine = upsampled(features.float().permute(0, 3, 1, 2), size)[0].flatten(1)  # (D, H·W)
    parts = []
    for some in fine.split(AT_ONCE, dim=1):
        cosines = cosines_in_half(cluster_probe, some.T)
        logits = logits_in_half(linear_probe, some.T)
        part = [cosines.argmax(dim=1), logits.argmax(dim=1)]
        if log_probabilities:
            part += [
                (cosines * CLUSTER_SCALE).float().log_softmax(dim=1),
                logits.float().log_softmax(dim=1),
            ]
        parts.append(part)
    clusters, classes, *logs = (torch.cat(each) for each in zip(*parts, strict=True))
    return Prediction(
        clusters.view(1, *size),
        classes.view(1, *size),
        *(each.T.reshape(1, -1, *size) for each in logs),
    )


def cluster_loss_in_half(probe: ClusterProbe, features: Tensor) -> Tensor:
    """``ClusterProbe.loss`` with cosines in half precision."""
    cosines = cosines_in_half(probe, features.detach())
    return -cosines.max(dim=3).values.float().mean()


def linear_loss_in_half(probe: LinearProbe, features: Tensor, labels: Tensor) -> Tensor:
    """``LinearProbe.loss`` with logits, and their upsampling, in half precision.

    Raises:
        TypeError, ValueError: as there.
    """
    check_label_maps(labels, len(features), probe.out_channels)
    labels = labels.to(features.device, non_blocking=True)
    logits = logits_in_half(probe, features.detach()).permute(0, 3, 1, 2)
    known = labels != VOID
    with torch.autocast(features.device.type, enabled=False):
        # Rounded as upsampling halves does; a CPU would take long for it.
        fine = upsampled(logits.float(), (labels.shape[1], labels.shape[2])).half().float()
        picked = F.cross_entropy(fine, labels.clamp(min=0), reduction="none")
        return (picked * known).sum() / known.sum().clamp(min=1)
