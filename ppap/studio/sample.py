"""Results of the sample photos: what pages show before there is anything of one's own.

They come with the project (``python -m tests.support.sample_results`` makes them anew), belong to
nobody, and can be neither changed nor deleted; each browser may hide them. What can be made again
is not shipped, but for the figures that a page shows first: tables, PNG and the study's own page
are made when they are asked for, and photos and their truth read from the sample photos.
"""

from __future__ import annotations

import io
import json
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ppap.data import DataError, Dataset, samples_dataset
from ppap.data.errors import LayoutError
from ppap.data.sample_photos import CLASSES
from ppap.evaluation.pictures import UNMATCHED_COLOUR, painted
from ppap.evaluation.source import Square, read_square
from ppap.places import ASSETS
from ppap.settings import excerpt
from ppap.studio.requests import RequestError
from ppap.studio.temporary import FILES
from ppap.study.saved import OWN, VALUES, read_study, write_study

RESULTS = ASSETS / "samples" / "results"
STUDY, RUN = RESULTS / "study", RESULTS / "run"
KEY = ".sample"
"""Its name on every page: nobody can call a run, a study or a report so."""
KEPT = "The sample cannot be changed or deleted. You can hide it."
KINDS = ("cluster", "linear")


_DRAWING = threading.Lock()


def refuse(key: object) -> None:
    """RequestError where something else than looking is asked of the sample."""
    if key == KEY:
        raise RequestError(KEPT)


def study_files() -> list[str]:
    """The names of the sample study's files."""
    return sorted((VALUES, *OWN))


def study_file(name: object) -> Path:
    """One of the sample study's files; RequestError where there is none."""
    if name not in study_files():
        raise RequestError(f"The study has no file {excerpt(name)}.")
    shipped = STUDY / str(name)
    return shipped if shipped.suffix == ".svg" and shipped.is_file() else study_folder() / str(name)


def study_folder() -> Path:
    """The sample study with all its files, which are drawn where they are not at hand."""
    folder = FILES.folder / "sample-study"
    with _DRAWING:
        if not all((folder / name).is_file() for name in study_files()):
            write_study(read_study(STUDY), folder)
    return folder


def map_file(index: int, kind: str) -> Path:
    """Where the prediction of one photo is: an 8-bit PNG of class ids, 255 for none."""
    return RUN / "maps" / f"{index}-{kind}.png"


@cache
def photos() -> Dataset:
    """The sample photos; LayoutError where they are not at hand."""
    return samples_dataset()


def square(index: int) -> Square:
    """A photo and its truth as the run saw them; RequestError where they are not at hand."""
    try:
        return read_square(photos(), index, side())
    except (LayoutError, DataError, IndexError) as error:
        raise RequestError(f"The sample photos are not available: {error}") from None


@cache
def side() -> int:
    """Of the run's pictures, in pixels."""
    return int(json.loads((RUN / "report.json").read_text(encoding="utf-8"))["size"])


def prediction(index: int, kind: str) -> np.ndarray:
    """The run's class ids of a photo, int64 ``(S, S)``, −1 where there is none."""
    with Image.open(map_file(index, kind)) as image:
        ids = np.asarray(image, np.int64)
    return np.where(ids == 255, -1, ids)


def strip(index: int) -> bytes:
    """Photo, truth, clusters and classes side by side, as runs keep them: a PNG.

    Raises:
        RequestError: there is no such photo.
    """
    if not any(index == one for one, *_ in pictured()):
        raise RequestError("There is no such image.")
    one = square(index)
    colours = CLASSES.colours
    parts = [one.rgb, painted(one.labels, colours, UNMATCHED_COLOUR)]
    parts += [painted(prediction(index, kind), colours, UNMATCHED_COLOUR) for kind in KINDS]
    out = io.BytesIO()
    Image.fromarray(np.concatenate(parts, axis=1)).save(out, "PNG")
    return out.getvalue()


@cache
def pictured() -> list[tuple[int, str]]:
    """Index and name of each photo that was predicted."""
    report = json.loads((RUN / "report.json").read_text(encoding="utf-8"))
    return [(one["index"], one["name"]) for one in report["images"]]


def there() -> bool:
    """Whether the samples came with this installation."""
    return (STUDY / VALUES).is_file() and (RUN / "report.json").is_file()


def listed(title: str, text: str) -> dict[str, Any] | None:
    """The sample as one of a page's list, or None where it did not come along."""
    return {"key": KEY, "title": title, "text": text, "sample": True} if there() else None
