"""How images are looked at: once, or in several ways whose features are put together.

None of this is part of PPAP, which is evaluated on one look at one square, as HP is. STEGO, EAGLE,
CAUSE and PriMaPs take the mean of an image and its mirror; so a number of one kind is no evidence
against a number of another. Everything is off unless it is asked for, and a report names what was
on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.backbones.half import half_precision
from ppap.data.fitting import ramp, windows_of
from ppap.segmenter.probes import upsampled
from ppap.settings import SettingError

LEAST_SCALE, MOST_SCALE, MOST_SCALES = 0.25, 4.0, 8
MOST_WINDOW, MOST_SHIFTS = 4096, 8

Features = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Inference:
    """What is done beyond one look. As it stands: nothing, as published."""

    mirror: bool = False
    """Also look at the image's mirror, and take the mean of both."""
    scales: tuple[float, ...] = (1.0,)
    """Look at the image at each of these sizes (1: its own), and take the mean."""
    window: int = 0
    """Look through square windows with sides of so many pixels, neighbours sharing at least half;
    0: at the whole image."""
    shifts: int = 1
    """Look at the image shifted by fractions of a patch, so many along each side, and put the
    patches between each other: a grid as many times as fine, without training."""
    half: bool = False
    """Features and answers in half precision, as the published evaluation has them."""

    def __post_init__(self) -> None:
        """SettingError, naming the field and its range."""
        for name in ("mirror", "half"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise SettingError(name, f"{name} must be true or false, not {value!r}")
        scales = tuple(self.scales)
        fine = all(
            isinstance(one, int | float)
            and not isinstance(one, bool)
            and LEAST_SCALE <= one <= MOST_SCALE  # false for NaN, too
            for one in scales
        )
        if not fine or not 1 <= len(scales) <= MOST_SCALES:
            raise SettingError(
                "scales",
                f"scales must be 1 to {MOST_SCALES} numbers from {LEAST_SCALE} to {MOST_SCALE:g}, "
                f"not {self.scales!r}",
            )
        object.__setattr__(self, "scales", tuple(float(one) for one in scales))
        for name, least, most in (("window", 0, MOST_WINDOW), ("shifts", 1, MOST_SHIFTS)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise SettingError(
                    name, f"{name} must be a whole number from {least} to {most}, not {value!r}"
                )

    @property
    def plain(self) -> bool:
        """Whether there is one look only, as published."""
        return replace(self, half=False) == PLAIN

    @property
    def looks(self) -> int:
        """How many times the backbone sees the image; windows not counted."""
        return (1 + self.mirror) * len(self.scales) * self.shifts**2

    @staticmethod
    def of(record: object) -> Inference:
        """From a report's record; SettingError, naming the field, for what is none."""
        if not isinstance(record, dict):
            raise SettingError("inference", f"inference must be an object, not {record!r}")
        for name in record:
            if name not in NAMES:
                raise SettingError("inference", f"inference knows no {name!r}")
        scales = record.get("scales", (1.0,))
        if not isinstance(scales, list | tuple):
            raise SettingError("scales", f"scales must be a list of numbers, not {scales!r}")
        return Inference(**{**record, "scales": tuple(scales)})

    def record(self) -> dict[str, Any]:
        """As reports keep it: what is on, by name; empty for one look."""
        found = {name: getattr(self, name) for name in NAMES}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value != getattr(PLAIN, name)
        }


# One look, as published.
PLAIN = Inference()
NAMES = tuple(each.name for each in fields(Inference))


def precision(inference: Inference, device: torch.device) -> AbstractContextManager[object]:
    """Within it the network computes as ``inference`` says."""
    return half_precision(device) if inference.half else nullcontext()


def in_words(record: dict[str, Any]) -> str:
    """What a report's record says, for people; empty for one look."""
    parts = []
    if record.get("mirror"):
        parts.append("mean of image and mirror")
    if record.get("scales"):
        parts.append(f"scales {', '.join(f'{one:g}' for one in record['scales'])}")
    if record.get("window"):
        parts.append(f"sliding windows of {record['window']} px")
    if record.get("shifts"):
        parts.append(f"{record['shifts']} × {record['shifts']} shifts")
    if record.get("half"):
        parts.append("half precision")
    return "; ".join(parts)


def check_fits(inference: Inference, patch: int) -> None:
    """SettingError where windows or shifts do not go with patches of ``patch`` pixels."""
    if inference.window % patch:
        raise SettingError(
            "window",
            f"window must be a multiple of the patch size, {patch}, not {inference.window}",
        )
    if not _whole_shifts(inference.shifts, patch):
        possible = [str(n) for n in range(1, MOST_SHIFTS + 1) if _whole_shifts(n, patch)]
        raise SettingError(
            "shifts",
            f"shifts must be one of {', '.join(possible)} for patches of {patch} pixels, so that "
            f"images move by whole pixels, not {inference.shifts}",
        )


def _whole_shifts(shifts: int, patch: int) -> bool:
    # The first patch of the fine grid is centred at patch / (2 · shifts).
    return patch % shifts == 0 and (shifts % 2 == 1 or (patch // shifts) % 2 == 0)


@torch.no_grad()
def look(features: Features, images: Tensor, inference: Inference, *, patch: int) -> Tensor:
    """The features of images, seen in every way that is asked for.

    Args:
        features: ``(B, 3, H, W)`` in [0, 1] → ``(B, h, w, D)``.
        images: ``(B, 3, H, W)``, sides multiples of ``patch``.
        inference: what to do.
        patch: pixels of a patch's side.

    Returns:
        ``(B, s·h, s·w, D)`` with s = ``shifts``. Means are of features as they are, not of unit
        length, as STEGO takes them.

    Raises:
        SettingError: windows or shifts do not go with these patches.
    """
    check_fits(inference, patch)
    if inference.plain:
        with precision(inference, images.device):
            return features(images)
    with precision(inference, images.device):
        return _looked(features, images, inference, patch)


def _looked(features: Features, images: Tensor, inference: Inference, patch: int) -> Tensor:
    grid = (images.shape[2] // patch, images.shape[3] // patch)
    total: Tensor | None = None
    for scale in inference.scales:
        seen = images if scale == 1 else _scaled(images, scale, patch)
        found = _both_ways(features, seen, inference, patch)
        wanted = (grid[0] * inference.shifts, grid[1] * inference.shifts)
        if tuple(found.shape[1:3]) != wanted:
            found = upsampled(found.permute(0, 3, 1, 2), wanted).permute(0, 2, 3, 1)
        total = found if total is None else total + found
    assert total is not None
    return total / len(inference.scales)


def _both_ways(features: Features, images: Tensor, inference: Inference, patch: int) -> Tensor:
    found = _shifted(features, images, inference, patch)
    if not inference.mirror:
        return found
    mirrored = _shifted(features, images.flip(3), inference, patch)
    return (found + mirrored.flip(2)) / 2


def _shifted(features: Features, images: Tensor, inference: Inference, patch: int) -> Tensor:
    """Patches between patches: the fine grid's patch k is centred at (k + ½) · patch / shifts."""
    s = inference.shifts
    if s == 1:
        return _windowed(features, images, inference.window, patch)
    height, width = images.shape[2:]
    margin = patch // 2
    wide = F.pad(images, (margin, margin, margin, margin), mode="replicate")
    fine: Tensor | None = None
    for i in range(s):
        for j in range(s):
            top, left = (margin + (2 * k + 1) * patch // (2 * s) - margin for k in (i, j))
            part = wide[:, :, top : top + height, left : left + width]
            found = _windowed(features, part, inference.window, patch)
            if fine is None:
                images_count, rows, columns, width_of = found.shape
                fine = found.new_empty(images_count, rows * s, columns * s, width_of)
            fine[:, i::s, j::s] = found
    assert fine is not None
    return fine


def _windowed(features: Features, images: Tensor, window: int, patch: int) -> Tensor:
    """The mean over windows, which count less towards their borders."""
    rows, columns = images.shape[2] // patch, images.shape[3] // patch
    longest = window // patch
    if not window or (rows <= longest and columns <= longest):
        return features(images)
    total: Tensor | None = None
    for down in windows_of(rows, longest):
        for across in windows_of(columns, longest):
            part = images[
                :,
                :,
                down.start * patch : down.stop * patch,
                across.start * patch : across.stop * patch,
            ]
            found = features(part)
            if total is None:
                total = found.new_zeros(len(images), rows, columns, found.shape[3])
                weights = found.new_zeros(rows, columns, 1)
            weight = _window_weights(down.stop - down.start, across.stop - across.start).to(found)
            total[:, down.start : down.stop, across.start : across.stop] += weight * found
            weights[down.start : down.stop, across.start : across.stop] += weight
    assert total is not None
    return total / weights


def _window_weights(rows: int, columns: int) -> Tensor:
    return (ramp(rows)[:, None] * ramp(columns)[None, :]).unsqueeze(2)


def _scaled(images: Tensor, scale: float, patch: int) -> Tensor:
    """Another size, both sides whole patches, at least one."""
    sides = [max(1, round(side * scale / patch)) * patch for side in images.shape[2:]]
    found = F.interpolate(
        images, size=sides, mode="bicubic", align_corners=False, antialias=scale < 1
    )
    return found.clamp_(0, 1)
