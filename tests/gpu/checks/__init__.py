"""All checks by their names, in the order in which they run: what matters most comes first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import NamedTuple

from tests.gpu.sheet import Place, Sheet

Work = Callable[[Place, Sheet], None]
# One of each row of the paper's tables, but for those that differ in a file of weights alone.
RECIPES = (
    "coco_vits8",
    "coco_vits16",
    "cityscapes_vits8",
    "cityscapes_vitb8",
    "potsdam_vitb8",
    "imagenet_s50_vits16",
)


class Check(NamedTuple):
    """A check: what it is about, how long it may take, and the module whose ``check`` it is."""

    meaning: str
    seconds: float
    module: str
    of: str = ""
    """A name that its ``check`` takes beside the place and the sheet; empty: it takes none."""

    def work(self) -> Work:
        """Its function, imported only now: what one check cannot import ends no other."""
        found = import_module(f"tests.gpu.checks.{self.module}").check
        return partial(found, name=self.of) if self.of else found


CHECKS = {
    "golden": Check("sets, loss and gradient against the recorded ones", 45, "golden"),
    "trajectory": Check("six recorded steps of training", 60, "trajectory"),
    "waiting": Check("no step of the COCO-Stuff recipe waits for the GPU", 90, "waiting"),
    "loss": Check("the loss at 64 × 784 patches, a quarter of them anchors", 60, "loss"),
    "processes": Check("what processes tell each other over NCCL, with one process", 40, "group"),
    "memory": Check("memory that runs out is told in a sentence", 40, "memory"),
    "resume": Check("a run that is killed and resumed is the undisturbed one", 90, "resume"),
    **{
        f"recipe {name}": Check(f"20 steps of {name} with a random ViT", 75, "recipe", name)
        for name in RECIPES
    },
}
