"""Folders of predictions: which file is of which image, what its pixels are, which size fits."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppap.data import DataError, Dataset, LabelError, open_dataset, square_labels
from ppap.evaluation.foreign_files import (
    Reading,
    Writer,
    as_square,
    distinct,
    in_short,
    pair_files,
    read_prediction,
)
from tests.support.small_segmenters import write_folder

CLUSTERS, CLASSES = Reading("clusters"), Reading("classes")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    write_folder(root, count=4)
    return open_dataset(root, split="all")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(file, "PNG")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["p0.png", "p1.png", "p2.png", "p3.png"],
        ["images/p0.png", "images/p1.png", "images/p2.png", "images/p3.png"],
        ["val/deep/p0.png", "p1.png.png", "images/p2.PNG", "p3.png"],
    ],
)
def test_files_are_told_by_their_paths(tmp_path: Path, dataset: Dataset, names: list[str]) -> None:
    touch(tmp_path, *names, ".hidden.png", ".git/p0.png")
    (tmp_path / "readme.txt").write_text("p0")
    found = pair_files(tmp_path, dataset, range(4))
    assert {i: str(file) for i, file in found.files.items()} == dict(enumerate(names))
    assert found.missing == found.extra == ()


def test_the_likeliest_of_several_folders_is_taken(tmp_path: Path) -> None:
    """Two images of one name in two folders; and a file in a folder that neither has."""
    root = tmp_path / "data"
    for city in ("a", "b"):
        touch(root, f"images/{city}/x.png", f"labels/{city}/x.png")
    (root / "classes.txt").write_text("one\ntwo\n")
    both = open_dataset(root, split="all")
    assert [item.name for item in both.items] == ["a/x", "b/x"]
    found = pair_files(touch(tmp_path / "p", "b/x.png", "a/x.png"), both, range(2))
    assert {i: str(file) for i, file in found.files.items()} == {0: "a/x.png", 1: "b/x.png"}
    found = pair_files(touch(tmp_path / "q", "a/x.png", "x.png", "c/x.png"), both, range(2))
    assert (found.missing, found.extra) == (("b/x",), ("c/x.png", "x.png"))
    # Of either image: of none.
    found = pair_files(touch(tmp_path / "r", "b/x.png", "x.png"), both, range(2))
    assert (found.missing, found.extra) == (("a/x",), ("x.png",))


def test_a_folder_that_cannot_be_read_is_not_taken_for_empty(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "p0.png", "more/p1.png")
    scan = os.scandir

    def closed(path: str) -> Any:
        if path == str(tmp_path / "more"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match="/more cannot be read: Permission denied"):
        pair_files(tmp_path, dataset, range(4))


def test_missing_and_strange_files_are_named(tmp_path: Path, dataset: Dataset) -> None:
    found = pair_files(touch(tmp_path, "p2.png", "q.png", "p0.png"), dataset, range(4))
    assert (found.missing, found.extra) == (("p1", "p3"), ("q.png",))
    assert in_short([f"p{i}" for i in range(7)]) == "p0, p1, p2, p3, p4 and 2 more"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (None, "is not a folder"),
        ([], "contains no PNG files"),
        (["q.png", "z.png"], "its first file is q.png, the first image images/p0.png"),
        (["a/p0.png", "b/p0.png"], "contains two predictions for p0: b/p0.png and a/p0.png"),
    ],
)
def test_folders_that_cannot_be_taken(
    tmp_path: Path, dataset: Dataset, names: list[str] | None, sentence: str
) -> None:
    folder = tmp_path / "predictions"
    if names is not None:
        folder.mkdir()
        touch(folder, *names)
    with pytest.raises(DataError, match=sentence):
        pair_files(folder, dataset, range(4))


NUMBERS = np.array([[0, 1, 254], [255, 7, 3]])


def saved(path: Path, kind: str) -> Path:
    """NUMBERS, one way or another."""
    if kind == "L":
        Image.fromarray(NUMBERS.astype(np.uint8)).save(path)
    elif kind == "P":
        image = Image.fromarray(NUMBERS.astype(np.uint8)).convert("P")
        image.putdata(NUMBERS.flatten().tolist())
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
        image.save(path)
    elif kind == "I;16":
        Image.fromarray(NUMBERS.astype(np.uint16) * 256).save(path)
    elif kind == "RGB":
        Image.fromarray(np.stack([NUMBERS, NUMBERS + 1, NUMBERS], -1).astype(np.uint8)).save(path)
    elif kind == "JPEG":
        Image.fromarray(NUMBERS.astype(np.uint8)).save(path, "JPEG")
    return path


def test_the_numbers_of_a_file(tmp_path: Path) -> None:
    usual = np.where(NUMBERS == 255, -1, NUMBERS)
    for kind in ("L", "P"):
        found = read_prediction(saved(tmp_path / f"{kind}.png", kind), CLUSTERS)
        assert found.dtype == np.int64
        assert found.tolist() == usual.tolist()
    assert np.array(Image.open(tmp_path / "P.png").convert("L")).tolist() != NUMBERS.tolist()
    deep = saved(tmp_path / "deep.png", "I;16")
    assert read_prediction(deep, CLUSTERS).tolist() == (NUMBERS * 256).tolist()
    some = read_prediction(saved(tmp_path / "L.png", "L"), Reading("clusters", ignore=7))
    assert some.tolist() == np.where(NUMBERS == 7, -1, NUMBERS).tolist()
    most = np.full((2, 2), 65_535, np.uint16)
    Image.fromarray(most).save(tmp_path / "most.png")
    assert (read_prediction(tmp_path / "most.png", CLUSTERS) == -1).all()


def test_colours_are_classes_where_they_are_the_classes_own(tmp_path: Path) -> None:
    colours = ((9, 8, 7), (200, 0, 100))
    ids = np.array([[1, 0], [0, 1]])
    Image.fromarray(np.array(colours, np.uint8)[ids]).save(tmp_path / "a.png")
    how = Reading("classes", colours=colours)
    assert read_prediction(tmp_path / "a.png", how).tolist() == ids.tolist()
    with pytest.raises(LabelError, match="has colours that belong to no class: #"):
        read_prediction(saved(tmp_path / "b.png", "RGB"), how)
    with pytest.raises(LabelError, match="is a colour image: save the numbers as one grey channel"):
        read_prediction(tmp_path / "a.png", CLUSTERS)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def deep(file: Path, colour_type: int, row: list[int]) -> Path:
    """A PNG of one row with 16 bits in each channel, which Pillow cannot write."""
    channels = {2: 3, 4: 2, 6: 4}[colour_type]
    head = struct.pack(">IIBBBBB", len(row) // channels, 1, 16, colour_type, 0, 0, 0)
    data = zlib.compress(b"\0" + struct.pack(f">{len(row)}H", *row))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return file


def test_no_colour_or_grey_loses_its_lower_byte_unsaid(tmp_path: Path) -> None:
    """Pillow reads such files with 8 bits: every small number becomes 0."""
    how = Reading("classes", colours=((0, 0, 0), (1, 1, 1)))
    for kind, row in ((2, [0, 0, 0, 1, 1, 1]), (4, [0, 65535, 1, 65535]), (6, [0] * 3 + [9] * 5)):
        with pytest.raises(LabelError, match="16-bit colours, which lose the ids"):
            read_prediction(deep(tmp_path / "a.png", kind, row), how)
    rgba = np.array([[[0, 0, 0, 255], [1, 1, 1, 255]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "b.png")
    assert read_prediction(tmp_path / "b.png", how).tolist() == [[0, 1]]
    rgba[0, 1, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "b.png")
    with pytest.raises(LabelError, match="is transparent in places"):
        read_prediction(tmp_path / "b.png", how)


def test_files_that_keep_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="JPEG"):
        read_prediction(saved(tmp_path / "a.png", "JPEG"), CLASSES)
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n no")
    with pytest.raises(LabelError, match=r"b\.png"):
        read_prediction(tmp_path / "b.png", CLASSES)


def test_sizes() -> None:
    ids = np.arange(60 * 90).reshape(60, 90)
    path = Path("a.png")
    found, fit = as_square(ids, (60, 90), 30, "smooth", path)
    assert (found.tolist(), fit) == (square_labels(ids, 30).tolist(), "same")
    square = np.arange(900).reshape(30, 30)
    found, fit = as_square(square, (60, 90), 30, "smooth", path)
    assert found is square
    assert fit == "square"
    for shape in ((20, 30), (120, 180), (41, 61)):
        other = np.zeros(shape)
        found, fit = as_square(other, (60, 90), 30, "smooth", path)
        assert (found.shape, fit) == ((30, 30), "resized")
    for shape in ((90, 60), (60, 60), (31, 31), (58, 90)):
        with pytest.raises(LabelError, match=r"neither the 90×60 of the label map"):
            as_square(np.zeros(shape), (60, 90), 30, "smooth", path)


def test_what_is_written_is_found_and_read_again(tmp_path: Path) -> None:
    root = tmp_path / "data"
    touch(root, "images/a.b.png", "images/sub/ü, 50%.png", "images/sub/c.png")
    Image.new("RGB", (2, 2)).save(root / "images/sub/c.jpg")
    both = open_dataset(root)
    writer = Writer(tmp_path / "out", both)
    maps = [np.full((3, 3), number) for number in (0, 254, 255, 40_000)]
    assert len(maps) == len(both)
    for index, numbers in enumerate(maps):
        writer.write("clusters", index, numbers)
    found = pair_files(tmp_path / "out/clusters", both, range(len(both)))
    assert found.missing == found.extra == ()
    for index, numbers in enumerate(maps):
        again = read_prediction(found.root / found.files[index], CLUSTERS)
        assert again.tolist() == numbers.tolist()


def test_distinct_numbers() -> None:
    assert distinct(iter([np.array([[3, -1]]), np.array([[65_535, 3, 0]])])) == [0, 3, 65_535]
    assert distinct([]) == []
