"""Label maps, overlays and the ZIP, read back by others."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from ppap.data import VOID_COLOUR, ClassList, open_dataset
from ppap.output.coco_json import decode_mask
from ppap.output.label_files import (
    Segmented,
    edges,
    file_stems,
    indexed_png,
    merged_names,
    overlaid,
    write_zip,
)

COLOURS = ((10, 20, 30), (200, 100, 0), (0, 250, 90))
CLASSES = ClassList(("sky", "road", "tree"), COLOURS)


@settings(deadline=None)
@given(
    arrays(np.int64, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-1, 3))
)
def test_a_label_map_survives_with_its_colours(ids: np.ndarray) -> None:
    image = Image.open(io.BytesIO(indexed_png(ids, COLOURS)))
    assert (image.format, image.mode) == ("PNG", "P")
    known = (ids >= 0) & (ids < 3)
    assert np.array_equal(np.array(image), np.where(known, ids, 255))
    painted = np.array(image.convert("RGB"))
    wanted = np.array([*COLOURS, VOID_COLOUR], np.uint8)[np.where(known, ids, 3)]
    assert np.array_equal(painted, wanted)


def test_too_many_classes() -> None:
    indexed_png(np.zeros((1, 1), np.int64), [(0, 0, 0)] * 255)
    with pytest.raises(ValueError, match="at most 255 classes, not 256"):
        indexed_png(np.zeros((1, 1), np.int64), [(0, 0, 0)] * 256)


def test_an_overlay_by_hand() -> None:
    rgb = np.full((1, 3, 3), 100, np.uint8)
    ids = np.array([[1, -1, 2]])
    found = overlaid(rgb, ids, COLOURS, 0.25)
    assert found[0, 0].tolist() == [125, 100, 75]  # 100 + ¼ · (200 − 100), …
    assert found[0, 1].tolist() == [100, 100, 100]
    assert np.array_equal(overlaid(rgb, ids, COLOURS, 0), rgb)
    assert overlaid(rgb, ids, COLOURS, 1)[0, 2].tolist() == [0, 250, 90]
    assert rgb.tolist() == [[[100] * 3] * 3]  # the picture given stays


def test_outlines_are_where_classes_meet() -> None:
    ids = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    assert edges(ids).astype(int).tolist() == [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    shown = overlaid(np.zeros((3, 3, 3), np.uint8), ids, COLOURS, 0.5, outline=True)
    assert (shown[edges(ids)] == 255).all()
    assert (shown[~edges(ids)] < 255).all()


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan"), True])
def test_an_opacity_outside_its_range(opacity: float) -> None:
    with pytest.raises(ValueError, match="opacity must be a share"):
        overlaid(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), int), COLOURS, opacity)


def test_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match="must fit"):
        overlaid(np.zeros((2, 1, 3), np.uint8), np.zeros((1, 2), int), COLOURS)


def test_equal_names_are_one_class() -> None:
    assert merged_names(["a", "b", "a", "c", "b"]).tolist() == [0, 1, 0, 3, 1]


def test_file_names() -> None:
    given_names = [
        "a.jpg",
        "a.png",
        "A.gif",
        "../../etc/passwd",
        r"C:\x\y.z.png",
        "\u202e<b>",
        ".png",
        "",
    ]
    found = file_stems(given_names)
    assert found[:5] == ["a", "a (2)", "A (3)", "passwd", "y.z"]
    assert found[5] == "__b_"
    assert found[7] == "image"
    for stem in found:
        assert stem
        assert not set(stem) & set('/\\<>:"|?*')


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=6))
def test_file_names_always_differ(names: list[str]) -> None:
    found = [stem.casefold() for stem in file_stems(names)]
    assert len(set(found)) == len(names)
    assert all(stem and "/" not in stem and stem not in (".", "..") for stem in found)


def pictures() -> list[Segmented]:
    draw = np.random.default_rng(0)
    return [
        Segmented(name, draw.integers(0, 256, (*size, 3), np.uint8), draw.integers(-1, 3, size))
        for name, size in (("one.jpg", (6, 9)), ("one.png", (5, 4)))
    ]


def test_a_zip_holds_everything_and_is_a_data_set(tmp_path: Path) -> None:
    told: list[int] = []
    out = io.BytesIO()
    given_pictures = pictures()
    write_zip(
        out,
        iter(given_pictures),
        CLASSES,
        names=[one.name for one in given_pictures],
        opacity=0.3,
        progress=told.append,
    )
    assert told == [1, 2]
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    assert (tmp_path / "classes.txt").read_text() == "sky\nroad\ntree\n"
    document = json.loads((tmp_path / "annotations.json").read_text())
    assert [image["file_name"] for image in document["images"]] == ["one.jpg", "one.png"]
    (tmp_path / "images").mkdir()
    for stem, one in zip(("one", "one (2)"), given_pictures, strict=True):
        overlay = np.array(Image.open(tmp_path / f"overlays/{stem}.png"))
        assert np.array_equal(overlay, overlaid(one.rgb, one.ids, COLOURS, 0.3))
        Image.fromarray(one.rgb).save(tmp_path / f"images/{stem}.png")
    dataset = open_dataset(tmp_path, kind="folder", split="all")
    stems = {"one": 0, "one (2)": 1}
    read = {dataset.items[i].name: dataset.load(i) for i in range(len(dataset))}
    assert dataset.classes == CLASSES.names
    assert len(read) == 2
    for name, example in read.items():
        place = stems[name]
        assert example.labels is not None
        assert np.array_equal(example.labels, given_pictures[place].ids)
        again = np.full(example.labels.shape, -1)
        for annotation in document["annotations"]:
            if annotation["image_id"] == place + 1:
                again[decode_mask(annotation["segmentation"])] = annotation["category_id"]
        assert np.array_equal(again, given_pictures[place].ids)


def test_names_with_line_breaks_stay_one_line() -> None:
    out = io.BytesIO()
    classes = ClassList(("a\nb", "c", "d"), COLOURS)
    write_zip(out, pictures(), classes, names=["one.jpg", "two.jpg"])
    with zipfile.ZipFile(out) as archive:
        assert archive.read("classes.txt").decode() == "a b\nc\nd\n"
