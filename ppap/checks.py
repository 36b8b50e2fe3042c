"""What propagation and its rivals ask of their inputs; every error names the field and range."""

from __future__ import annotations

import math
from numbers import Integral, Real

import torch
from torch import Tensor


def check_features(features: Tensor, anchors: Tensor) -> None:
    """Raise the errors that ``propagate`` lists for its two tensors."""
    if not isinstance(features, Tensor) or not features.is_floating_point():
        kind = features.dtype if isinstance(features, Tensor) else type(features).__name__
        raise TypeError(f"features must be a floating-point tensor (N, D), not {kind}")
    if features.ndim != 2:
        raise ValueError(
            f"features must have the shape (N, D), not {tuple(features.shape)}; "
            "flatten images and rows first: features.flatten(0, 2)"
        )
    if features.numel() == 0:
        raise ValueError(f"features are empty: shape {tuple(features.shape)}")
    if not torch.isfinite(features).all():
        bad = int((~torch.isfinite(features).all(dim=1)).nonzero()[0])
        raise ValueError(f"features hold NaN or infinity, first in row {bad}")
    if not isinstance(anchors, Tensor) or anchors.dtype not in (torch.int64, torch.int32):
        kind = anchors.dtype if isinstance(anchors, Tensor) else type(anchors).__name__
        raise TypeError(f"anchors must be an int64 tensor (A,), not {kind}")
    if anchors.ndim != 1:
        raise ValueError(f"anchors must have the shape (A,), not {tuple(anchors.shape)}")
    outside = (anchors < 0) | (anchors >= len(features))
    if outside.any():
        raise IndexError(
            f"anchor {int(anchors[outside][0])} is outside the features: 0 to {len(features) - 1}"
        )


def check_settings(
    *, phi0: float, psi0: float, sigma_pos: float, sigma_amb: float, steps: int
) -> None:
    """Raise ValueError, naming the setting and its range, for a setting that has no meaning."""
    for name, value in (("phi0", phi0), ("psi0", psi0)):
        if not (isinstance(value, Real) and -1 <= value <= 1):
            raise ValueError(f"{name} must be a cosine between -1 and 1, not {value!r}")
    for name, value in (("sigma_pos", sigma_pos), ("sigma_amb", sigma_amb)):
        if not (isinstance(value, Real) and math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a number above 0, not {value!r}")
    if isinstance(steps, bool) or not isinstance(steps, Integral) or steps < 0:
        raise ValueError(f"steps must be a whole number, 0 or more, not {steps!r}")
