"""A whole data set segmented, without training or with a checkpoint, and written as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from ppap.backbones import Backbone
from ppap.clustering import SIZE, Seen, clusters_of, find_clusters, see
from ppap.data import DataError, Dataset, LayoutError, palette
from ppap.data.base import Item, read_upright
from ppap.data.formats import is_image_name
from ppap.evaluation.crf import CrfPool
from ppap.output.data_set import Segmented, Sink, Taken, write_to
from ppap.output.label_files import Merged, merged
from ppap.predictor import Predictor, Refine
from ppap.segmenter.inference import PLAIN, Inference

# Of more pictures, clusters are found in so many, spread over all of them: what the backbone saw of
# each takes megabytes.
MOST_SEEN = 64

Progress = Callable[[str, int, int], None]
"""What is done, how many pictures of how many."""


Pictures = Sequence[tuple[Dataset, Item]]


def pictures_of(datasets: Iterable[Dataset]) -> Pictures:
    """All pictures of some splits."""
    return [(dataset, item) for dataset in datasets for item in dataset.items]


@dataclass(frozen=True)
class Method:
    """What segments."""

    ids_of: Callable[[np.ndarray], np.ndarray]
    """uint8 ``(H, W, 3)`` → whole numbers ``(H, W)``."""
    segments: Merged
    """What they are called, and which of them are one class."""


def by_checkpoint(predictor: Predictor, probe: Literal["cluster", "linear"]) -> Method:
    """A checkpoint's clusters or linear classes; clusters are called by the classes that its
    evaluation matched them with."""
    known = predictor.loaded.class_list
    if probe == "linear":
        table = np.array([*range(len(known)), -1], np.int64)
        return Method(lambda rgb: predictor.segment(rgb).classes, Merged(known, table))
    count = predictor.segmenter.n_classes + predictor.segmenter.extra_clusters
    matched = predictor.assignment or (-1,) * count
    spare = iter([colour for colour in palette(count + len(known)) if colour not in known.colours])
    names = [known.names[c] if c >= 0 else f"cluster {i + 1}" for i, c in enumerate(matched)]
    colours = [known.colours[c] if c >= 0 else next(spare) for c in matched]
    return Method(lambda rgb: predictor.segment(rgb).clusters, merged(names, colours))


def by_clusters(
    backbone: Backbone,
    pictures: Pictures,
    count: int,
    *,
    size: int = SIZE,
    refine: Refine = "none",
    inference: Inference = PLAIN,
    pool: CrfPool | None = None,
    progress: Progress = lambda *_: None,
) -> Method:
    """Clusters of the frozen backbone's features, found in up to MOST_SEEN of the pictures.

    Raises:
        LayoutError: no picture can be read.
        ValueError: a count, size, refinement or inference that cannot be.
    """
    coarse = replace(inference, shifts=1)
    looked = min(MOST_SEEN, len(pictures))
    seen: list[Seen] = []
    for number in range(looked):
        progress("Reading", number, looked)
        dataset, item = pictures[number * len(pictures) // looked]
        with suppress(DataError):  # said when it is its turn
            rgb = dataset.read_photo(item).rgb
            seen.append(see(backbone, rgb, size=size, inference=coarse))
    if not seen:
        where = pictures[0][0].root if pictures else Path()
        raise LayoutError(where, "contains no image that can be read")
    patches = sum(one.features[..., 0].numel() for one in seen)
    if count > patches:
        raise ValueError(f"There are only {patches} patches; ask for fewer clusters.")
    centres = find_clusters(seen, count)

    def ids_of(rgb: np.ndarray) -> np.ndarray:
        one = see(backbone, rgb, size=size, inference=inference)
        return clusters_of(one, centres, refine=refine, pool=pool)

    return Method(ids_of, merged([f"cluster {i + 1}" for i in range(count)], palette(count)))


def segment_all(
    pictures: Pictures,
    method: Method,
    sink: Sink,
    *,
    taken: Taken | None = None,
    progress: Progress = lambda *_: None,
    unread: Callable[[str], None] = lambda _: None,
) -> int:
    """Segment every picture and write them as a data set; how many there are in it.

    One picture is in memory at a time.

    Args:
        pictures: of one or more data sets.
        method: what segments.
        sink: where to.
        taken: what is written of each.
        progress: told how far it is.
        unread: told of every picture that cannot be read, which is left out.

    Raises:
        OSError: a file cannot be written, or a photo copied.
    """
    done = 0

    def segmented() -> Iterator[Segmented | None]:
        nonlocal done
        for number, (dataset, item) in enumerate(pictures):
            progress("Segmenting", number, len(pictures))
            try:
                rgb = dataset.read_photo(item).rgb
            except DataError as error:
                unread(str(error))
                yield None
                continue
            ids = method.segments.table[method.ids_of(rgb)]
            done += 1
            yield Segmented(item.image.name, rgb, ids, file_of(dataset, item))

    names = [path_of(dataset, item) for dataset, item in pictures]
    write_to(sink, segmented(), method.segments.classes, names=names, taken=taken or Taken())
    return done


def path_of(dataset: Dataset, item: Item) -> str:
    """A picture's path below its data set's folder, which tells it from others of its name."""
    inside = item.image.is_relative_to(dataset.root)
    return item.image.relative_to(dataset.root).as_posix() if inside else item.image.name


def file_of(dataset: Dataset, item: Item) -> Path | None:
    """The photo's file where whoever opens it sees what is seen here."""
    plain = dataset.read_photo is read_upright and is_image_name(item.image.name)
    return item.image if plain else None
