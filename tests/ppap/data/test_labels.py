"""Label files, ids and patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ppap.data import VOID, LabelError, patch_labels, read_labels
from ppap.data.labels import label_table, spans, to_class_ids


@pytest.fixture
def png(tmp_path: Path) -> Path:
    return tmp_path / "ids.png"


# Patches.


def test_majority_by_hand() -> None:
    labels = np.array(
        [
            [0, 0, 1, 2],
            [0, 5, 2, 1],
            [VOID, VOID, VOID, VOID],
            [VOID, 3, 4, 4],
        ]
    )
    # A tie goes to the lower id; three void pixels of four are void, two of four are not.
    assert patch_labels(labels, 2, 2).tolist() == [[0, 1], [VOID, 4]]
    assert patch_labels(labels, 2, 2).dtype == np.int64


def test_other_void_and_types() -> None:
    labels = np.array([[255, 255, 7, 255]], np.uint8)
    assert patch_labels(labels, 1, 2, void=255).tolist() == [[255, 7]]
    assert patch_labels(labels, 1, 2).tolist() == [[255, 7]]  # there 255 is a class like others
    assert patch_labels(np.full((2, 2), VOID), 1, 1).tolist() == [[VOID]]
    assert patch_labels(np.full((2, 2), 918), 2, 2).tolist() == [[918, 918], [918, 918]]


def test_uneven_division() -> None:
    # Five rows in two patches: ⌊y · 2 / 5⌋ = 0 0 0 1 1.
    labels = np.array([[1], [2], [2], [3], [3]])
    assert patch_labels(labels, 2, 1).tolist() == [[2], [3]]


@given(
    data=st.data(),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    height=st.integers(5, 16),
    width=st.integers(5, 16),
)
def test_against_a_slow_count(
    data: st.DataObject, rows: int, columns: int, height: int, width: int
) -> None:
    flat = data.draw(st.lists(st.integers(-1, 3), min_size=height * width, max_size=height * width))
    labels = np.array(flat).reshape(height, width)
    result = patch_labels(labels, rows, columns)
    for r in range(rows):
        for c in range(columns):
            ys = [y for y in range(height) if y * rows // height == r]
            xs = [x for x in range(width) if x * columns // width == c]
            pixels = [int(labels[y, x]) for y in ys for x in xs]
            classed = [p for p in pixels if p != VOID]
            if 2 * (len(pixels) - len(classed)) > len(pixels):
                assert result[r, c] == VOID
            else:
                assert result[r, c] == max(set(classed), key=lambda k: (classed.count(k), -k))


def test_patches_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="4×3 pixels cannot be cut into 5×3 patches"):
        patch_labels(np.zeros((3, 4), int), 3, 5)
    with pytest.raises(ValueError, match="cannot be cut into 0×1"):
        patch_labels(np.zeros((3, 4), int), 1, 0)
    with pytest.raises(ValueError, match=r"expected a label map \(H, W\)"):
        patch_labels(np.zeros((3, 4, 1), int), 1, 1)


# Files.


def test_one_channel(png: Path) -> None:
    ids = np.array([[0, 181], [255, 7]], np.uint8)
    Image.fromarray(ids).save(png)
    assert read_labels(png).tolist() == ids.tolist()


def test_palette_gives_indices(png: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200])
    image.putdata([2, 0, 1])
    image.save(png)
    assert read_labels(png).tolist() == [[2, 0, 1]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits(tmp_path: Path, kind: str) -> None:
    ids = np.array([[0, 300, 65535]], np.uint16)
    Image.fromarray(ids).save(tmp_path / "a", kind)
    assert read_labels(tmp_path / "a").tolist() == ids.tolist()


def test_one_bit(png: Path) -> None:
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(png)
    assert read_labels(png).tolist() == [[0, 1]]
    assert read_labels(png).dtype == np.uint8


def test_two_channels(png: Path) -> None:
    Image.fromarray(np.array([[[5, 0, 0], [150, 3, 0], [232, 3, 0]]], np.uint8)).save(png)
    assert read_labels(png, two_channel=True).tolist() == [[5, 918, 1000]]
    with pytest.raises(LabelError, match=r"ids\.png contains colours, not class ids: #050000, #9"):
        read_labels(png)
    Image.new("L", (1, 1)).save(png)
    with pytest.raises(LabelError, match=r"must be RGB \(id = R \+ 256·G\)"):
        read_labels(png, two_channel=True)


def test_refused_files(tmp_path: Path) -> None:
    lossy = tmp_path / "ids.jpg"
    Image.new("L", (8, 8)).save(lossy)
    with pytest.raises(LabelError, match=r"/ids\.jpg is a JPEG, which does not preserve class ids"):
        read_labels(lossy)
    with pytest.raises(LabelError, match=r"/none\.png does not exist"):
        read_labels(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("0 0 0")
    with pytest.raises(LabelError, match=r"/text\.png is not an image"):
        read_labels(tmp_path / "text.png")
    Image.new("CMYK", (1, 1)).save(tmp_path / "cmyk.tif")
    with pytest.raises(LabelError, match="mode CMYK"):
        read_labels(tmp_path / "cmyk.tif")


# Stored numbers → class ids.


def test_table() -> None:
    table = label_table({0: 3, 1: 0, 255: VOID})
    stored = np.array([[0, 1, 255]], np.uint8)
    ids = to_class_ids(stored, table, Path("a.png"))
    assert ids.tolist() == [[3, 0, VOID]]
    assert ids.dtype == np.int64


@pytest.mark.parametrize("strange", [2, 254, 256, 70_000, -1])
def test_unknown_numbers_are_named(strange: int) -> None:
    table = label_table({0: 0, 1: 1, 255: VOID})
    with pytest.raises(LabelError, match=rf"^a\.png contains {strange}, .* must be 0 to 1, 255$"):
        to_class_ids(np.array([[0, strange]]), table, Path("a.png"))


def test_spans() -> None:
    assert spans([]) == ""
    assert spans([0, 1, 2, 7, 9, 10]) == "0 to 2, 7, 9 to 10"
    assert spans(list(range(0, 40, 2))) == "0, 2, 4, 6, 8, 10 and more"


def test_real_maps(shared_data: Path) -> None:
    ids = read_labels(shared_data / "camvid/trainannot/0001TP_006690.png")
    assert ids.shape == (360, 480)
    assert ids.max() <= 11
    folder = shared_data / "cityscapes/gtFine/train/aachen"
    instances = read_labels(folder / "aachen_000000_000019_gtFine_instanceIds.png")
    labels = read_labels(folder / "aachen_000000_000019_gtFine_labelIds.png")
    # Cityscapes' instance files hold 1000 · id + number: a check of 16 bits on real data.
    assert instances.max() > 255
    assert np.array_equal(np.where(instances >= 1000, instances // 1000, instances), labels)
