"""The loss of several processes without gathering: everybody's patches travel round in a ring.

Gathered, each process holds the patches of the whole batch, and the gradient by all of them. Here
each holds its own, and in turn those of one other: in a pass, what a process has is handed on to
the next until all have seen all. Propagation takes one pass for each relocation, Eq. 8 one for its
sums and one for its gradient, which travels with the patches that it is by. More is sent than in
gathering (``trainers.launching.scaling`` says how much), but memory does not grow with the
processes.

Sets, loss and gradient are those of gathering, up to the order of additions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from ppap.contrast.eq8 import LEAST, PUBLISHED_BASE, Piece, anchors_at_once, in_single, shares
from ppap.data import VOID
from ppap.propagation import (
    Partition,
    ambiguity_criterion,
    cosines,
    distance_moved,
    partition,
    positiveness_criterion,
    positives,
    proxy_of,
    sum_of_members,
)
from ppap.settings import Settings
from trainers.training.distributed import World


@dataclass(frozen=True, eq=False)
class Shard:
    """What one process brings to a step, and what it asks."""

    f: Tensor
    """Unit vectors ``(n, D)``, of this process's patches."""
    anchors: Tensor
    """Rows of ``f``, int64 ``(a,)``, on its device."""
    images: Piece
    """Which of this process's images each anchor is of."""
    labels: Tensor | None
    """Classes of the patches, int64 ``(n,)``, −1 where void; None where precision is not asked."""
    settings: Settings
    temperature: float
    published_scale: bool
    world: World


class RingLoss(NamedTuple):
    """As ``SetLoss``: of this process's anchors among the patches of all processes."""

    loss: Tensor
    positives: Tensor
    ambiguous: Tensor
    negatives: Tensor
    empty: Tensor
    counted: Tensor
    right: Tensor
    """Positives of their anchor's class, int64."""
    known: Tensor
    """Positives whose class and whose anchor's are known, int64."""


def ring_loss(projected: Tensor, shard: Shard) -> RingLoss:
    """PPAP's sets and Eq. 8, the mean over this process's images.

    All processes must call it, and go backward if any of them does.

    Args:
        projected: z of this process's patches, unit vectors ``(n, D)``; as many in every process.
        shard: the rest of what this process brings.
    """
    loss, counts = _RingLoss.apply(projected, shard)
    means = counts[:3] / max(1, len(shard.anchors))
    return RingLoss(loss, means[0], means[1], means[2], *counts[3:])


class _Found(NamedTuple):
    """What the passes over all patches have found for each anchor."""

    proxies: Tensor
    phi: Tensor
    psi: Tensor
    size: Tensor
    """|P|, ``(a, 1)``."""
    highest: Tensor
    """The largest logit over N ∪ P, ``(a, 1)``."""
    total: Tensor
    """Σ exp(logit − highest) over N ∪ P, at least 1, ``(a, 1)``."""
    share: Tensor
    """How much each anchor counts in the mean, ``(a, 1)``."""


class _RingLoss(torch.autograd.Function):
    """``(n, D)`` → the loss; and int64 ``(7,)``: sizes of P, A, N, empty P, images counted, right
    and known positives."""

    @staticmethod
    def forward(ctx: Any, projected: Tensor, shard: Shard) -> tuple[Tensor, Tensor]:
        with torch.autocast(projected.device.type, enabled=False):
            z = in_single(projected.detach())
            proxies, phi, psi = proxies_of(shard)
            found, loss, counts = sums_of(z, shard, proxies, phi, psi)
        ctx.save_for_backward(z, *found)
        ctx.shard, ctx.given_as = shard, projected.dtype
        ctx.mark_non_differentiable(counts)
        return loss, counts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, _: Tensor) -> tuple[Tensor, None]:
        # Here and not in forward: how much a process counts in the mean of all is known only now.
        z, *found = ctx.saved_tensors
        with torch.autocast(z.device.type, enabled=False):
            gradient = gradient_of(z, ctx.shard, _Found(*found), upstream)
        return gradient.to(ctx.given_as), None


def around(world: World, *parts: Tensor) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Everybody's ``parts`` in turn, this process's first: whose they are, and they themselves.

    The next ones are under way while these are worked on. In place changes do not travel.
    """
    current = tuple(part.contiguous() for part in parts)
    for turn in range(world.size):
        coming, under_way = None, []
        if turn < world.size - 1:
            coming = tuple(torch.empty_like(part) for part in current)
            under_way = hand_on(world, current, coming)
        yield (world.rank - turn) % world.size, current
        for one in under_way:
            one.wait()
        if coming is not None:
            current = coming


def hand_on(world: World, leaving: tuple[Tensor, ...], coming: tuple[Tensor, ...]) -> list[Any]:
    """Begin to send to the next process and to receive from the one before."""
    after, before = (world.rank + 1) % world.size, (world.rank - 1) % world.size
    sent = [dist.P2POp(dist.isend, part, after) for part in leaving]
    received = [dist.P2POp(dist.irecv, part, before) for part in coming]
    # Even ones first send: over some transports two that both receive first wait for ever.
    both = [*sent, *received] if world.rank % 2 == 0 else [*received, *sent]
    found: list[Any] = dist.batch_isend_irecv(both)
    return found


def proxies_of(shard: Shard) -> tuple[Tensor, Tensor, Tensor]:
    """v^T ``(a, D)``, Φ^T and Ψ^T ``(a,)``: Eq. 1 to 5, a pass for each relocation."""
    five, f, world = shard.settings, shard.f, shard.world
    v = f[shard.anchors]
    phi, psi = (f.new_full((len(v),), start) for start in (five.phi0, five.psi0))
    for _ in range(five.steps):
        total, sizes = (
            torch.zeros_like(v),
            torch.zeros(len(v), 1, dtype=torch.int64, device=v.device),
        )
        for _, (theirs,) in around(world, f):
            for rows in blocks(len(v), theirs):
                members = positives(cosines(v[rows], theirs), phi[rows])
                count = members.sum(dim=1, keepdim=True)
                total[rows] += sum_of_members(theirs, members, count)
                sizes[rows] += count
        moved_to = proxy_of(total, sizes, v)
        moved = distance_moved(v, moved_to)
        phi = positiveness_criterion(phi, moved, five.sigma_pos)
        psi = ambiguity_criterion(psi, moved, five.sigma_amb)
        v = moved_to
    return v, phi, psi


def blocks(anchors: int, theirs: Tensor) -> Iterator[slice]:
    """Slices of the anchors, as many at a time as are in a block of ``Eq8``."""
    size = anchors_at_once(anchors, len(theirs) * theirs.element_size())
    return (slice(at, min(at + size, anchors)) for at in range(0, anchors, max(1, size)))


def sets_in(
    shard: Shard, owner: int, f: Tensor, proxies: Tensor, phi: Tensor, psi: Tensor, rows: slice
) -> Partition:
    """The three sets of some anchors among the patches of process ``owner``."""
    found = partition(cosines(proxies[rows], f), phi[rows], psi[rows])
    if owner == shard.world.rank:
        own = shard.anchors[rows]
        places = torch.arange(len(own), device=own.device)
        for members in found:
            members[places, own] = False
    return found


def sums_of(
    z: Tensor, shard: Shard, proxies: Tensor, phi: Tensor, psi: Tensor
) -> tuple[_Found, Tensor, Tensor]:
    """A pass: everything of Eq. 8 that is a sum over all patches; the loss; the counts."""
    anchors, device = len(shard.anchors), z.device
    v = z[shard.anchors] / shard.temperature
    sizes = torch.zeros(anchors, 3, dtype=torch.int64, device=device)
    precision = torch.zeros(2, dtype=torch.int64, device=device)
    highest = z.new_full((anchors, 1), torch.finfo(z.dtype).min / 2)
    total, matched = z.new_zeros(anchors, 1), z.new_zeros(anchors, 1)
    travelling = (shard.f, z) if shard.labels is None else (shard.f, z, shard.labels)
    own_labels = None if shard.labels is None else shard.labels[shard.anchors]
    for owner, (f, others, *rest) in around(shard.world, *travelling):
        for rows in blocks(anchors, f):
            sets = sets_in(shard, owner, f, proxies, phi, psi, rows)
            sizes[rows] += torch.stack([members.sum(dim=1) for members in sets], dim=1)
            if own_labels is not None:
                precision += told_right(sets.positive, own_labels[rows], rest[0])
            logits = v[rows] @ others.T
            matched[rows] += (logits * sets.positive).sum(dim=1, keepdim=True)
            allowed = sets.positive | sets.negative
            logits.masked_fill_(~allowed, torch.finfo(z.dtype).min / 2)
            higher = torch.maximum(highest[rows], logits.amax(dim=1, keepdim=True))
            total[rows] *= (highest[rows] - higher).clamp_(min=LEAST).exp_()
            total[rows] += summed_exp(logits, higher, allowed)
            highest[rows] = higher
    count = sizes[:, :1]
    filled = (count > 0).flatten()
    share, counted = shares(filled.to(z), shard.images)
    share = share.unsqueeze(1)
    total = total.clamp_(min=1)
    each = total.log() + highest - matched / count.clamp(min=1)
    # Without positives an anchor counts 0, whatever is in its sums.
    loss = (share * torch.where(count > 0, each, 0)).sum() * scale_of(shard, counted, z)
    counts = torch.cat([sizes.sum(dim=0), torch.stack([(~filled).sum(), counted]), precision])
    return _Found(proxies, phi, psi, count, highest, total, share), loss, counts


def summed_exp(logits: Tensor, highest: Tensor, allowed: Tensor) -> Tensor:
    """Σ exp(logit − highest) over the allowed, ``(a, 1)``; overwrites the logits."""
    logits.sub_(highest).clamp_(min=LEAST).exp_().mul_(allowed)
    return logits.sum(dim=1, keepdim=True)


def told_right(positive: Tensor, own: Tensor, labels: Tensor) -> Tensor:
    """How many positives are of their anchor's class, and of how many that is known: ``(2,)``."""
    known = positive & (labels != VOID) & (own != VOID).unsqueeze(1)
    right = known & (own.unsqueeze(1) == labels)
    return torch.stack([right.sum(), known.sum()])


def scale_of(shard: Shard, counted: Tensor, like: Tensor) -> Tensor:
    """What the sum over anchors is multiplied by."""
    scale = shard.temperature / PUBLISHED_BASE if shard.published_scale else 1.0
    return scale / counted.clamp(min=1).to(like)


def gradient_of(z: Tensor, shard: Shard, found: _Found, upstream: Tensor) -> Tensor:
    """A pass: d loss / dz of this process's patches, of all processes' losses together.

    The gradient by everybody's patches travels one turn behind them, and comes home at the end.
    """
    world, own = shard.world, z[shard.anchors]
    filled = found.share > 0
    counted = shares(filled.flatten().to(z), shard.images)[1]
    weight = found.share * (upstream * scale_of(shard, counted, z) / shard.temperature)
    by_own = torch.zeros_like(own)
    carried = torch.zeros_like(z)
    for owner, (f, others) in around(world, shard.f, z):
        if owner != world.rank:
            carried = passed_on(world, carried)
        for rows in blocks(len(own), f):
            sets = sets_in(shard, owner, f, found.proxies, found.phi, found.psi, rows)
            logits = (own[rows] / shard.temperature) @ others.T
            allowed = sets.positive | sets.negative
            logits.masked_fill_(~allowed, torch.finfo(z.dtype).min / 2)
            logits.sub_(found.highest[rows]).clamp_(min=LEAST).exp_().mul_(allowed)
            target = sets.positive.to(z) / found.size[rows].clamp(min=1)
            slope = logits.div_(found.total[rows]).sub_(target).mul_(weight[rows])
            by_own[rows] += slope @ others
            carried.addmm_(slope.T, own[rows])
    carried = passed_on(world, carried)
    return carried.index_add_(0, shard.anchors, by_own)


def passed_on(world: World, carried: Tensor) -> Tensor:
    """What the process before had carried."""
    if world.size == 1:
        return carried
    coming = torch.empty_like(carried)
    for one in hand_on(world, (carried,), (coming,)):
        one.wait()
    return coming
