"""Borders and interiors apart: how much of what is wrong lies where the truth changes.

Patches are coarse, so their labels err along outlines; the paper's limits section says so. The
band is the pixels that have another label within ``width`` pixels, measured as a king moves on a
chessboard, both sides of the change alike. Void counts as a label here, since many label maps draw
outlines as void; the image's own edge is no change. Both parts are scored under the one assignment
of the whole split.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checks import check_count
from ppap.evaluation.metrics import Confusion, Scores, number

# In pixels of the square: with 320 pixels a side, patches have 8 or 16.
WIDTH = 5
MOST_WIDTH = 64


class Part(TypedDict):
    """One part of the pixels, as JSON holds it; None where there is none."""

    accuracy: float | None
    miou: float | None
    pixels: int


class Apart(NamedTuple):
    """The scores of both parts."""

    border: Scores
    interior: Scores

    def record(self) -> dict[str, Part]:
        """For JSON."""
        return {"border": _part(self.border), "interior": _part(self.interior)}


def _part(found: Scores) -> Part:
    return {
        "accuracy": number(found.accuracy),
        "miou": number(found.miou),
        "pixels": int(found.confusion.sum()),
    }


def near_border(labels: Tensor, width: int) -> Tensor:
    """The pixels with another label within ``width`` pixels: bool, as ``labels``.

    Args:
        labels: whole numbers ``(..., H, W)``, void among them, none below −(2 ** 15) or above
            2 ** 15 − 1.
        width: 0 to MOST_WIDTH; 0 has no border.

    Raises:
        ValueError: a width outside its range.
    """
    check_count("width", width, 0, MOST_WIDTH)
    small = labels.to(torch.int16)
    highest = _reach(_reach(small, width, -1), width, -2)
    lowest = ~_reach(_reach(~small, width, -1), width, -2)  # ~x is −x − 1: it turns the order
    return highest != lowest


def _reach(values: Tensor, width: int, dim: int) -> Tensor:
    """The largest value within ``width`` along a dimension, by windows that double."""
    length = 2 * width + 1
    beside = (width, width) if dim == -1 else (0, 0, width, width)
    found = F.pad(values, beside, value=torch.iinfo(values.dtype).min)
    covered = 1
    while covered < length:
        step = min(covered, length - covered)
        rest = found.shape[dim] - step
        found = torch.maximum(found.narrow(dim, 0, rest), found.narrow(dim, step, rest))
        covered += step
    return found


def interior_of(whole: Confusion, border: Confusion) -> Confusion:
    """What is left of the whole."""
    rest = Confusion(whole.classes, whole.predictions)
    rest.counts = whole.counts - border.counts
    return rest


def borders_record(width: int, found: dict[str, dict[str, Apart]]) -> dict[str, Any]:
    """The report's ``borders``.

    Args:
        width: of the band.
        found: by probe, under "" as predicted, and by the name of each refinement.
    """
    plain, *refined = found.items()
    record: dict[str, Any] = {"width": width}
    record |= {probe: one.record() for probe, one in plain[1].items()}
    for name, probes in refined:
        record[name] = {probe: one.record() for probe, one in probes.items()}
    return record
