"""The two-stream network of section 3.1 and its probes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ppap.backbones import Backbone, BackboneError, TrunkOutput, called
from ppap.backbones.files import fill
from ppap.checks import check_count
from ppap.segmenter.heads import DROPOUT, ChannelDropout, CodeHead, Head, TunedBlock
from ppap.segmenter.prediction import Prediction, predict
from ppap.segmenter.probes import ClusterProbe, LinearProbe

# What ``head`` may be, and what it stands for.
HEADS: dict[str, type[TunedBlock] | type[CodeHead]] = {"block": TunedBlock, "code": CodeHead}


class TrainingFeatures(NamedTuple):
    """The two streams of B images, all float32."""

    guidance: Tensor
    """Frozen features ``(B, h, w, D)``, channels dropped while training, any length; they carry
    no gradient."""
    tuned: Tensor
    """The trained stream's features ``(B, h, w, D')``, for the probes; with gradient."""
    projected: Tensor
    """z, unit vectors in the order of ``guidance.flatten(0, 2)``, ``(B·h·w, D')``; with
    gradient."""


class ProbeLosses(NamedTuple):
    """What the probes learn from; neither has a gradient into the network."""

    cluster: Tensor
    linear: Tensor | None
    """None where there are no labels."""


class ParameterGroups(NamedTuple):
    """Everything that trains, by the optimizer it belongs to."""

    net: list[nn.Parameter]
    """The copy of the last block and the projection; or STEGO's code head."""
    cluster: list[nn.Parameter]
    linear: list[nn.Parameter]


class Trained(NamedTuple):
    """A segmenter without its backbone, for checkpoints."""

    backbone: str
    """What ``load_backbone`` takes."""
    head: str
    n_classes: int
    extra_clusters: int
    tensors: dict[str, Tensor]
    """Head and probes, copies on the CPU."""


class Segmenter(nn.Module):
    """Images ``(B, 3, H, W)`` in [0, 1] → features, clusters and classes.

    ``backbone`` is frozen, always in evaluation mode, and gives the guidance. ``head`` is the
    trained stream; ``cluster_probe`` and ``linear_probe`` read its features. The backbone's trunk
    never changes, so its output may be computed once, kept, and given instead of the images.
    """

    def __init__(
        self, backbone: Backbone, n_classes: int, *, extra_clusters: int = 0, head: str = "block"
    ) -> None:
        """Put an untrained segmenter on a backbone, on the device of the backbone.

        Args:
            backbone: taken as it is, and frozen.
            n_classes: classes of the linear probe.
            extra_clusters: centroids beyond one for each class.
            head: "block" for PPAP's trained copy of the last block, "code" for STEGO's code.

        Raises:
            ValueError: a count or a head that does not exist.
        """
        check_count("n_classes", n_classes, 1)
        check_count("extra_clusters", extra_clusters, 0)
        if head not in HEADS:
            raise ValueError(f"head must be one of {', '.join(HEADS)}, not {head!r}")
        super().__init__()
        self.n_classes = n_classes
        self.extra_clusters = extra_clusters
        self.head_name = head
        self.backbone = backbone.frozen()
        self.head: Head = HEADS[head](backbone)
        self.dropout = ChannelDropout(DROPOUT)
        self.cluster_probe = ClusterProbe(self.head.width, n_classes + extra_clusters)
        self.linear_probe = LinearProbe(self.head.width, n_classes)
        self.to(self.backbone.mean.device)

    @torch.no_grad()
    def trunk(self, images: Tensor) -> TrunkOutput:
        """The frozen trunk's output; see ``Backbone.trunk`` for what is asked of the images."""
        like = self.backbone.mean
        # Bytes stay bytes, for the backbone to refuse.
        dtype = like.dtype if images.is_floating_point() else images.dtype
        return self.backbone.trunk(images.to(like.device, dtype))

    def forward_training(
        self, trunk_output: TrunkOutput, frozen: Tensor | None = None
    ) -> TrainingFeatures:
        """Both streams of a batch.

        Args:
            trunk_output: from ``trunk``; a kept one is brought to this device and precision.
            frozen: the backbone's own features of the same images ``(B, h, w, D)``, if they were
                kept too; worked out here otherwise.

        Raises:
            ValueError: ``frozen`` has another shape than this trunk's output leads to.
        """
        trunk_output = self.placed(trunk_output)
        if frozen is None:
            with torch.no_grad():
                frozen = self.backbone.finish(trunk_output)
        else:
            frozen = self._kept(frozen, trunk_output)
        tuned = self.head(self.backbone, trunk_output, frozen)
        return TrainingFeatures(self.dropout(frozen), tuned, self.head.project(tuned))

    def probe_losses(self, tuned: Tensor, labels: Tensor | None) -> ProbeLosses:
        """The probes' losses; the features are detached.

        Args:
            tuned: ``(B, h, w, D')``, as in TrainingFeatures.
            labels: int64 ``(B, H, W)``, −1 where void; None where there are none, and then the
                linear probe learns nothing.

        Raises:
            TypeError, ValueError: as ``LinearProbe.loss``.
        """
        linear = None if labels is None else self.linear_probe.loss(tuned, labels)
        return ProbeLosses(self.cluster_probe.loss(tuned), linear)

    def parameter_groups(self) -> ParameterGroups:
        """Everything that trains; the published runs give each group an optimizer of its own."""
        parts = (self.head, self.cluster_probe, self.linear_probe)
        return ParameterGroups(*(list(part.parameters()) for part in parts))

    @torch.no_grad()
    def features(self, images: Tensor | TrunkOutput) -> Tensor:
        """The trained stream's features of inference, float32 ``(B, h, w, D')``.

        No channels are dropped, whichever mode the segmenter is in.
        """
        source = images if isinstance(images, TrunkOutput) else self.trunk(images)
        with evaluating(self.head):
            features: Tensor = self.head(self.backbone, self.placed(source))
        return features

    forward = features

    def predict(
        self,
        images: Tensor | TrunkOutput,
        size: tuple[int, int] | None = None,
        *,
        log_probabilities: bool = False,
    ) -> Prediction:
        """A cluster and a class for every pixel.

        Args:
            images: ``(B, 3, H, W)`` in [0, 1], or their trunk's output.
            size: of the result; the images' if left out.
            log_probabilities: also give those, for a CRF.
        """
        if size is None:
            if isinstance(images, TrunkOutput):
                rows, columns = images.grid
                size = (rows * self.backbone.patch_size, columns * self.backbone.patch_size)
            else:
                size = (images.shape[-2], images.shape[-1])
        return predict(
            self.features(images),
            self.cluster_probe,
            self.linear_probe,
            size,
            log_probabilities=log_probabilities,
        )

    def trained(self) -> Trained:
        """A copy of what was trained, and what the rest is; see ``load_trained``."""
        tensors = self._parts().state_dict()
        return Trained(
            self.backbone.info.name,
            self.head_name,
            self.n_classes,
            self.extra_clusters,
            {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()},
        )

    def load_trained(self, trained: Trained, file: Path) -> None:
        """Take what ``trained()`` of a segmenter like this one gave.

        Args:
            trained: head and probes.
            file: where they were kept, for the message.

        Raises:
            BackboneError: they belong to another backbone, or to another kind or size of
                segmenter; names what does not fit.
        """
        own = self.backbone.info.name
        if not same_backbone(trained.backbone, own):
            raise BackboneError(f"{file.name} was trained on {trained.backbone}, not on {own}")
        what = f"a segmenter with the head {self.head_name!r} on {own}"
        fill(self._parts(), trained.tensors, file, what)

    def _parts(self) -> nn.ModuleDict:
        """Head and probes, the very modules, under the names of ``state_dict``."""
        names = ("head", "cluster_probe", "linear_probe")
        return nn.ModuleDict({name: getattr(self, name) for name in names})

    def _kept(self, frozen: Tensor, trunk_output: TrunkOutput) -> Tensor:
        """The backbone's kept features, float32 and on its device, without gradient."""
        wanted = (len(trunk_output.tokens), *trunk_output.grid, self.backbone.dim)
        if tuple(frozen.shape) != wanted:
            raise ValueError(
                f"frozen must have the shape (B, h, w, D) = {wanted}, as the trunk's output says, "
                f"not {tuple(frozen.shape)}"
            )
        return sent(frozen.detach(), self.backbone.mean.device, torch.float32)

    def placed(self, source: TrunkOutput) -> TrunkOutput:
        """A trunk's output on the device and in the precision of the backbone."""
        like = self.backbone.mean
        beside = source.beside
        if beside is not None:
            beside = sent(beside, like.device, torch.float32)
        return TrunkOutput(sent(source.tokens, like.device, like.dtype), beside, source.grid)


def sent(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A tensor on a device, in a precision: halves travel as halves, and nobody waits for them."""
    return tensor.to(device, non_blocking=True).to(dtype)


def rebuild(trained: Trained, backbone: Backbone, file: Path) -> Segmenter:
    """The segmenter that ``trained`` is of, on its backbone and that backbone's device.

    Raises:
        BackboneError: as ``Segmenter.load_trained``.
        ValueError: as ``Segmenter``.
    """
    segmenter = Segmenter(
        backbone, trained.n_classes, extra_clusters=trained.extra_clusters, head=trained.head
    )
    segmenter.load_trained(trained, file)
    return segmenter.eval()


def same_backbone(one: str, other: str) -> bool:
    """Whether two names mean one backbone; files may have moved to another folder."""
    first, second = called(one), called(other)
    if first.file is not None and second.file is not None:
        # Where the weights tell what they are, the name before them says nothing more.
        models = {first.model, second.model} - {None}
        return first.file.name == second.file.name and len(models) < 2
    return one == other


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put ``module`` into evaluation mode for a while."""
    was = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was)
