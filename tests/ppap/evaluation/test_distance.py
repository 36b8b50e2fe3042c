"""Distance matching against a case worked by hand and a second computation in plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ppap.evaluation import distance
from ppap.evaluation.distance import Bank, bank_of, classify, join, to_image_size, vote

quick = settings(max_examples=25, deadline=None, derandomize=True)


def constant(*vectors: tuple[float, ...]) -> Tensor:
    """Images of a single patch each: ``(B, D, 1, 1)``."""
    return torch.tensor(vectors)[:, :, None, None]


def test_a_bank_by_hand() -> None:
    # Two patches side by side. Bilinear ×4 makes the columns 1, 1, 7/8, 5/8, 3/8, 1/8, 0, 0 of the
    # first vector and the rest of the second.
    features = torch.tensor([[4.0, 0.0], [0.0, 8.0]]).view(1, 2, 1, 2)
    labels = torch.tensor([[5, 5, 5, 0, 0, -1, -1, -1]]).expand(4, 8).unsqueeze(0)
    bank = bank_of(features, labels)
    assert bank.classes.tolist() == [0, 5]
    shares = {5: (1 + 1 + 7 / 8) / 3, 0: (5 / 8 + 3 / 8) / 2}
    for vector, class_id in zip(bank.vectors, (0, 5), strict=True):
        mean = torch.tensor([4 * shares[class_id], 8 * (1 - shares[class_id])])
        torch.testing.assert_close(vector, mean / mean.norm())


def test_votes_by_hand() -> None:
    similarity = torch.tensor([[0.9, 0.8, 0.8], [0.9, 0.8, 0.5]])
    ids = torch.tensor([[2, 1, 1], [2, 1, 1]])
    # 2·exp(0.8 / T) beats exp(0.9 / T) while T is above 0.1 / ln 2 = 0.144.
    assert vote(similarity, ids, 3, 0.15).tolist() == [1, 2]
    assert vote(similarity, ids, 3, 0.07).tolist() == [2, 2]
    assert vote(similarity, ids, 3, 1e-4).tolist() == [2, 2], "small temperatures do not overflow"
    tie = torch.tensor([[0.5, 0.5]])
    assert vote(tie, torch.tensor([[3, 1]]), 4, 0.07).tolist() == [1]


def test_positions_by_hand() -> None:
    bank = Bank(torch.eye(3), torch.tensor([0, 7, 4]))
    features = constant((0.1, 3.0, 0.2), (0.0, 0.0, 0.5), (2.0, 1.9, 0.0))
    found = classify(features, bank, classes=8)
    assert found.shape == (3, 4, 4)
    assert found.dtype == torch.int64
    assert [image.unique().tolist() for image in found] == [[7], [4], [0]]


def test_only_k_vectors_vote() -> None:
    vectors = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.1]]))
    bank, features = Bank(vectors, torch.tensor([2, 1, 1])), constant((1.0, 0.0))
    assert classify(features, bank, classes=3, k=1).unique().tolist() == [2]
    assert classify(features, bank, classes=3, k=3).unique().tolist() == [1]
    assert classify(features, bank, classes=3, k=10).unique().tolist() == [1]


def test_other_is_kept_and_ignored_pixels_are_not() -> None:
    labels = torch.tensor([[0, 0, 1000, 3]]).repeat(4, 1).unsqueeze(0)
    bank = bank_of(torch.rand(1, 5, 1, 1), labels, void=1000)
    assert bank.classes.tolist() == [0, 3]
    small = torch.tensor([[0, 255, 255, 3]], dtype=torch.uint8).repeat(4, 1).unsqueeze(0)
    assert bank_of(torch.rand(1, 5, 1, 1), small).classes.tolist() == [0, 3, 255]
    assert bank_of(torch.rand(1, 5, 1, 1), small, void=255).classes.tolist() == [0, 3]


def test_fine_label_maps_weigh_positions_and_coarse_ones_are_enlarged() -> None:
    features = torch.rand(1, 3, 2, 2)
    coarse = torch.tensor([[[0, 1], [1, 2]]])
    enlarged = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    finer = enlarged.repeat_interleave(3, 1).repeat_interleave(5, 2)
    expected = bank_of(features, enlarged)
    for labels in (coarse, finer):
        found = bank_of(features, labels)
        torch.testing.assert_close(found.vectors, expected.vectors)
        assert torch.equal(found.classes, expected.classes)
    # A single pixel among thousands still gives its class a vector: its position's feature.
    speck = torch.zeros(1, 160, 160, dtype=torch.int64)
    speck[0, 159, 1] = 9
    found = bank_of(features, speck)
    assert found.classes.tolist() == [0, 9]
    corner = features[0, :, 1, 0]
    torch.testing.assert_close(found.vectors[1], corner / corner.norm())


def bilinear(features: np.ndarray) -> np.ndarray:
    """``(D, h, w)`` → ``(D, 4h, 4w)``, from the definition."""

    def weights(count: int) -> np.ndarray:
        made = np.zeros((4 * count, count))
        for i in range(4 * count):
            at = min(max((i + 0.5) / 4 - 0.5, 0), count - 1)
            low = min(int(at), count - 1)
            made[i, low] += 1 - (at - low)
            made[i, min(low + 1, count - 1)] += at - low
        return made

    return np.einsum(
        "ih,dhw,jw->dij", weights(features.shape[1]), features, weights(features.shape[2])
    )


def naive_bank(features: np.ndarray, labels: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """One vector for every class of every image; labels of the positions' size."""
    found = []
    for one, label in zip(features, labels, strict=True):
        fine = bilinear(one)
        for class_id in sorted(set(label.flatten().tolist()) - {-1}):
            mean = fine[:, label == class_id].mean(axis=1)
            found.append((class_id, mean / np.linalg.norm(mean)))
    return found


def naive_votes(
    vector: np.ndarray, bank: list[tuple[int, np.ndarray]], k: int, temperature: float
) -> dict[int, float]:
    """The weight each class gets at one position."""
    vector = vector / np.linalg.norm(vector)
    ranked = sorted(((float(vector @ v), c) for c, v in bank), reverse=True)[:k]
    votes: dict[int, float] = {}
    for similarity, class_id in ranked:
        votes[class_id] = votes.get(class_id, 0) + math.exp(similarity / temperature)
    return votes


@quick
@given(st.integers(0, 9999), st.integers(1, 12), st.integers(2, 3), st.integers(2, 3))
def test_as_plain_loops_compute(seed: int, k: int, height: int, width: int) -> None:
    # Two patches a side at least: in an image of one, all classes have the same vector, and which
    # of equals is among the k nearest is open.
    g = torch.Generator().manual_seed(seed)
    train = torch.randn(3, 6, height, width, generator=g)
    labels = torch.randint(-1, 5, (3, 4 * height, 4 * width), generator=g)
    test = torch.randn(2, 6, height, width, generator=g)
    naive = naive_bank(train.double().numpy(), labels.numpy())
    bank = join([bank_of(train[:1], labels[:1]), bank_of(train[1:], labels[1:])])
    assert bank.classes.tolist() == [class_id for class_id, _ in naive]
    expected = torch.from_numpy(np.array([vector for _, vector in naive])).float()
    torch.testing.assert_close(bank.vectors, expected, rtol=1e-4, atol=1e-5)
    found = classify(test, bank, classes=5, k=k)
    for image in range(2):
        fine = bilinear(test[image].double().numpy())
        for row in range(4 * height):
            for column in range(4 * width):
                votes = naive_votes(fine[:, row, column], naive, k, 0.07)
                won = votes.get(int(found[image, row, column]), 0.0)
                assert won >= max(votes.values()) * (1 - 1e-4)


def test_blocks_change_nothing_and_919_classes_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(3000, 16, generator=g), dim=1)
    bank = Bank(vectors, torch.randint(920, (3000,), generator=g))
    features = torch.randn(2, 16, 3, 4, generator=g)
    whole = classify(features, bank, classes=920)
    sizes = []
    plain = distance.vote

    def watched(similarity: Tensor, *others: Any) -> Tensor:
        sizes.append(len(similarity))
        return plain(similarity, *others)

    monkeypatch.setattr(distance, "vote", watched)
    monkeypatch.setattr(distance, "BLOCK_BYTES", 4 * 3920 * 7)
    assert torch.equal(classify(features, bank, classes=920), whole)
    assert max(sizes) == 7
    assert whole.unique().numel() > 20


def test_images_without_a_class_add_nothing_to_the_bank() -> None:
    features, void = torch.rand(2, 3, 1, 1), torch.full((2, 4, 4), -1)
    empty = bank_of(features, void)
    assert len(empty) == 0
    one = bank_of(features[:1], torch.ones(1, 4, 4, dtype=torch.int64))
    assert len(join([empty, one, empty])) == 1
    with pytest.raises(ValueError, match="the bank is empty"):
        join([empty])


def test_every_pixel_takes_the_nearest_position() -> None:
    found = torch.tensor([[[0, 919], [300, 4]]])
    large = to_image_size(found, 3, 5)
    # The middles of three rows lie at 1/6, 1/2 and 5/6, of five columns at 1/10 to 9/10.
    assert large.tolist() == [[[0, 0, 919, 919, 919], [300, 300, 4, 4, 4], [300, 300, 4, 4, 4]]]
    assert large.dtype == torch.int64
    assert torch.equal(to_image_size(large, 3, 5), large)


MAPS, LABELS = torch.ones(2, 3, 1, 1), torch.zeros(2, 4, 4, dtype=torch.int64)
BANK = Bank(torch.eye(3), torch.arange(3))


@pytest.mark.parametrize(
    ("features", "labels", "error", "sentence"),
    [
        (MAPS.long(), LABELS, TypeError, "features must be a floating-point tensor"),
        (MAPS[0], LABELS, ValueError, r"\(B, D, h, w\), none of them 0, not \(3, 1, 1\)"),
        (MAPS[:0], LABELS[:0], ValueError, "none of them 0"),
        (MAPS / 0, LABELS, ValueError, "features hold NaN or infinity"),
        (MAPS, LABELS.float(), TypeError, "labels must be a tensor of whole numbers"),
        (MAPS, LABELS[:1], ValueError, r"\(B, H, W\) with B = 2, not \(1, 4, 4\)"),
        (MAPS, LABELS[:, 0], ValueError, r"\(B, H, W\) with B = 2, not \(2, 4\)"),
        (MAPS, LABELS - 2, ValueError, "labels hold -2, which is neither a class nor void"),
    ],
)
def test_errors_of_the_bank(
    features: Any, labels: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        bank_of(features, labels)


@pytest.mark.parametrize(
    ("bank", "changed", "sentence"),
    [
        (BANK, {"classes": 2}, "the bank holds 2: it must be from 0 to 1"),
        (BANK, {"k": 0}, "k must be a whole number, 1 or more"),
        (BANK, {"temperature": 0.0}, "temperature must be above 0, not 0.0"),
        (Bank(torch.eye(4), torch.arange(4)), {"classes": 4}, "3 channels, bank of 4"),
        (Bank(torch.empty(0, 3), torch.arange(0)), {}, "bank vectors are empty"),
    ],
)
def test_errors_of_classify(bank: Bank, changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        classify(MAPS, bank, **{"classes": 3, **changed})


def test_other_errors() -> None:
    with pytest.raises(ValueError, match=r"vectors of \[3, 4\] channels"):
        join([BANK, Bank(torch.eye(4), torch.arange(4))])
    with pytest.raises(ValueError, match="classes must have the shape"):
        to_image_size(LABELS[0], 8, 8)
    with pytest.raises(ValueError, match="height must be a whole number, 1 or more"):
        to_image_size(LABELS, 0, 8)
