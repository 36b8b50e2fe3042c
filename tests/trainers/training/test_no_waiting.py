"""No step of training waits for a GPU, seen without one; see ``tests.support.pretend_gpu``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.pretend_gpu import GPU, off_gpu, on_gpu, pretend_gpu
from tests.support.small_runs import Place

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
