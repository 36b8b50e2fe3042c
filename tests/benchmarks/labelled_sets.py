"""Labelled batches for the benchmarks, from folders that are named on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.backbones import Grid, load_backbone
from ppap.batches import make_batch
from ppap.data import open_dataset


class Labelled(NamedTuple):
    """A batch without its pictures."""

    name: str
    """Of the set."""
    shape: str
    """Images and their size, in words."""
    f: Tensor
    """L2-normalised features ``(N, D)``."""
    labels: Tensor
    grids: tuple[Grid, ...]
    counts: tuple[int, ...]


def folders_of(description: str, *flags: tuple[str, str]) -> argparse.Namespace:
    """Read the command line: folders of labelled sets, and ``flags`` with what they mean."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="labelled data sets")
    for flag, text in flags:
        made.add_argument(flag, action="store_true", help=text)
    return made.parse_args()


def batches_of(
    folder: Path, shapes: Sequence[tuple[int, int, int]], split: str = "train"
) -> Iterator[Labelled]:
    """Batches of random images with the embedded backbone.

    Args:
        folder: of the data set.
        shapes: images, pixels and seed of each; a set that has fewer images gives all, once.
        split: which images.
    """
    dataset, backbone = open_dataset(folder, split=split), load_backbone("embedded")
    made = set()
    for count, size, seed in shapes:
        chance = torch.Generator().manual_seed(100 * seed + count)
        chosen = sorted(torch.randperm(len(dataset), generator=chance)[:count].tolist())
        if (size, *chosen) in made:
            continue
        made.add((size, *chosen))
        batch = make_batch([dataset.load(i) for i in chosen], backbone, size=size)
        assert batch.labels is not None
        shape = f"{len(chosen)} × {size} px"
        yield Labelled(
            folder.name, shape, batch.features, batch.labels, batch.grids, tuple(batch.counts)
        )
