"""Borders against scipy's filters, and both parts' scores against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.metrics import accuracy_score, jaccard_score
from torch import Tensor

from ppap.evaluation.borders import MOST_WIDTH, near_border
from ppap.evaluation.metrics import Confusion, match
from ppap.evaluation.tally import Counts, Tally, kept_borders, ready


def regions(seed: int, shape: tuple[int, int] = (40, 56), classes: int = 4) -> Tensor:
    """Blobs of classes, some of them void."""
    noise = np.random.default_rng(seed).normal(size=(classes + 1, *shape))
    smooth = ndimage.gaussian_filter(noise, (0, 4, 4))
    return torch.from_numpy(smooth.argmax(0) - 1)


@pytest.mark.parametrize("width", [0, 1, 2, 5, 7, MOST_WIDTH])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_band_is_that_of_scipys_filters(width: int, seed: int) -> None:
    labels = regions(seed)
    filters = (ndimage.maximum_filter, ndimage.minimum_filter)
    highest, lowest = (f(labels.numpy(), 2 * width + 1, mode="nearest") for f in filters)
    found = near_border(labels, width)
    assert found.dtype == torch.bool
    assert (found.numpy() == (highest != lowest)).all()
    assert found.any() == (width > 0)
    if 0 < width < 3:
        assert not found.all()


def test_the_band_by_distances() -> None:
    """Another way to say it: a pixel's distance to the nearest pixel with another label."""
    labels = regions(3)
    distance = np.zeros(labels.shape)
    for one in labels.unique():
        inside = (labels == one).numpy()
        distance += np.where(inside, ndimage.distance_transform_cdt(inside, "chessboard"), 0)
    assert (near_border(labels, 3).numpy() == (distance <= 3)).all()


def test_batches_are_images_beside_each_other() -> None:
    both = torch.stack([regions(0), regions(1)])
    for place in range(2):
        assert near_border(both, 4)[place].equal(near_border(both[place], 4))


def test_one_label_has_no_border_and_the_extremes_of_int16_do() -> None:
    assert not near_border(torch.full((8, 8), -1), 3).any()
    odd = torch.tensor([[-(2**15), -(2**15), 2**15 - 1]])
    assert near_border(odd, 1).tolist() == [[False, True, True]]


def test_widths_that_cannot_be() -> None:
    for width in (-1, MOST_WIDTH + 1):
        with pytest.raises(ValueError, match="width"):
            near_border(regions(0), width)


def test_both_parts_are_scored_under_the_assignment_of_the_whole() -> None:
    classes, clusters, width = 4, 5, 2
    names = ("a", "b", "c", "d")
    counts = Counts(classes, clusters)
    kept = []
    chance = torch.Generator().manual_seed(5)
    for seed in range(3):
        truth = regions(seed)
        moved = truth.roll((2, -1), (0, 1)).clamp(0)  # wrong at borders, as patches are
        said = torch.tensor([2, 0, 1, 4])[moved]
        noise = torch.rand(truth.shape, generator=chance) < 0.05
        said = said.masked_fill(noise, 3)
        counts.add(ready(truth, classes, width), said, moved)
        kept.append((truth, said, moved))
    found = counts.scores(names)
    truth, said, linear = (torch.stack(parts) for parts in zip(*kept, strict=True))
    whole = Confusion(classes, clusters)
    whole.update(truth, said)
    assert found.cluster.assignment.equal(match(whole))
    near = near_border(truth, width)
    record = kept_borders(width, {"": found, "crf": found})
    assert record["width"] == width
    assert record["crf"] == {"cluster": record["cluster"], "linear": record["linear"]}
    for probe, predicted in (("cluster", match(whole)[said]), ("linear", linear)):
        for part, chosen in (("border", near), ("interior", ~near)):
            chosen = chosen & (truth >= 0)
            t, p = truth[chosen].numpy(), predicted[chosen].numpy()
            present = np.union1d(t, p[p >= 0])
            iou = jaccard_score(t, p, labels=present, average="macro")
            assert record[probe][part] == {
                "accuracy": pytest.approx(100 * accuracy_score(t, p)),
                "miou": pytest.approx(100 * iou),
                "pixels": int(chosen.sum()),
            }
        assert record[probe]["border"]["accuracy"] < record[probe]["interior"]["accuracy"]


def test_counting_refuses_what_is_no_class() -> None:
    with pytest.raises(TypeError, match="truth must be a tensor of whole numbers"):
        ready(torch.zeros(2, 2), 3)
    with pytest.raises(ValueError, match="truth holds 3: it must be from 0 to 2 or -1 for void"):
        ready(torch.full((2, 2), 3), 3)
    with pytest.raises(ValueError, match="truth holds -2"):
        ready(torch.full((2, 2), -2), 3)
    truth = ready(torch.zeros(2, 2, dtype=torch.int64), 3)
    tally = Tally(3, 5)
    with pytest.raises(ValueError, match="prediction holds 5: it must be from 0 to 4"):
        tally.add(truth, torch.full((2, 2), 5))
    with pytest.raises(ValueError, match="must have the same shape"):
        tally.add(truth, torch.zeros(4, dtype=torch.int64))
    with pytest.raises(TypeError, match="prediction must be a tensor of whole numbers"):
        tally.add(truth, torch.zeros(2, 2))
    assert not tally.whole.counts.any()
