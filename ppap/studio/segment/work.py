"""The work behind the Segment page: reading pictures, and segmenting them."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ppap.backbones import Backbone
from ppap.clustering import Seen, clusters_of, find_clusters, see
from ppap.data import ClassList, DataError, palette, read_image, samples_dataset
from ppap.evaluation.crf import CrfPool
from ppap.predictor import Predictor
from ppap.studio.answers import Packed, packed
from ppap.studio.checkpoints import Checkpoints, Chosen, CrfProcesses
from ppap.studio.loading import Loader
from ppap.studio.requests import RequestError, at_field
from ppap.studio.segment.requests import Segmenter, Wanted
from ppap.studio.segment.store import (
    MAX_PIXELS,
    Layer,
    Picture,
    PictureSet,
    Result,
    SegmentStore,
    reduced_photo,
    shown_size,
)
from ppap.studio.sources import Progress
from ppap.studio.store import Upload


class Work:
    """Segments pictures, with what the studio holds.

    Args:
        loader: has the backbones.
        checkpoints: has the segmenters, and says where uploads are.
        crf: processes for the CRF.
        store: keeps pictures and results.
    """

    def __init__(
        self, loader: Loader, checkpoints: Checkpoints, crf: CrfProcesses, store: SegmentStore
    ) -> None:
        self.loader, self.checkpoints, self.crf, self.store = loader, checkpoints, crf, store

    def segment(self, wanted: Wanted, progress: Progress) -> Result:
        """Segment and keep the result; RequestError where that cannot be done."""
        pictures = wanted.of
        if pictures is None:
            pictures = self._pictures(wanted.files, lambda text, share: progress(text, 0.2 * share))
            self.store.add_set(pictures)
        pool = self.crf.pool() if wanted.crf else None
        rest: Progress = lambda text, share: progress(text, 0.2 + 0.8 * share)  # noqa: E731
        if wanted.model.chosen is None:
            result = self._frozen(pictures, wanted.model, pool, rest)
        else:
            result = self._trained(pictures, wanted.model, wanted.model.chosen, pool, rest)
        result.notes += [f"{p.name}: {note}" for p in pictures.pictures for note in p.notes]
        self.store.add_result(result)
        return result

    def _pictures(self, files: tuple[Upload, ...], progress: Progress) -> PictureSet:
        """Read what was uploaded, or the sample photos; RequestError when nothing can be read."""
        readers = self._uploads(files) if files else sample_readers()
        found, problems, pixels = [], [], 0
        for i, (name, read) in enumerate(readers):
            progress(f"Reading picture {i + 1} of {len(readers)}", i / len(readers))
            try:
                photo = read()
            except DataError as error:
                problems.append(str(error))
                continue
            height, width = photo.rgb.shape[:2]
            one = Picture(name, partial(rgb_of, read), height, width, photo.notes)
            one.shown = shown_size(height, width, len(readers))
            one.photo = jpeg(photo.rgb, one.shown)
            pixels += height * width
            if pixels <= MAX_PIXELS:
                one.kept = photo.rgb
            found.append(one)
        if not found:
            raise RequestError("\n".join(problems) or "There is no picture to segment.")
        return PictureSet(found, problems)

    def _uploads(self, files: tuple[Upload, ...]) -> list[tuple[str, Callable[[], Any]]]:
        readers: list[tuple[str, Callable[[], Any]]] = []
        for file in files:
            path = self.checkpoints.sources.upload(file)
            readers.append((file.name, partial(read_image, path, name=file.name)))
        return readers

    def _frozen(
        self, pictures: PictureSet, model: Segmenter, pool: CrfPool | None, progress: Progress
    ) -> Result:
        """Clusters of the frozen backbone's features."""
        with at_field("backbone"):
            backbone = self.loader.backbone(model.backbone, progress)
        patch = backbone.patch_size
        size = max(1, round(model.size / patch)) * patch
        seen = self._seen(pictures, backbone, size, progress)
        progress("Finding clusters", 0.5)
        patches = sum(one.features[..., 0].numel() for one in seen)
        if model.clusters > patches:
            raise RequestError(
                f"There are only {patches} patches: ask for fewer clusters.", field="clusters"
            )
        centres = find_clusters(seen, model.clusters)
        maps: list[Packed] = []
        for i, one in enumerate(seen):
            progress(f"Segmenting picture {i + 1} of {len(seen)}", 0.6 + 0.4 * i / len(seen))
            maps.append(packed(clusters_of(one, centres, crf=pool is not None, pool=pool)))
        names = tuple(f"cluster {i + 1}" for i in range(model.clusters))
        layer = Layer("clusters", "Clusters", names, palette(model.clusters), maps)
        note = f"{backbone.info.title}, not trained further. {backbone.info.note}".strip()
        return Result(pictures, {"clusters": layer}, model.title, pool is not None, [note])

    def _seen(
        self, pictures: PictureSet, backbone: Backbone, size: int, progress: Progress
    ) -> list[Seen]:
        """The pictures' features, which another number of clusters needs again."""
        which = (backbone.info.name, size)
        known, kept = pictures.seen
        if known == which:
            found: list[Seen] = kept
            return found
        seen = []
        for i, one in enumerate(pictures.pictures):
            count = len(pictures.pictures)
            progress(f"Looking at picture {i + 1} of {count}", 0.5 * i / count)
            seen.append(see(backbone, one.rgb, size=size))
        pictures.seen = (which, seen)
        return seen

    def _trained(
        self,
        pictures: PictureSet,
        model: Segmenter,
        chosen: Chosen,
        pool: CrfPool | None,
        progress: Progress,
    ) -> Result:
        """What the probes of a checkpoint say."""
        with at_field("checkpoint"):
            loaded = self.checkpoints.load(chosen.file, progress)
        predictor = Predictor(loaded, pool=pool)
        assignment: tuple[int, ...] | None = None
        clusters: list[Packed] = []
        classes: list[Packed] = []
        for i, one in enumerate(pictures.pictures):
            count = len(pictures.pictures)
            progress(f"Segmenting picture {i + 1} of {count}", i / count)
            said = predictor.segment(one.rgb, crf=pool is not None)
            clusters.append(packed(said.clusters))
            classes.append(packed(said.classes))
            assignment = said.assignment
        known = loaded.class_list
        probe = loaded.segmenter.n_classes + loaded.segmenter.extra_clusters
        layers = {
            "clusters": cluster_layer(clusters, probe, assignment, known),
            "classes": Layer("classes", "Linear classes", known.names, known.colours, classes),
        }
        notes = [loaded.unlearnt] if loaded.unlearnt else []
        if assignment is None:
            notes.append(
                "This checkpoint was not evaluated, so that nothing says which class a cluster is."
            )
        return Result(pictures, layers, model.title, pool is not None, notes)


def cluster_layer(
    maps: list[Packed], count: int, assignment: tuple[int, ...] | None, known: ClassList
) -> Layer:
    """Clusters with the names and colours of the classes that they were matched with."""
    names, colours = [], []
    spare = iter([c for c in palette(count + len(known)) if c not in known.colours])
    for i in range(count):
        label = -1 if assignment is None else assignment[i]
        names.append(known.names[label] if label >= 0 else f"cluster {i + 1}")
        colours.append(known.colours[label] if label >= 0 else next(spare))
    return Layer("clusters", "Clusters", tuple(names), tuple(colours), maps)


def sample_readers() -> list[tuple[str, Callable[[], Any]]]:
    """The sample photos, by name."""
    photos = samples_dataset()

    def read(index: int) -> Any:
        return photos.load(index).photo

    return [(f"{item.name}.jpg", partial(read, i)) for i, item in enumerate(photos.items)]


def rgb_of(read: Callable[[], Any]) -> np.ndarray:
    """What a reader's photo shows."""
    rgb: np.ndarray = read().rgb
    return rgb


def jpeg(rgb: np.ndarray, size: Any) -> bytes:
    """A picture as the page draws it."""
    out = io.BytesIO()
    reduced_photo(rgb, size).save(out, "JPEG", quality=88)
    return out.getvalue()
