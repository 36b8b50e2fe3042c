"""The published loss on small inputs, as arguments of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

FOLDER = Path(__file__).parent.parent / "golden"
GOLDEN = ("coco_vits16", "cityscapes_vitb8", "potsdam_vitb8")
FIVE = ("phi0", "psi0", "sigma_pos", "sigma_amb", "steps")


def golden_case(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What was recorded, and the arguments of ``ppap_loss`` that it was recorded with."""
    with np.load(path) as stored:
        numbers = dict(stored)
    case: dict[str, Any] = {name: numbers[name].item() for name in FIVE}
    features = torch.from_numpy(numbers["features"]).permute(0, 2, 3, 1)
    case["features"] = features.flatten(0, 2)
    case["projected"] = torch.from_numpy(numbers["projected"]).requires_grad_()
    case["anchors"] = torch.from_numpy(numbers["anchors"])
    case["temperature"] = numbers["tau"].item()
    case["images"] = case["anchors"] // features[0, :, :, 0].numel()
    return numbers, case
