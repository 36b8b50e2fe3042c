"""What a step costs as processes and batch grow: products, bytes between processes, memory, disk.

A model of ``trainers.training``: what is sent is counted as it is sent there (a test holds both
against each other), memory and products are those of the largest parts. ``docs/scale.md`` has what
comes of it, and how far it agrees with what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ppap.contrast.eq8 import anchors_at_once

FLOAT, HALF = 4, 2
# Of all patches, when they are gathered: features, projections, and the gradient beside them; or
# that gradient, scaled, and its copy for the sum. Of a process's own patches: what they came from.
# Of float32 (anchors × patches): how many blocks there are at a time; see ``ppap.contrast.eq8``.
WHOLES, OWN_BESIDE, BLOCKS = 3, 3, 3.5
# In a ring, of the own patches: they themselves, those worked on and those that are coming, the
# gradient that is carried and the one that is coming, and what goes through while these change.
OWN_IN_RING, BLOCKS_IN_RING = 10, 5


@dataclass(frozen=True)
class Step:
    """A step of all processes together."""

    batch: int
    """Images, over all processes."""
    processes: int
    patches: int
    """Of each image."""
    dim: int
    """Of a patch's features, and of its projection."""
    steps: int = 2
    """Relocations, T."""
    anchors: float = 1 / 16
    """Share of each image's patches."""
    candidates: int = 0
    """Most patches of the batch that are looked at; 0: all."""
    exchange: str = "gather"

    @property
    def images(self) -> int:
        """Of each process."""
        return self.batch // self.processes

    @property
    def looked_at(self) -> int:
        """Patches of each image that are candidates."""
        few = max(1, self.candidates // self.batch) if self.candidates else self.patches
        return min(few, self.patches)

    @property
    def own(self) -> int:
        """Candidates of this process."""
        return self.images * self.looked_at

    @property
    def all(self) -> int:
        """Candidates of all processes."""
        return self.own * self.processes

    @property
    def own_anchors(self) -> int:
        """Anchors of this process."""
        each = max(1, int(self.patches * self.anchors + 1e-6))
        return self.images * min(each, self.looked_at)


class Payload(NamedTuple):
    """Bytes that one process gives to PyTorch's collectives in a step, for the loss."""

    gathered: int
    """That all others get from it (all_gather)."""
    reduced: int
    """That are added up over all (all_reduce)."""
    handed: int
    """That are handed on in the ring (send)."""


def payload(step: Step, *, labels: bool = False) -> Payload:
    """Of the loss; ``labels``: in a step that is logged, classes go along."""
    if step.processes == 1:
        return Payload(0, 0, 0)
    part = step.own * step.dim * FLOAT
    classes = step.own * 8 if labels else 0
    if step.exchange == "gather":
        return Payload(2 * part + classes, step.all * step.dim * FLOAT, 0)
    turns = step.processes - 1
    features = (step.steps + 1 + 1) * part * turns  # relocations, sums, gradient
    projected = 2 * part * turns
    carried = part * step.processes
    return Payload(0, 0, features + projected + carried + classes * turns)


def sent(step: Step, trained: int, *, labels: bool = False) -> float:
    """Bytes that one process sends over its link in a step.

    Args:
        step: of all processes.
        trained: parameters whose gradients are added up.
        labels: as of ``payload``.

    All-gather sends what it is given once for every other process, and all-reduce what it is given
    twice but for a share: the least that either can do, and what rings of NCCL and gloo do.
    """
    others, count = step.processes - 1, step.processes
    found = payload(step, labels=labels)
    reduced = found.reduced + trained * FLOAT
    return found.gathered * others + 2 * reduced * others / count + found.handed


def loss_products(step: Step) -> float:
    """Floating-point operations of the loss's matrix products, of one process.

    Cosines for v^0 … v^T, T means, logits, and two sides of their gradient. In a ring cosines with
    v^T and logits are worked out again for the gradient, instead of kept.
    """
    count = (step.steps + 1) + step.steps + 1 + 2
    if step.exchange == "ring" and step.processes > 1:
        count += 2
    return count * 2.0 * step.own_anchors * step.all * step.dim


def loss_memory(step: Step) -> float:
    """Bytes of tensors that a process holds for the loss, at most, beside the streams."""
    part = step.own * step.dim * FLOAT
    if step.exchange == "ring" and step.processes > 1:
        rows = anchors_at_once(step.own_anchors, step.own * FLOAT)
        return OWN_IN_RING * part + BLOCKS_IN_RING * rows * step.own * FLOAT
    rows = anchors_at_once(step.own_anchors, step.all * FLOAT)
    # Of an image, the sets of all anchors are there at once.
    rows = max(rows, step.own_anchors // step.images)
    whole = step.all * step.dim * FLOAT
    return WHOLES * whole + OWN_BESIDE * part + BLOCKS * rows * step.all * FLOAT


class Network(NamedTuple):
    """A ViT."""

    name: str
    depth: int
    dim: int
    patch: int

    def tokens(self, size: int) -> int:
        """Of a square of ``size`` pixels a side, the class token included."""
        return (size // self.patch) ** 2 + 1

    @property
    def block_parameters(self) -> int:
        """Of one block: attention, MLP, norms."""
        return 12 * self.dim**2 + 13 * self.dim

    @property
    def trained(self) -> int:
        """Of the trained block and the projection."""
        return self.block_parameters + self.dim**2 + self.dim

    def block_products(self, size: int) -> float:
        """Floating-point operations of one block's forward pass over one image."""
        tokens = self.tokens(size)
        return 2.0 * tokens * (12 * self.dim**2 + 2 * tokens * self.dim)

    def step_products(self, size: int, *, cached: bool) -> float:
        """Of a step for one image: the frozen stream, and three times the trained block.

        With cached features only the trained block is left.
        """
        trained = 3 * self.block_products(size)
        return trained if cached else trained + self.depth * self.block_products(size)

    def cached_bytes(self, size: int) -> int:
        """Of one image on disk: the trunk's tokens and the frozen features, both halves; classes
        of its pixels, a byte each."""
        tokens = self.tokens(size)
        return (2 * tokens - 1) * self.dim * HALF + size * size


VIT_S8 = Network("ViT-S/8", 12, 384, 8)
VIT_B8 = Network("ViT-B/8", 12, 768, 8)
