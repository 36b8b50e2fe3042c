"""The probes' training: several cluster probes at once, of which the best by its loss is kept.

The loss of a cluster probe needs no labels, so choosing by it is as unsupervised as one start is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ppap.propagation import unit
from ppap.segmenter import ClusterProbe, LinearProbe, Segmenter, merged_start, spread_start
from ppap.segmenter.half import cluster_loss_in_half, linear_loss_in_half
from ppap.settings import SettingError
from trainers.training.chance import derived, generator, seed_everything
from trainers.training.distributed import World, sum_numbers

# Images, and patches of them, that the centroids are chosen among.
START_IMAGES = 256
START_PATCHES = 16_384
# The start that needs no patches.
NOISE = "noise"


class Probing:
    """The cluster probes that compete, and how they are doing.

    A single one is the segmenter's own.
    """

    def __init__(
        self, segmenter: Segmenter, start: str, starts: int, world: World, *, half: bool = False
    ) -> None:
        """``start`` and ``starts`` are the configuration's cluster_start and cluster_starts;
        ``half``: learn in half precision, as published."""
        self.half = half
        self.segmenter = segmenter
        self.start, self.starts = start, starts
        self.world = world
        own = segmenter.cluster_probe
        count, dim = own.clusters.shape
        device = own.clusters.device
        rivals = [ClusterProbe(dim, count).to(device) for _ in range(starts)]
        self.candidates = nn.ModuleList(rivals if starts > 1 else [own])
        self.totals = torch.zeros(len(self.candidates), dtype=torch.float64, device=device)
        self.counted = 0

    def begin(self, features: Tensor | None, seed: int) -> None:
        """Start all probes anew.

        Args:
            features: of some patches, ``(N, D)``, to start from; None where it is noise.
            seed: of the run.

        Raises:
            SettingError: there are fewer patches than centroids.
        """
        count, dim = self.segmenter.cluster_probe.clusters.shape
        if features is not None:
            require_patches(len(features), count)
        seed_everything(seed, "probes")
        linear = self.segmenter.linear_probe
        fresh = LinearProbe(linear.in_channels, linear.out_channels)
        linear.load_state_dict(fresh.state_dict())
        for number, probe in enumerate(self.clusters()):
            if features is None:
                start = torch.randn(count, dim)
            else:
                start = self._start(features, count, seed, number)
            with torch.no_grad():
                probe.clusters.copy_(start)
        self.end_of_epoch()

    def _start(self, features: Tensor, count: int, seed: int, number: int) -> Tensor:
        if self.start == "merged":
            return merged_start(features, count, derived(seed, "start", number) % 2**32)
        return spread_start(features, count, generator(seed, "start", number))

    def clusters(self) -> list[ClusterProbe]:
        """The candidates, typed."""
        return [probe for probe in self.candidates if isinstance(probe, ClusterProbe)]

    def cluster_loss(self, features: Tensor) -> Tensor:
        """The sum of the candidates' losses: each gets its own gradient alone."""
        loss = cluster_loss_in_half if self.half else ClusterProbe.loss
        losses = torch.stack([loss(probe, features) for probe in self.clusters()])
        self.totals += losses.detach().double()
        self.counted += 1
        return losses.sum()

    def linear_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """The linear probe's, of ``(B, h, w, D)`` and int64 ``(B, H, W)``."""
        loss = linear_loss_in_half if self.half else LinearProbe.loss
        return loss(self.segmenter.linear_probe, features, labels)

    def best(self) -> int:
        """Which candidate had the least loss since the epoch began; in several processes, after
        ``share``.
        """
        return int(self.totals.argmin())

    def share(self) -> None:
        """Let every process have the mean of all processes' losses; more can be added to it."""
        if self.world.size > 1:
            sums = sum_numbers(self.totals.tolist(), self.world)
            self.totals.copy_(torch.tensor(sums, dtype=self.totals.dtype) / self.world.size)

    def settle(self) -> None:
        """Give the segmenter the best candidate, if they have been measured; all processes do."""
        self.share()
        if self.starts > 1 and self.counted:
            best = self.clusters()[self.best()]
            self.segmenter.cluster_probe.load_state_dict(best.state_dict())

    def end_of_epoch(self) -> None:
        """Forget the losses so far; before, ``settle``."""
        self.totals.zero_()
        self.counted = 0

    def state(self) -> dict[str, object]:
        """For a checkpoint."""
        candidates = {n: t.cpu().clone() for n, t in self.candidates.state_dict().items()}
        return {
            "candidates": candidates,
            "totals": self.totals.cpu().clone(),
            "counted": self.counted,
        }

    def load(self, state: dict[str, object]) -> None:
        """Take what ``state`` gave."""
        candidates, totals, counted = state["candidates"], state["totals"], state["counted"]
        assert isinstance(candidates, dict)
        assert isinstance(totals, Tensor)
        assert isinstance(counted, int)
        self.candidates.load_state_dict(candidates)
        self.totals.copy_(totals)
        self.counted = counted


def patches_to_start(images: int, each: int) -> int:
    """How many patches centroids start from, of so many images of ``each`` patches."""
    return min(START_PATCHES, min(START_IMAGES, images) * each)


def require_patches(patches: int, centroids: int) -> None:
    """SettingError where there are fewer patches than centroids that start from them."""
    if patches < centroids:
        raise SettingError(
            "cluster_start",
            f"{centroids} centroids cannot start from {patches} patches: use fewer extra_clusters "
            "(or unnamed_classes, where the images have no classes), or cluster_start=noise.",
        )


def some_patches(features: Tensor, seed: int) -> Tensor:
    """At most START_PATCHES random ones of ``(B, h, w, D)``, unit vectors ``(N, D)``."""
    rows = features.flatten(0, 2)
    chosen = torch.randperm(len(rows), generator=generator(seed, "patches"))[:START_PATCHES]
    return unit(rows[chosen.to(rows.device)])
