"""The training objective of section 3.4: for given sets, for any rule, and for propagation."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import check_anchors, check_features, check_settings, described
from ppap.contrast.eq8 import Eq8, Task
from ppap.propagation import Partition, PatchSets, propagate_unit, unit, without_anchors

SetsOf = Callable[[Tensor], PatchSets | Partition]
"""A chunk of anchors, int64 ``(a,)`` → their sets, bool ``(a, N)``, no anchor in its own."""


class SetLoss(NamedTuple):
    """A loss, and how large the sets were that it came from; tensors without dimensions.

    The sizes are means over all anchors, the empty ones included, and carry no gradient.
    """

    loss: Tensor
    positives: Tensor
    """Mean of |P|."""
    ambiguous: Tensor
    """Mean of |A|."""
    negatives: Tensor
    """Mean of |N|."""
    empty: Tensor
    """How many anchors had no positive, and so no part in the loss; int64."""
    counted: Tensor
    """How many anchors, or with ``images`` how many images, the loss is the mean over; int64.
    Several processes need it to turn their means into the mean of all."""


def contrastive_loss(
    projected: Tensor,
    anchors: Tensor,
    sets: PatchSets | Partition,
    *,
    temperature: float,
    images: Tensor | None = None,
    published_scale: bool = False,
    normalise: bool = False,
) -> Tensor:
    """Eq. 8 for sets that are already there; see ``chunked_loss`` for what is shared with it.

    Args:
        projected: z of every patch, ``(N, D)``, of unit length, or of any with ``normalise``.
        anchors: indices into ``projected``, int64 ``(A,)``, one for every row of ``sets``.
        sets: P, A and N, bool ``(A, N)``; an anchor that stands in its own sets is taken out.
        temperature: τ > 0.
        images: which image each anchor is of, as in ``chunked_loss``.
        published_scale: as in ``chunked_loss``.
        normalise: as in ``chunked_loss``.

    Returns:
        The loss, without dimensions; its gradient goes to ``projected`` only.

    Raises:
        TypeError, ValueError, IndexError: as ``chunked_loss``; or ValueError where the sets belong
            to other anchors or another number of patches.
    """
    check_projected(projected)
    check_anchors(anchors, len(projected))
    check_sets(sets, anchors, len(projected))
    own = anchors.to(projected.device, torch.int64)

    def sets_of(rows: Tensor) -> Partition:
        # Indexing copies, so that the caller's sets stay as they are.
        copied = Partition(sets.positive[rows], sets.ambiguous[rows], sets.negative[rows])
        return without_anchors(copied, own[rows])

    check_temperature(temperature)
    task = Task(
        own,
        checked_images(images, own),
        sets_of,
        float(temperature),
        published_scale,
        normalise,
    )
    return taken(projected, task).loss


def chunked_loss(
    sets_of: SetsOf,
    projected: Tensor,
    anchors: Tensor,
    *,
    temperature: float,
    images: Tensor | None = None,
    published_scale: bool = False,
    normalise: bool = False,
) -> SetLoss:
    """Eq. 8 for any rule, asked for its sets chunk by chunk so that they are never all there.

    −1/|P| · Σ_{p ∈ P} log(exp(z_i · z_p / τ) / Σ_{n ∈ N ∪ P} exp(z_i · z_n / τ)) for every anchor
    i, then the mean over the anchors that have positives. Ambiguous patches are in no sum. Without
    any such anchor the loss is 0, and so is its gradient.

    In half precision and under autocast everything is computed in float32. NaN or infinity in
    ``projected`` raises no error but gives a NaN loss, which a gradient scaler knows to skip.
    Where several processes share a batch, ``projected`` holds the patches of all of them, and
    ``anchors`` those of this one: rows of the same tensor. Anchors and images on the CPU are
    checked and sorted there, which no GPU has to wait for.

    Args:
        sets_of: a chunk of anchors, int64 ``(a,)`` → their sets, ``(a, N)``. A rule that draws by
            chance should go on with one generator instead of seeding it anew in every call.
        projected: z of every patch, ``(N, D)``, of unit length, or of any with ``normalise``.
        anchors: indices into ``projected``, int64 ``(A,)``.
        temperature: τ > 0.
        images: which image each anchor is of, int64 ``(A,)``, such as ``anchors // 784``. With it
            the mean is taken per image and then over the images that have any positives, as the
            published code does; the two differ where images have different numbers of anchors
            with positives.
        published_scale: multiply by τ/0.07, as the published code does and the paper does not.
        normalise: L2-normalise the rows of ``projected`` first. Not needed for z of a projection
            head that ends in its own normalisation, as the published one (and ``Segmenter``) does.

    Returns:
        The loss and the mean sizes of the sets.

    Raises:
        TypeError: ``projected`` is not floating point, or anchors or images are not integers.
        ValueError: a wrong shape, nothing in ``projected``, or a temperature not above 0.
        IndexError: an anchor outside ``projected``.
    """
    check_projected(projected)
    check_anchors(anchors, len(projected))
    own = anchors.to(projected.device, torch.int64, non_blocking=True)
    check_temperature(temperature)
    task = Task(
        own,
        checked_images(images, own),
        lambda rows: sets_of(own[rows]),
        float(temperature),
        published_scale,
        normalise,
    )
    return taken(projected, task)


def ppap_loss(
    features: Tensor,
    projected: Tensor,
    anchors: Tensor,
    *,
    phi0: float = 0.55,
    psi0: float = 0.15,
    sigma_pos: float = 3,
    sigma_amb: float = 4,
    steps: int = 2,
    temperature: float = 0.8,
    images: Tensor | None = None,
    published_scale: bool = False,
    normalise: bool = False,
) -> SetLoss:
    """Propagation and Eq. 8 in one go: what a training step needs.

    The defaults are the paper's for COCO-Stuff with ViT-S/16 (Table 7).

    Args:
        features: guidance, frozen patch features ``(N, D)``, any scale; they get no gradient.
        projected: z of the same patches, ``(N, D')``, of unit length, or of any with
            ``normalise``.
        anchors: indices into both, int64 ``(A,)``.
        phi0, psi0, sigma_pos, sigma_amb, steps: as in ``propagate``.
        temperature, images, published_scale, normalise: as in ``chunked_loss``.

    Returns:
        The loss and the mean sizes of P^T, A and N.

    Raises:
        TypeError, ValueError, IndexError: as ``propagate`` and ``chunked_loss``; or ValueError
            where ``features`` and ``projected`` have different numbers of patches.
    """
    check_features(features, anchors)
    check_settings(phi0=phi0, psi0=psi0, sigma_pos=sigma_pos, sigma_amb=sigma_amb, steps=steps)
    check_projected(projected)
    if len(projected) != len(features):
        raise ValueError(
            "projected must hold the same patches as features: "
            f"{len(features)} rows, not {len(projected)}"
        )
    f = unit(features)

    def sets_of(chunk: Tensor) -> PatchSets:
        return propagate_unit(
            f,
            chunk,
            phi0=phi0,
            psi0=psi0,
            sigma_pos=sigma_pos,
            sigma_amb=sigma_amb,
            steps=steps,
        )

    return chunked_loss(
        sets_of,
        projected,
        anchors,
        temperature=temperature,
        images=images,
        published_scale=published_scale,
        normalise=normalise,
    )


def taken(projected: Tensor, task: Task) -> SetLoss:
    """The loss of a task whose parts have been checked."""
    keep = projected.requires_grad and torch.is_grad_enabled()
    loss, sizes = Eq8.apply(projected, task, keep)
    means = sizes[:3] / max(1, len(task.anchors))
    return SetLoss(loss, means[0], means[1], means[2], sizes[3], sizes[4])


def check_projected(projected: Tensor) -> None:
    """``projected`` must be floating point ``(N, D)`` and not empty; NaN is let through."""
    if not isinstance(projected, Tensor) or not projected.is_floating_point():
        kind = described(projected, "dtype")
        raise TypeError(f"projected must be a floating-point tensor (N, D), not {kind}")
    if projected.ndim != 2:
        raise ValueError(
            f"projected must have the shape (N, D), not {tuple(projected.shape)}; "
            "flatten images and rows first: projected.flatten(0, 2)"
        )
    if projected.numel() == 0:
        raise ValueError(f"projected is empty: shape {tuple(projected.shape)}")


def check_temperature(temperature: float) -> None:
    """τ must be a number above 0."""
    number = isinstance(temperature, Real) and not isinstance(temperature, bool)
    if not (number and math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be a number above 0, not {temperature!r}")


def checked_images(images: Tensor | None, anchors: Tensor) -> Tensor | None:
    """``images`` as int64 on the CPU; there must be one whole number for each anchor."""
    if images is None:
        return None
    if not isinstance(images, Tensor) or images.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"images must be an int64 tensor (A,), not {described(images, 'dtype')}")
    if images.shape != anchors.shape:
        raise ValueError(
            f"images must have the shape (A,) = ({len(anchors)},), one for every anchor, "
            f"not {tuple(images.shape)}"
        )
    return images.to("cpu", torch.int64)


def check_sets(sets: PatchSets | Partition, anchors: Tensor, patches: int) -> None:
    """``sets`` must be those of these anchors among that many patches."""
    wanted = (len(anchors), patches)
    for name in ("positive", "ambiguous", "negative"):
        members = getattr(sets, name)
        if members.dtype != torch.bool or tuple(members.shape) != wanted:
            raise ValueError(
                f"sets.{name} must be bool (A, N) = {wanted}, a row for every anchor and a column "
                f"for every row of projected, not {members.dtype} {tuple(members.shape)}"
            )
    if isinstance(sets, PatchSets) and not torch.equal(
        sets.anchors, anchors.to(sets.anchors.device, torch.int64)
    ):
        raise ValueError("sets were gathered for other anchors: pass sets.anchors")
