"""Steps of the objective that processes share, by gathering and in a ring, and what they send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from ppap.segmenter import TrainingFeatures
from trainers.config import Config
from trainers.training.distributed import World, global_mean, sum_numbers
from trainers.training.objective import Objective

IMAGES, SIDE, DIM, CLASSES = 4, 6, 24, 5
PATCHES = SIDE * SIDE
STEP = 7
CONFIG = Config(phi0=0.6, psi0=0.2, sigma_pos=3, sigma_amb=3, temperature=0.3, anchors=0.5)
CAP = IMAGES * 20
CASES: dict[str, dict[str, Any]] = {
    "gather": {},
    "ring": {"exchange": "ring"},
    "gather, few": {"candidates": CAP},
    "ring, few": {"candidates": CAP, "exchange": "ring"},
    "gather, one in the dark": {"published_scale": True},
    "ring, one in the dark": {"published_scale": True, "exchange": "ring"},
}


class Given(dict[str, Tensor]):
    """Features, projections and classes of the whole batch."""


def given(dark: bool) -> Given:
    """Patches in few groups; ``dark``: no patch of the later images is like any other."""
    chance = torch.Generator().manual_seed(3)
    owner = torch.randint(0, 5, (IMAGES * PATCHES,), generator=chance)
    centres = torch.randn(5, DIM, generator=chance)
    noise = torch.randn(IMAGES * PATCHES, DIM, generator=chance)
    features = centres[owner] + 0.8 * noise
    if dark:
        half = IMAGES // 2 * PATCHES
        wide = torch.zeros(IMAGES * PATCHES, half + 5)
        wide[:half, :5] = centres[owner[:half]][:, :5]
        wide[half:, 5:] = torch.eye(half)
        features = wide + 1e-4 * torch.randn(wide.shape, generator=chance)
    projected = F.normalize(torch.randn(IMAGES * PATCHES, DIM, generator=chance), dim=1)
    labels = torch.where(torch.rand(len(owner), generator=chance) < 0.1, -1, owner)
    return Given(features=features, projected=projected, labels=labels)


def a_step(name: str, world: World) -> dict[str, Any]:
    """Loss, gradient, sizes and what was sent, of this process's part of a case."""
    config = CONFIG.with_({"batch": IMAGES, **CASES[name]})
    each = IMAGES * PATCHES // world.size
    own = slice(world.rank * each, (world.rank + 1) * each)
    part = {key: value[own] for key, value in given("dark" in name).items()}
    images = IMAGES // world.size
    guidance = part["features"].view(images, SIDE, SIDE, -1)
    projected = part["projected"].clone().requires_grad_()
    streams = TrainingFeatures(guidance, guidance, projected)
    objective = Objective(config, classes=CLASSES, world=world)
    with counted() as sent:
        found = objective(streams, STEP, patch_labels=part["labels"])
        mean = global_mean(found.loss, found.counted, world)
        mean.backward()
    return {
        "loss": sum_numbers([mean.item()], world)[0],
        "gradient": projected.grad,
        "sizes": [float(getattr(found, n)) for n in ("positives", "ambiguous", "negatives")],
        "empty": float(found.empty),
        "precision": float(found.precision),
        "counted": int(found.counted),
        "sent": sent,
    }


def all_cases(world: World) -> dict[str, Any]:
    """Every case, one after the other."""
    return {name: a_step(name, world) for name in CASES}


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Bytes given to PyTorch's collectives meanwhile; single numbers do not count."""
    sent = {"gathered": 0, "reduced": 0, "handed": 0}
    gather, reduce, hand = dist.all_gather, dist.all_reduce, dist.batch_isend_irecv

    def all_gather(parts: list[Tensor], own: Tensor, *args: Any) -> Any:
        sent["gathered"] += own.nbytes
        return gather(parts, own, *args)

    def all_reduce(tensor: Tensor, *args: Any) -> Any:
        sent["reduced"] += tensor.nbytes if tensor.ndim == 2 else 0
        return reduce(tensor, *args)

    def batch(ops: list[Any]) -> Any:
        sent["handed"] += sum(op.tensor.nbytes for op in ops if op.op is dist.isend)
        return hand(ops)

    with mock.patch.multiple(
        dist, all_gather=all_gather, all_reduce=all_reduce, batch_isend_irecv=batch
    ):
        yield sent
