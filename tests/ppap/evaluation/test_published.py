"""Bytes for the CRF and PASS's matching, beside what the published codes' own libraries do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ppap.data import samples_dataset
from ppap.evaluation.crf import CrfInput
from ppap.evaluation.distance import bank_of
from ppap.evaluation.metrics import Confusion, scores
from ppap.evaluation.published import AsPublished, absent_as_0, bilinear, cut_off, floored, on_grid


def every_byte() -> np.ndarray:
    return np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)


def test_bytes_are_those_of_torchvision() -> None:
    from torchvision.transforms import functional as tv  # type: ignore[import-untyped]

    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    there = tv.normalize(tv.to_tensor(every_byte()), mean, std)
    for channel, m, s in zip(there, mean, std, strict=True):
        channel.mul_(s).add_(m)
    assert np.array_equal(cut_off(every_byte()), np.array(tv.to_pil_image(there)))


def test_some_bytes_of_a_photo_are_one_lower() -> None:
    rgb = samples_dataset().load(0).photo.rgb
    lower = rgb.astype(int) - cut_off(rgb)
    assert set(np.unique(lower)) == {0, 1}
    assert 0.05 < lower.mean() < 0.25  # 11 to 19 % were found elsewhere


def test_a_refiner_is_given_those_bytes_and_nothing_else_is_changed() -> None:
    class Remembers:
        name = "crf"

        def map(self, inputs):  # type: ignore[no-untyped-def]
            self.seen = list(inputs)
            yield from (given.log_probabilities for given in self.seen)

    refiner, logs = Remembers(), torch.zeros(2, 1, 256)
    published = AsPublished(refiner)
    assert published.name == "crf"
    (found,) = published.map([CrfInput(every_byte(), logs)])
    assert found is logs
    assert np.array_equal(refiner.seen[0].rgb, cut_off(every_byte()))


def test_images_are_resized_as_torchvision_does() -> None:
    from torchvision.transforms import Resize

    rgb = samples_dataset().load(0).photo.rgb[:300, :400]
    there = np.array(Resize(256)(Image.fromarray(rgb)))
    assert np.array_equal(bilinear(rgb, *there.shape[:2]), there)


def test_places_are_rounded_down() -> None:
    ids = torch.arange(5).view(1, 1, 5)
    assert floored(ids, 1, 8).tolist() == [[[0, 0, 1, 1, 2, 3, 3, 4]]]
    assert floored(ids, 1, 2).tolist() == [[[0, 2]]]
    large = torch.tensor([[[2**40 + 1, 7]]])
    assert floored(large, 2, 4).tolist() == [[[2**40 + 1] * 2 + [7] * 2] * 2]


def test_a_bank_on_the_grid_is_the_mean_over_its_positions() -> None:
    chance = torch.Generator().manual_seed(0)
    features = torch.randn(1, 6, 2, 3, generator=chance)
    labels = torch.zeros(1, 40, 60, dtype=torch.int64)
    labels[0, :20] = 2
    labels[0, 1, 1] = 3  # no position has its upper left corner there
    bank = bank_of(features, on_grid(labels, 2, 3))
    assert bank.classes.tolist() == [0, 2]
    fine = F.interpolate(features, scale_factor=4, mode="bilinear")
    seen = F.interpolate(labels[None].float(), (8, 12))[0]
    for vector, kind in zip(bank.vectors, (0, 2), strict=True):
        mean = (fine * (seen == kind)).mean(dim=(2, 3))
        torch.testing.assert_close(vector, F.normalize(mean, dim=1)[0])
    assert bank_of(features, labels).classes.tolist() == [0, 2, 3]


def test_an_absent_class_counts_as_0() -> None:
    confusion = Confusion(3)
    confusion.update(torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 1, 1, 0]]]))
    ours = scores(confusion, ("a", "b", "c"))
    assert ours.miou == pytest.approx(100 * (1 / 2 + 2 / 3) / 2)
    assert absent_as_0(ours).miou == pytest.approx(100 * (1 / 2 + 2 / 3) / 3)
    assert absent_as_0(ours).iou == ours.iou or np.isnan(ours.iou["c"])
