"""The same images in the features of several stages of training: what it did to the sets.

Each stage gets settings of its own from its own cosines: those of trained features lie elsewhere,
so that one Φ⁰ for all would compare nothing. The curve of same class needs no settings at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ppap.backbones import Backbone
from ppap.data import Dataset
from ppap.settings import Settings
from ppap.study.advice import Advice, advise_unit
from ppap.study.expectation import AIMS, FITTED_TO
from ppap.study.patches import sample_anchors
from ppap.study.plain import cell, plain
from ppap.study.reading import Drawn, Embedded, read_batches
from ppap.study.same_class import SameClass, same_class_unit
from ppap.study.sweeping import Measured, sweep_unit

Progress = Callable[[float], None]
# Anchors that are measured in each stage.
MOST_ANCHORS = 1000


class Stage(NamedTuple):
    """One kind of features for the images of a batch."""

    title: str
    """Such as "frozen feature" or "projection z"."""
    f: Tensor
    """L2-normalised ``(N, D)``, image by image and row by row."""
    labels: Tensor
    """Class of every patch, int64 ``(N,)``, −1 where void."""
    anchors: Tensor
    """int64 ``(A,)``, all with a class."""
    grids: tuple[tuple[int, int], ...]
    """Rows and columns of every image."""
    embedded: bool = False
    """The embedded backbone's as it is: only then is a precision expected."""


class StageTrust(NamedTuple):
    """What the sets and the cosines of a stage are worth."""

    title: str
    dimensions: int
    same_class: SameClass
    advice: tuple[Advice, ...]
    """One for each aim."""
    suggested: tuple[Measured, ...]
    """The sets at each of these."""
    own: Measured | None
    """The sets at settings that were given for all stages."""


def look_at(
    stage: Stage, own: Settings | None = None, *, seed: int = 0, progress: Progress | None = None
) -> StageTrust:
    """Measure one stage.

    Args:
        stage: its features on the batch.
        own: settings to be measured beside the suggested ones, such as those of the training.
        seed: of what the advice draws.
        progress: called with the share done, 0 to 1.
    """
    counts = [rows * columns for rows, columns in stage.grids]
    advice = tuple(
        advise_unit(
            stage.f,
            images=counts,
            grids=stage.grids,
            aim=aim,
            embedded=stage.embedded,
            seed=seed,
        )
        for aim in AIMS
    )
    wanted = [one.settings for one in advice] + ([own] if own else [])
    step = max(1, len(stage.anchors) // MOST_ANCHORS)
    found = sweep_unit(
        stage.f,
        stage.anchors[::step],
        wanted,
        labels=stage.labels,
        progress=None if progress is None else lambda share: progress(share / 2),
    )
    curve = same_class_unit(
        stage.f,
        stage.labels,
        progress=None if progress is None else lambda share: progress(0.5 + share / 2),
    )
    return StageTrust(
        title=stage.title,
        dimensions=stage.f.shape[1],
        same_class=curve,
        advice=advice,
        suggested=tuple(found[: len(AIMS)]),
        own=found[-1] if own else None,
    )


class StagesAt(NamedTuple):
    """Where stages are compared: the images, the anchors and the settings."""

    dataset: Dataset
    first: Embedded
    """A labelled batch, in the features of the first stage."""
    anchors: Tensor
    """int64 ``(A,)``, all with a class."""
    size: int
    """Side of the squares in pixels."""
    settings: Settings | None
    """Measured in every stage, beside the suggested ones."""
    seed: int

    def through(
        self, networks: Sequence[tuple[str, Backbone]], say: Callable[[str, float], None]
    ) -> list[dict[str, Any]]:
        """Every network on the same images, as plain values.

        Args:
            networks: with their titles; the first is the one that ``first`` was embedded with.
            say: told what is done and the share of it, 0 to 1.
        """
        found = []
        for at, (title, network) in enumerate(networks):
            text = f"Measuring {title if title.startswith('these') else f'the {title}'}"
            say(text, at / len(networks))
            batch = self._again(network) if at else self.first
            stage = self._stage(title, network, batch)

            def told(share: float, text: str = text, at: int = at) -> None:
                say(text, (at + share) / len(networks))

            looked = look_at(stage, self.settings, seed=self.seed, progress=told)
            found.append(as_values(looked, network))
        return found

    def _again(self, network: Backbone) -> Embedded:
        """The images are read anew: a study keeps no pictures."""
        drawn = Drawn([self.first.indices], [])
        (again,) = read_batches(self.dataset, drawn, network, self.size, [], lambda n: None)
        return again

    def _stage(self, title: str, network: Backbone, batch: Embedded) -> Stage:
        assert batch.labels is not None
        anchors = self.anchors
        if batch.grids != self.first.grids:  # patches of another size
            anchors = sample_anchors(batch.labels, len(anchors), self.seed)
        embedded = network.info.name == FITTED_TO
        return Stage(title, batch.features, batch.labels, anchors, batch.grids, embedded)


def as_values(looked: StageTrust, network: Backbone) -> dict[str, Any]:
    """A stage as ``study.json`` holds it."""
    sets: dict[str, Any] = {
        one.aim: {**cell(measured), "expected": plain(one.expected)}
        for one, measured in zip(looked.advice, looked.suggested, strict=True)
    }
    if looked.own is not None:
        sets["own"] = cell(looked.own)
    curve = looked.same_class._asdict()
    return {
        "title": looked.title,
        "features": network.info.title,
        "dimensions": looked.dimensions,
        "same_class": {name: plain(value) for name, value in curve.items()},
        "sets": sets,
    }
