"""What an evaluation is asked for; each field is an option of ``trainers.evaluate``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ppap.evaluation.borders import WIDTH
from ppap.evaluation.foreign_files import Holding
from ppap.evaluation.retrieval import MEMORY
from ppap.protocol import OF_EVALUATION, Protocol
from ppap.segmenter.inference import Inference


@dataclass(frozen=True)
class Wanted:
    """One evaluation. Paths that begin with ``~`` are expanded where they are used."""

    target: Path | None = None
    """A run's folder, or a checkpoint file; None where there are ``predictions``."""
    data: Path | None = None
    """The data set's folder; None: the run's."""
    split: str | None = None
    """None: the run's ``eval_split``, or val."""
    kind: str | None = None
    """The kind of data set; None: found out from the folder."""
    refine: tuple[Literal["crf", "pamr"], ...] = ()
    """Refinements that are measured, too, each by itself."""
    clusters: tuple[int, ...] = ()
    """Numbers of clusters, found anew on training images, that are scored, too."""
    cluster_by: tuple[str, ...] = ()
    """Methods that find them; empty: all."""
    cluster_features: Literal["tuned", "frozen"] = "tuned"
    starts: int = 0
    """Clusterings from so many starts of each kind, too: trained features beside frozen ones."""
    retrieval: bool = False
    """Dense k-NN retrieval, too: trained features beside frozen ones."""
    memory: int = MEMORY
    """Patches that it remembers, at most."""
    train_split: str | None = None
    """Where clusters and the memory are from; None: the run's ``train_split``, or train."""
    seed: int = 0
    mirror: bool = False
    """This and the next three: see ``Inference``."""
    scales: tuple[float, ...] = (1.0,)
    window: int = 0
    shifts: int = 1
    border_width: int = WIDTH
    """How far from a change of label the border reaches, in pixels; 0: none is set apart."""
    protocol: str | None = None
    """This project's own way, or the published one; None: the run's."""
    predictions: Path | None = None
    """A folder of another method's predictions, instead of a target."""
    predictions_are: Holding = "clusters"
    map: Literal["one-to-one", "many-to-one"] | None = None
    """How its clusters become classes; None: one to one unless there are more than classes."""
    ignore: int | None = None
    """The number in its files that stands for no prediction; None: the largest of their depth."""
    write_predictions: Path | None = None
    """A folder to write the target's own predictions to."""
    json: Path | None = None
    """The file to write the report to."""
    pictures: Path | None = None
    """The folder to write the report to as pages, with pictures."""
    size: int | None = None
    """Side of the squares, in pixels; None: the checkpoint's."""
    batch: int = 8
    """Images at a time."""
    device: str = "auto"
    backbone: str | None = None
    """A file of the frozen backbone's weights, where theirs has moved."""
    heads: int | None = None
    """Attention heads of that backbone, where they are not D / 64."""
    on_error: Literal["stop", "skip"] | None = None
    """What an image that cannot be read does; None: as the run was told, or stop."""
    workers: int = 2
    """Threads that read images."""
    distance_features: Literal["tuned", "frozen"] = "tuned"
    """What distance matching on ImageNet-S matches."""
    progress_every: float = 15.0
    """Seconds between progress lines, where the output is no terminal."""

    @property
    def inference(self) -> Inference:
        """How images are looked at; SettingError, naming the option, for what cannot be."""
        half = self.as_published.half_evaluation
        return Inference(self.mirror, self.scales, self.window, self.shifts, half)

    @property
    def as_published(self) -> Protocol:
        """The switches of evaluation that are on; SettingError for a protocol that is none."""
        return Protocol.of(self.protocol or "studio").only(OF_EVALUATION)
