"""Features of any network, as arrays or in an NPZ, as a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ppap.backbones import BackboneInfo, Grid
from ppap.batches import BatchError
from ppap.data import DataError
from ppap.own_features import arrays, files
from ppap.own_features.arrays import OwnFeatures
from ppap.own_features.batch import own_batch
from ppap.own_features.files import read_npz

INFO = BackboneInfo("npz", "Own features", "", needs_download=False)
CHANCE = np.random.default_rng(3)
FEATURES = CHANCE.standard_normal((2, 3, 4, 5)).astype(np.float32)
PICTURES = CHANCE.integers(0, 256, (2, 24, 32, 3)).astype(np.uint8)


def test_patches_keep_their_places_and_are_normalised() -> None:
    batch = own_batch(OwnFeatures(FEATURES, PICTURES), INFO)
    assert (len(batch), batch.grids, batch.patch) == (2, (Grid(3, 4),) * 2, 8)
    for image, row, column in ((0, 0, 0), (0, 2, 3), (1, 1, 2)):
        index = batch.index(image, row, column)
        wanted = FEATURES[image, row, column]
        assert np.allclose(batch.features[index], wanted / np.linalg.norm(wanted), atol=1e-6)
        assert batch.norms is not None
        assert float(batch.norms[index]) == pytest.approx(float(np.linalg.norm(wanted)))
    # Pictures that fit stay as they are.
    assert all(np.array_equal(one, two) for one, two in zip(batch.images, PICTURES, strict=True))
    assert (batch.labels, batch.pixel_labels, batch.classes, batch.notes) == (None, None, (), ())
    assert batch.names == ("image 1", "image 2")
    assert batch.backbone == INFO


@pytest.mark.parametrize(
    "given",
    [
        torch.from_numpy(FEATURES),
        torch.from_numpy(FEATURES).double().requires_grad_(),
        FEATURES.astype(np.float64),
        list(FEATURES),
        [torch.from_numpy(one) for one in FEATURES],
        np.asfortranarray(FEATURES),
    ],
)
def test_numpy_torch_and_lists(given: Any) -> None:
    batch = own_batch(OwnFeatures(given), INFO)
    wanted = F.normalize(torch.from_numpy(FEATURES).flatten(0, 2), dim=1)
    assert (batch.features - wanted).abs().max() <= 1e-6
    assert batch.features.dtype == torch.float32
    half = own_batch(OwnFeatures(torch.from_numpy(FEATURES).bfloat16()), INFO)
    assert (half.features - wanted).abs().max() < 0.01


def test_grids_may_differ() -> None:
    tall, wide = FEATURES[0], np.concatenate([FEATURES[1]] * 2, axis=1)[:2]
    pictures = [np.zeros((48, 64, 3), np.uint8), np.zeros((20, 80, 3), np.uint8)]
    batch = own_batch(OwnFeatures([tall, wide], pictures), INFO)
    assert batch.grids == (Grid(3, 4), Grid(2, 8))
    assert batch.patch == 13  # between 16 and 10
    assert [one.shape for one in batch.images] == [(39, 52, 3), (26, 104, 3)]
    assert np.allclose(
        batch.features[batch.index(1, 1, 7)], wide[1, 7] / np.linalg.norm(wide[1, 7]), atol=1e-6
    )


def test_pictures_of_any_kind() -> None:
    wanted = own_batch(OwnFeatures(FEATURES, PICTURES), INFO).images
    floats = torch.from_numpy(PICTURES).permute(0, 3, 1, 2).float() / 255
    pillow = [Image.fromarray(one) for one in PICTURES]
    for given in (floats, pillow, PICTURES / 255):
        batch = own_batch(OwnFeatures(FEATURES, given), INFO)
        assert all(np.array_equal(a, b) for a, b in zip(batch.images, wanted, strict=True))
    grey = own_batch(OwnFeatures(FEATURES, PICTURES[..., 0]), INFO)
    assert np.array_equal(grey.images[0][..., 2], PICTURES[0, ..., 0])
    for bad, said in (
        (PICTURES.astype(np.int32), "Image 1 must be uint8, or floating point"),
        (floats * 2 - 1, r"its values must lie in \[0, 1\]"),
        (np.zeros((2, 5, 5, 4), np.uint8), r"must have the shape \(H, W, 3\)"),
        (PICTURES[:1], "There are 1 images, but features for 2 images"),
    ):
        with pytest.raises(BatchError, match=said):
            own_batch(OwnFeatures(FEATURES, bad), INFO)


def test_without_pictures_the_components_stand_in() -> None:
    batch = own_batch(OwnFeatures(FEATURES), INFO)
    assert batch.images[0].shape == (48, 64, 3)
    cell = batch.images[1][16:32, 48:64].reshape(-1, 3)
    assert (cell == cell[0]).all()
    assert len(np.unique(np.concatenate([i.reshape(-1, 3) for i in batch.images]), axis=0)) > 12
    again = own_batch(OwnFeatures(FEATURES), INFO)
    assert all(np.array_equal(a, b) for a, b in zip(batch.images, again.images, strict=True))
    assert "principal components" in batch.notes[0]
    few = own_batch(OwnFeatures(FEATURES[:1, :1, :2]), INFO)
    assert (few.images[0] == 160).all()


def test_labels_of_patches_and_of_pixels() -> None:
    by_patch = np.array([[[0, 1, 2, -1]] * 3, [[2, 2, 255, 0]] * 3])
    names = ("sky", "road", "tree")
    void = np.where(by_patch == 255, -7, by_patch)
    batch = own_batch(OwnFeatures(FEATURES, PICTURES, void, names), INFO)
    assert batch.labels is not None
    assert batch.labels.tolist()[:4] == [0, 1, 2, -1]
    assert batch.labels.tolist()[12:16] == [2, 2, -1, 0]
    assert batch.pixel_labels is not None
    assert batch.pixel_labels[1][23, 31] == 0
    assert batch.pixel_labels[0].shape == (24, 32)
    assert batch.classes == names
    assert len(batch.colours) == 3
    pixels = by_patch.astype(np.uint8).repeat(16, 1).repeat(16, 2)  # −1 and 255 are both void
    pixels[0, :7, :16] = 1  # fewer than half of a patch's pixels
    large = own_batch(OwnFeatures(FEATURES, PICTURES, pixels, names), INFO)
    assert large.labels is not None
    assert torch.equal(large.labels, batch.labels)
    assert large.pixel_labels is not None
    assert large.pixel_labels[0].shape == (24, 32)
    assert large.pixel_labels[0][0, 0] == 1
    unnamed = own_batch(OwnFeatures(FEATURES, None, pixels), INFO)
    assert unnamed.classes == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (np.zeros((2, 3, 4)), (), "must be whole numbers, not float64"),
        (np.zeros((2, 2, 4), int), (), r"must have the shape \(3, 4\) of the patches"),
        (np.zeros((2, 3), int), (), "must have the shape"),
        (np.full((2, 3, 4), 2000), (), "class ids go up to 1999"),
        (np.full((2, 3, 4), 2), ("a", "b"), "The labels contain 2, but only 2 classes are named"),
        (np.zeros((2, 3, 4), int), ("a", "a"), "Two classes have the same name"),
        (np.zeros((3, 3, 4), int), (), "There are 3 labels, but features for 2 images"),
    ],
)
def test_labels_that_do_not_fit(labels: np.ndarray, classes: tuple[str, ...], said: str) -> None:
    with pytest.raises(BatchError, match=said):
        own_batch(OwnFeatures(FEATURES, None, labels, classes), INFO)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([], "at least one image"),
        (np.zeros((65, 1, 1, 3), np.float32), "a batch holds at most 64"),
        (np.zeros((1, 448, 448, 1), np.float32), "a batch holds at most 200,000"),
        (np.zeros((1, 0, 4, 3), np.float32), "The features are empty"),
        (np.zeros((2, 3, 4), np.float32), r"must have the shape \(h, w, D\), not \(3, 4\)"),
        (np.zeros((2, 3, 4, 5), np.int64), "must be floating point, not int64"),
        ([FEATURES[0], FEATURES[1][..., :4]], "different lengths D: 4, 5"),
        ([FEATURES[0], FEATURES[1] * np.nan], "features of image 2 hold NaN or infinity"),
        (np.full((1, 2, 2, 3), 3e38, np.float32), "features of image 1 contain vectors too long"),
        ([FEATURES[0], "text"], "features of image 2 must be floating point, not <U4"),
    ],
)
def test_features_that_make_no_batch(features: Any, said: str) -> None:
    with pytest.raises(BatchError, match=said):
        own_batch(OwnFeatures(features), INFO)


def test_other_proportions_are_told() -> None:
    batch = own_batch(OwnFeatures(FEATURES, np.zeros((2, 60, 32, 3), np.uint8)), INFO)
    assert "2 of 2 images differ in aspect ratio" in batch.notes[0]


def save(file: Path, **given: Any) -> Path:
    np.savez_compressed(file, **given)
    return file


def test_an_npz_gives_the_same_batch(tmp_path: Path) -> None:
    labels = np.arange(24).reshape(2, 3, 4) % 3
    file = save(
        tmp_path / "a.npz",
        features=FEATURES.astype(np.float16),
        images=PICTURES,
        labels=labels,
        classes=np.array(["sky", "<b>road</b>", "tree"]),
        names=np.array(["one\nline", "two"]),
        other=np.arange(3),
    )
    own = read_npz(file)
    batch = own_batch(own, INFO)
    wanted = own_batch(OwnFeatures(FEATURES.astype(np.float16), PICTURES, labels), INFO)
    assert torch.equal(batch.features, wanted.features)
    assert all(np.array_equal(a, b) for a, b in zip(batch.images, PICTURES, strict=True))
    assert batch.labels is not None
    assert batch.labels.tolist() == labels.reshape(-1).tolist()
    assert batch.classes == ("sky", "<b>road</b>", "tree")
    assert batch.names == (r"one\nline", "two")


def test_an_npz_of_different_grids(tmp_path: Path) -> None:
    parts = {f"features_{i}": FEATURES[0, : 1 + i % 3] for i in range(11)}
    own = read_npz(save(tmp_path / "a.npz", **parts))
    assert [len(one) for one in own.features] == [1 + i % 3 for i in range(11)]  # 10 comes after 9
    assert own.images is None
    with pytest.raises(BatchError, match="numbered from 0 without gaps"):
        read_npz(save(tmp_path / "b.npz", features_0=FEATURES[0], features_2=FEATURES[0]))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": FEATURES}, r"mine\.npz contains no array called features; it contains x"),
        ({"features": FEATURES[0]}, r"features must have the shape \(B, h, w, D\)"),
        ({"features_0": FEATURES}, r"features_0 must have the shape \(h, w, D\)"),
        ({"features": FEATURES.astype(int)}, "features must be floating point, not int64"),
        ({"features": np.zeros((1, 448, 448, 1), np.float32)}, "at most 200,000"),
        ({"features": np.zeros((2, 3, 4, 0), np.float32)}, "The features are empty"),
        (
            {"features": FEATURES, "images": np.zeros((1, 10001, 10001, 3), np.uint8)},
            "images and labels have 100,020,001 pixels",
        ),
        ({"features": FEATURES, "labels": np.zeros((200, 1, 1), int)}, "labels cover 200 images"),
        ({"features": FEATURES, "classes": np.arange(3)}, "classes must be a list of texts"),
        ({"features": FEATURES, "classes": np.array(["x" * 300_000])}, "classes are too long"),
    ],
)
def test_an_npz_that_does_not_fit(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    file = save(tmp_path / "upload-3.npz", **given)
    with pytest.raises((BatchError, DataError), match=said):
        own_batch(read_npz(file, name="mine.npz"), INFO)


def test_nothing_large_is_unpacked_to_be_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save(tmp_path / "a.npz", features=np.zeros((60, 28, 28, 600), np.float16))
    monkeypatch.setattr(arrays, "MOST_BYTES", 2**26)
    monkeypatch.setattr(files.Npz, "read", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(BatchError, match="more than 512 MB"):
        read_npz(file)
