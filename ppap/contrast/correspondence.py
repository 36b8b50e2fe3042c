"""STEGO's loss (Hamilton et al., ICLR 2022): codes that correspond where frozen features do.

A rival of Eq. 8: no anchors and no sets, but pairs of images. In its symbols F are the cosines of
the features at two positions (their Eq. 1), S those of the codes, b a shift and λ a weight.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.checks import check_count
from ppap.contrast.eq8 import in_single
from ppap.contrast.sampling import (
    SAMPLES,
    check_maps,
    other_images,
    sample_at,
    sampled_positions,
)
from ppap.settings import Range, number

# Random partners of every image.
NEGATIVES = 5
WEIGHT = Range("λ", 0, 100, 0.01, (0, 1), False, "How much this kind of pair counts.")
SHIFT = Range("b", -1, 1, 0.01, (0, 1), False, "Features less similar push their codes apart.")


@dataclass(frozen=True)
class StegoSettings:
    """Weight λ and shift b of every kind of pair; one out of range raises SettingError.

    The defaults are the published ones for COCO-Stuff with ViT-S. For Potsdam the shifts are 0.08,
    0.02 and 0.46.
    """

    self_weight: float = 0.67
    self_shift: float = 0.08
    neighbour_weight: float = 0.25
    neighbour_shift: float = 0.02
    random_weight: float = 0.63
    random_shift: float = 0.66

    def __post_init__(self) -> None:
        for field in fields(self):
            allowed = WEIGHT if field.name.endswith("_weight") else SHIFT
            value = number(
                field.name, getattr(self, field.name), allowed._replace(symbol=field.name)
            )
            # A frozen field is set this way only.
            object.__setattr__(self, field.name, value)


class StegoLoss(NamedTuple):
    """A loss and what it is the weighted sum of; tensors without dimensions."""

    loss: Tensor
    self_: Tensor
    """Images with themselves, before its weight; the parts carry no gradient."""
    neighbour: Tensor
    """Images with one of their nearest."""
    random: Tensor
    """Images with random others."""


class Sampled(NamedTuple):
    """Unit vectors at the positions drawn in B images."""

    features: Tensor
    """``(B, s, s, D)``, without gradient."""
    codes: Tensor
    """``(B, s, s, K)``."""


def stego_loss(
    features: Tensor,
    codes: Tensor,
    neighbour_features: Tensor,
    neighbour_codes: Tensor,
    *,
    settings: StegoSettings | None = None,
    negatives: int = NEGATIVES,
    samples: int = SAMPLES,
    generator: torch.Generator | None = None,
) -> StegoLoss:
    """Their Eq. 5: the weighted sum of ``pair_loss`` over three kinds of pairs.

    Each image is paired with itself, with its neighbour, and ``negatives`` times with another of
    the batch. As published, the first image of a pair is read at one set of positions, the
    second at a set of its own; paired with itself, an image is read at the first set alone.

    Deviations from the published code: an image is read at its second set whichever image it is
    paired with (published: at the second set of the image it is paired with, which an image's
    neighbour and random partners share), which draws pairs of positions just as evenly and reads
    every image once instead of six times. And every image is some other's random partner exactly
    once in each round (see ``other_images``).

    In half precision and under autocast everything is computed in float32. NaN or infinity raises
    no error but gives a NaN loss. On CUDA the gradient's sums have no fixed order.

    Args:
        features: frozen features of B images, ``(B, h, w, D)``, any scale; they get no gradient.
        codes: codes of the same images, ``(B, h', w', K)``, any scale.
        neighbour_features: of one near image for each of them (``nearest_images``), likewise.
        neighbour_codes: likewise; they get a gradient, as ``codes`` do.
        settings: weights and shifts; left out, the published ones for COCO-Stuff.
        negatives: random partners of every image, 1 or more.
        samples: positions are drawn ``samples`` × ``samples`` per image.
        generator: source of chance; left out, torch's own for the CPU.

    Returns:
        The loss and its three parts.

    Raises:
        TypeError: something is not a floating-point tensor.
        ValueError: a wrong shape, only one image, or a number out of range.
    """
    check_same("features", features, "neighbour_features", neighbour_features)
    check_same("codes", codes, "neighbour_codes", neighbour_codes)
    if len(features) != len(codes):
        raise ValueError(f"features are of {len(features)} images, but codes of {len(codes)}")
    check_count("negatives", negatives, 1)
    chosen = settings or StegoSettings()
    images, device = len(features), features.device
    with torch.autocast(device.type, enabled=False):
        first = sampled_positions(images, samples, generator=generator, device=device)
        second = sampled_positions(images, samples, generator=generator, device=device)
        here = sampled(features, codes, first)
        there = sampled(features, codes, second)
        near = sampled(neighbour_features, neighbour_codes, second)
        with_itself = of_units(here, here, chosen.self_shift)
        with_neighbour = of_units(here, near, chosen.neighbour_shift)
        rounds = []
        for _ in range(negatives):
            others = other_images(images, generator=generator).to(device, non_blocking=True)
            partner = Sampled(there.features[others], there.codes[others])
            rounds.append(of_units(here, partner, chosen.random_shift))
        with_others = torch.stack(rounds).mean()
        loss = (
            chosen.self_weight * with_itself
            + chosen.neighbour_weight * with_neighbour
            + chosen.random_weight * with_others
        )
    return StegoLoss(loss, with_itself.detach(), with_neighbour.detach(), with_others.detach())


def correspondence(a: Tensor, b: Tensor) -> Tensor:
    """Their Eq. 1: the cosine of every position of one image with every position of another.

    Args:
        a: ``(B, h, w, D)``, any scale; a zero vector's cosines are 0.
        b: ``(B, i, j, D)``.

    Returns:
        ``(B, h, w, i, j)``; float32 for half precision.

    Raises:
        TypeError: either is not a floating-point tensor.
        ValueError: a wrong shape, or B or D differ.
    """
    check_same("a", a, "b", b)
    with torch.autocast(a.device.type, enabled=False):
        return cosines_between(unit_vectors(a), unit_vectors(b))


def centred(cosines: Tensor) -> Tensor:
    """Their Eq. 3, as published: F minus each position's mean over the other image, plus its own.

    Deviation of the published code from their Eq. 3, kept here: the mean of all of F, over the
    whole batch, is added again, so that the shift b keeps its meaning.

    Args:
        cosines: F ``(B, h, w, i, j)``; left as it is.

    Returns:
        The same shape.
    """
    overall = cosines.mean()
    return (cosines - cosines.mean(dim=(3, 4), keepdim=True)).add_(overall)


def pair_loss(
    features_a: Tensor, features_b: Tensor, codes_a: Tensor, codes_b: Tensor, shift: float
) -> Tensor:
    """Their Eq. 4: −max(S, 0) · (F − b), with F centred; the mean over all pairs of positions.

    (Their Eq. 4 is a sum; the published code takes the mean.) In half precision and under autocast
    everything is computed in float32.

    Args:
        features_a: frozen features at the positions of the first images, ``(B, h, w, D)``, any
            scale; they get no gradient.
        features_b: of the second images, ``(B, i, j, D)``.
        codes_a: codes at the same positions as ``features_a``, ``(B, h, w, K)``, any scale.
        codes_b: at those of ``features_b``, ``(B, i, j, K)``.
        shift: b. Where centred features are less similar than this, codes are pushed apart.

    Returns:
        The loss, without dimensions.

    Raises:
        TypeError: something is not a floating-point tensor.
        ValueError: shapes that do not fit each other.
    """
    check_same("features_a", features_a, "features_b", features_b)
    check_same("codes_a", codes_a, "codes_b", codes_b)
    for side, f, c in (("a", features_a, codes_a), ("b", features_b, codes_b)):
        if f.shape[:3] != c.shape[:3]:
            raise ValueError(
                f"codes_{side} must be at the positions of features_{side}, "
                f"{tuple(f.shape[:3])}, not at {tuple(c.shape[:3])}"
            )
    with torch.autocast(features_a.device.type, enabled=False):
        a = Sampled(unit_vectors(features_a.detach()), unit_vectors(codes_a))
        b = Sampled(unit_vectors(features_b.detach()), unit_vectors(codes_b))
        return of_units(a, b, shift)


def sampled(features: Tensor, codes: Tensor, positions: Tensor) -> Sampled:
    """Features and codes at ``positions``, L2-normalised there (not before)."""
    return Sampled(
        unit_vectors(sample_at(in_single(features.detach()), positions)),
        unit_vectors(sample_at(in_single(codes), positions)),
    )


def of_units(a: Sampled, b: Sampled, shift: float) -> Tensor:
    """``pair_loss`` of unit vectors: no checks."""
    f = centred(cosines_between(a.features, b.features)).sub_(shift)
    return -(cosines_between(a.codes, b.codes).clamp(min=0) * f).mean()


def unit_vectors(x: Tensor) -> Tensor:
    """L2-normalise the last dimension, with gradient; zero vectors stay zero. Halves → float32."""
    x = in_single(x)
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    # Divided by 1 instead of by something tiny, a zero vector has no huge gradient.
    return x / torch.where(length > 0, length, 1)


def cosines_between(a: Tensor, b: Tensor) -> Tensor:
    """Unit vectors ``(B, h, w, D)``, ``(B, i, j, D)`` → ``(B, h, w, i, j)``, one product each."""
    product = torch.bmm(a.flatten(1, 2), b.flatten(1, 2).transpose(1, 2))
    return product.view(len(a), *a.shape[1:3], *b.shape[1:3])


def check_same(name: str, a: Tensor, other: str, b: Tensor) -> None:
    """Two maps must be of as many images, and of as many channels."""
    check_maps(name, a)
    check_maps(other, b)
    if len(a) != len(b) or a.shape[3] != b.shape[3]:
        raise ValueError(
            f"{other} must be of as many images and channels as {name}: {len(a)} and "
            f"{a.shape[3]}, not {len(b)} and {b.shape[3]}"
        )
