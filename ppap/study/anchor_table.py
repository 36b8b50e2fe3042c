"""What is measured of every anchor, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class AnchorTable(NamedTuple):
    """Measures of A anchors at the last step, each ``(A,)``, in ascending order of the anchors.

    Counts are int64, of all patches but the anchor itself. Shares are float64, NaN where there is
    nothing to take a share of.
    """

    anchors: Tensor
    """Indices of the patches, int64."""
    positives: Tensor
    """|P|."""
    ambiguous: Tensor
    """|A|."""
    negatives: Tensor
    """|N|."""
    moved: Tensor
    """1 − v⁰ · vᵀ: how far the proxy is from its anchor, 0 to 2, in the features' precision."""
    ambiguous_share: Tensor
    """|A| over all patches but the anchor."""
    emptied: Tensor
    """bool: P holds nothing, or nothing but the anchor."""
    crossed: Tensor
    """bool: Ψ was above Φ at a step, so that nothing was ambiguous there."""
    cohesion: Tensor
    """Mean cosine of P with the proxy; the stand-in for precision where there are no labels."""
    precision: Tensor
    """Share of P that is of the anchor's class; patches without a class count nowhere."""
    recall: Tensor
    """Share of all other patches of the anchor's class that is in P."""
    false_negatives: Tensor
    """Share of N that is of the anchor's class."""

    @classmethod
    def joined(cls, parts: Sequence[AnchorTable]) -> AnchorTable:
        """One table of several that share no anchor."""
        columns = [torch.cat(column) for column in zip(*parts, strict=True)]
        order = columns[0].argsort()
        return cls(*(column[order] for column in columns))


class Measure(NamedTuple):
    """How a column of the table is shown."""

    title: str
    meaning: str
    low: float
    """The range of its scale; NaN: as far as the values go."""
    high: float
    good: int
    """1 where more deserves more trust, −1 where less does, 0 where neither is better."""
    labels: bool
    """Whether it needs labels."""


OPEN = float("nan")
MEASURES: dict[str, Measure] = {
    "cohesion": Measure(
        "Cohesion",
        "Mean cosine between the positives and the last proxy. Needs no labels; the higher it "
        "is, the more of P tends to belong to the anchor's class.",
        OPEN, OPEN, 1, False,
    ),
    "positives": Measure("|P|", "Number of positives after the last step.", 0, OPEN, 0, False),
    "moved": Measure(
        "Proxy moved",
        "1 − v⁰ · vᵀ: how far the last proxy has moved from the anchor.", 0, OPEN, -1, False
    ),
    "ambiguous_share": Measure(
        "Ambiguous", "Share of the batch that is neither in P nor in N.", 0, 1, 0, False
    ),
    "precision": Measure(
        "Precision of P", "Share of P that belongs to the anchor's class.", 0, 1, 1, True
    ),
    "recall": Measure(
        "Recall of P", "Share of the anchor's class that is in P.", 0, 1, 1, True
    ),
    "false_negatives": Measure(
        "Wrong in N", "Share of N that belongs to the anchor's class.", 0, 1, -1, True
    ),
}  # fmt: skip
"""What can be laid over the images, by the table's column."""
