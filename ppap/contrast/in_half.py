"""Eq. 1 to 8 in half precision, rounded where the published run rounds them.

Autocast halves the factors of every product of that run: cosines, and z · z of Eq. 8. What follows
stays in float16 until the mean over an anchor's positives. Default training takes all of it in
float32 (``propagation.py``, ``eq8.py``); this is for putting the two side by side.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ppap.contrast.eq8 import PUBLISHED_BASE
from ppap.contrast.objective import SetLoss
from ppap.propagation import Partition, PatchSets, without_anchors
from ppap.settings import Settings


def product_in_half(a: Tensor, b: Tensor, plus: Tensor | None = None) -> Tensor:
    """``a @ b`` with factors rounded to float16, ``(…, K)`` and ``(K, N)``: float16.

    ``plus`` ``(N,)`` is added before the sum is rounded. A CPU takes long for products of halves,
    so there the rounded factors are multiplied in float32: the same, up to the order of additions.
    """
    with torch.autocast(a.device.type, enabled=False):
        if a.device.type == "cpu":
            exact = a.half().float() @ b.half().float()
            return (exact if plus is None else exact + plus.half().float()).half()
        found = a.half() @ b.half()
        return found if plus is None else found + plus.half()


@torch.no_grad()
def sets_in_half(f: Tensor, anchors: Tensor, settings: Settings) -> Partition:
    """PPAP's sets as the published run finds them.

    Beside the roundings: a set that empties has a zero proxy; how far a proxy moved is one minus a
    cosine; a patch between a Φ and a Ψ that have passed each other is both positive and negative.

    Args:
        f: unit vectors, float32 ``(N, D)``.
        anchors: int64 ``(a,)``.
        settings: Φ⁰, Ψ⁰, σ and T.

    Returns:
        bool ``(a, N)`` each, the anchors taken out.
    """
    with torch.autocast(f.device.type, enabled=False):
        before = f[anchors]
        cosines = product_in_half(before, f.T)
        ones = f.new_ones(len(anchors), 1, dtype=torch.float16)
        phi, psi = ones * settings.phi0, ones * settings.psi0
        for _ in range(settings.steps):
            # The mean over all patches, not over the members: its direction is the same.
            proxies = F.normalize((cosines > phi).to(f.dtype) @ f / len(f), dim=1)
            cosines = product_in_half(proxies, f.T)
            moved = 1 - F.cosine_similarity(before, proxies).unsqueeze(1)
            phi, psi = phi - moved / settings.sigma_pos, psi + moved / settings.sigma_amb
            before = proxies
        positive, negative = cosines > phi, cosines < psi
    return without_anchors(Partition(positive, ~(positive | negative), negative), anchors)


def loss_in_half(
    sets_of: Callable[[Tensor], PatchSets | Partition],
    projected: Tensor,
    anchors: Tensor,
    *,
    temperature: float,
    images: Tensor,
    published_scale: bool = False,
) -> SetLoss:
    """``chunked_loss`` in half precision, group by group of ``images``.

    Gradients pass through float16, too, so that a gradient scaler is needed.

    Args:
        sets_of: anchors of one group → their sets.
        projected: z of every patch, unit vectors ``(N, D)``.
        anchors: int64 ``(A,)``, on the CPU or where ``projected`` is.
        temperature: τ.
        images: the group of each anchor, int64 ``(A,)``, beside the anchors; the mean is taken
            per group first.
        published_scale: multiply by τ/0.07.
    """
    z = projected.float()
    scale = temperature / PUBLISHED_BASE if published_scale else 1.0
    losses: list[Tensor] = []
    sizes = torch.zeros(4, dtype=torch.int64, device=z.device)
    for group in images.unique():
        own = anchors[images == group].to(z.device, non_blocking=True)
        sets = sets_of(own)
        count = sets.positive.sum(dim=1)
        empty = (count == 0).sum()
        sizes += torch.stack(
            [count.sum(), sets.ambiguous.count_nonzero(), sets.negative.count_nonzero(), empty]
        )
        if int(empty) < len(own):
            # Blocks (a, N) of all groups together would not fit: each is worked out again.
            losses.append(
                checkpoint(
                    _of_group,
                    z,
                    own,
                    sets.positive,
                    sets.negative,
                    temperature,
                    use_reentrant=False,
                )
            )
    loss = torch.stack(losses).mean() * scale if losses else z.sum() * 0
    counted = torch.tensor(len(losses), device=z.device)
    means = sizes[:3] / max(1, len(anchors))
    return SetLoss(loss, means[0], means[1], means[2], sizes[3], counted)


def _of_group(
    z: Tensor, own: Tensor, positive: Tensor, negative: Tensor, temperature: float
) -> Tensor:
    """Mean of Eq. 8 over the anchors that have positives."""
    with torch.autocast(z.device.type, enabled=False):
        logits = product_in_half(z[own], z.T) / temperature  # float16, as all up to the sum
        logits = logits - logits.amax(dim=1, keepdim=True).detach()
        inside = (positive | negative).to(logits.dtype)
        total = (logits.exp() * inside).sum(dim=1, keepdim=True)
        log_shares = (logits - total.log()).float()
        filled = positive.any(dim=1)
        members = positive[filled].float()
        return -((members * log_shares[filled]).sum(dim=1) / members.sum(dim=1)).mean()
