from __future__ import annotations

from typing import Any

import pytest
import torch

from ppap.checkpoints.learnt import learnt_steps, sentence, unlearnt
from tests.ppap.checkpoints.test_own import made


def state(steps: int) -> dict[str, Any]:
    """An optimizer's, as PyTorch keeps it; empty before its first step."""
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam([weight])
    for _ in range(steps):
        weight.grad = torch.ones(2)
        optimizer.step()
    return dict(optimizer.state_dict())


def training(net: int, cluster: int, linear: int, **more: Any) -> dict[str, Any]:
    parts = {"net": state(net), "cluster": state(cluster), "linear": state(linear)}
    return {"optimizers": parts, **more}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            (40, 0, 0),
            "The probes have not been trained: this checkpoint is from before their own epochs "
            "began",
        ),
        ((0, 0, 0), "The probes have not been trained"),
        ((40, 9, 0), "The linear probe has not been trained, because no training image has labels"),
        ((40, 5, 0), "The linear probe has not been trained"),
        ((40, 4, 4), "The probes have been trained for only 4 steps, less than one epoch"),
        ((40, 1, 1), "The probes have been trained for only 1 step, less"),
        ((40, 5, 5), ""),
        ((0, 9, 9), ""),  # the network is frozen on purpose
    ],
)
def test_what_has_not_learnt(steps: tuple[int, int, int], said: str) -> None:
    known = training(*steps, stretches=[40, 50, 5])
    assert learnt_steps(known) == dict(zip(("net", "cluster", "linear"), steps, strict=True))
    found = unlearnt(type(made())(**{**vars(made()), "training": known}))
    assert found.startswith(said)
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    "known",
    [
        None,
        {},
        {"optimizers": []},
        {"optimizers": {"net": {}}},
        training(1, 1, 1),  # an older checkpoint does not say how long an epoch is
        {"optimizers": {n: {"state": {0: {"step": 3}}} for n in ("net", "cluster", "linear")}},
    ],
)
def test_where_nobody_knows_nothing_is_said(known: Any) -> None:
    assert unlearnt(type(made())(**{**vars(made()), "training": known})) == ""


def test_an_older_checkpoint_tells_that_its_probes_never_began() -> None:
    found = unlearnt(type(made())(**{**vars(made()), "training": training(40, 0, 0)}))
    assert found == sentence({"net": 40, "cluster": 0, "linear": 0}, per_epoch=0)
    assert "no better than chance" in found
