"""A checkpoint and a picture of any size → a cluster and a class for every pixel."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.checkpoints.opening import LoadedSegmenter, load_segmenter
from ppap.checks import check_count
from ppap.data import ClassList
from ppap.data.classes import Colour
from ppap.data.fitting import Picture, answered, as_rgb, at_size, resized, seen_whole, work_size
from ppap.evaluation.crf import CrfInput, CrfPool, require_crf, smooth
from ppap.evaluation.metrics import UNMATCHED
from ppap.evaluation.pamr import pamr
from ppap.segmenter import Prediction, Segmenter, predict
from ppap.segmenter.inference import PLAIN, Inference, check_fits, look
from ppap.segmenter.prediction import largest
from ppap.segmenter.probes import upsampled
from ppap.settings import SettingError

PROBABILITY_BYTES = 2**31
REFINEMENTS = ("none", "pamr", "crf")
Refine = Literal["none", "pamr", "crf"]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What both probes say of a picture of H × W pixels."""

    clusters: np.ndarray
    """Best centroid, int64 ``(H, W)``, from 0 to K − 1."""
    classes: np.ndarray
    """Class of the linear probe, int64 ``(H, W)``, from 0 to C − 1."""
    names: tuple[str, ...]
    """Class names by id."""
    colours: tuple[Colour, ...]
    """RGB colours by class id, 0 to 255."""
    assignment: tuple[int, ...] | None
    """The class of each cluster as the evaluation matched them, −1 for none; None where no
    evaluation of this checkpoint is known."""
    cluster_probabilities: np.ndarray | None = None
    """float32 ``(K, H, W)``, summing to 1 over the clusters, where asked for."""
    class_probabilities: np.ndarray | None = None
    """float32 ``(C, H, W)``, where asked for."""

    @property
    def matched(self) -> np.ndarray:
        """The class of each pixel's cluster, int64 ``(H, W)``, −1 for a cluster without one.

        Raises:
            ValueError: no assignment is known.
        """
        if self.assignment is None:
            raise ValueError(
                "the clusters have not been matched with classes: evaluate the checkpoint, or "
                "give Predictor the assignment"
            )
        return np.array(self.assignment, np.int64)[self.clusters]


class Answers(NamedTuple):
    """What the probes, or a refinement after them, say of one picture."""

    clusters: Tensor
    """int64 ``(H, W)``."""
    classes: Tensor
    cluster_probabilities: Tensor | None = None
    """float32 ``(K, H, W)``, where asked for."""
    class_probabilities: Tensor | None = None


class Predictor:
    """Segments pictures with a trained checkpoint; numpy in, numpy out.

    Example::

        from ppap import Predictor

        predictor = Predictor("runs/camvid/checkpoints/last.pt", refine="crf")
        found = predictor.segment("street.jpg")
        print(found.classes.shape, found.names[found.classes[100, 200]])

    The whole picture is seen, in its own proportions: its shorter side is brought to the size that
    the checkpoint is evaluated at, both sides are rounded to whole patches, and the probes' maps
    are brought back to the picture's own size. (The evaluation, as published, cuts a square from
    the middle instead.)
    """

    def __init__(
        self,
        checkpoint: str | Path | LoadedSegmenter,
        device: str | torch.device = "cpu",
        crf: bool = False,
        *,
        refine: Refine | None = None,
        size: int | None = None,
        inference: Inference = PLAIN,
        backbone: str | Path | None = None,
        classes: ClassList | None = None,
        assignment: Sequence[int] | None = None,
        pool: CrfPool | None = None,
    ) -> None:
        """Load a checkpoint.

        Args:
            checkpoint: a file of this project or of the published implementation, or what
                ``load_segmenter`` returned; then ``device``, ``backbone`` and ``classes`` are its
                own.
            device: where the network runs.
            crf: the same as ``refine="crf"``.
            refine: how ``segment`` refines its predictions unless told otherwise: "none", "pamr"
                (plain torch, on the device) or "crf" (as in the paper; needs pydensecrf).
            size: pixels of the shorter side of pictures as the network sees them, rounded to whole
                patches; left out, what the checkpoint is evaluated at.
            inference: whether pictures are looked at more than once; see ``Inference``.
            backbone: see ``load_segmenter``.
            classes: see ``load_segmenter``.
            assignment: the class of each cluster, −1 for none. Left out, that of the checkpoint's
                ``report.json``, in its folder or the one above, where there is one.
            pool: processes for the CRF; left out, it runs in this one.

        Raises:
            BackboneError, ValueError: as ``load_segmenter``; a ``refine``, ``size`` or
                ``inference`` that cannot be (SettingError names the field).
            CrfUnavailableError: the CRF is asked for and pydensecrf cannot be imported.
        """
        self.refine = checked_refine(refine, crf)
        if self.refine == "crf":
            require_crf()
        if isinstance(checkpoint, LoadedSegmenter):
            self.loaded = checkpoint
        else:
            self.loaded = load_segmenter(
                checkpoint, device=device, backbone=backbone, classes=classes
            )
        patch = self.loaded.segmenter.backbone.patch_size
        if size is not None:
            check_count("size", size, patch)
        self.size = self.loaded.size if size is None else round(size / patch) * patch
        check_fits(inference, patch)
        self.inference = inference
        self._pool = pool
        self._assignments = self._known_assignments(assignment)

    @property
    def segmenter(self) -> Segmenter:
        """The network."""
        return self.loaded.segmenter

    @property
    def assignment(self) -> tuple[int, ...] | None:
        """The class of each cluster as it is refined here; see ``Segmentation.assignment``."""
        return self._assignments[self.refine]

    def segment(
        self,
        image: Picture,
        crf: bool | None = None,
        *,
        refine: Refine | None = None,
        probabilities: bool = False,
    ) -> Segmentation:
        """Both probes' predictions, at the picture's own size.

        Args:
            image: a file (turned as its EXIF says), a file's bytes, a Pillow image, or a uint8
                array: RGB ``(H, W, 3)``, RGBA ``(H, W, 4)`` or grey ``(H, W)``. Transparent pixels
                are seen on white.
            crf: True is ``refine="crf"``, False ``refine="none"``.
            refine: with the CRF or PAMR, at the size the network sees; left out, as ``Predictor``
                was told.
            probabilities: also give these, 4·(K + C)·H·W bytes.

        Raises:
            TypeError: not a picture.
            ValueError: an array of another shape, or probabilities of more than 2 GB; ImageError,
                which is one, for a file that cannot be read and for more than 64 million pixels.
            CrfUnavailableError: the CRF is asked for and pydensecrf cannot be imported.
        """
        rgb = as_rgb(image)
        how = self.refine if refine is None and crf is None else checked_refine(refine, bool(crf))
        height, width = rgb.shape[:2]
        if probabilities:
            self._check_memory(height, width)
        patch = self.segmenter.backbone.patch_size
        seen = resized(rgb, work_size(height, width, self.size, patch))
        features = seen_whole(self._look, seen, patch=patch, size=self.size)
        size = (height, width) if probabilities else answered(height, width)
        if how == "none":
            found = self._plain(features, size, probabilities)
        else:
            found = self._refined(features, seen, size, probabilities, how)
        return Segmentation(
            clusters=at_size(found.clusters, height, width),
            classes=at_size(found.classes, height, width),
            names=self.loaded.classes,
            colours=self.loaded.class_list.colours,
            assignment=self._assignments[how],
            cluster_probabilities=array(found.cluster_probabilities),
            class_probabilities=array(found.class_probabilities),
        )

    def _look(self, images: Tensor) -> Tensor:
        patch = self.segmenter.backbone.patch_size
        return look(self.segmenter.features, images, self.inference, patch=patch)

    def _predicted(self, features: Tensor, size: tuple[int, int], logs: bool) -> Prediction:
        probes = (self.segmenter.cluster_probe, self.segmenter.linear_probe)
        return predict(features, *probes, size, log_probabilities=logs)

    def _plain(self, features: Tensor, size: tuple[int, int], probabilities: bool) -> Answers:
        """What the probes say at ``size``."""
        found = self._predicted(features, size, probabilities)
        logs = (found.cluster_log_probabilities, found.class_log_probabilities)
        return Answers(
            found.clusters[0],
            found.classes[0],
            *(None if one is None else one[0].exp() for one in logs),
        )

    def _refined(
        self,
        features: Tensor,
        seen: np.ndarray,
        size: tuple[int, int],
        probabilities: bool,
        how: Refine,
    ) -> Answers:
        """What the CRF or PAMR makes of what the probes say.

        Their widths are in pixels of the size they are evaluated at, so they work on the picture
        as the network sees it.
        """
        found = self._predicted(features, (seen.shape[0], seen.shape[1]), True)
        logs = (found.cluster_log_probabilities, found.class_log_probabilities)
        inputs = [CrfInput(seen, one[0]) for one in logs if one is not None]
        if how == "pamr":
            refined = [pamr(*one) for one in inputs]
        elif self._pool is None:
            refined = [smooth(*one) for one in inputs]
        else:
            refined = list(self._pool.map(inputs))
        clusters, classes = (one.unsqueeze(0) for one in refined)
        if not probabilities:
            return Answers(largest(clusters, size)[0], largest(classes, size)[0])
        clusters, classes = upsampled(clusters, size)[0], upsampled(classes, size)[0]
        return Answers(clusters.argmax(dim=0), classes.argmax(dim=0), clusters, classes)

    def _check_memory(self, height: int, width: int) -> None:
        maps = 2 * self.segmenter.n_classes + self.segmenter.extra_clusters
        size = 4 * maps * height * width
        if size > PROBABILITY_BYTES:
            raise ValueError(
                f"the probabilities of {width}×{height} pixels would take {size / 2**30:.1f} GB, "
                f"more than {PROBABILITY_BYTES // 2**30}: make the image smaller, or leave out "
                "probabilities"
            )

    def _known_assignments(self, given: Sequence[int] | None) -> dict[str, tuple[int, ...] | None]:
        """The class of each cluster by refinement, which are matched each by itself."""
        clusters = self.segmenter.n_classes + self.segmenter.extra_clusters
        if given is not None:
            checked = as_assignment(list(given), clusters, self.segmenter.n_classes)
            if checked is None:
                raise ValueError(
                    f"assignment must be {clusters} classes from 0 to "
                    f"{self.segmenter.n_classes - 1}, or −1 for none, not {list(given)!r}"
                )
            return dict.fromkeys(REFINEMENTS, checked)
        folder = self.loaded.file.parent
        for file in (folder / "report.json", folder.parent / "report.json"):
            report = read_report(file)
            if report.get("digest") != self.loaded.digest:
                continue
            found: dict[str, tuple[int, ...] | None] = {}
            for how in REFINEMENTS:
                scores = report if how == "none" else report.get(how)
                cluster = scores.get("cluster") if isinstance(scores, dict) else None
                stored = cluster.get("assignment") if isinstance(cluster, dict) else None
                found[how] = as_assignment(stored, clusters, self.segmenter.n_classes)
            return {how: found[how] or found["none"] for how in REFINEMENTS}
        return dict.fromkeys(REFINEMENTS, None)


def checked_refine(refine: object, crf: bool) -> Refine:
    """The refinement that both arguments ask for; SettingError for what is none."""
    if refine is None:
        return "crf" if crf else "none"
    if refine not in REFINEMENTS:
        raise SettingError(
            "refine", f"refine must be one of {', '.join(REFINEMENTS)}, not {refine!r}"
        )
    if crf and refine != "crf":
        raise SettingError("refine", f"crf=True and refine={refine!r} contradict each other")
    return refine  # type: ignore[return-value]


def array(tensor: Tensor | None) -> np.ndarray | None:
    """A tensor as numpy has it."""
    return None if tensor is None else tensor.cpu().numpy()


def read_report(file: Path) -> dict[str, object]:
    """The report of an evaluation; empty when there is none that can be read."""
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def as_assignment(given: object, clusters: int, classes: int) -> tuple[int, ...] | None:
    """A list of classes, one for each cluster; None for anything else."""
    if not isinstance(given, list) or len(given) != clusters:
        return None
    if any(type(one) is not int or not UNMATCHED <= one < classes for one in given):
        return None
    return tuple(given)
