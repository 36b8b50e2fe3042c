"""PAMR: predictions that follow the colours of their image, in plain torch on any device.

Pixel-adaptive mask refinement (Araslanov and Roth, CVPR 2020, section 4.3): each pixel takes the
mean of its neighbours' probabilities, weighted by how alike their colours are, several times over.
It needs no compiler and no package of its own, so that it also stands in where the CRF cannot be
built. It is no part of PPAP, whose published numbers are refined with the CRF.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checks import check_count
from ppap.evaluation.crf import CrfInput

# Of a pixel's standard deviation: how unlike a neighbour may be. As in the authors' code; the
# paper's formula has the variance alone.
CONTRAST = 0.1
LEAST = 1e-8
NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))


@dataclass(frozen=True)
class PamrSettings:
    """The settings of the paper."""

    iterations: int = 10
    dilations: tuple[int, ...] = (1, 2, 4, 8, 12, 24)
    """How far a pixel looks, in pixels: eight neighbours at each distance."""


class Pamr:
    """PAMR for one image after another, on the device of their log-probabilities."""

    name = "pamr"

    def __init__(self, settings: PamrSettings | None = None) -> None:
        """ValueError, naming the setting and its range, for one that has no meaning."""
        self.settings = settings or PamrSettings()
        check_pamr_settings(self.settings)

    def map(self, inputs: Iterable[CrfInput]) -> Generator[Tensor, None, None]:
        """Refine images, in their order; results as of ``pamr``."""
        for rgb, log_probabilities in inputs:
            yield pamr(rgb, log_probabilities, self.settings)


def check_pamr_settings(settings: PamrSettings) -> None:
    """ValueError, naming the setting and its range, for one that has no meaning."""
    check_count("iterations", settings.iterations, 0)
    if not settings.dilations:
        raise ValueError("dilations must hold at least one distance in pixels")
    for distance in settings.dilations:
        check_count("dilations", distance, 1)


@torch.no_grad()
def pamr(
    rgb: np.ndarray | Tensor, log_probabilities: Tensor, settings: PamrSettings | None = None
) -> Tensor:
    """Refine the predictions for one image.

    Args:
        rgb: uint8 ``(H, W, 3)``, red first.
        log_probabilities: ``(C, H, W)``, or logits: they are normalised over the classes. The work
            is done on their device, in float32.
        settings: left out, those of the paper.

    Returns:
        Probabilities, float32 ``(C, H, W)``, summing to 1 over the classes. Beside them it takes
        4·H·W bytes for each neighbour (48 of them as in the paper), and two more maps of C.

    Raises:
        TypeError, ValueError: an argument of another kind or shape, or that is not finite.
    """
    settings = settings or PamrSettings()
    check_pamr_settings(settings)
    image = _image(rgb)
    if not isinstance(log_probabilities, Tensor) or not log_probabilities.is_floating_point():
        raise TypeError("log_probabilities must be a floating-point tensor (C, H, W)")
    if log_probabilities.ndim != 3 or log_probabilities.shape[1:] != image.shape[1:]:
        raise ValueError(
            "log_probabilities must have the shape (C, H, W) of their image, "
            f"(C, {image.shape[1]}, {image.shape[2]}), not {tuple(log_probabilities.shape)}"
        )
    found = log_probabilities.detach().float().softmax(dim=0)
    if not found.isfinite().all():
        raise ValueError("log_probabilities hold NaN, +infinity, or a pixel with only −infinity")
    if not settings.iterations:
        return found
    weights = affinity(image.to(found.device), settings.dilations)
    for _ in range(settings.iterations):
        found = passed_on(found, weights, settings.dilations)
    return found


def affinity(image: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """How much each neighbour counts: ``(3, H, W)`` in [0, 1] → ``(8 · distances, H, W)``.

    softmax over a pixel's neighbours j of −mean over colours of |x_i − x_j| / (CONTRAST · σ_i),
    where σ_i is the standard deviation of pixel and neighbours, all distances together.
    """
    count = len(NEIGHBOURS) * len(dilations)
    height, width = image.shape[1:]
    sums, squares = torch.zeros_like(image), torch.zeros_like(image)
    for part in shifted(image, dilations):
        # Relative to the pixel itself: the squares of large numbers would cancel.
        away = part - image
        sums += away
        squares += away.square()
    # The pixel itself is one of each distance's nine.
    members = count + len(dilations)
    variance = (squares - sums.square() / members) / max(1, members - 1)
    deviation = variance.clamp_(min=0).sqrt_().mul_(CONTRAST).add_(LEAST)
    weights = image.new_empty(count, height, width)
    for place, part in enumerate(shifted(image, dilations)):
        weights[place] = (part - image).abs_().div_(deviation).mean(dim=0).neg_()
    return weights.softmax(dim=0)


def passed_on(maps: Tensor, weights: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """One iteration: the weighted mean of every pixel's neighbours, ``(C, H, W)``."""
    found = torch.zeros_like(maps)
    for weight, part in zip(weights, shifted(maps, dilations), strict=True):
        found.addcmul_(weight, part)
    return found


def shifted(maps: Tensor, dilations: tuple[int, ...]) -> list[Tensor]:
    """``(C, H, W)`` seen from every neighbour, in one order; the border goes on outside."""
    height, width = maps.shape[1:]
    reach = max(dilations)
    wide = F.pad(maps.unsqueeze(0), (reach, reach, reach, reach), mode="replicate")[0]
    places = [(dy * far, dx * far) for far in dilations for dy, dx in NEIGHBOURS]
    return [
        wide[:, reach + dy : reach + dy + height, reach + dx : reach + dx + width]
        for dy, dx in places
    ]


def _image(rgb: np.ndarray | Tensor) -> Tensor:
    """uint8 ``(H, W, 3)`` → float32 ``(3, H, W)`` in [0, 1]."""
    if isinstance(rgb, np.ndarray):
        if rgb.dtype != np.uint8:
            raise TypeError(f"rgb must be uint8 (H, W, 3), not {rgb.dtype}")
        rgb = torch.from_numpy(np.array(rgb))
    if not isinstance(rgb, Tensor) or rgb.dtype != torch.uint8:
        raise TypeError("rgb must be uint8 (H, W, 3)")
    if rgb.ndim != 3 or rgb.shape[2] != 3 or not math.prod(rgb.shape):
        raise ValueError(f"rgb must have the shape (H, W, 3), not {tuple(rgb.shape)}")
    return rgb.permute(2, 0, 1).float() / 255
