"""A small labelled data set, its caches, and harm done to them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ppap.backbones import Backbone, TrunkOutput
from ppap.data import Dataset, square
from ppap.evaluation.source import as_images
from trainers.cache import CachePlan, FeatureCache, open_cache, plan_cache, read_square
from trainers.cache import build as building
from trainers.cache.rows import ROWS

SIZE, COUNT = 64, 10
SIDES = ((50, 90), (80, 64), (120, 70))
GIGABYTE = 10**9


def photos(root: Path) -> None:
    """COUNT pictures of three sizes; number 3 has no label map."""
    g = np.random.default_rng(0)
    for index in range(COUNT):
        height, width = SIDES[index % len(SIDES)]
        for kind, values in (
            ("images", g.integers(0, 256, (height, width, 3), np.uint8)),
            ("labels", g.integers(0, 3, (height, width), np.uint8)),
        ):
            (root / kind).mkdir(parents=True, exist_ok=True)
            if kind == "images" or index != 3:
                values[0, 0] = 1
                Image.fromarray(values).save(root / f"{kind}/{index}.png")
    (root / "train.txt").write_text("\n".join(str(i) for i in range(COUNT)))
    (root / "classes.txt").write_text("land\nwater\nsky\n")


def planned(dataset: Dataset, backbone: Backbone, root: Path, **options: Any) -> CachePlan:
    return plan_cache(dataset, backbone, size=SIZE, root=root, **options)


def opened(dataset: Dataset, backbone: Backbone, root: Path, **options: Any) -> FeatureCache:
    return open_cache(planned(dataset, backbone, root), dataset, backbone, **options)


def computed(dataset: Dataset, backbone: Backbone, index: int) -> tuple[TrunkOutput, Tensor]:
    """Trunk and finished features of one image, without any cache."""
    rgb = square(dataset.load(index).photo.rgb, SIZE)
    with torch.no_grad():
        trunk = backbone.trunk(as_images(rgb[None]))
        return trunk, backbone.finish(trunk)


def near(stored: Tensor, fresh: Tensor) -> bool:
    """Equal but for half precision."""
    return torch.allclose(stored.float(), fresh, rtol=2e-3, atol=2e-3 * fresh.abs().max().item())


def refuse(*_: object, **__: object) -> Any:
    raise AssertionError("this should not have been called")


def contents(plan: CachePlan) -> bytes:
    return (plan.folder / ROWS).read_bytes()


def damage(plan: CachePlan, index: int, offset: int = 100) -> None:
    with (plan.folder / ROWS).open("rb+") as stream:
        stream.seek(index * plan.bytes_per_image + offset)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 4]))


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The images that are decoded for a cache from now on."""
    read: list[int] = []

    def recording(some: Dataset, index: int, size: int) -> Any:
        read.append(index)
        return read_square(some, index, size)

    monkeypatch.setattr(building, "read_square", recording)
    return read
