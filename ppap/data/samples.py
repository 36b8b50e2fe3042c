"""Six real photographs with hand-drawn label maps, for a first look without any data set.

The photos lie inside packages that are installed anyway (gradio, scikit-learn); only the label
maps are ours, in ``assets/samples``. Classes are COCO-Stuff-27's coarse ones, 0..26, 255 = void.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
from dataclasses import dataclass
from pathlib import Path

from ppap.places import ASSETS

logger = logging.getLogger(__name__)

FOLDER = ASSETS / "samples"
# The three photos of big cats come first: an anchor on one face has its like in the next two.
ORDER = ("cheetah1", "lion", "cheetah", "china", "tower", "flower")


@dataclass(frozen=True)
class Sample:
    """A photo, its label map of the same size (8-bit, 0..26, 255 = void), and its alt text."""

    name: str
    photo: Path
    labels: Path
    alt: str


@dataclass(frozen=True)
class _Card:
    """What ``assets/samples/<name>.json`` says about a photo: which file it is and who drew what.

    ``path`` is the place inside ``package``; ``sha256`` is the photo file's.
    """

    package: str
    path: str
    sha256: str
    width: int
    height: int
    alt: str
    provenance: str
    credit: str


def samples() -> list[Sample]:
    """The sample photos at hand, in a fixed order: big cats, buildings, the flower.

    A photo that is missing, or differs from the one its label map was drawn on, is left out and
    the reason is logged: a changed photo must not get wrong labels.

    Raises:
        FileNotFoundError: no photo is left.
    """
    found = []
    for name in ORDER:
        try:
            found.append(_find(name))
        except FileNotFoundError as reason:
            logger.warning("Sample photo %s is left out: %s.", name, reason)
    if not found:
        raise FileNotFoundError(
            "None of the sample photos can be found: install the versions of gradio and "
            f"scikit-learn named in requirements.txt, and restore {FOLDER.name}/ in assets/. The "
            "log says for each photo what is missing."
        )
    return found


def _find(name: str) -> Sample:
    """One sample; FileNotFoundError says why it cannot be used."""
    labels = FOLDER / f"{name}.png"
    description = FOLDER / f"{name}.json"
    for file in (description, labels):
        if not file.is_file():
            raise FileNotFoundError(f"assets/samples/{file.name} is missing")
    card = _Card(**json.loads(description.read_text(encoding="utf-8")))
    photo = _package_folder(card.package) / card.path
    if not photo.is_file():
        raise FileNotFoundError(f"the installed {card.package} has no {card.path}")
    if hashlib.sha256(photo.read_bytes()).hexdigest() != card.sha256:
        raise FileNotFoundError(
            f"{card.path} of the installed {card.package} is not the photo "
            "that the labels were drawn on"
        )
    return Sample(name, photo, labels, card.alt)


def _package_folder(package: str) -> Path:
    """Where a package lies, without importing it: gradio and scikit-learn take seconds."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"the package {package} is not installed")
    return Path(spec.origin).parent
