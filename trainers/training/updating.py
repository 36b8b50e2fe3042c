"""How parameters change in a step: optimizers, precision, clipping, and what is no number."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import torch
from torch import Tensor, nn

from ppap.backbones.half import half_precision
from ppap.protocol import Protocol
from ppap.segmenter import Segmenter
from trainers.config import FROZEN, Config
from trainers.rules import reads
from trainers.training.distributed import World, sum_gradients
from trainers.training.probing import Probing

# The gradient scaler halves its factor when a gradient is not finite; below this it is hopeless.
LEAST_SCALE = 2.0**-10
PUBLISHED_SCALER: dict[str, Any] = {"init_scale": 2048.0, "growth_interval": 1000}
PROBES = ("cluster", "linear")


class TrainingError(RuntimeError):
    """A training that cannot go on; the message says why and what to do."""


class Updating:
    """The optimizers of the network and of both probes, and what they share.

    ``main_steps`` is how long the network learns, for its learning rate.
    """

    def __init__(
        self,
        config: Config,
        segmenter: Segmenter,
        probing: Probing,
        *,
        world: World,
        main_steps: int,
    ) -> None:
        self.config, self.world, self.main_steps = config, world, main_steps
        self.device = world.device
        self.net = list(segmenter.head.parameters())
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        linear = segmenter.linear_probe.parameters()
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "net": kind(self.net, lr=config.lr, weight_decay=config.weight_decay, fused=True),
            "cluster": torch.optim.Adam(
                probing.candidates.parameters(), lr=config.cluster_lr, fused=True
            ),
            "linear": torch.optim.Adam(linear, lr=config.linear_lr, fused=True),
        }
        self.autocast = precision_of(config, self.device)
        protocol = Protocol.of(config.protocol)
        self.as_published = protocol.half_training
        settings = PUBLISHED_SCALER if protocol.scaler else {}
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.autocast is torch.float16, **settings
        )

    def precision(self) -> contextlib.AbstractContextManager[object]:
        """Within it, the network computes in the chosen precision."""
        if self.autocast is None:
            return contextlib.nullcontext()
        if self.as_published:
            return half_precision(self.device)
        return torch.autocast(self.device.type, self.autocast)

    def update(
        self, loss: Tensor, step: int, *, learning: bool, probes_learn: bool, logged: bool
    ) -> Tensor | None:
        """Take one step down the gradient of ``loss``, this process's part of it.

        Args:
            loss: without dimensions.
            step: which one it is.
            learning: whether the network learns.
            probes_learn: whether the probes do.
            logged: whether to look closely, which waits for a GPU.

        Returns:
            The gradient norm of the network before clipping; None where it does not learn.

        Raises:
            TrainingError: the loss is no number, or gradients are none, step after step.
        """
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        if (logged or self.device.type == "cpu") and not self.scaler.is_enabled():
            check_finite(loss, step, self.config)
        self.scaler.scale(loss).backward()
        sum_gradients(self._parameters(), self.world)
        norm = None
        if learning:
            net = self.optimizers["net"]
            for group in net.param_groups:
                group["lr"] = self.learning_rate(step)
            self.scaler.unscale_(net)
            norm = nn.utils.clip_grad_norm_(self.net, self.config.clip)
            self.scaler.step(net)
        if probes_learn:
            for name in PROBES:
                if any(p.grad is not None for p in self._of(name)):
                    self.scaler.step(self.optimizers[name])
        self.scaler.update()
        if logged and self.scaler.is_enabled() and self.scaler.get_scale() < LEAST_SCALE:
            raise TrainingError(
                f"Gradients are not finite, step after step, up to step {step + 1}: use "
                "precision=bfloat16 or float32, or a smaller "
                f"{'linear_lr' if self.config.rule == FROZEN else 'lr'}, in a new run."
            )
        return norm

    def learning_rate(self, step: int) -> float:
        """The network's at a step."""
        if self.config.schedule == "constant":
            return self.config.lr
        return self.config.lr * (1 + math.cos(math.pi * step / max(1, self.main_steps))) / 2

    def check_weights(self, step: int) -> None:
        """TrainingError where a weight is no number: such a checkpoint would be of no use."""
        if not all(bool(torch.isfinite(p).all()) for p in self._parameters()):
            raise no_number("A weight", step, self.config)

    def forget_probes(self) -> None:
        """Begin anew with the probes' optimizers."""
        for name in PROBES:
            self.optimizers[name].state.clear()

    def _of(self, name: str) -> list[nn.Parameter]:
        return [p for group in self.optimizers[name].param_groups for p in group["params"]]

    def _parameters(self) -> list[nn.Parameter]:
        return [p for name in self.optimizers for p in self._of(name)]

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "optimizers": {name: each.state_dict() for name, each in self.optimizers.items()},
            "scaler": self.scaler.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take what ``state`` gave."""
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if state["scaler"]:  # empty where the run was on a CPU before
            self.scaler.load_state_dict(state["scaler"])


def check_finite(loss: Tensor, step: int, config: Config) -> None:
    """TrainingError where the loss is no number."""
    if not bool(torch.isfinite(loss)):
        raise no_number("The loss", step, config)


def no_number(what: str, step: int, config: Config) -> TrainingError:
    """The error for something that became NaN or infinite at a step; advises what the run has."""
    if config.rule == FROZEN:
        change = "a smaller linear_lr or cluster_lr"
    elif reads(config.rule, "temperature"):
        change = "a smaller lr or a larger temperature"
    else:
        change = "a smaller lr"
    if config.precision in ("float16", "bfloat16"):
        change += f", or precision=float32 instead of {config.precision},"
    return TrainingError(
        f"{what} is no longer a number at step {step + 1}. Use {change} in a new run; the "
        "checkpoints so far are intact."
    )


def precision_of(config: Config, device: torch.device) -> torch.dtype | None:
    """The type of autocast; None for none."""
    chosen = config.precision
    if chosen == "auto":
        halves = device.type == "cuda" or Protocol.of(config.protocol).half_training
        chosen = "float16" if halves else "float32"
    return {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(chosen)
