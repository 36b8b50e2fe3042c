"""Cross-entropy at label size, of logits on the grid of patches: upsampled, but never all at once.

Written with plain operations this is the dearest part of a training step: of every image, logits,
their softmax and both gradients lie in memory at label size. As in ``ppap.contrast.eq8`` the
gradient is worked out while the loss is, a few rows of pixels at a time, in the processor's cache.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Logits at label size that live at a time.
CPU_BYTES = 6 * 2**20
GPU_BYTES = 512 * 2**20
# exp(−80) is far from what float32 cannot tell from 0.
WIDEST = 80.0


def upsampled_cross_entropy(logits: Tensor, labels: Tensor, void: int) -> Tensor:
    """Mean cross-entropy of bilinearly upsampled logits, over all pixels that are not void.

    Args:
        logits: float32 ``(B, C, h, w)``.
        labels: int64 ``(B, H, W)``, 0 to C − 1 or ``void``, on the same device.
        void: what stands for no class; below 0.

    Returns:
        The loss, without dimensions; 0 where every pixel is void.
    """
    keep = logits.requires_grad and torch.is_grad_enabled()
    loss: Tensor = _UpsampledCrossEntropy.apply(logits, labels, void, keep)
    return loss


class _UpsampledCrossEntropy(torch.autograd.Function):
    """The loss, with the gradient by ``(B, C, h, w)`` worked out beside it."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, void: int, keep: bool) -> Tensor:
        down = interpolation(logits.shape[2], labels.shape[1], logits)
        right = interpolation(logits.shape[3], labels.shape[2], logits)
        known = labels != void
        count = known.sum().clamp(min=1)
        # A shift of all classes at a position changes nothing, and upsamples as one.
        shifted = logits.detach() - logits.detach().amax(dim=1, keepdim=True)
        # Where the classes are not too far apart, then no exp of theirs can vanish or overflow.
        near = logits.device.type == "cpu" and bool(shifted.min() > -WIDEST)
        total = logits.new_zeros(())
        gradient = torch.zeros_like(shifted) if keep else None
        images, rows = at_once(logits, labels)
        # Taken once: fresh pages for every part would cost as much as the products.
        room = shifted.new_empty(images, shifted.shape[1], rows, labels.shape[2])
        with torch.autocast(logits.device.type, enabled=False):
            for some in spans(len(labels), images):
                across = shifted[some] @ right.T  # (b, C, h, W)
                back = torch.zeros_like(across)
                for part in spans(labels.shape[1], rows):
                    z = room[: len(across), :, : part.stop - part.start]
                    torch.matmul(down[part], across, out=z)  # (b, C, H or a part of it, W)
                    if not near:
                        z -= z.amax(dim=1, keepdim=True)
                    total += summed(z, labels[some, part], known[some, part], keep)
                    if keep:
                        back += down[part].T @ z
                if gradient is not None:
                    gradient[some] = back @ right
        if gradient is not None:
            ctx.save_for_backward(gradient.div_(count))
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None


def summed(z: Tensor, labels: Tensor, known: Tensor, slope: bool) -> Tensor:
    """Σ of the cross-entropy over known pixels; leaves its gradient in ``z`` if ``slope``.

    Args:
        z: logits ``(b, C, H, W)`` whose exp neither vanishes nor overflows; overwritten.
        labels: ``(b, H, W)``, anything where not known.
        known: bool ``(b, H, W)``.
        slope: whether the gradient is wanted.
    """
    weight = known.unsqueeze(1).to(z)
    target = labels.clamp(min=0).unsqueeze(1)
    own = z.gather(1, target)
    below = z.exp_().sum(dim=1, keepdim=True)
    if slope:  # softmax − [the pixel's class]
        z.mul_(weight / below).scatter_add_(1, target, -weight)
    return ((below.log() - own) * weight).sum()


def interpolation(patches: int, pixels: int, like: Tensor) -> Tensor:
    """How much each patch of a side counts for each pixel: ``(pixels, patches)``, rows sum to 1.

    They are ``F.interpolate``'s own numbers, bilinear between the centres of patches.
    """
    unit = torch.eye(patches, device=like.device, dtype=like.dtype).unsqueeze(0)
    return F.interpolate(unit, size=pixels, mode="linear", align_corners=False)[0].T


def at_once(logits: Tensor, labels: Tensor) -> tuple[int, int]:
    """How many images, and how many of their rows of pixels, to upsample together."""
    row = logits.shape[1] * labels.shape[2] * logits.element_size()
    fit = (CPU_BYTES if logits.device.type == "cpu" else GPU_BYTES) // row
    images = min(len(labels), fit // labels.shape[1])
    return max(1, images), max(1, min(fit, labels.shape[1]))


def spans(count: int, most: int) -> list[slice]:
    """From 0 to ``count`` in slices of at most ``most``."""
    return [slice(start, min(start + most, count)) for start in range(0, count, most)]
