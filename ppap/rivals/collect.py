"""What rules that move no proxy share: one loop over chunks of anchors."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.propagation import Partition, PatchSets, chunks, cosines, without_anchors


class Chosen(NamedTuple):
    """A rule's answer for a chunk of ``a`` anchors; the anchor itself may still be in it."""

    positive: Tensor
    """bool ``(a, N)``."""
    negative: Tensor | None = None
    """bool ``(a, N)``, no patch of ``positive`` in it; None: everything that is not positive."""


Choose = Callable[[Tensor, Tensor], Chosen]
"""Cosines ``(a, N)`` of a chunk of anchors, and their indices ``(a,)`` → their sets."""


@torch.no_grad()
def collect(f: Tensor, anchors: Tensor, choose: Choose) -> PatchSets:
    """Ask a rule for the sets of every anchor; memory is bounded by the chunks.

    No proxy moves: T = 0 and v⁰ is the anchor. Such a rule has no criterion shared by all
    patches, so Φ = Ψ = the similarity of the farthest positive, which tells how far the rule
    reached (1 where it found none). The stored sets are what counts, not a comparison with Φ.

    Args:
        f: L2-normalised features ``(N, D)``.
        anchors: indices into ``f``, int64 ``(A,)``.
        choose: the rule.
    """
    count = len(anchors)
    final = Partition(
        *(torch.empty(count, len(f), dtype=torch.bool, device=f.device) for _ in range(3))
    )
    reach = f.new_empty(1, count)
    for rows in chunks(f, count):
        similarity = cosines(f[anchors[rows]], f)
        positive, negative = choose(similarity, anchors[rows])
        if negative is None:
            negative = ~positive
        sets = Partition(positive, ~(positive | negative), negative)
        for whole, part in zip(final, without_anchors(sets, anchors[rows]), strict=True):
            whole[rows] = part
        reach[0, rows] = similarity.masked_fill(~positive, torch.inf).amin(dim=1).clamp(max=1)
    return PatchSets(
        features=f,
        anchors=anchors,
        proxies=f[anchors].unsqueeze(0),
        phi=reach,
        psi=reach,
        moved=f.new_empty(0, count),
        positive=final.positive,
        ambiguous=final.ambiguous,
        negative=final.negative,
    )
