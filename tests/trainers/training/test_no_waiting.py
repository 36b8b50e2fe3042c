"""No step of training waits for a GPU, seen without one; see ``tests.support.pretend_gpu``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ppap.contrast.eq8 import Piece
from ppap.segmenter import TrainingFeatures
from tests.support.pretend_gpu import GPU, off_gpu, on_gpu, pretend_gpu
from tests.support.pretend_processes import one_of_many
from tests.support.small_runs import Place
from trainers.config import Config
from trainers.training.distributed import World, global_mean
from trainers.training.objective import Objective
from trainers.training.ring import Shard, gradient_of, proxies_of, sums_of

Work = Callable[[Tensor], object]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("no waiting"))


def moved(module: nn.Module) -> None:
    """Send a network's parameters and buffers to the pretended GPU."""
    for part in module.modules():
        for name, tensor in list(part.named_parameters(recurse=False)):
            setattr(part, name, nn.Parameter(on_gpu(tensor), requires_grad=False))
        for name, buffer in list(part.named_buffers(recurse=False)):
            setattr(part, name, on_gpu(buffer))


def steps(place: Place, *, on_card: bool, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    """Losses of the first steps, none of them taken, and what waited for the GPU in the last."""
    trainer = place.trainer("run", place.config(log_every=100, epochs=9, **changes))
    losses: list[Tensor] = []

    def update(loss: Tensor, step: int, **_: Any) -> None:
        losses.append(off_gpu(loss.detach()).clone())

    monkeypatch.setattr(trainer.updating, "update", update)
    if on_card:
        with pretend_gpu():
            moved(trainer.segmenter)
            moved(trainer.probing.candidates)
        trainer.device = GPU
        trainer.probing.totals = on_gpu(trainer.probing.totals)
    seen: AbstractContextManager[list[str]]
    for batch in list(trainer._rest_of_epoch())[:2]:
        seen = pretend_gpu() if on_card else nullcontext([])
        with seen as waits:
            trainer._one_step(batch)
    trainer.close()
    return losses, waits


CASES = (
    {"rule": "ppap"},
    {"rule": "ppap", "cache": "on", "cluster_starts": 3},
    {"rule": "tps", "published_scale": True},
    {"rule": "knn"},
    {"rule": "frozen"},
)


@pytest.mark.parametrize("changes", CASES, ids=lambda changes: "-".join(map(str, changes.values())))
def test_a_step_waits_for_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    plain, _ = steps(place, on_card=False, monkeypatch=monkeypatch, **changes)
    losses, waits = steps(place, on_card=True, monkeypatch=monkeypatch, **changes)
    assert waits == []
    # Work on it was real.
    torch.testing.assert_close(losses, plain)


# --- what the pretended GPU notices


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda x: bool((x > 0).any()), "reads a value"),
        (lambda x: x.nonzero(), "size that depends"),
        (lambda x: x.unique(), "size that depends"),
        (lambda x: x[x > 0], "picks by a mask"),
        (lambda x: x + torch.ones(3), "across both devices"),
        (lambda x: x.to("cpu"), "without non_blocking"),
        (lambda x: torch.tensor(3, device=x.device), "without non_blocking"),
        (lambda x: torch.ones(3).to(x), "without non_blocking"),
        (lambda x: x.copy_(torch.ones(3)), "without non_blocking"),
    ],
)
def test_waits_are_noted(work: Work, said: str) -> None:
    x = on_gpu(torch.arange(3.0))
    with pretend_gpu() as waits:
        work(x)
    assert len(waits) == 1
    assert said in waits[0]


@pytest.mark.parametrize(
    "work",
    [
        lambda x: torch.ones(3).to(x, non_blocking=True) + x,
        lambda x: x.copy_(torch.ones(3), non_blocking=True),
        lambda x: x * torch.tensor(2.0),
        lambda x: x[torch.zeros(2, dtype=torch.int64, device=x.device)],
        lambda x: torch.zeros(3, device=x.device).add_(x).sum(),
    ],
)
def test_what_does_not_wait_is_not(work: Work) -> None:
    x = on_gpu(torch.arange(3.0))
    with pretend_gpu() as waits:
        found = work(x)
    assert waits == []
    assert isinstance(found, Tensor)
    assert found.device == GPU


def test_its_numbers_are_those_of_the_processor(tmp_path: Path) -> None:
    x = torch.arange(6.0).view(2, 3)
    with pretend_gpu():
        found = on_gpu(x) @ on_gpu(x).T
    assert torch.equal(off_gpu(found), x @ x.T)


# --- several processes


@pytest.mark.parametrize("exchange", ["gather", "ring"])
@pytest.mark.parametrize("candidates", [0, 8 * 5])
def test_a_shared_loss_waits_for_nothing_either(exchange: str, candidates: int) -> None:
    """But for the first step, which holds the shapes of all against each other."""
    config = Config(batch=8, anchors=0.5, exchange=exchange, candidates=candidates)
    world = World(1, 4, 1, torch.device("cpu"))
    objective = Objective(config, classes=3, world=world)
    objective.checked = True
    chance = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 3, 8, generator=chance)
    with one_of_many(), pretend_gpu() as waits:
        there = on_gpu(features)
        z = on_gpu(torch.nn.functional.normalize(features.flatten(0, 2), dim=1))
        found = objective(TrainingFeatures(there, there, z), 3)
        mean = global_mean(found.loss, found.counted, world)
    assert waits == []
    assert mean.device == GPU


def test_the_gradient_in_a_ring_waits_for_nothing() -> None:
    chance = torch.Generator().manual_seed(0)
    f, z = (torch.nn.functional.normalize(torch.randn(6, 4, generator=chance)) for _ in range(2))
    with one_of_many(), pretend_gpu() as waits:
        anchors = on_gpu(torch.tensor([0, 2, 5]))
        piece = Piece(torch.arange(3, device=GPU), on_gpu(torch.tensor([0, 0, 1])), 2)
        world = World(1, 4, 1, torch.device("cpu"))
        shard = Shard(on_gpu(f), anchors, piece, None, Config().settings, 0.8, False, world)
        proxies = proxies_of(shard)
        found, loss, _ = sums_of(on_gpu(z), shard, *proxies)
        gradient = gradient_of(on_gpu(z), shard, found, torch.ones_like(loss))
    assert waits == []
    assert gradient.device == GPU
