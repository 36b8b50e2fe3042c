"""What gives a batch its features: a frozen backbone, a checkpoint file, or a run at a step."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ppap.backbones import Backbone, as_path, called, load_backbone
from ppap.backbones.checkpoints import WholeModelError
from ppap.checkpoints.features import features_of
from ppap.checkpoints.opening import LoadedSegmenter, load_segmenter
from ppap.settings import Preset
from ppap.studio.requests import TRAINED, Request, RequestError, at_field
from ppap.studio.sources import Progress, Sources
from ppap.studio.stages import Stages, training_of

MAX_BACKBONES = 2


class Network(NamedTuple):
    """Features of one kind, ready to be computed."""

    backbone: Backbone
    key: object
    """Equal for equal features: a file that was written again has another."""
    own_file: bool
    """Whether it stands on a file, which is not everybody's."""
    training: Preset | None = None
    """The thresholds that it was trained with, where that is known."""
    recipe: Mapping[str, Any] = {}
    """What it makes of the request's own words."""


class Networks:
    """Opens what requests name, and keeps what was used last. Safe for many threads.

    Args:
        sources: says which files pages may name.
        stages: the runs' checkpoints; None where there are no runs.
        device: where backbones run.
        own: the backbone that the studio was started with, which pages may always use, even where
            it is a file that they could not choose themselves.
    """

    def __init__(
        self, sources: Sources, stages: Stages | None, *, device: str = "cpu", own: str = ""
    ) -> None:
        self.sources, self.stages, self.device, self._own = sources, stages, device, own
        self._backbones: OrderedDict[object, Backbone] = OrderedDict()
        self._loading = threading.Lock()

    def open(self, request: Request, progress: Progress) -> Network:
        """What a request names.

        Raises:
            RequestError, BackboneError: it cannot be had, or whoever asks may not use it.
        """
        if request.backbone == "run":
            return self._run(request, progress)
        source = self.file(request)
        if source is None:
            backbone = self.backbone(request.backbone, progress)
            return Network(backbone, request.backbone, own_file=False)
        field = "checkpoint" if request.backbone == "checkpoint" else "backbone"
        with at_field(field):
            try:
                backbone = self.backbone(source, progress)
            except WholeModelError:
                file = Path(source)
                return self._trained(file, request.output, progress, file.name)
        # Of a backbone alone there is nothing to choose.
        return Network(backbone, mark(source), own_file=True, recipe={"output": ""})

    def _run(self, request: Request, progress: Progress) -> Network:
        if self.stages is None:
            raise RequestError("This studio has no runs.", field="run")
        with at_field("run"):
            run, stage = self.stages.choose(request.run, request.at)
            found = self._trained(stage.file, request.output, progress, run.folder.name)
        # Its frozen features are those of every step.
        at = 0 if request.output == "frozen" else stage.step
        return found._replace(recipe={"at": at})

    def _trained(self, file: Path, output: str, progress: Progress, title: str) -> Network:
        """Features out of a checkpoint of training."""
        loaded: LoadedSegmenter
        if self.stages is None:
            loaded = load_segmenter(file, progress=progress)
        else:
            loaded = self.stages.checkpoints.load(file, progress)
        return Network(
            features_of(loaded, output),
            (mark(file), output),
            own_file=True,
            training=training_of(loaded.config, title),
        )

    @staticmethod
    def is_everybodys(request: Request) -> bool:
        """Whether a request names neither a run nor a file."""
        return request.backbone not in TRAINED and as_path(request.backbone) is None

    def file(self, request: Request) -> str | Path | None:
        """The checkpoint that a request names, if pages may read it, in full, with the model's name
        before it where it has one; None for other backbones."""
        if request.backbone == "checkpoint":
            with at_field("checkpoint"):
                return self._weights(request.checkpoint)
        if as_path(request.backbone) is None:
            return None
        if request.backbone == self._own:
            return as_source(request.backbone)
        with at_field("backbone"):
            return self._weights(request.backbone)

    def _weights(self, text: str) -> str | Path:
        if as_path(text) is None:  # a file, whatever it is called
            return self.sources.file(text)
        return as_source(self.sources.weights(text))

    def backbone(self, source: str | Path, progress: Progress) -> Backbone:
        """A backbone by name or file; the two used last stay in memory."""
        key = mark(source)
        with self._loading:
            if key in self._backbones:
                self._backbones.move_to_end(key)
                return self._backbones[key]
            progress("Loading the backbone", 0)
            loaded = load_backbone(source, device=self.device, progress=progress)
            self._backbones[key] = loaded
            while len(self._backbones) > MAX_BACKBONES:
                self._backbones.popitem(last=False)
            return loaded


def mark(source: str | Path) -> object:
    """A backbone's name, or a file as it is now: training writes the same again and again."""
    file = as_path(source)
    if file is None or not file.is_file():
        return source
    found = file.stat()
    return (str(source), found.st_mtime_ns, found.st_ino, found.st_size)


def as_source(name: str) -> str | Path:
    """A file as a path, whatever its name; a file with a model's name before it as it is."""
    model, file = called(name)
    return file if file is not None and model is None else name
