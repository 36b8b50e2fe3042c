"""The data set that is taken away, read back by others and by this project itself."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import ClassList, open_dataset, palette
from ppap.output.coco_json import decode_mask
from ppap.output.data_set import (
    Segmented,
    Taken,
    classes_file,
    whole_folder,
    write_to,
    write_zip,
)
from ppap.output.label_files import overlaid

COLOURS = ((10, 20, 30), (200, 100, 0), (0, 250, 90))
CLASSES = ClassList(("sky", "road", "tree"), COLOURS)


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
        taken=Taken(opacity=0.3),
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
    for name, one in zip(("one.jpg", "one.png"), given_pictures, strict=True):
        overlay = np.array(Image.open(tmp_path / f"overlays/{name}.png"))
        assert np.array_equal(overlay, overlaid(one.pixels(), one.ids, COLOURS, 0.3))
        Image.fromarray(one.pixels()).save(tmp_path / f"images/{name}")
    dataset = open_dataset(tmp_path, kind="folder", split="all")
    stems = {"one.jpg": 0, "one.png": 1}
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
                again[decode_mask(annotation["segmentation"])] = annotation["category_id"] - 1
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
    write_zip(out, [Segmented("a.jpg", rgb, ids)], classes, names=["a.jpg"], taken=Taken(opacity=1))
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
        again[decode_mask(annotation["segmentation"])] = annotation["category_id"] - 1
    assert np.array_equal(again, ids)
    # And it is a data set of kind "folder", as its README says.
    (tmp_path / "images").mkdir()
    Image.fromarray(rgb).save(tmp_path / "images/a.png")
    dataset = open_dataset(tmp_path, kind="folder", split="all")
    assert dataset.classes == classes.names
    example = dataset.load(0)
    assert example.labels is not None
    assert np.array_equal(example.labels, ids)


ODD = [
    "a+b, 50%.jpg",
    "image.jpg",
    "image.jpg",
    "Image.JPG",
    "image.png",
    "\U0001f469\u200d\U0001f33e\U0001f400.jpg",
    "é" * 200 + ".jpg",
    ".hidden.jpg",
    "ends with dots...jpg",
    "CON.jpg",
    'what? "this": a|b.jpg',
    "image_mask.png",
    "image.jpg.png",
    "no suffix",
]


def test_odd_names_are_a_data_set_with_their_photos(tmp_path: Path) -> None:
    """Whatever photos are called: each has its own label map, by the rules of ``folder``."""
    chance = np.random.default_rng(3)
    made = []
    for n, name in enumerate(ODD):
        rgb = np.full((8, 8 + n, 3), 10 * n, np.uint8)
        file = tmp_path / f"{n}.jpg"
        Image.fromarray(rgb).save(file)
        # Read from its file where there is one, written as a PNG where there is none.
        kept = None if n % 3 == 0 else file
        made.append(Segmented(name, rgb, chance.integers(-1, 3, rgb.shape[:2]), kept))
    out = io.BytesIO()
    write_zip(out, made, CLASSES, names=ODD, taken=Taken(photos=True, overlays=False))
    with zipfile.ZipFile(out) as archive:
        listed = archive.namelist()
        archive.extractall(tmp_path / "set")
    assert not [name for name in listed if name.startswith("overlays/")]
    assert len({name.casefold() for name in listed}) == len(listed)
    assert all(len(part.encode()) <= 255 for name in listed for part in name.split("/"))
    images = [n.removeprefix("images/") for n in listed if n.startswith("images/")]
    assert images[:2] == ["a+b, 50%.jpg", "image.jpg"], "names that can stay do"
    assert images[2:6] == ["image (2).jpg", "Image (3).JPG", "image.png", ODD[5]]
    document = json.loads((tmp_path / "set/annotations.json").read_text())
    assert [one["file_name"] for one in document["images"]] == images
    with (tmp_path / "set/renamed.csv").open(encoding="utf-8", newline="") as lines:
        rows = [tuple(row) for row in csv.reader(lines)]
    assert rows[0] == ("image", "here")
    assert rows[1:] == [pair for pair in zip(ODD, images, strict=True) if pair[0] != pair[1]]
    dataset = open_dataset(tmp_path / "set", kind="folder", split="all")
    assert not dataset.warnings
    widths = {}
    for index in range(len(dataset)):
        example = dataset.load(index)
        n = example.photo.rgb.shape[1] - 8
        widths[n] = example
        assert example.labels is not None
        assert np.array_equal(example.labels, made[n].ids), ODD[n]
        assert abs(int(example.photo.rgb.mean()) - 10 * n) < 2
    assert sorted(widths) == list(range(len(ODD)))


@pytest.mark.parametrize(
    ("names", "file"),
    [
        (["sky", "tall grass", "2 storeys"], "classes.txt"),
        (["1 sky", "2 road"], "classes.json"),
        (["# one", "two"], "classes.json"),
        (["void 0", "two"], "classes.json"),
        (["red 255 0 0", "two"], "classes.json"),
        (["name", "class"], "classes.txt"),
        (["void", "ignore"], "classes.txt"),
    ],
)
def test_classes_are_read_as_they_are_called(names: list[str], file: str, tmp_path: Path) -> None:
    name, data = classes_file(names)
    assert name == file
    ids = np.arange(len(names))[None]
    rgb = np.zeros((1, len(names), 3), np.uint8)
    classes = ClassList(tuple(names), palette(len(names)))
    with whole_folder(tmp_path / "set") as sink:
        write_to(sink, [Segmented("a", rgb, ids)], classes, names=["a"], taken=Taken(photos=True))
    assert (tmp_path / "set" / name).read_bytes() == data
    dataset = open_dataset(tmp_path / "set", kind="folder", split="all")
    assert list(dataset.classes) == names
    labels = dataset.load(0).labels
    assert labels is not None
    assert labels.tolist() == ids.tolist()


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    def breaks() -> None:
        with whole_folder(tmp_path / "set") as sink:
            sink.put("a/b.txt", b"x")
            raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        breaks()
    assert not (tmp_path / "set").exists()
    (tmp_path / "set").mkdir()
    with pytest.raises(FileExistsError), whole_folder(tmp_path / "set"):
        pass


def test_polygons_and_what_the_readme_says() -> None:
    (one, _) = pictures()
    out = io.BytesIO()
    taken = Taken(polygons=True, photos=True, note="Segmented with x (PAMR).")
    write_zip(out, [one], CLASSES, names=["one.jpg"], taken=taken)
    with zipfile.ZipFile(out) as archive:
        document = json.loads(archive.read("annotations.json"))
        readme = archive.read("README.txt").decode()
    assert all(isinstance(a["segmentation"], list) for a in document["annotations"])
    assert "polygons" in readme
    assert "images/" in readme
    assert "renamed.csv" not in readme
    assert readme.rstrip().endswith("Segmented with x (PAMR).")
