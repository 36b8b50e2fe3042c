"""What a Segment page asks for, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ppap.backbones import as_path
from ppap.data import printable
from ppap.output.data_set import Taken
from ppap.output.label_files import one_line
from ppap.settings import SettingError, excerpt
from ppap.studio.browsing import read_path
from ppap.studio.checkpoints import Checkpoints, Chosen
from ppap.studio.requests import SIZES, RequestError, at_field
from ppap.studio.segment.pictures import PictureSet
from ppap.studio.segment.store import Layer
from ppap.studio.segment.switches import Switches, check_side
from ppap.studio.sources import Sources
from ppap.studio.store import Upload

MOST_CLUSTERS = 64
CLUSTERS = 8
LONGEST_NAME, LONGEST_SPLIT = 80, 200


@dataclass(frozen=True)
class Segmenter:
    """What shall segment."""

    chosen: Chosen | None
    """None for the frozen backbone."""
    backbone: str
    clusters: int
    size: int

    @property
    def title(self) -> str:
        """For the page."""
        if self.chosen is not None:
            return self.chosen.title
        return f"frozen backbone, {self.clusters} clusters"


class Wanted(NamedTuple):
    """A request once it is read."""

    files: tuple[Upload, ...]
    """Empty for the sample photos, and for a folder."""
    of: PictureSet | None
    """Pictures that are here already."""
    model: Segmenter
    switches: Switches
    folder: Path | None = None
    """Of this server."""
    split: str = ""
    """Of the folder; empty for all its pictures."""

    @property
    def many(self) -> bool:
        """Whether there may be more pictures than stay in memory."""
        return self.folder is not None or (self.of is not None and self.of.shelf is not None)


def read_model(raw: Mapping[str, Any], checkpoints: Checkpoints, usual: str) -> Segmenter:
    """What shall segment; ``usual``: the studio's backbone. RequestError for what cannot be."""
    checkpoint = raw.get("checkpoint")
    with at_field("checkpoint"):
        chosen = None if checkpoint is None else checkpoints.choose(checkpoint)
    backbone = raw.get("backbone") or usual
    if not isinstance(backbone, str) or (len(backbone) > 200 and backbone != usual):
        raise RequestError("The backbone must be a name.")
    if as_path(backbone) is not None and backbone != usual:
        raise RequestError("Choose a backbone by its name.")
    clusters = raw.get("clusters", CLUSTERS)
    whole = isinstance(clusters, int) and not isinstance(clusters, bool)
    if not whole or not 2 <= clusters <= MOST_CLUSTERS:
        raise SettingError(
            "clusters",
            f"The number of clusters must be a whole number from 2 to {MOST_CLUSTERS}, "
            f"not {excerpt(clusters)}.",
        )
    size = raw.get("size", 448)
    if isinstance(size, bool) or size not in SIZES:
        raise RequestError(f"The resolution must be one of {', '.join(map(str, SIZES))}.")
    return Segmenter(chosen, backbone, clusters, int(size))


def read_folder(raw: Mapping[str, Any], sources: Sources) -> tuple[Path, str]:
    """The folder and the split of a request; RequestError where they cannot be used."""
    text, split = raw.get("folder"), raw.get("split") or ""
    with at_field("folder"):
        folder = sources.folder(read_path(text).strip())
        if not isinstance(split, str) or len(split) > LONGEST_SPLIT:
            raise RequestError("The split must be a name such as train.", field="split")
        with sources.links():
            sources.check_split(folder, split.strip())
    return folder, split.strip()


def check_looks(model: Segmenter, switches: Switches) -> None:
    """SettingError where the looks do not go with the frozen backbone's size."""
    if model.chosen is None:
        check_side(switches.inference, model.size)


def read_taken(request: Mapping[str, Any], note: str) -> Taken:
    """What shall be in the ZIP, and how; RequestError for what cannot be."""
    given = {}
    for name in ("outline", "overlays", "photos", "polygons"):
        value = request.get(name)
        if value is not None and not isinstance(value, bool):
            raise RequestError(f"{name.capitalize()} must be true or false.")
        if value is not None:
            given[name] = value
    return Taken(opacity=read_opacity(request), note=note, **given)


def read_opacity(request: Mapping[str, Any]) -> float:
    """The page's opacity, or the usual one; RequestError for what cannot be any."""
    opacity = request.get("opacity", 0.6)
    fine = isinstance(opacity, int | float) and not isinstance(opacity, bool)
    if not fine or not 0 <= opacity <= 1:
        raise RequestError("The opacity must be a number from 0 to 1.")
    return float(opacity)


def read_names(request: Mapping[str, Any], layer: Layer) -> list[str]:
    """The page's names, or the layer's own; RequestError for what cannot be any."""
    names = request.get("names")
    if names is None:
        return list(layer.names)
    if not isinstance(names, list) or len(names) != len(layer.names):
        raise RequestError(f"There must be {len(layer.names)} names, one for each.")
    read = []
    for name, usual in zip(names, layer.names, strict=True):
        # Names that the checkpoint brings may be longer than what is typed.
        if not isinstance(name, str) or len(name) > max(LONGEST_NAME, len(usual)):
            raise RequestError(f"A name must be text of at most {LONGEST_NAME} characters.")
        read.append(printable(one_line(name)) or usual)
    return read


def read_colours(request: Mapping[str, Any], layer: Layer) -> list[tuple[int, int, int]]:
    """The page's colours, or the layer's own; RequestError for what cannot be any."""
    colours = request.get("colours")
    if colours is None:
        return list(layer.colours)
    if not isinstance(colours, list) or len(colours) != len(layer.names):
        raise RequestError(f"There must be {len(layer.names)} colours, one for each.")
    for colour in colours:
        fine = isinstance(colour, list) and len(colour) == 3
        if not fine or any(type(c) is not int or not 0 <= c <= 255 for c in colour):
            raise RequestError("A colour must be three whole numbers from 0 to 255.")
    return [(r, g, b) for r, g, b in colours]
