"""The two probes that turn features into clusters and classes.

They train beside the network on detached features, and send no gradient into it. They work in
float32, also inside autocast (the published code runs them in half precision): they cost little,
and near the border of two classes half precision changes the prediction.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppap.checks import described
from ppap.segmenter.label_loss import upsampled_cross_entropy

VOID = -1


class ClusterProbe(nn.Module):
    """K centroids, compared with features by cosine."""

    def __init__(self, dim: int, count: int) -> None:
        super().__init__()
        self.clusters = nn.Parameter(torch.randn(count, dim))

    def products(self, features: Tensor) -> Tensor:
        """Centroids of unit length times features: ``(B, h, w, D)`` → float32 ``(B, K, h, w)``.

        Divided by the features' lengths these are the cosines.
        """
        with torch.autocast(features.device.type, enabled=False):
            products = features.float() @ F.normalize(self.clusters.float(), dim=1).T
        return products.permute(0, 3, 1, 2)

    def loss(self, features: Tensor) -> Tensor:
        """−(mean over all patches of the best cosine); ``(B, h, w, D)`` features are detached."""
        f = F.normalize(features.detach().float(), dim=3)
        # The largest alone: of equals only one centroid gets the gradient, as in the published
        # code.
        return -self.products(f).max(dim=1).values.mean()


class LinearProbe(nn.Conv2d):
    """A 1×1 convolution to C classes: the only part that sees labels."""

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__(dim, classes, 1)

    def logits(self, features: Tensor) -> Tensor:
        """``(B, h, w, D)`` → float32 ``(B, C, h, w)``."""
        bias = None if self.bias is None else self.bias.float()
        with torch.autocast(features.device.type, enabled=False):
            return F.conv2d(features.permute(0, 3, 1, 2).float(), self.weight.float(), bias)

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy at label size, averaged over all pixels that are not void.

        Args:
            features: ``(B, h, w, D)``; detached.
            labels: int64 ``(B, H, W)``, classes from 0 to C − 1, −1 where void; best on the CPU,
                where they are checked without waiting for a GPU.

        Returns:
            The loss, without dimensions; 0 where every pixel is void.

        Raises:
            TypeError: labels are not int64.
            ValueError: labels of another shape, or of a class that the probe does not have.
        """
        check_label_maps(labels, len(features), self.out_channels)
        logits = self.logits(features.detach())
        return upsampled_cross_entropy(logits, labels.to(features.device, non_blocking=True), VOID)


def upsampled(maps: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """``(B, C, h, w)`` → ``(B, C, H, W)``, bilinear between the centres of patches."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def check_label_maps(labels: Tensor, images: int, classes: int) -> None:
    """``labels`` must be int64 ``(B, H, W)`` for B images, each a class or void."""
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        raise TypeError(
            f"labels must be an int64 tensor (B, H, W), not {described(labels, 'dtype')}"
        )
    if labels.ndim != 3 or len(labels) != images or labels.numel() == 0:
        raise ValueError(
            f"labels must have the shape (B, H, W) with B = {images}, one map for every image, "
            f"not {tuple(labels.shape)}"
        )
    least, most = (int(value) for value in labels.aminmax())
    if least < VOID or most >= classes:
        wrong = least if least < VOID else most
        raise ValueError(
            f"labels hold the class {wrong}; the linear probe knows 0 to {classes - 1}, and "
            f"{VOID} for void"
        )
