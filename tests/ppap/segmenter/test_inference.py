"""Looks at an image: where every patch of each look lies."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ppap.segmenter.inference import PLAIN, Inference, check_fits, in_words, look
from ppap.settings import SettingError
from tests.support.small_segmenters import small_segmenter

PATCH = 16


def mean_colours(images: Tensor) -> Tensor:
    """A network whose feature of a patch is its mean colour: it says where it looked."""
    patches = torch.nn.functional.avg_pool2d(images, PATCH)
    return patches.permute(0, 2, 3, 1)


def pictures(height: int = 64, width: int = 96) -> Tensor:
    """Two images whose red and green are the places of pixels, from 0 to 1."""
    down = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, width)
    across = ((torch.arange(width) + 0.5) / width)[None].expand(height, width)
    one = torch.stack([down, across, torch.zeros(height, width)])
    return torch.stack([one, 1 - one])


def test_one_look_is_the_network_itself() -> None:
    segmenter, images = small_segmenter(), torch.rand(2, 3, 64, 48)
    found = look(segmenter.features, images, PLAIN, patch=PATCH)
    assert torch.equal(found, segmenter.features(images))


def test_a_mirror_is_turned_back_and_averaged() -> None:
    segmenter, images = small_segmenter(), torch.rand(2, 3, 64, 48)
    found = look(segmenter.features, images, Inference(mirror=True), patch=PATCH)
    turned = segmenter.features(images.flip(3)).flip(2)
    assert torch.allclose(found, (segmenter.features(images) + turned) / 2)
    again = look(segmenter.features, images.flip(3), Inference(mirror=True), patch=PATCH)
    assert torch.allclose(again.flip(2), found, atol=1e-6)


@pytest.mark.parametrize("shifts", [2, 4])
def test_shifted_looks_make_a_finer_grid_with_every_patch_in_its_place(shifts: int) -> None:
    images = pictures()
    found = look(mean_colours, images, Inference(shifts=shifts), patch=PATCH)
    assert found.shape == (2, 4 * shifts, 6 * shifts, 3)
    rows = (torch.arange(4 * shifts) + 0.5) / (4 * shifts)
    columns = (torch.arange(6 * shifts) + 0.5) / (6 * shifts)
    inner = slice(shifts // 2, -(shifts // 2))  # beyond, patches reach over the border
    assert torch.allclose(found[0, inner, 0, 0], rows[inner], atol=1e-6)
    assert torch.allclose(found[0, 0, inner, 1], columns[inner], atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 1.5, 2.0])
def test_every_scale_comes_back_to_the_same_places(scale: float) -> None:
    found = look(mean_colours, pictures(), Inference(scales=(scale,)), patch=PATCH)
    plain = mean_colours(pictures())
    assert found.shape == plain.shape
    assert (found - plain)[:, 1:-1, 1:-1].abs().max() < 0.01


def test_scales_are_averaged() -> None:
    one, two = (
        look(mean_colours, torch.rand(1, 3, 64, 64).fill_(0.3), Inference(scales=s), patch=PATCH)
        for s in ((1.0, 2.0), (1.0,))
    )
    assert torch.allclose(one, two, atol=1e-5)
    images = torch.rand(1, 3, 64, 64)
    both, first, second = (
        look(mean_colours, images, Inference(scales=s), patch=PATCH)
        for s in ((1.0, 2.0), (1.0,), (2.0,))
    )
    assert torch.allclose(both, (first + second) / 2, atol=1e-6)


def test_windows_cover_the_image_and_agree_where_features_are_local() -> None:
    images = torch.rand(2, 3, 96, 160)
    seen: list[tuple[int, int]] = []

    def noted(part: Tensor) -> Tensor:
        seen.append((part.shape[2], part.shape[3]))
        return mean_colours(part)

    found = look(noted, images, Inference(window=64), patch=PATCH)
    assert torch.allclose(found, mean_colours(images), atol=1e-6)
    assert set(seen) == {(64, 64)}
    assert len(seen) == 2 * 4
    look(noted, torch.rand(1, 3, 64, 48), Inference(window=64), patch=PATCH)
    assert seen[-1] == (64, 48)


def test_a_record_says_what_was_on_and_comes_back() -> None:
    assert PLAIN.record() == {}
    assert PLAIN.plain
    assert in_words({}) == ""
    made = Inference(mirror=True, scales=(0.75, 1), window=320, shifts=2)
    assert made.record() == {"mirror": True, "scales": [0.75, 1.0], "window": 320, "shifts": 2}
    assert Inference.of(made.record()) == made
    assert made.looks == 2 * 2 * 4
    looks, windows = "mean of image and mirror; scales 0.75, 1", "sliding windows of 320 px"
    assert in_words(made.record()) == f"{looks}; {windows}; 2 × 2 shifts"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mirror", "yes"),
        ("scales", ()),
        ("scales", (0.0,)),
        ("scales", (float("nan"),)),
        ("scales", (1.0,) * 9),
        ("scales", ("1",)),
        ("window", -16),
        ("window", 2.0),
        ("shifts", 0),
        ("shifts", True),
    ],
)
def test_what_cannot_be_is_refused_with_its_field_and_range(field: str, value: Any) -> None:
    with pytest.raises(SettingError, match=field) as caught:
        Inference(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("record", [None, [], {"mirrors": True}, {"scales": 1}, {"shifts": "2"}])
def test_a_record_that_somebody_edited_is_refused(record: Any) -> None:
    with pytest.raises(SettingError):
        Inference.of(record)


def test_shifts_move_by_whole_pixels_and_windows_hold_whole_patches() -> None:
    for shifts, patch in ((2, 16), (8, 16), (2, 8), (4, 8), (7, 14), (3, 12)):
        check_fits(Inference(shifts=shifts), patch)
    for shifts, patch in ((2, 14), (3, 16), (8, 8)):
        with pytest.raises(SettingError, match="one of 1"):
            check_fits(Inference(shifts=shifts), patch)
    with pytest.raises(SettingError, match="multiple of the patch size, 16"):
        check_fits(Inference(window=100), 16)
