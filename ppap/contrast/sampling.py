"""Where STEGO reads its images, and which it puts together by chance."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checks import check_count, described

# Positions per side: 11 × 11 are drawn in every image.
SAMPLES = 11


def sampled_positions(
    images: int,
    count: int = SAMPLES,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Random positions, evenly over each image.

    Args:
        images: B, 1 or more.
        count: s, positions per side, 1 or more.
        generator: source of chance; left out, torch's own for the CPU.
        device: where the result is wanted; the same numbers on all.

    Returns:
        x (across) and y (down), float32 ``(B, s, s, 2)`` in [−1, 1], as ``sample_at`` takes them.

    Raises:
        ValueError: a number below 1.
    """
    check_count("images", images, 1)
    check_count("count", count, 1)
    source = generator.device if generator is not None else torch.device("cpu")
    shape = (images, count, count, 2)
    drawn = torch.rand(shape, generator=generator, device=source) * 2 - 1
    # Nobody need wait for a GPU to take them; whoever wants them from one must.
    return drawn.to(device=device, non_blocking=source.type == "cpu")


def sample_at(maps: Tensor, positions: Tensor) -> Tensor:
    """Read maps between their patches, bilinearly.

    As published, −1 and 1 are the *middles* of the outermost patches (``align_corners``); what
    lies beyond repeats them.

    Args:
        maps: ``(B, h, w, D)``.
        positions: x and y, ``(B, s, t, 2)``.

    Returns:
        ``(B, s, t, D)``, in the precision of ``maps``.

    Raises:
        TypeError: either is not a floating-point tensor.
        ValueError: a wrong shape, or another number of images.
    """
    check_maps("maps", maps)
    check_maps("positions", positions, "(B, s, t, 2)")
    if positions.shape[3] != 2 or len(positions) != len(maps):
        raise ValueError(
            f"positions must have the shape (B, s, t, 2) with B = {len(maps)}, "
            f"not {tuple(positions.shape)}"
        )
    read = F.grid_sample(
        maps.permute(0, 3, 1, 2),  # (B, D, h, w)
        positions.to(maps),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    return read.permute(0, 2, 3, 1)


def other_images(count: int, *, generator: torch.Generator | None = None) -> Tensor:
    """A random partner for every image, never itself, and every image once: one random cycle.

    Deviation: the published code draws a permutation and moves those that meet themselves on by
    one, which may give an image two partners and another none.

    Args:
        count: how many images, 2 or more.
        generator: source of chance; left out, torch's own for the CPU.

    Returns:
        int64 ``(count,)`` from 0 to count − 1, on the device of the generator.

    Raises:
        ValueError: fewer than 2 images.
    """
    check_count("images", count, 2)
    device = generator.device if generator is not None else torch.device("cpu")
    cycle = torch.randperm(count, generator=generator, device=device)
    return torch.empty_like(cycle).scatter_(0, cycle, cycle.roll(1))


def check_maps(name: str, maps: Tensor, shape: str = "(B, h, w, D)") -> None:
    """``maps`` must be floating point, of four dimensions, and not empty; NaN is let through."""
    if not isinstance(maps, Tensor) or not maps.is_floating_point():
        kind = described(maps, "dtype")
        raise TypeError(f"{name} must be a floating-point tensor {shape}, not {kind}")
    if maps.ndim != 4 or maps.numel() == 0:
        raise ValueError(f"{name} must have the shape {shape}, not {tuple(maps.shape)}")
