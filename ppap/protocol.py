"""This project's own way, or the published run's in each thing that the two do otherwise.

By default all is done our way; docs/deviations.md says why, and how large each difference is. With
``published`` every switch is on; the name of a switch turns on that one alone, to measure it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ppap.settings import SettingError, excerpt

Resizing = Literal["smooth", "nearest"]


def switch(meaning: str) -> bool:
    """A field that is off by default."""
    found: bool = dataclasses.field(default=False, metadata={"meaning": meaning})
    return found


@dataclass(frozen=True)
class Protocol:
    """What is done as in the published run; everything else is done our way."""

    nearest: bool = switch("images and label maps resized to the nearest pixel")
    jpeg_crops: bool = switch(
        "five crops compressed as JPEG, quality 75, with colours at half resolution"
    )
    anchor_groups: bool = switch("anchors and the mean of the loss in groups of 784 patches")
    half_loss: bool = switch("cosines, criteria and Eq. 8 in half precision")
    half_probes: bool = switch("probes trained in half precision")
    scaler: bool = switch("the gradient scaler from 2,048, growing every 1,000 steps")
    half_evaluation: bool = switch("evaluation in half precision")
    crf_bytes: bool = switch("bytes for the CRF truncated, not rounded")
    pass_matching: bool = switch("ImageNet-S matched as PASS's code does")

    @property
    def name(self) -> str:
        """What ``of`` takes: studio, published, or switches with commas between."""
        named = {STUDIO: "studio", PUBLISHED: "published"}
        return named.get(self) or ",".join(self.record())

    @property
    def resizing(self) -> Resizing:
        """Of photos and label maps, as ``Dataset`` has it."""
        return "nearest" if self.nearest else "smooth"

    @property
    def half_training(self) -> bool:
        """Whether training needs half precision and a gradient scaler."""
        return self.half_loss or self.half_probes

    @property
    def half(self) -> bool:
        """Whether anything is in half precision; then no features may be kept, since those are
        worked out in float32."""
        return self.half_training or self.half_evaluation

    @staticmethod
    def of(said: object) -> Protocol:
        """From a name, or a report's list of switches; SettingError for what is neither."""
        if said == "studio":
            return STUDIO
        if said == "published":
            return PUBLISHED
        names = said.split(",") if isinstance(said, str) else said
        if isinstance(names, list | tuple) and all(name in SWITCHES for name in names):
            return Protocol(**dict.fromkeys(names, True))
        raise SettingError(
            "protocol", f"protocol must be one of {', '.join(NAMES)}, not {excerpt(said)!r}."
        )

    def record(self) -> list[str]:
        """The switches that are on, as reports keep them; empty for our own way."""
        return [name for name in SWITCHES if getattr(self, name)]

    def only(self, names: Iterable[str]) -> Protocol:
        """The same without all other switches."""
        wanted = set(names)
        return Protocol(**{name: True for name in self.record() if name in wanted})


MEANINGS: dict[str, str] = {
    each.name: each.metadata["meaning"] for each in dataclasses.fields(Protocol)
}
SWITCHES = tuple(MEANINGS)
# Those that change an evaluation; the others change training.
OF_EVALUATION = ("nearest", "half_evaluation", "crf_bytes", "pass_matching")
STUDIO = Protocol()
PUBLISHED = Protocol(**dict.fromkeys(SWITCHES, True))
NAMES = ("studio", "published", *SWITCHES)


def in_words(record: Iterable[str]) -> str:
    """What a report's list says, for people; empty for our own way."""
    return "; ".join(MEANINGS[name] for name in record if name in MEANINGS)
