"""One run for ``bench_gain``: what its features are worth, by measures that need no luck.

    python -m tests.benchmarks.gain_scores RUN DATA [--frozen] [--starts N] [--seed N] [--splits …]

Clusterings from many starts, the linear probe, dense retrieval and the average precision of *same
class* by cosine; with every image's counts, so that differences get intervals. Written into the
run's folder as gain-SPLIT.json and gain-SPLIT.images.npz. One thread: two of these run side by side.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ppap.checkpoints.opening import LoadedSegmenter, load_segmenter
from ppap.data import Dataset, open_dataset
from ppap.evaluation import per_image
from ppap.evaluation.counting import spread
from ppap.evaluation.many_starts import STARTS, Found, Key, Looks, find_starts, score_starts
from ppap.evaluation.per_image import Kind, PerImage
from ppap.evaluation.report import write_json
from ppap.evaluation.retrieval import Retrieval, patch_shares
from ppap.evaluation.source import batches_of, labelled
from ppap.evaluation.split import evaluate_split, features_of
from ppap.segmenter import Segmenter
from ppap.study.same_class import same_class_unit
from trainers.runs.folder import Run

# Of the training images, for the average precision: 12 million pairs.
PATCHES = 5000


class Scored(NamedTuple):
    """What is kept of one split."""

    record: dict[str, Any]
    counts: PerImage

    @property
    def kinds(self) -> dict[str, Kind]:
        """Every image's counts, by kind of start, and of the linear probe."""
        return self.counts.kinds


@dataclass
class Scoring:
    """One run, and how it is scored."""

    loaded: LoadedSegmenter
    data: Path
    frozen: bool
    starts: int
    seed: int
    images: int
    clusterings: dict[Key, Found] | None = None

    def found(self) -> dict[Key, Found]:
        """Clusterings of the training images; the same for all splits."""
        if self.clusterings is None:
            self.clusterings = find_starts(
                self.loaded.segmenter,
                self.dataset("train"),
                self.starts,
                tuple(STARTS),
                ("frozen",) if self.frozen else ("trained",),
                self.seed,
                Looks(self.loaded.size, workers=0),
            )
        return self.clusterings

    def dataset(self, split: str) -> Dataset:
        """A split of the data set that the run was trained on."""
        kind = str(self.loaded.config.get("dataset") or "") or None
        return open_dataset(self.data, kind=kind, split=split)

    def split(self, name: str) -> Scored:
        """All measures on one split."""
        train = self.dataset("train")
        split = some(self.dataset(name), self.images)
        segmenter, size = self.loaded.segmenter, self.loaded.size
        plain = evaluate_split(segmenter, split, size=size, workers=0)
        assert plain.counts is not None
        many = score_starts(segmenter, split, self.found(), Looks(size, workers=0))
        kinds = {one.start: one.images for one in many} | {"linear": plain.counts.kinds["linear"]}
        counts = replace(plain.counts, kinds=kinds)
        record: dict[str, Any] = {"starts": {one.start: one.record() for one in many}}
        record[per_image.KEY] = {"stamp": counts.stamp}
        record["images"] = [{"index": index} for index in counts.indices.tolist()]
        record["linear"] = plain.linear.miou
        record["area"] = 100 * self.area(split)
        if name != train.split:  # an image would find itself
            lookup = Retrieval(segmenter, frozen=self.frozen, size=size, workers=0)
            found = lookup.score(split, lookup.fill(train, 20_000, seed=self.seed))
            record["retrieval"] = found.scores.miou
        return Scored(record, counts)

    @torch.no_grad()
    def area(self, split: Dataset) -> float:
        """Average precision of *same class* by cosine, over patches of one class each."""
        chosen = labelled(split)
        each = -(-PATCHES // len(chosen))
        chance = torch.Generator().manual_seed(self.seed)
        features, labels = [], []
        with closing(batches_of(split, chosen, size=self.loaded.size, workers=0)) as source:
            for batch in source:
                found = features_of(self.loaded.segmenter, batch.inputs, frozen=self.frozen)
                shares = patch_shares(
                    batch.labels, found.shape[1], found.shape[2], len(split.classes)
                )
                for one, share in zip(found.flatten(1, 2), shares.flatten(1, 2), strict=True):
                    pure = (share.max(dim=1).values == 1).nonzero()[:, 0]
                    drawn = pure[torch.randperm(len(pure), generator=chance)[:each]]
                    features.append(F.normalize(one[drawn].float(), dim=1))
                    labels.append(share[drawn].argmax(dim=1))
        return same_class_unit(torch.cat(features), torch.cat(labels)).area


def remember(segmenter: Segmenter) -> None:
    """Let it compute the features of a batch once: every measure here reads the same images."""
    compute, known = segmenter.features, {}

    def features(inputs: Tensor) -> Tensor:
        key = hashlib.sha1(inputs.numpy().tobytes(), usedforsecurity=False).digest()
        if key not in known:
            known[key] = compute(inputs)
        return known[key]

    segmenter.features = features  # type: ignore[method-assign, assignment]


def some(dataset: Dataset, most: int) -> Dataset:
    """At most so many labelled images, drawn evenly over the split."""
    return replace(dataset, items=tuple(dataset.items[i] for i in spread(labelled(dataset), most)))


def file_of(folder: Path, split: str) -> Path:
    """Where one split's scores are kept, every image's counts beside them."""
    return folder / f"gain-{split}.json"


def read(folder: Path, split: str) -> Scored:
    """What was kept."""
    file = file_of(folder, split)
    record = json.loads(file.read_text(encoding="utf-8"))
    counts = per_image.read(record, file)
    assert counts is not None, file
    return Scored(record, counts)


def main() -> None:
    """Score one run."""
    made = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    made.add_argument("run", type=Path)
    made.add_argument("data", type=Path)
    made.add_argument("--frozen", action="store_true", help="the backbone's own features")
    made.add_argument("--starts", type=int, default=10)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--images", type=int, default=100, help="most that are scored of a split")
    made.add_argument("--splits", nargs="+", default=["train", "val"])
    given = made.parse_args()
    torch.set_num_threads(1)
    loaded = load_segmenter(Run(given.run).to_evaluate(), device=torch.device("cpu"))
    if not given.frozen:
        remember(loaded.segmenter)
    scoring = Scoring(loaded, given.data, given.frozen, given.starts, given.seed, given.images)
    for split in given.splits:
        if not file_of(given.run, split).exists():
            scored = scoring.split(split)
            write_json(scored.record, file_of(given.run, split), scored.counts)


if __name__ == "__main__":
    main()
