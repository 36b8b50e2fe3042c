"""What the network learns from in one step: the chosen rule's sets and Eq. 8, or STEGO's loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.contrast import StegoSettings, chunked_loss, stego_loss
from ppap.contrast.eq8 import Piece
from ppap.contrast.in_half import loss_in_half, sets_in_half
from ppap.propagation import Partition, PatchSets, unit
from ppap.protocol import STUDIO, Protocol
from ppap.rivals import Choice, gather_unit, prepare
from ppap.rivals.pool import hidden_positives_unit
from ppap.segmenter import TrainingFeatures
from trainers.config import STEGO, Config
from trainers.training.chance import derived, generator
from trainers.training.distributed import World, check_same_shape, gather_rows
from trainers.training.ring import Shard, ring_loss

VOID = -1
# Published: patches that anchors are drawn from together, four images of 14 × 14 or one of 28 × 28.
GROUP = 784
NAN = float("nan")
# What a step's sets are told by; see StepLoss.
SIZES = ("positives", "ambiguous", "negatives", "empty", "precision")


class StepLoss(NamedTuple):
    """The loss of this process's images, and what is worth knowing about it."""

    loss: Tensor
    counted: Tensor
    """How many images it is the mean over, int64."""
    positives: Tensor | float = NAN
    """Mean |P| of this process's anchors; NaN for a rule without sets."""
    ambiguous: Tensor | float = NAN
    """Mean |A|."""
    negatives: Tensor | float = NAN
    """Mean |N|."""
    empty: Tensor | float = NAN
    """Share of the anchors without positives."""
    precision: Tensor | float = NAN
    """Share of the positives that are of their anchor's class; void patches do not count. NaN
    where no labels were given, or none of the positives is known."""


class Objective:
    """The loss of a run; ``pool`` is for hidden positives, unit vectors ``(M, D)``."""

    def __init__(
        self, config: Config, *, classes: int, world: World, pool: Tensor | None = None
    ) -> None:
        self.config = config
        self.classes = classes
        self.world = world
        self.pool = pool
        self.checked = False
        """Whether all processes are known to bring as many rows; every step has the same."""
        self.stego = StegoSettings(
            config.self_weight,
            config.self_shift,
            config.near_weight,
            config.near_shift,
            config.far_weight,
            config.far_shift,
        )

    def __call__(
        self,
        streams: TrainingFeatures,
        step: int,
        *,
        near: TrainingFeatures | None = None,
        patch_labels: Tensor | None = None,
    ) -> StepLoss:
        """The loss of one step.

        Args:
            streams: of this process's images.
            step: which step it is: decides every draw.
            near: for STEGO, the streams of one near image for each.
            patch_labels: class of this process's patches, int64 ``(B·h·w,)``, −1 where void: with
                it the precision of the positives is measured.
        """
        if self.config.rule == STEGO:
            assert near is not None
            return self._stego(streams, near, step)
        return self._contrast(streams, step, patch_labels)

    def _stego(self, streams: TrainingFeatures, near: TrainingFeatures, step: int) -> StepLoss:
        found = stego_loss(
            streams.guidance,
            streams.tuned,
            near.guidance,
            near.tuned,
            settings=self.stego,
            negatives=self.config.far_images,
            generator=generator(self.config.seed, "positions", step, self.world.rank),
        )
        counted = torch.full((), len(streams.tuned), device=found.loss.device)
        return StepLoss(found.loss, counted)

    def _contrast(
        self, streams: TrainingFeatures, step: int, patch_labels: Tensor | None
    ) -> StepLoss:
        config, world = self.config, self.world
        images, patches = len(streams.guidance), streams.guidance[0, :, :, 0].numel()
        f, z, labels = unit(streams.guidance.flatten(0, 2)), streams.projected, patch_labels
        if labels is not None:
            labels = labels.to(f.device, non_blocking=True)
        share = config.anchors
        few = candidates_of(images * world.size, patches, config.candidates, config.seed, step)
        if few is not None:
            rows = few[world.rank * images : (world.rank + 1) * images]
            rows = (rows + patches * torch.arange(images).unsqueeze(1)).flatten()
            rows = rows.to(f.device, non_blocking=True)
            f, z = f[rows], z[rows]
            labels = None if labels is None else labels[rows]
            # As many anchors as there would be, as far as there are patches.
            share = min(1.0, share * patches / few.shape[1])
            patches = few.shape[1]
        protocol = Protocol.of(config.protocol)
        group = GROUP if protocol.anchor_groups else patches
        # Published: what is left beyond the last whole group has no anchors.
        groups = images * patches // group
        chosen = anchors_of(groups * world.size, group, share, config.seed, step)
        # On the CPU, where they can be checked and sorted without waiting for a GPU.
        own = chosen[world.rank * groups : (world.rank + 1) * groups]
        if config.exchange == "ring" and world.size > 1:
            if not self.checked:
                check_same_shape(z, world)
                self.checked = True
            return self._in_a_ring(f, z, labels, own - world.rank * images * patches)
        # All patches of the whole batch are candidates, those of other processes, too.
        check = not self.checked
        f, z = (gather_rows(x, world, check=check) for x in (f, z))  # (N, D)
        labels = None if labels is None else gather_rows(labels, world, check=check)
        self.checked = True
        return self._gathered(f, z, labels, own.flatten(), group, step, protocol)

    def _in_a_ring(self, f: Tensor, z: Tensor, labels: Tensor | None, own: Tensor) -> StepLoss:
        """Everybody's patches in turn; ``own`` are anchors ``(images, a)`` among these."""
        config = self.config
        images, each = own.shape
        number = torch.arange(images).repeat_interleave(each)
        anchors, number = (x.to(f.device, non_blocking=True) for x in (own.flatten(), number))
        shard = Shard(
            f,
            anchors,
            Piece(torch.arange(len(anchors), device=f.device), number, images),
            labels,
            config.settings,
            config.temperature,
            config.published_scale,
            self.world,
        )
        found = ring_loss(z, shard)
        return StepLoss(
            found.loss,
            found.counted,
            found.positives,
            found.ambiguous,
            found.negatives,
            found.empty / len(anchors),
            NAN if labels is None else found.right / found.known,
        )

    def _gathered(
        self,
        f: Tensor,
        z: Tensor,
        labels: Tensor | None,
        own: Tensor,
        group: int,
        step: int,
        protocol: Protocol,
    ) -> StepLoss:
        """The patches of all processes at once; ``own`` are anchors ``(A,)`` among them."""
        config = self.config
        sets_of = self._rule(f, step, protocol)
        right = whole = torch.zeros((), dtype=torch.int64, device=f.device)

        def measured(anchors: Tensor) -> PatchSets | Partition:
            nonlocal right, whole
            sets = sets_of(anchors)
            if labels is not None:
                known = (labels != VOID) & (labels[anchors] != VOID).unsqueeze(1)
                same = labels[anchors].unsqueeze(1) == labels
                right = right + (sets.positive & known & same).sum()
                whole = whole + (sets.positive & known).sum()
            return sets

        found = (loss_in_half if protocol.half_loss else chunked_loss)(
            measured,
            z,
            own,
            temperature=config.temperature,
            images=own // group,
            published_scale=config.published_scale,
        )
        return StepLoss(
            found.loss,
            found.counted,
            found.positives,
            found.ambiguous,
            found.negatives,
            found.empty / len(own),
            NAN if labels is None else right / whole,
        )

    def _rule(
        self, f: Tensor, step: int, protocol: Protocol = STUDIO
    ) -> Callable[[Tensor], PatchSets | Partition]:
        """Anchors → their sets, for the features of this step."""
        config = self.config
        if protocol.half_loss and config.rule == "ppap":
            return lambda anchors: sets_in_half(f, anchors, config.settings)
        seed = derived(config.seed, "rule", step) % 2**32
        choice = Choice(
            rule=config.rule,
            settings=config.settings,
            k=max(1, min(round(config.k_share * len(f)), len(f) - 1)),
            clusters=min(config.clusters or self.classes, len(f)),
            rho=config.rho,
            seed=seed,
        )
        prepared = prepare(choice, f, pool=self.pool)
        if config.rule == "hp":
            assert prepared is not None
            # One source for all chunks of anchors: gather_unit would begin anew with each.
            chance = generator(config.seed, "negatives", step, self.world.rank)
            nearest = prepared
            return lambda anchors: hidden_positives_unit(
                f, anchors, nearest=nearest, rho=config.rho, generator=chance
            )
        return lambda anchors: gather_unit(choice, f, anchors, prepared)


def candidates_of(images: int, patches: int, most: int, seed: int, step: int) -> Tensor | None:
    """Which patches of every image are looked at: int64 ``(images, c)``, in their order.

    Args:
        images: of the whole batch.
        patches: of each.
        most: of the whole batch; 0: all.
        seed: of the run.
        step: which one it is.

    Returns:
        As many of every image, at least one; None where that is all of them.
    """
    each = max(1, most // images)
    if not most or each >= patches:
        return None
    drawn = torch.rand(images, patches, generator=generator(seed, "candidates", step))
    return drawn.argsort(dim=1)[:, :each].sort(dim=1).values


def anchors_of(images: int, patches: int, share: float, seed: int, step: int) -> Tensor:
    """Anchors drawn at random, as many of every image: int64 ``(images, a)``, flat patch indices.

    ``share`` of the patches of an image, rounded down, but at least one.
    """
    # A share such as 0.57 is no exact binary number: of 100 patches it is 57, not 56.
    count = max(1, int(patches * share + 1e-6))
    drawn = torch.rand(images, patches, generator=generator(seed, "anchors", step))
    return drawn.argsort(dim=1)[:, :count] + patches * torch.arange(images).unsqueeze(1)
