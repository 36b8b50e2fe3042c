"""What an ablation takes, before it begins: how many runs, and about how long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from trainers.ablations.plan import Ablation
from trainers.launching.estimates import Estimate
from trainers.launching.orders import Order, sent_to
from trainers.launching.runner import Runner
from trainers.progress import in_words as time_in_words
from trainers.slurm.options import Options

# What a run takes depends on none of these.
NO_COST = frozenset(
    (
        "phi0",
        "psi0",
        "sigma_pos",
        "sigma_amb",
        "temperature",
        "lr",
        "weight_decay",
        "cluster_lr",
        "linear_lr",
        "clip",
        "optimizer",
        "schedule",
        "seed",
        "published_scale",
        "rho",
        "crf",
    )
)
# Combinations that are estimated by themselves; each reads the data set's list of files.
MOST_ESTIMATED = 12


class Forecast(NamedTuple):
    """What it takes, about."""

    combinations: int
    seeds: int
    steps: int
    """Of all runs together."""
    seconds: float | None
    """Of all runs, one after the other; None where no run like any of them has told yet."""
    device: str
    refusal: str
    """Why one of them could not begin now; empty where nothing is in the way."""

    @property
    def runs(self) -> int:
        """All of them."""
        return self.combinations * self.seeds

    def sentences(self) -> list[str]:
        """For people."""
        runs = "1 run" if self.runs == 1 else f"{self.runs:,} runs"
        parts = f"{counted(self.combinations, 'combination')} × {counted(self.seeds, 'seed')}"
        said = [f"{runs} ({parts}), {counted(self.steps, 'step')} in all on {self.device}."]
        if self.seconds is None:
            said.append(
                "How long they take is not known yet: no similar run has been trained here."
            )
        else:
            said.append(
                f"About {time_in_words(self.seconds)} one after another, at the pace of similar "
                "earlier runs, plus validations and reports."
            )
        return said


def counted(count: int, what: str) -> str:
    """``3 seeds``."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def forecast(runner: Runner, ablation: Ablation, slurm: Options | None = None) -> Forecast:
    """Estimate a run of each combination.

    Args:
        runner: of the runs.
        ablation: which ones.
        slurm: what SLURM is asked for; None: they run on this machine.

    Raises:
        SettingError, DataError, BackboneError, CacheError: one of them could not begin.
    """
    one_seed = ablation.runs()[: len(ablation.combinations())]
    orders = [placed(run.order, slurm) for run in one_seed]
    known: dict[str, Estimate] = {}
    estimates = []
    for order in orders:
        key = cost_of(order.recipe, order.config.as_dict())
        if key not in known and len(known) < MOST_ESTIMATED:
            known[key] = runner.estimate(order)
        # Beyond so many, the last stands for what is like none of them.
        estimates.append(known.get(key) or list(known.values())[-1])
    seconds = [one.seconds for one in estimates if one.seconds is not None]
    seeds = len(ablation.seeds)
    # What is known stands for those that nothing is known of.
    whole = seeds * len(estimates) * sum(seconds) / len(seconds) if seconds else None
    return Forecast(
        len(estimates),
        seeds,
        seeds * sum(one.steps for one in estimates),
        whole,
        estimates[0].device,
        next((one.refusal for one in estimates if one.refusal), ""),
    )


def placed(order: Order, slurm: Options | None) -> Order:
    """The order where it is to run; SettingError where it cannot run there."""
    return order if slurm is None else sent_to(order, slurm)


def cost_of(recipe: str, settings: Mapping[str, Any]) -> str:
    """Equal for runs that take as much."""
    return json.dumps([recipe, {n: v for n, v in settings.items() if n not in NO_COST}])
