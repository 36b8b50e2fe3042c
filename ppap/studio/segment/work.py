"""The work behind the Segment page: looking at pictures, and segmenting them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ppap.backbones import Backbone
from ppap.clustering import Seen, clusters_of, find_clusters, see
from ppap.data import ClassList, palette
from ppap.evaluation.crf import CrfPool
from ppap.predictor import Predictor
from ppap.segmenter.inference import check_fits
from ppap.studio.checkpoints import Checkpoints, Chosen, CrfProcesses
from ppap.studio.loading import Cancelled, Loader
from ppap.studio.requests import MAX_IMAGES, RequestError, at_field
from ppap.studio.segment import reading
from ppap.studio.segment.pictures import PictureSet
from ppap.studio.segment.requests import Segmenter, Wanted
from ppap.studio.segment.shelf import DiskFull, Maps, Shelf
from ppap.studio.segment.store import Layer, Result, SegmentStore
from ppap.studio.segment.switches import Switches, check_side
from ppap.studio.sources import Progress

# Of more pictures, clusters are found in so many, spread over all of them: what the backbone saw of
# each takes megabytes.
MOST_SEEN = MAX_IMAGES
MAX_NOTES = 100


@dataclass(frozen=True)
class Follow:
    """Whoever waits for a segmentation."""

    progress: Progress
    """Told how far it is; raises Cancelled where nobody waits any more."""
    begun: Callable[[Result], None] = lambda _: None
    """Told of the result before its first picture."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set where what is done by then shall do."""


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

    def segment(self, wanted: Wanted, follow: Follow) -> Result:
        """Segment and keep the result; RequestError where that cannot be done."""
        pictures = wanted.of
        if pictures is None:
            pictures = self._pictures(wanted)
            self.store.add_set(pictures)
        if wanted.model.chosen is None:
            result = self._frozen(pictures, wanted.model, wanted.switches, follow)
        else:
            result = self._trained(pictures, wanted, wanted.model.chosen, follow)
        said = [wanted.switches.note] if wanted.switches.note else []
        result.notes = [*said, *pictures.notes, *result.notes, *notes_of(pictures)]
        self.store.add_result(result)
        return result

    def _pictures(self, wanted: Wanted) -> PictureSet:
        """What was asked for; nothing is read yet."""
        sources = self.checkpoints.sources
        if wanted.folder is not None:
            return reading.of_folder(sources, wanted.folder, wanted.split)
        return reading.uploads(sources, wanted.files) if wanted.files else reading.samples()

    def _pool(self, switches: Switches) -> CrfPool | None:
        return self.crf.pool() if switches.refine == "crf" else None

    def _frozen(
        self, pictures: PictureSet, model: Segmenter, switches: Switches, follow: Follow
    ) -> Result:
        """Clusters of the frozen backbone's features."""
        pool = self._pool(switches)
        with at_field("backbone"):
            backbone = self.loader.backbone(model.backbone, follow.progress)
        patch = backbone.patch_size
        check_fits(switches.inference, patch)
        size = max(1, round(model.size / patch)) * patch
        begun = time.monotonic()
        seen = self._seen(pictures, backbone, size, switches, follow.progress)
        looked = time.monotonic() - begun
        follow.progress("Finding clusters", 0.4)
        patches = sum(one.features[..., 0].numel() for one in seen.values())
        if model.clusters > patches:
            raise RequestError(
                f"There are only {patches} patches; ask for fewer clusters.", field="clusters"
            )
        centres = find_clusters(list(seen.values()), model.clusters)
        coarse = switches.coarse == switches.inference

        def segmented(number: int, rgb: np.ndarray) -> dict[str, np.ndarray]:
            one = seen.get(number) if coarse else None
            one = one or see(backbone, rgb, size=size, inference=switches.inference)
            return {"clusters": clusters_of(one, centres, refine=switches.refine, pool=pool)}

        names = tuple(f"cluster {i + 1}" for i in range(model.clusters))
        maps = Maps(model.clusters, shelf_for(pictures))
        layer = Layer("clusters", "Clusters", names, palette(model.clusters), maps)
        notes = [f"{backbone.info.title}, not trained further. {backbone.info.note}".strip()]
        if pictures.total > len(seen) + pictures.unread:
            notes.insert(
                0,
                f"The clusters were found in {len(seen)} of the {pictures.total:,} images, spread "
                "evenly over all of them.",
            )
        result = Result(pictures, {"clusters": layer}, model.title, switches, notes)
        self._fill(result, segmented, follow, 0.45, looked / len(seen) if coarse else 0)
        return result

    def _seen(
        self,
        pictures: PictureSet,
        backbone: Backbone,
        size: int,
        switches: Switches,
        progress: Progress,
    ) -> dict[int, Seen]:
        """Features of the pictures that clusters are found in, by their number; another number of
        clusters needs them again. RequestError where none can be read."""
        which = (backbone.info.name, size, switches.coarse)
        known, kept = pictures.seen
        if known == which:
            found: dict[int, Seen] = kept
            return found
        count = min(MOST_SEEN, pictures.total)
        seen: dict[int, Seen] = {}
        for i in range(count):
            progress(f"Reading image {i + 1} of {count}", 0.4 * i / count)
            number = i * pictures.total // count
            if (taken := pictures.take(number)) is not None:
                seen[number] = see(backbone, taken[1], size=size, inference=switches.coarse)
        if not seen:
            raise RequestError(nothing_in(pictures))
        pictures.seen = (which, seen)
        return seen

    def _trained(
        self,
        pictures: PictureSet,
        wanted: Wanted,
        chosen: Chosen,
        follow: Follow,
    ) -> Result:
        """What the probes of a checkpoint say."""
        switches = wanted.switches
        pool = self._pool(switches)
        with at_field("checkpoint"):
            loaded = self.checkpoints.load(chosen.file, follow.progress)
        check_side(switches.inference, loaded.size)
        predictor = Predictor(
            loaded, refine=switches.refine, inference=switches.inference, pool=pool
        )
        # The first says which class each cluster was matched with.
        first = next((n for n in range(pictures.total) if pictures.take(n) is not None), None)
        if first is None:
            raise RequestError(nothing_in(pictures))
        shown = pictures.take(first)
        assert shown is not None
        beginning = predictor.segment(shown[1])
        assignment = beginning.assignment

        def segmented(number: int, rgb: np.ndarray) -> dict[str, np.ndarray]:
            again = number != first
            said = predictor.segment(rgb) if again else beginning
            return {"clusters": said.clusters, "classes": said.classes}

        known = loaded.class_list
        probe = loaded.segmenter.n_classes + loaded.segmenter.extra_clusters
        clusters, classes = (Maps(n, shelf_for(pictures)) for n in (probe, len(known)))
        layers = {
            "clusters": cluster_layer(clusters, probe, assignment, known),
            "classes": Layer("classes", "Linear classes", known.names, known.colours, classes),
        }
        notes = [loaded.unlearnt] if loaded.unlearnt else []
        if assignment is None:
            notes.append(
                "This checkpoint has not been evaluated, so its clusters have no class names."
            )
        result = Result(pictures, layers, wanted.model.title, switches, notes)
        self._fill(result, segmented, follow, 0.0)
        return result

    def _fill(
        self,
        result: Result,
        segmented: Callable[[int, np.ndarray], Mapping[str, np.ndarray]],
        follow: Follow,
        begin: float,
        looked: float = 0,
    ) -> None:
        """Segment one picture after another; what is done can be looked at meanwhile.

        Args:
            result: is filled.
            segmented: number and picture → label maps by kind.
            follow: is told.
            begin: the share of the work that is done already.
            looked: seconds that looking at a picture took before, for those that were looked at.

        Cancelled where it shall stop before the first.
        """
        pictures = result.pictures
        total = pictures.total
        full = ""
        with self.store.growing(result):
            follow.begun(result)
            begun = time.monotonic()
            for number in range(total):
                if follow.stop.is_set():
                    break
                share = begin + (1 - begin) * number / total
                each = f", {result.seconds:.2g} s each" if result.done else ""
                follow.progress(f"Segmenting image {number + 1:,} of {total:,}{each}", share)
                try:
                    self._one(result, number, segmented)
                except DiskFull as error:
                    full = str(error)
                    break
                done = max(1, len(result.done))
                early = looked * min(1, MOST_SEEN / done)
                result.seconds = early + (time.monotonic() - begun) / done
        missing = len(result.done) + pictures.unread < total
        if follow.stop.is_set() and not result.done:
            raise Cancelled
        if not result.done:
            raise RequestError(full or nothing_in(pictures))
        if missing:
            why = "The disk for temporary files is full" if full else "Cancelled"
            said = f"{why}: {len(result.done):,} of {total:,} images are segmented."
            result.notes.insert(0, said)

    @staticmethod
    def _one(
        result: Result,
        number: int,
        segmented: Callable[[int, np.ndarray], Mapping[str, np.ndarray]],
    ) -> None:
        """Segment one picture, if it can be read."""
        taken = result.pictures.take(number)
        if taken is None:
            return
        for kind, ids in segmented(number, taken[1]).items():
            result.layers[kind].maps.append(ids)
        result.done.append(taken[0])


def nothing_in(pictures: PictureSet) -> str:
    """Why there is nothing to segment."""
    return "\n".join(pictures.said()) or "There is no image to segment."


def shelf_for(pictures: PictureSet) -> Shelf | None:
    """Where label maps of these pictures are kept; None for memory."""
    return None if pictures.shelf is None else Shelf()


def notes_of(pictures: PictureSet) -> list[str]:
    """What had to be done to read the pictures; of many pictures together."""
    if len(pictures.pictures) <= MAX_IMAGES:
        return [f"{p.name}: {note}" for p in pictures.pictures for note in p.notes]
    counted = Counter(note for p in pictures.pictures for note in p.notes)
    return [f"{count} images: {note}" for note, count in counted.most_common(MAX_NOTES)]


def cluster_layer(
    maps: Maps, count: int, assignment: tuple[int, ...] | None, known: ClassList
) -> Layer:
    """Clusters with the names and colours of the classes that they were matched with."""
    names, colours = [], []
    spare = iter([c for c in palette(count + len(known)) if c not in known.colours])
    for i in range(count):
        label = -1 if assignment is None else assignment[i]
        names.append(known.names[label] if label >= 0 else f"cluster {i + 1}")
        colours.append(known.colours[label] if label >= 0 else next(spare))
    return Layer("clusters", "Clusters", tuple(names), tuple(colours), maps)
