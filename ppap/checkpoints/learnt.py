"""What of a checkpoint has learnt, by what its optimizers remember.

A checkpoint is written at any moment: before the probes' epochs began, where nothing has labels.
Its numbers look like any other's, so whoever shows them must say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ppap.checkpoints.own import Checkpoint

PARTS = ("net", "cluster", "linear")


def unlearnt(checkpoint: Checkpoint) -> str:
    """What of a checkpoint has not learnt, in a sentence; empty where all has, or nobody knows."""
    training = checkpoint.training
    if not isinstance(training, Mapping):
        return ""
    steps = learnt_steps(training)
    if steps is None:
        return ""
    stretches: Any = training.get("stretches")
    known = isinstance(stretches, Sequence) and len(stretches) == 3
    return sentence(steps, per_epoch=stretches[2] if known else 0)


def sentence(steps: Mapping[str, int], *, per_epoch: int) -> str:
    """What has not learnt, when each of PARTS has for so many steps.

    Args:
        steps: by part.
        per_epoch: steps of a round over the training images; 0 where that is not known.
    """
    cluster, linear = steps["cluster"], steps["linear"]
    if not cluster and not linear:
        return (
            "The probes have not been trained: this checkpoint is from before their own epochs "
            "began, so clusters and classes are no better than chance."
        )
    if cluster < per_epoch:
        count = "1 step" if cluster == 1 else f"{cluster:,} steps"
        return f"The probes have been trained for only {count}, less than one epoch."
    if not linear:
        return (
            "The linear probe has not been trained, because no training image has labels: its "
            "classes are no better than chance; the clusters are not affected."
        )
    return ""


def learnt_steps(training: Mapping[str, Any]) -> dict[str, int] | None:
    """For how many steps each of PARTS has learnt; None where that cannot be told."""
    optimizers = training.get("optimizers")
    if not isinstance(optimizers, Mapping) or set(optimizers) != set(PARTS):
        return None
    return {name: _steps(optimizers[name]) for name in PARTS}


def _steps(optimizer: Any) -> int:
    state = optimizer.get("state") if isinstance(optimizer, Mapping) else None
    most = 0
    for each in state.values() if isinstance(state, Mapping) else ():
        count = each.get("step") if isinstance(each, Mapping) else None
        if isinstance(count, Tensor | int | float):
            most = max(most, int(count))
    return most
