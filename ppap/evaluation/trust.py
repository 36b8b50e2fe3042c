"""How far the sets can be trusted: the measures of the paper's Table 6, anchor by anchor."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import check_anchors, check_labels
from ppap.propagation import Partition, PatchSets, chunks

VOID = -1


class Trust(NamedTuple):
    """Measures of A anchors, each ``(A,)``; patches without a class count in none of them.

    Counts are int64. Shares are float64 in [0, 1], NaN where there is nothing to take a share of,
    and for an anchor that has no class itself.
    """

    known: Tensor
    """bool: the anchor has a class."""
    positives: Tensor
    """Patches in P."""
    precision: Tensor
    """Share of P that is of the anchor's class: Table 6's "TP in P"."""
    recall: Tensor
    """Share of all patches of the anchor's class, itself not counted, that is in P."""
    ambiguous: Tensor
    """Patches in A."""
    purity: Tensor
    """Share of A that is of the anchor's class: what leaving it out lost of the true positives."""
    negatives: Tensor
    """Patches in N."""
    false_negatives: Tensor
    """Share of N that is of the anchor's class: Table 6's "FP in N"."""

    def mean(self) -> TrustMean:
        """The mean over the anchors that have a class, of each share where it exists."""

        def over(values: Tensor) -> float:
            return float(values[self.known].double().nanmean())

        return TrustMean(
            anchors=int(self.known.sum()),
            positives=over(self.positives),
            precision=over(self.precision),
            recall=over(self.recall),
            ambiguous=over(self.ambiguous),
            purity=over(self.purity),
            negatives=over(self.negatives),
            false_negatives=over(self.false_negatives),
        )


class TrustMean(NamedTuple):
    """``Trust`` averaged over the ``anchors`` that have a class; NaN where nothing was measured."""

    anchors: int
    positives: float
    precision: float
    recall: float
    ambiguous: float
    purity: float
    negatives: float
    false_negatives: float


def trust(
    sets: Partition | PatchSets, anchors: Tensor, labels: Tensor, *, void: int = VOID
) -> Trust:
    """Hold sets against the classes of the patches.

    Args:
        sets: the three sets, bool ``(A, N)`` each: a rule's result (its last step), or one step of
            it, ``sets.at(t)``. The anchor must be in none of its own sets.
        anchors: indices of the patches, int64 ``(A,)``.
        labels: class of every patch, int64 ``(N,)``.
        void: the label of patches that have no class.

    Raises:
        TypeError: anchors or labels are not whole numbers.
        ValueError: the shapes do not fit each other.
        IndexError: an anchor outside the labels.
    """
    check_sets(sets, anchors, labels)
    device = sets.positive.device
    anchors, labels = anchors.to(device, torch.int64), labels.to(device)
    counts = torch.zeros(7, len(anchors), dtype=torch.int64, device=device)
    classed = labels != void
    for rows in chunks(labels.unsqueeze(1), len(anchors)):
        # A void anchor is "same" as all void patches; its shares become NaN below.
        same = labels[anchors[rows]].unsqueeze(1) == labels
        for at, members in enumerate((sets.positive, sets.ambiguous, sets.negative)):
            counts[2 * at, rows] = (members[rows] & classed).sum(dim=1)
            counts[2 * at + 1, rows] = (members[rows] & same).sum(dim=1)
        counts[6, rows] = same.sum(dim=1) - 1
    known = classed[anchors]
    p, p_same, a, a_same, n, n_same, others = counts

    def share(part: Tensor, whole: Tensor) -> Tensor:
        return torch.where(known & (whole > 0), part.double() / whole, torch.nan)

    return Trust(
        known=known,
        positives=p,
        precision=share(p_same, p),
        recall=share(p_same, others),
        ambiguous=a,
        purity=share(a_same, a),
        negatives=n,
        false_negatives=share(n_same, n),
    )


def check_sets(sets: Partition | PatchSets, anchors: Tensor, labels: Tensor) -> None:
    """Raise the errors that ``trust`` lists."""
    check_labels(labels)
    check_anchors(anchors, len(labels))
    for name in ("positive", "ambiguous", "negative"):
        members, shape = getattr(sets, name), (len(anchors), len(labels))
        if members.dtype != torch.bool or tuple(members.shape) != shape:
            raise ValueError(
                f"{name} must be bool with the shape (A, N) = {shape}, "
                f"not {members.dtype} {tuple(members.shape)}"
            )
