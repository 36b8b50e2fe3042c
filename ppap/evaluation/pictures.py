"""Images with their truth and their predictions, in the colours of the classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from ppap.data import VOID, VOID_COLOUR, Dataset
from ppap.data.classes import Colour
from ppap.evaluation.metrics import UNMATCHED
from ppap.evaluation.report import REFINEMENTS, Report, chosen_images
from ppap.evaluation.source import batches_of
from ppap.evaluation.split import Refiner, examined
from ppap.segmenter import Segmenter
from ppap.segmenter.inference import PLAIN, Inference

# A cluster that the matching left without a class; nearly black, as no class is.
UNMATCHED_COLOUR: Colour = (22, 22, 26)


class Pictured(NamedTuple):
    """One image, and class ids ``(S, S)`` int64 for it, −1 where there is none."""

    kind: str
    """best, median or worst."""
    item: int
    """Which of the data set."""
    name: str
    rgb: np.ndarray
    """uint8 ``(S, S, 3)``."""
    truth: np.ndarray
    predictions: dict[str, np.ndarray]
    """By what they are called."""


def pictured(
    segmenter: Segmenter,
    dataset: Dataset,
    report: Report,
    refiners: Sequence[Refiner] = (),
    inference: Inference = PLAIN,
) -> Iterator[Pictured]:
    """The best, the median and the worst images of a report, predicted once more.

    Args:
        segmenter: the one that the report is about.
        dataset: the split that it is about.
        report: with scores.
        refiners: those that the report has scores of.
        inference: how the report's images were looked at.

    Raises:
        DataError: an image cannot be read any more.
    """
    chosen = [(kind, i) for kind, some in chosen_images(report).items() for i in some]
    assignment = np.array(report["cluster"]["assignment"])
    after = {one.name: np.array(report[one.name]["cluster"]["assignment"]) for one in refiners}
    batches = batches_of(dataset, [index for _, index in chosen], size=report["size"], batch=1)
    for (kind, index), (one, refined) in zip(
        chosen, examined(segmenter, batches, refiners, inference), strict=True
    ):
        assert one.rgb is not None
        predictions = {"clusters": assignment[one.clusters.cpu().numpy()]}
        for name, better in refined.items():
            title = f"clusters, {REFINEMENTS[name]}"
            predictions[title] = after[name][better.clusters.cpu().numpy()]
        predictions["linear"] = one.classes.cpu().numpy()
        for name, better in refined.items():
            predictions[f"linear, {REFINEMENTS[name]}"] = better.classes.cpu().numpy()
        truth = one.labels.cpu().numpy()
        yield Pictured(kind, index, one.name, one.rgb, truth, predictions)


def painted(ids: np.ndarray, colours: Sequence[Sequence[int]], other: Colour) -> np.ndarray:
    """Class ids ``(H, W)`` → uint8 ``(H, W, 3)``; ``other`` is the colour of −1."""
    assert VOID == UNMATCHED == -1  # the last row of the table, by numpy's rules
    return np.array([*colours, other], np.uint8)[ids]


def panels(one: Pictured, colours: Sequence[Sequence[int]]) -> dict[str, np.ndarray]:
    """All pictures of an image by their titles, uint8 ``(S, S, 3)``."""
    return {
        "image": one.rgb,
        "truth": painted(one.truth, colours, VOID_COLOUR),
        **{
            title: painted(ids, colours, UNMATCHED_COLOUR) for title, ids in one.predictions.items()
        },
    }


def strip(one: Pictured, colours: Sequence[Sequence[int]], gap: int = 4) -> Image.Image:
    """All pictures of an image side by side."""
    parts = list(panels(one, colours).values())
    side = parts[0].shape[0]
    sheet = Image.new("RGB", (len(parts) * (side + gap) - gap, side), "white")
    for place, part in enumerate(parts):
        sheet.paste(Image.fromarray(part), (place * (side + gap), 0))
    return sheet
