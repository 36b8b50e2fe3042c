"""The features in a checkpoint of training, behind the interface of a backbone.

Whatever takes a backbone, such as ``ppap.make_batch``, so takes what training made of one: the
trained stream's feature, which inference and the probes use, or z, which the loss compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn

from ppap.backbones import Backbone, BackboneInfo, TrunkOutput
from ppap.checkpoints.opening import LoadedSegmenter, load_segmenter
from ppap.segmenter import Segmenter, TunedBlock

Output = Literal["backbone", "projection", "frozen"]
OUTPUTS: tuple[Output, ...] = get_args(Output)
# What each of them is called on pages and in figures.
TITLES: dict[Output, str] = {
    "backbone": "trained feature",
    "projection": "projection z",
    "frozen": "frozen feature",
}
NOTES: dict[Output, str] = {
    "backbone": "The feature used by inference and the probes.",
    "projection": "The feature that the loss compares; inference does not use it.",
    "frozen": "",
}


class CheckpointFeatures(Backbone):
    """Images ``(B, 3, H, W)`` in [0, 1] → features of a trained segmenter, ``(B, h, w, D)``.

    It stands on the segmenter that it is given, on that one's device, and gives the very numbers
    of its own forward pass: ``Segmenter.features``, or z as ``Segmenter.forward_training`` has it
    without dropout. No gradient reaches it.
    """

    def __init__(self, loaded: LoadedSegmenter, output: Literal["backbone", "projection"]) -> None:
        """``output``: see ``features_of``."""
        segmenter = loaded.segmenter
        backbone, head = segmenter.backbone, segmenter.head
        super().__init__(
            described(loaded, output),
            dim=head.width,
            patch_size=backbone.patch_size,
            mean=tuple(backbone.mean.flatten().tolist()),
            std=tuple(backbone.std.flatten().tolist()),
        )
        self.loaded, self.output = loaded, output
        self.segmenter: Segmenter = segmenter
        # STEGO's code stands on the frozen features: its last block never trained.
        tuned = isinstance(head, TunedBlock)
        self.last_block = cast(Any, head).trained_block if tuned else backbone.last_block
        self.to(backbone.mean.device)

    @torch.no_grad()
    def trunk(self, images: Tensor) -> TrunkOutput:
        """See ``Backbone.trunk``."""
        return self.segmenter.trunk(images)

    @torch.no_grad()
    def finish(self, trunk_output: TrunkOutput, last_block: nn.Module | None = None) -> Tensor:
        """See ``Backbone.finish``; z has length 1.

        Raises:
            ValueError: a ``last_block`` is given: what was trained is not trained again from here.
        """
        if last_block is not None:
            raise ValueError("a checkpoint's features use its own trained block: give no other")
        tuned = self.segmenter.features(trunk_output)
        if self.output == "backbone":
            return tuned
        return self.segmenter.head.project(tuned).unflatten(0, tuned.shape[:3])

    def attending(self) -> tuple[Backbone, nn.Module]:
        """See ``Backbone.attending``: the block that was trained, after the frozen trunk."""
        return self.segmenter.backbone, self.last_block


def features_of(loaded: LoadedSegmenter, output: str = "backbone") -> Backbone:
    """The features of a segmenter that was opened already.

    Args:
        loaded: from ``load_segmenter``; shared, not copied.
        output: "backbone" for the trained stream's feature, which inference uses; "projection" for
            z, which the loss compares; "frozen" for the backbone that it was trained on.

    Raises:
        ValueError: there is no such output.
    """
    if output not in OUTPUTS:
        raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, not {output!r}")
    if output == "frozen":
        return loaded.segmenter.backbone
    return CheckpointFeatures(loaded, output)


def load_features(
    file: str | Path,
    output: str = "backbone",
    *,
    device: str | torch.device = "cpu",
    **opening: Any,
) -> Backbone:
    """The features in a checkpoint of training, of this project or of the published implementation.

    Example::

        import ppap
        from ppap.checkpoints.features import load_features

        batch = ppap.make_batch(examples, load_features("runs/camvid/checkpoints/last.pt"))

    Args:
        file: the checkpoint; nothing in it is run.
        output: see ``features_of``.
        device: where they are computed.
        opening: further arguments of ``load_segmenter``, such as ``backbone``.

    Raises:
        BackboneError, ValueError: as ``load_segmenter`` and ``features_of``.
    """
    if output not in OUTPUTS:  # before seconds are spent on the file
        raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, not {output!r}")
    return features_of(load_segmenter(file, device=device, **opening), output)


def described(loaded: LoadedSegmenter, output: Output) -> BackboneInfo:
    """What a person choosing these features wants to know."""
    frozen = loaded.segmenter.backbone.info
    file = loaded.file.absolute()
    inside = file.parent.name == "checkpoints"
    called = file.parent.parent.name if inside else file.name
    step = "" if loaded.step is None else f", step {loaded.step:,}"
    code = not isinstance(loaded.segmenter.head, TunedBlock)
    title = "STEGO's code" if code else TITLES[output]
    note = f"{NOTES[output]} On {frozen.title}. {frozen.note}"
    return BackboneInfo(str(file), f"{called}{step}: {title}", note.strip(), needs_download=False)
