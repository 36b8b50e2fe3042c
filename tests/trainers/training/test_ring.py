"""Many processes, played by threads: in a ring and gathered they find what one process finds.

Real processes are in ``test_distributed``; two of them cannot tell one way round from the other.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from ppap.segmenter import TrainingFeatures
from tests.support.pretend_processes import Processes, in_processes
from tests.support.small_runs import ALONE
from trainers.config import Config
from trainers.launching.scaling import Step, payload
from trainers.training import ring
from trainers.training.distributed import World, global_mean
from trainers.training.objective import Objective

SIDE, DIM, STEP = 3, 16, 5
PATCHES = SIDE * SIDE
CONFIG = Config(phi0=0.55, psi0=0.2, sigma_pos=3, sigma_amb=3, temperature=0.2, anchors=0.5)


class Batch:
    """Patches of so many images, in few groups, with their classes."""

    def __init__(self, images: int) -> None:
        chance = torch.Generator().manual_seed(1)
        self.labels = torch.randint(0, 4, (images * PATCHES,), generator=chance)
        centres = torch.randn(4, DIM, generator=chance)
        noise = torch.randn(images * PATCHES, DIM, generator=chance)
        self.features = (centres[self.labels] + 0.7 * noise).view(images, SIDE, SIDE, DIM)
        self.projected = F.normalize(torch.randn(noise.shape, generator=chance), dim=1)
        self.images = images

    def step(self, world: World, config: Config) -> dict[str, Any]:
        """This process's part of the step: gradient, loss, sizes."""
        each = self.images // world.size
        own = slice(world.rank * each, (world.rank + 1) * each)
        rows = slice(own.start * PATCHES, own.stop * PATCHES)
        z = self.projected[rows].clone().requires_grad_()
        streams = TrainingFeatures(self.features[own], self.features[own], z)
        objective = Objective(config, classes=4, world=world)
        found = objective(streams, STEP, patch_labels=self.labels[rows])
        mean = global_mean(found.loss, found.counted, world)
        mean.backward()
        assert z.grad is not None
        return {"gradient": z.grad, "loss": mean.item(), "positives": float(found.positives)}


def together(images: int, size: int, **changes: Any) -> tuple[dict[str, Any], Processes]:
    """All processes' parts of a step, put together."""
    batch, config = Batch(images), CONFIG.with_({"batch": images, **changes})
    parts, processes = in_processes(size, lambda world: batch.step(world, config))
    whole = {
        "gradient": torch.cat([part["gradient"] for part in parts]),
        "loss": sum(part["loss"] for part in parts),
        "positives": sum(part["positives"] for part in parts) / size,
    }
    return whole, processes


@pytest.mark.parametrize("exchange", ["gather", "ring"])
@pytest.mark.parametrize(("size", "images"), [(3, 6), (4, 4), (5, 10)])
@pytest.mark.parametrize("candidates", [0, 5])
def test_many_find_what_one_finds(exchange: str, size: int, images: int, candidates: int) -> None:
    changes = {"exchange": exchange, "candidates": candidates * images}
    alone = Batch(images).step(ALONE, CONFIG.with_({"batch": images, **changes}))
    found, _ = together(images, size, **changes)
    assert alone["positives"] > 1
    assert found["positives"] == pytest.approx(alone["positives"])
    assert found["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    gap = (found["gradient"] - alone["gradient"]).norm()
    assert gap < 1e-5 * alone["gradient"].norm()


@pytest.mark.parametrize(("exchange", "size"), [("gather", 64), ("ring", 16)])
def test_many_send_what_the_model_says(exchange: str, size: int) -> None:
    """64 of a ring are in ``tests/benchmarks/bench_scale.py``, since they take seconds."""
    changes = {"exchange": exchange, "candidates": size * 4}
    found, processes = together(size, size, **changes)
    alone = Batch(size).step(ALONE, CONFIG.with_({"batch": size, **changes}))
    gap = (found["gradient"] - alone["gradient"]).norm()
    assert gap < 1e-5 * alone["gradient"].norm()
    step = Step(size, size, PATCHES, DIM, CONFIG.steps, CONFIG.anchors, size * 4, exchange)
    wanted = payload(step, labels=True)._asdict()
    assert processes.sent == [wanted] * size


def test_a_ring_holds_no_more_than_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is made in the passes, nothing is as long as the patches of all."""
    longest = 0
    whole = ring.blocks

    def blocks(anchors: int, theirs: torch.Tensor) -> Any:
        nonlocal longest
        longest = max(longest, len(theirs))
        return whole(anchors, theirs)

    monkeypatch.setattr(ring, "blocks", blocks)
    together(8, 4, exchange="ring")
    assert longest == 2 * PATCHES


def test_anchors_in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, _ = together(4, 2, exchange="ring")
    monkeypatch.setattr(ring, "anchors_at_once", lambda count, row_bytes: 3)
    found, _ = together(4, 2, exchange="ring")
    torch.testing.assert_close(found["gradient"], wanted["gradient"])
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-6)


def test_in_a_process_alone_it_is_the_same_loss() -> None:
    wanted = Batch(3).step(ALONE, CONFIG.with_({"batch": 3}))
    found = Batch(3).step(ALONE, CONFIG.with_({"batch": 3, "exchange": "ring"}))
    assert torch.equal(found["gradient"], wanted["gradient"])
