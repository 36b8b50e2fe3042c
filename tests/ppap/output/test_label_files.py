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

from ppap.data import VOID_COLOUR, ClassList, open_dataset, palette
from ppap.output.coco_json import decode_mask
from ppap.output.label_files import (
    Segmented,
    edges,
    indexed_png,
    label_png,
    merged,
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
    with pytest.raises(ValueError, match="at most 65535 classes, not 65536"):
        label_png(np.zeros((1, 1), np.int64), [(0, 0, 0)] * 65536)


@pytest.mark.parametrize("count", [255, 256, 300, 919, 65535])
def test_many_classes_stay_apart(count: int) -> None:
    ids = np.array([[0, 254, count - 1], [-1, count, 255]])
    image = Image.open(io.BytesIO(label_png(ids, [(i % 256, i // 256, 7) for i in range(count)])))
    void = 255 if count == 255 else 65535
    assert image.mode == ("P" if count == 255 else "I;16")
    wanted = np.where((ids >= 0) & (ids < count), ids, void)
    assert np.array_equal(np.array(image), wanted)


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
    colours = tuple((i, i, i) for i in range(5))
    classes, table = merged(["a", "b", "a", "c", "b"], colours)
    assert classes == ClassList(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (3, 3, 3)))
    assert table[[0, 1, 2, 3, 4, -1]].tolist() == [0, 1, 0, 2, 1, -1]


def test_names_that_look_the_same_are_the_same() -> None:
    names = ["tall grass", "tall  grass", "tall\u00a0grass", "caf\u00e9", "cafe\u0301", "Café"]
    classes, table = merged(names, [(0, 0, 0)] * 6)
    assert classes.names == ("tall grass", "caf\u00e9", "Café")
    assert table.tolist() == [0, 0, 0, 1, 1, 2, -1]


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


def test_equal_names_of_images_are_told_apart_alike_in_all_files() -> None:
    out = io.BytesIO()
    one, two = pictures()
    given_names = ["image.jpg", "image.jpg"]
    same = [one._replace(name="image.jpg"), two._replace(name="image.jpg")]
    write_zip(out, same, CLASSES, names=given_names)
    with zipfile.ZipFile(out) as archive:
        document = json.loads(archive.read("annotations.json"))
        names = archive.namelist()
        sizes = {
            stem: Image.open(io.BytesIO(archive.read(f"labels/{stem}.png"))).size
            for stem in ("image", "image (2)")
        }
    assert [image["file_name"] for image in document["images"]] == ["image.jpg", "image (2).jpg"]
    assert [(i["width"], i["height"]) for i in document["images"]] == [(9, 6), (4, 5)]
    assert sizes == {"image": (9, 6), "image (2)": (4, 5)}
    assert names[:4] == [
        "labels/image.png",
        "overlays/image.png",
        "labels/image (2).png",
        "overlays/image (2).png",
    ]


def test_a_zip_of_many_classes(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    ids = draw.integers(-1, 919, (30, 40))
    classes = ClassList(tuple(f"thing {i}" for i in range(919)), palette(919))
    rgb = draw.integers(0, 256, (30, 40, 3), np.uint8)
    out = io.BytesIO()
    write_zip(out, [Segmented("a.jpg", rgb, ids)], classes, names=["a.jpg"], opacity=1)
    with zipfile.ZipFile(out) as archive:
        label = np.array(Image.open(io.BytesIO(archive.read("labels/a.png"))))
        overlay = np.array(Image.open(io.BytesIO(archive.read("overlays/a.png"))))
        document = json.loads(archive.read("annotations.json"))
        archive.extractall(tmp_path)
    assert np.array_equal(label, np.where(ids < 0, 65535, ids))
    painted = np.where(ids[..., None] < 0, rgb, np.array(classes.colours, np.uint8)[ids])
    assert np.array_equal(overlay, painted)
    again = np.full(ids.shape, -1)
    for annotation in document["annotations"]:
        again[decode_mask(annotation["segmentation"])] = annotation["category_id"]
    assert np.array_equal(again, ids)
    # And it is a data set of kind "folder", as its README says.
    (tmp_path / "images").mkdir()
    Image.fromarray(rgb).save(tmp_path / "images/a.png")
    dataset = open_dataset(tmp_path, kind="folder", split="all")
    assert dataset.classes == classes.names
    example = dataset.load(0)
    assert example.labels is not None
    assert np.array_equal(example.labels, ids)
