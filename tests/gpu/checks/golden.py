"""Propagation, Eq. 8 and its gradient against what the published code gave on a CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from ppap import ppap_loss
from ppap.contrast.in_half import loss_in_half, sets_in_half
from ppap.propagation import unit
from ppap.settings import Settings
from tests.gpu.sheet import Place, Sheet
from tests.support.golden import FIVE, FOLDER, GOLDEN, golden_case

# Products add up in another order than on a CPU; a patch at a criterion may change sides.
SINGLE = {"loss": 2e-5, "sizes": 1e-4, "gradient": 2e-4}
# As tests/ppap/contrast/test_in_half.py has it on a CPU, twice.
HALF = {"loss": 2.0**-10, "sizes": 2e-3, "gradient": 0.04}


def check(place: Place, sheet: Sheet) -> None:
    """Every recorded case in float32, inside autocast of both halves, and in half precision."""
    for name in GOLDEN[:1] if place.small else GOLDEN:
        numbers, case = golden_case(FOLDER / f"{name}.npz")
        there = {key: placed(value, place.device) for key, value in case.items()}
        # The loss takes itself out of autocast, so that the bounds are those of float32.
        for kind in (
            (None, torch.bfloat16) if place.small else (None, torch.float16, torch.bfloat16)
        ):
            with within(place.device, kind):
                found = ppap_loss(**there, published_scale=True)
            what = f"{name}, {'float32' if kind is None else f'autocast {kind}'}"
            what = what.replace("torch.", "")
            (slope,) = torch.autograd.grad(found.loss, there["projected"])
            compared(sheet, what, numbers, found, slope, SINGLE)
        found, slope = in_half(there)
        compared(sheet, f"{name}, published halves", numbers, found, slope, HALF)


def within(device: torch.device, kind: torch.dtype | None) -> AbstractContextManager[Any]:
    """Autocast, or nothing."""
    return nullcontext() if kind is None else torch.autocast(device.type, kind)


def placed(value: Any, device: torch.device) -> Any:
    """Tensors on the device; what had a gradient has one there."""
    if not isinstance(value, Tensor):
        return value
    return value.detach().to(device).requires_grad_(value.requires_grad)


def in_half(case: dict[str, Any]) -> tuple[Any, Tensor]:
    """As ``protocol=half_loss`` has it, with a gradient scaler's factor."""
    f = unit(case["features"])
    settings = Settings(*(case[name] for name in FIVE))
    found = loss_in_half(
        lambda anchors: sets_in_half(f, anchors, settings),
        case["projected"],
        case["anchors"].long(),
        temperature=case["temperature"],
        images=case["images"],
        published_scale=True,
    )
    (slope,) = torch.autograd.grad(found.loss * 2048, case["projected"])
    return found, slope / 2048


def compared(
    sheet: Sheet, what: str, numbers: Any, found: Any, slope: Tensor, bounds: dict[str, float]
) -> None:
    """Put how far all is from the recorded numbers on the sheet."""
    wanted = torch.from_numpy(numbers["grad_projected"])
    sheet.most(f"{what}: loss, off by", off(found.loss.item(), numbers["loss"]), bounds["loss"])
    sizes = max(
        off(found.positives.item(), numbers["mean_positives"]),
        off(found.negatives.item(), numbers["mean_negatives"]),
    )
    sheet.most(f"{what}: sets, off by", sizes, bounds["sizes"])
    gap = (slope.cpu() - wanted).norm() / wanted.norm()
    sheet.most(f"{what}: gradient, off by", gap.item(), bounds["gradient"])


def off(found: float, wanted: Any) -> float:
    """The relative difference."""
    return abs(found - wanted.item()) / abs(wanted.item())
