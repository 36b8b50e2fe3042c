"""Cross-entropy at label size, of logits on the grid of patches: upsampled, but never all at once.

Written with plain operations this is the dearest part of a training step: of every image, logits,
their softmax and both gradients lie in memory at label size. As in ``ppap.contrast.gradient`` the
gradient is worked out while the loss is, a few images at a time, in the processor's cache.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# Logits at label size that live at a time; at least those of one image.
CPU_BYTES = 8 * 2**20
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
        rows = interpolation(logits.shape[2], labels.shape[1], logits)
        columns = interpolation(logits.shape[3], labels.shape[2], logits)
        known = labels != void
        count = known.sum().clamp(min=1)
        # A shift of all classes at a position changes nothing, and upsamples as one.
        shifted = logits.detach() - logits.detach().amax(dim=1, keepdim=True)
        # Where the classes are not too far apart, then no exp of theirs can vanish or overflow.
        near = not logits.is_cuda and bool(shifted.min() > -WIDEST)
        at_once = images_at_once(logits, labels)
        total = logits.new_zeros(())
        gradients = []
        with torch.autocast(logits.device.type, enabled=False):
            for some, own, used in zip(
                shifted.split(at_once), labels.split(at_once), known.split(at_once), strict=True
            ):
                z = rows @ (some @ columns.T)  # (b, C, H, W)
                if not near:
                    z -= z.amax(dim=1, keepdim=True)
                target = own.clamp(min=0).unsqueeze(1)
                weight = used.unsqueeze(1).to(z)
                right = z.gather(1, target)
                below = z.exp_().sum(dim=1, keepdim=True)
                total += ((below.log() - right) * weight).sum()
                if keep:
                    # softmax − [the pixel's class], 0 where void
                    z.mul_(weight / below).scatter_add_(1, target, -weight)
                    gradients.append((rows.T @ z) @ columns)
        if keep:
            ctx.save_for_backward(torch.cat(gradients).div_(count))
        return total / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream, None, None, None


def interpolation(patches: int, pixels: int, like: Tensor) -> Tensor:
    """How much each patch of a side counts for each pixel: ``(pixels, patches)``, rows sum to 1.

    They are ``F.interpolate``'s own numbers, bilinear between the centres of patches.
    """
    unit = torch.eye(patches, device=like.device, dtype=like.dtype).unsqueeze(0)
    return F.interpolate(unit, size=pixels, mode="linear", align_corners=False)[0].T


def images_at_once(logits: Tensor, labels: Tensor) -> int:
    """How many images' logits to upsample together."""
    size = logits.shape[1] * labels[0].numel() * logits.element_size()
    return max(1, (GPU_BYTES if logits.is_cuda else CPU_BYTES) // size)
