"""Eq. 8 with its gradient, in blocks of (chunk × N).

The loss is one number, so its gradient can be worked out while the loss is: every block is gone
again before the next one comes, and nothing of the size (anchors × N) waits for the backward
pass, which only scales a gradient ``(N, D)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ppap.propagation import Partition, PatchSets, directions

# One (anchors × patches) block; three or four of them live at a time. The smaller size stays in
# a processor's cache; with few anchors in a block, though, the products lose more than that gains.
SMALL_CHUNK_BYTES = 4 * 2**20
CHUNK_BYTES = 32 * 2**20
ENOUGH_ANCHORS = 200
# The published code multiplies Eq. 8 by τ over this.
PUBLISHED_BASE = 0.07
LEAST = -80.0


@dataclass(frozen=True, eq=False)
class Task:
    """What the loss is to be taken of, apart from the projected features."""

    anchors: Tensor
    """int64 ``(A,)``, on the device of the projected features."""
    images: Tensor | None
    """int64 ``(A,)`` on the CPU; None: the plain mean over the anchors."""
    sets_of: Callable[[Tensor], PatchSets | Partition]
    """Rows of ``anchors``, int64 ``(a,)`` → their sets, bool ``(a, N)``."""
    temperature: float
    published_scale: bool
    normalise: bool

    @property
    def scale(self) -> float:
        """1 as in the paper, or τ/0.07: a deviation of the published code from Eq. 8."""
        return self.temperature / PUBLISHED_BASE if self.published_scale else 1.0


class Eq8(torch.autograd.Function):
    """``(N, D)`` → the loss; and int64 ``(5,)``: the summed sizes of P, A and N, the number of
    empty P, and how many anchors or images the loss is the mean over."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, task: Task, keep: bool) -> tuple[Tensor, Tensor]:
        """Loss and sizes; the gradient is worked out only if ``keep``."""
        # Autocast would take the products in half precision: exp(z · z / τ) at τ = 0.07 turns an
        # error of 1e-3 in a cosine into 1.4 %.
        with torch.autocast(projected.device.type, enabled=False):
            z = in_single(projected)
            length = None
            if task.normalise:
                z, length = directions(z)
            gradient = torch.zeros_like(z) if keep else None
            loss, sizes = summed(z, task, gradient)
            if gradient is not None:
                if length is not None:
                    through_normalisation(gradient, z, length)
                ctx.save_for_backward(gradient)
        ctx.given_as = projected.dtype
        ctx.mark_non_differentiable(sizes)
        return loss, sizes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        """Scale the gradient that was kept."""
        (gradient,) = ctx.saved_tensors
        # Kept in float32 until a gradient scaler's factor is in: alone, much of it would be
        # below what float16 can tell from 0.
        return (gradient * upstream).to(ctx.given_as), None, None


def summed(z: Tensor, task: Task, gradient: Tensor | None) -> tuple[Tensor, Tensor]:
    """``Eq8`` of unit vectors ``(N, D)``; adds to ``gradient``, the same shape, if there is one."""
    total = z.new_zeros(())
    counted = torch.zeros((), dtype=torch.int64, device=z.device)
    sizes = torch.zeros(4, dtype=torch.int64, device=z.device)
    at_once = anchors_at_once(len(task.anchors), len(z) * z.element_size())
    for piece in pieces(task.images, len(task.anchors), at_once, z.device):
        rows = piece.rows
        sets = task.sets_of(rows)
        count = sets.positive.sum(dim=1)
        filled = count > 0
        sizes += torch.stack(
            [
                count.sum(),
                sets.ambiguous.count_nonzero(),
                sets.negative.count_nonzero(),
                (~filled).sum(),
            ]
        )
        share, groups = shares(filled.to(z), piece)
        counted += groups
        # More than one turn only where a single image has more anchors than fit.
        for start in range(0, len(rows), at_once):
            block = slice(start, start + at_once)
            total += one_block(
                z,
                task.anchors[rows[block]],
                sets.positive[block],
                sets.negative[block],
                share[block],
                task.temperature,
                gradient,
            )
    factor = task.scale / counted.clamp(min=1).to(z)
    if gradient is not None:
        gradient.mul_(factor)
    return total * factor, torch.cat([sizes, counted.unsqueeze(0)])


def anchors_at_once(count: int, row_bytes: int) -> int:
    """How many of ``count`` rows of similarities to take at a time; the last are about as many."""
    few, most = SMALL_CHUNK_BYTES // row_bytes, CHUNK_BYTES // row_bytes
    limit = max(1, few, min(ENOUGH_ANCHORS, most))
    return math.ceil(count / max(1, math.ceil(count / limit)))


class Piece(NamedTuple):
    """Some of the anchors, of whole images."""

    rows: Tensor
    """Which of the anchors, int64 ``(a,)``."""
    image: Tensor | None
    """Which of the piece's images each is of, from 0, int64 ``(a,)``; None where images do not
    count."""
    images: int
    """How many images they are of."""


def pieces(
    images: Tensor | None, count: int, at_once: int, device: torch.device
) -> Iterator[Piece]:
    """Rows of the anchors, at most ``at_once`` together, but never less than a whole image.

    How much an anchor counts depends on how many others of its image have positives, so these
    must be known when its gradient is taken. ``images`` is on the CPU, where all this is worked
    out and sent to ``device`` at once: asking a GPU would let it wait.
    """
    if images is None:
        for some in torch.arange(count, device=device).split(at_once) if count else ():
            yield Piece(some, None, 0)
        return
    order = images.argsort(stable=True)
    lengths = images[order].unique_consecutive(return_counts=True)[1]
    number = torch.arange(len(lengths)).repeat_interleave(lengths)
    rows, image = (part.to(device, non_blocking=True) for part in (order, number))
    start = stop = first = 0
    for place, length in enumerate(lengths.tolist()):
        if stop > start and stop + length - start > at_once:
            yield Piece(rows[start:stop], image[start:stop] - first, place - first)
            start, first = stop, place
        stop += length
    if stop > start:
        yield Piece(rows[start:stop], image[start:stop] - first, len(lengths) - first)


def shares(filled: Tensor, piece: Piece) -> tuple[Tensor, Tensor]:
    """How much each anchor counts, and how many images (or anchors) the sum is to be divided by.

    ``filled`` ``(a,)`` is 1 for an anchor with positives, else 0. An image without any
    positives is left out, as an anchor without them is.
    """
    if piece.image is None:
        return filled, filled.sum().long()
    per_image = filled.new_zeros(piece.images).index_add(0, piece.image, filled)
    return filled / per_image[piece.image].clamp(min=1), (per_image > 0).sum()


def one_block(
    z: Tensor,
    own: Tensor,
    positive: Tensor,
    negative: Tensor,
    share: Tensor,
    temperature: float,
    gradient: Tensor | None,
) -> Tensor:
    """Σ share_i · Eq. 8 for the anchors ``own`` ``(a,)``; adds its gradient by z ``(N, D)``."""
    share = share.unsqueeze(1)
    v = z[own]
    allowed = positive | negative
    # Far below every cosine over τ, but finite: 0 · −∞ would not be a number. Two blocks (a, N)
    # are enough, because each is overwritten with what comes of it.
    logits = ((v / temperature) @ z.T).add_(
        (~allowed).to(z.dtype).mul_(torch.finfo(z.dtype).min / 2)
    )
    logits -= logits.amax(dim=1, keepdim=True)
    target = positive.to(z.dtype)
    target /= target.sum(dim=1, keepdim=True).clamp(min=1)
    matched = torch.bmm(logits.unsqueeze(1), target.unsqueeze(2)).squeeze(2)
    # A sum that holds exp(0) = 1 cannot tell exp(LEAST) from 0, but processors take about ten
    # times as long for numbers that vanish.
    total = logits.clamp_(min=LEAST).exp_().mul_(allowed).sum(dim=1, keepdim=True).clamp_(min=1)
    loss = (share * (total.log() - matched)).sum()
    if gradient is not None:
        # dL_i / d(z_i · z_j) = (softmax_ij over N ∪ P − [j ∈ P] / |P|) / τ, exactly 0 on A.
        slope = logits.div_(total).sub_(target).mul_(share / temperature)
        gradient.index_add_(0, own, slope @ z)
        gradient.addmm_(slope.T, v)
    return loss


def in_single(x: Tensor) -> Tensor:
    """Half precision → float32; float32 and float64 as they are."""
    return x.float() if x.itemsize < 4 else x


def through_normalisation(gradient: Tensor, z: Tensor, length: Tensor) -> None:
    """The gradient by z = x / |x| becomes that by x (in place): (g − (g · z) z) / |x|.

    A row too short to have a direction gets none.
    """
    along = torch.linalg.vecdot(gradient, z).unsqueeze(1)
    gradient.addcmul_(z, along, value=-1)
    shortest = torch.finfo(z.dtype).tiny
    gradient.mul_(torch.where(length < shortest, 0.0, 1 / length.clamp(min=shortest)))
