"""Clusterings from many starts, against loops and the loss that they lower."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ppap.data import Dataset, open_dataset
from ppap.evaluation.counting import sampled
from ppap.evaluation.many_starts import (
    STARTS,
    StartScores,
    begin,
    ended,
    from_many_starts,
    loss,
    settle,
)
from ppap.evaluation.metrics import Confusion, match, scores
from ppap.evaluation.source import batches_of
from ppap.evaluation.split import EvaluationStoppedError, features_of
from ppap.segmenter import ClusterProbe, Segmenter, merged_start
from ppap.segmenter.inference import PLAIN
from ppap.segmenter.prediction import largest
from tests.support.small_segmenters import NAMES, small_segmenter, write_folder

SIZE = 48


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    write_folder(root, count=6, unlabelled=1)
    return open_dataset(root, split="all")


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return small_segmenter()


@pytest.fixture(scope="module")
def found(segmenter: Segmenter, dataset: Dataset) -> list[StartScores]:
    return from_many_starts(segmenter, dataset, dataset, count=2, size=SIZE, seed=5)


def patches(count: int = 300, width: int = 8) -> torch.Tensor:
    torch.manual_seed(1)
    middles = 3 * torch.randn(4, width)
    return F.normalize(middles[torch.arange(count) % 4] + torch.randn(count, width), dim=1)


def test_every_start_on_both_kinds_of_features(found: list[StartScores]) -> None:
    assert [(one.start, one.frozen) for one in found] == [
        (start, frozen) for frozen in (False, True) for start in STARTS
    ]
    assert len({one.name for one in found}) == len(found)
    for one in found:
        record = one.record()
        assert len(record["losses"]) == len(record["mious"]) == len(record["accuracies"]) == 2
        assert record["losses"][record["chosen"]] == min(record["losses"])
        assert record["miou"] == record["mious"][record["chosen"]]
        assert record["accuracy"] == record["accuracies"][record["chosen"]]


def test_scores_are_those_of_every_pixel(
    found: list[StartScores], segmenter: Segmenter, dataset: Dataset
) -> None:
    for one in (found[1], found[7]):
        how = (segmenter, PLAIN, one.frozen)
        f = sampled(how, batches_of(dataset, range(5), size=SIZE), -(-8192 // 5), 5)
        made = ended(f, begin(f, len(NAMES), one.start, 2, 5), one.start)
        assert one.losses == pytest.approx([loss(f, c) for c in made])
        for place, c in enumerate(made):
            counts = Confusion(len(NAMES))
            for batch in batches_of(dataset, range(5), size=SIZE):
                features = features_of(segmenter, batch.inputs, frozen=one.frozen)
                products = (features @ c.T).permute(0, 3, 1, 2)
                counts.update(batch.labels, largest(products, (SIZE, SIZE)))
            expected = scores(counts, NAMES, match(counts))
            assert one.scores[place].record() == expected.record()
            if place == one.chosen:
                assert one.images.confusion().tolist() == expected.confusion.tolist()


def test_the_best_of_frozen_features_does_not_depend_on_the_trained_stream(
    found: list[StartScores], dataset: Dataset
) -> None:
    other = small_segmenter()
    with torch.no_grad():
        for parameter in other.head.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    (again,) = from_many_starts(
        other, dataset, dataset, count=2, size=SIZE, seed=5, starts=["spread"], features=["frozen"]
    )
    (before,) = (one for one in found if one.name == "spread_frozen")
    assert again.record() == before.record()


def test_settling_lowers_the_probes_loss_until_its_gradient_is_gone() -> None:
    f = patches()
    begun = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0))
    ended = settle(f, begun)
    for start, end in zip(F.normalize(begun, dim=2), ended, strict=True):
        assert loss(f, end) < loss(f, start)
        probe = ClusterProbe(8, 4)
        with torch.no_grad():
            probe.clusters.copy_(end)
        value = probe.loss(f.view(1, 1, *f.shape))
        value.backward()
        assert float(value.detach()) == pytest.approx(loss(f, end))
        assert probe.clusters.grad is not None
        assert probe.clusters.grad.norm() < 1e-6


def test_each_start_settles_as_it_would_alone() -> None:
    f = patches()
    begun = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0))
    together = settle(f, begun)
    alone = torch.cat([settle(f, one.unsqueeze(0)) for one in begun])
    assert torch.allclose(together, alone, atol=1e-6)


def test_a_centroid_that_nothing_is_near_to_stays() -> None:
    f = F.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.2], [1.0, 0.0]]), dim=1)
    begun = torch.tensor([[[1.0, 0.1], [-2.0, 0.0]]])
    ended = settle(f, begun)
    assert ended[0, 1].tolist() == [-1, 0]


def test_linkage_is_the_merged_start_itself() -> None:
    f = patches()
    begun = begin(f, 4, "linkage", 2, 9)
    made = ended(f, begun, "linkage")
    assert torch.allclose(made[0], merged_start(f, 4, 9))
    # From there a probe only gets a better loss.
    settled = ended(f, begun, "merged")
    assert loss(f, settled[0]) <= loss(f, made[0]) + 1e-7


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"count": 0}, "count must be"),
        ({"count": 101}, "count must be"),
        ({"starts": ["best"]}, "start must be one of noise, spread"),
        ({"features": ["both"]}, "features must be trained or frozen"),
    ],
)
def test_what_cannot_be(
    segmenter: Segmenter, dataset: Dataset, wrong: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        from_many_starts(segmenter, dataset, dataset, size=SIZE, **wrong)  # type: ignore[arg-type]


def test_it_can_be_stopped_and_tells_how_far_it_is(segmenter: Segmenter, dataset: Dataset) -> None:
    told: list[tuple[str, float]] = []
    with pytest.raises(EvaluationStoppedError):
        from_many_starts(
            segmenter,
            dataset,
            dataset,
            count=1,
            size=SIZE,
            progress=lambda said, share: told.append((said, share)),
            stopped=lambda: len(told) >= 3,
        )
    assert len(told) == 3
    assert all(0 <= share <= 1 for _, share in told)
