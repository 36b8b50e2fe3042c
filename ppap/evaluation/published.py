"""What the published evaluations do otherwise: bytes for the CRF, and PASS's distance matching."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ppap.evaluation.crf import CrfInput
from ppap.evaluation.distance import UPSAMPLED
from ppap.evaluation.metrics import Scores
from ppap.evaluation.split import Refiner

# The colours that ViTs of ImageNet are given: less the mean, over the deviation.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# The shorter side of PASS's images.
PASS_SIZE = 256


class AsPublished:
    """A refiner that is given the bytes which the published code gives its CRF."""

    def __init__(self, refiner: Refiner) -> None:
        self.refiner = refiner
        self.name = refiner.name

    def map(self, inputs: Iterable[CrfInput]) -> Generator[Tensor, None, None]:
        """As the refiner's own."""
        return self.refiner.map(given._replace(rgb=cut_off(given.rgb)) for given in inputs)


def cut_off(rgb: np.ndarray) -> np.ndarray:
    """Bytes normalised, brought back and cut off instead of rounded: some are one lower.

    uint8 ``(H, W, 3)`` → the same.
    """
    table = _bytes_cut_off()
    return np.stack([table[channel][rgb[..., channel]] for channel in range(3)], axis=-1)


@cache
def _bytes_cut_off() -> np.ndarray:
    """What becomes of every byte, uint8 ``(3, 256)``; in float32 throughout, as there."""
    mean, std = (np.array(each, np.float32)[:, None] for each in (MEAN, STD))
    given = (np.arange(256, dtype=np.float32) / np.float32(255))[None]
    found: np.ndarray = (((given - mean) / std * std + mean) * np.float32(255)).astype(np.uint8)
    return found


def bilinear(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 ``(H, W, 3)`` → ``(height, width, 3)``, antialiased, as PASS resizes.

    (PASS's networks take any size; a ViT's whole patches are for the caller to choose.)
    """
    return np.array(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))


def on_grid(labels: Tensor, height: int, width: int) -> Tensor:
    """Label maps ``(B, H, W)`` at the positions that ``(h, w)`` features are upsampled to.

    Each position has the pixel at its upper left corner; what has no pixel there is lost.
    """
    return floored(labels, UPSAMPLED * height, UPSAMPLED * width)


def floored(ids: Tensor, height: int, width: int) -> Tensor:
    """Ids ``(B, h, w)`` → ``(B, height, width)``, places rounded down as torch's "nearest" does."""
    # float64 holds every id exactly.
    return F.interpolate(ids.unsqueeze(1).double(), (height, width)).squeeze(1).to(ids.dtype)


def absent_as_0(scores: Scores) -> Scores:
    """With a mean in which a class of neither truth nor prediction has an IoU of 0."""
    iou = np.nan_to_num(list(scores.iou.values()))
    return replace(scores, miou=float(iou.mean()))
