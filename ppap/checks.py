"""What propagation and its rivals ask of their inputs; every error names the field and range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real

import torch
from torch import Tensor


def check_features(features: Tensor, anchors: Tensor) -> None:
    """Raise the errors that ``propagate`` lists for its two tensors."""
    check_vectors("features", features, "N")
    check_anchors(anchors, len(features))


def check_vectors(name: str, vectors: Tensor, rows: str) -> None:
    """``vectors`` must be finite, floating point, ``(rows, D)``, and not empty."""
    if not isinstance(vectors, Tensor) or not vectors.is_floating_point():
        kind = described(vectors, "dtype")
        raise TypeError(f"{name} must be a floating-point tensor ({rows}, D), not {kind}")
    if vectors.ndim != 2:
        raise ValueError(
            f"{name} must have the shape ({rows}, D), not {tuple(vectors.shape)}; "
            f"flatten images and rows first: {name}.flatten(0, 2)"
        )
    if vectors.numel() == 0:
        raise ValueError(f"{name} are empty: shape {tuple(vectors.shape)}")
    finite = torch.isfinite(vectors)
    if not finite.all():
        bad = int((~finite.all(dim=1)).nonzero()[0])
        raise ValueError(f"{name} hold NaN or infinity, first in row {bad}")


def check_anchors(anchors: Tensor, count: int) -> None:
    """``anchors`` must be whole numbers ``(A,)`` from 0 to count − 1."""
    if not isinstance(anchors, Tensor) or anchors.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"anchors must be an int64 tensor (A,), not {described(anchors, 'dtype')}")
    if anchors.ndim != 1:
        raise ValueError(f"anchors must have the shape (A,), not {tuple(anchors.shape)}")
    outside = (anchors < 0) | (anchors >= count)
    if outside.any():
        raise IndexError(
            f"anchor {int(anchors[outside][0])} is outside the features: 0 to {count - 1}"
        )


def check_labels(labels: Tensor, count: int | None = None) -> None:
    """``labels`` must be whole numbers ``(N,)``, N being ``count`` where it is known."""
    if not isinstance(labels, Tensor) or labels.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"labels must be an int64 tensor (N,), not {described(labels, 'dtype')}")
    if labels.ndim != 1 or count not in (None, len(labels)):
        wanted = "(N,)" if count is None else f"(N,) = ({count},), one for every patch"
        raise ValueError(f"labels must have the shape {wanted}, not {tuple(labels.shape)}")


def described(value: object, attribute: str) -> object:
    """For an error: a tensor's ``attribute``, or the type of what is no tensor."""
    return getattr(value, attribute) if isinstance(value, Tensor) else type(value).__name__


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
    check_count("steps", steps, 0)


def check_count(name: str, value: int, least: int, most: int | None = None) -> None:
    """``value`` must be a whole number from ``least`` to ``most`` (None: no upper end)."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        span = f"{least} or more" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number, {span}, not {value!r}")


def patches_by_image(images: int | Sequence[int], total: int) -> tuple[int, ...]:
    """How many of ``total`` patches each image has.

    Args:
        images: how many images share the patches evenly, or the patches of each.
        total: N, all patches.

    Raises:
        ValueError: the number of images does not divide N, or the images' patches do not sum to it.
    """
    if isinstance(images, Sequence) and not isinstance(images, str):
        for one in images:
            check_count("an image's patches", one, 1)
        if sum(images) != total:
            raise ValueError(f"images hold {sum(images)} patches together, not {total}")
        return tuple(int(one) for one in images)
    check_count("images", images, 1)
    if total % images:
        raise ValueError(f"images must divide the {total} patches evenly, not {images}")
    return (total // images,) * int(images)


def check_share(name: str, value: float) -> None:
    """``value`` must be a number from 0 to 1."""
    if isinstance(value, bool) or not (isinstance(value, Real) and 0 <= value <= 1):
        raise ValueError(f"{name} must be a share between 0 and 1, not {value!r}")
