"""One's own data set in the ways that people lay it out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import (
    VOID,
    Dataset,
    LabelError,
    LayoutError,
    available_splits,
    detect_kind,
    open_dataset,
    preflight,
)
from ppap.data.class_files import Named
from ppap.data.known_classes import VOC21, voc_colour, with_known_colours
from tests.support import layouts

NAMES = tuple("abcdefgh")
IDS = (0, 1, 2, 255)


def photo(path: Path) -> None:
    layouts.write_image(path)


def labels(path: Path, ids: tuple[int, ...] = IDS) -> None:
    layouts.write_labels(path, ids)


def classes(root: Path, *names: str) -> None:
    layouts.write_text(root / "classes.txt", *(names or ("sky", "road", "tree")))


def read_all(data: Dataset) -> list[list[int]]:
    """The first ids of every item's label map."""
    found = []
    for index in range(len(data)):
        ids = data.load(index).labels
        assert ids is not None
        found.append(ids[0, :4].tolist())
    return found


def findings(root: Path, severity: str, split: str = "all") -> list[str]:
    return [str(f) for f in preflight(root, split=split) if f.severity == severity]


WAYS = {
    "capitals": ("images/{n}.JPG", "labels/{n}.PNG"),
    "folders in capitals": ("Images/{n}.Jpeg", "LABELS/{n}.Png"),
    "tiff": ("images/{n}.tif", "labels/{n}.TIFF"),
    "bmp": ("images/{n}.BMP", "labels/{n}.bmp"),
    "gif": ("images/{n}.gif", "labels/{n}.gif"),
    "masks": ("images/{n}.jpg", "masks/{n}.png"),
    "annotations": ("images/{n}.jpg", "annotations/{n}.png"),
    "annotations below": ("images/{n}.jpg", "annotations/semantic/{n}.png"),
    "label": ("img/{n}.jpg", "label/{n}.png"),
    "gt": ("images/{n}.jpg", "gt/{n}.png"),
    "VOC's folders": ("JPEGImages/{n}.jpg", "SegmentationClass/{n}.png"),
    "x_labels": ("images/{n}.jpg", "semantic_labels/{n}.png"),
    "MMSegmentation": ("img_dir/{n}.jpg", "ann_dir/{n}.png"),
    "_mask": ("images/{n}.jpg", "labels/{n}_mask.png"),
    "_gt": ("images/{n}.jpg", "gt/{n}_gt.png"),
    "_labelIds": ("images/{n}_leftImg8bit.png", "gt/{n}_gtFine_labelIds.png"),
    "whole name": ("images/{n}.jpg", "masks/{n}.jpg.png"),
    "beside": ("{n}.jpg", "{n}_mask.png"),
    "beside in images": ("images/{n}.png", "images/{n}_label.png"),
    "pictures at the top": ("{n}.jpg", "masks/{n}.png"),
}


@pytest.mark.parametrize("way", WAYS)
def test_where_label_maps_lie(way: str, tmp_path: Path) -> None:
    for name in NAMES:
        photo(tmp_path / WAYS[way][0].format(n=name))
        labels(tmp_path / WAYS[way][1].format(n=name))
    classes(tmp_path)
    assert detect_kind(tmp_path) == "folder"
    data = open_dataset(tmp_path, split="all")
    assert [item.name[0] for item in data.items] == list(NAMES)
    assert read_all(data) == [[0, 1, 2, VOID]] * len(NAMES)
    assert findings(tmp_path, "error") == findings(tmp_path, "warning") == []


SPLIT_WAYS = {
    "images/train": ("images/{s}/{n}.jpg", "labels/{s}/{n}.png"),
    "train/images": ("{s}/images/{n}.jpg", "{s}/labels/{n}.png"),
    "train/masks": ("{s}/img/{n}.jpg", "{s}/masks/{n}_mask.png"),
    "train, train_labels": ("{s}/{n}.png", "{s}_labels/{n}_L.png"),
    "train, trainmasks": ("{s}/{n}.png", "{s}_masks/{n}.png"),
    "train, masks/train": ("{s}/{n}.png", "masks/{s}/{n}.png"),
    "all in train": ("{s}/{n}.png", "{s}/{n}_mask.png"),
    "images/train, labels flat": ("images/{s}/{n}.jpg", "labels/{n}.png"),
}


@pytest.mark.parametrize("way", SPLIT_WAYS)
@pytest.mark.parametrize(
    "called", [("train", "val", "test"), ("training", "validation", "testing"), ("Train", "Valid")]
)
def test_splits_as_folders(way: str, called: tuple[str, ...], tmp_path: Path) -> None:
    members = dict(zip(called, ("abcd", "ef", "gh"), strict=False))
    for split, names in members.items():
        for name in names:
            for pattern, write in zip(SPLIT_WAYS[way], (photo, labels), strict=True):
                write(tmp_path / pattern.format(s=split, n=name))
    classes(tmp_path)
    data = {split: open_dataset(tmp_path, split=split) for split in available_splits(tmp_path)}
    assert list(data) == [*("train", "val", "test")[: len(called)], "all"]
    for split, names in zip(data, members.values(), strict=False):
        assert "".join(item.image.stem[0] for item in data[split].items) == names
        assert read_all(data[split]) == [[0, 1, 2, VOID]] * len(names)
    assert len(data["all"]) == sum(map(len, members.values()))
    assert findings(tmp_path, "warning") == []


def test_lists_count_more_than_folders(tmp_path: Path) -> None:
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        photo(tmp_path / f"images/{split}/{name}.jpg")
    layouts.write_text(tmp_path / "val.txt", "train/b")
    assert [i.name for i in open_dataset(tmp_path, split="val").items] == ["train/b"]
    assert [i.name for i in open_dataset(tmp_path).items] == ["train/a", "val/c"]


def test_one_folder_called_train_is_a_name_like_others(tmp_path: Path) -> None:
    for name in NAMES:
        photo(tmp_path / f"images/train/{name}.jpg")
    assert available_splits(tmp_path) == ("train", "val", "all")
    assert len(open_dataset(tmp_path, split="val")) == 1


def test_one_folder_of_a_split_is_divided(tmp_path: Path) -> None:
    for name in NAMES:
        photo(tmp_path / f"train/{name}.jpg")
        labels(tmp_path / f"train_labels/{name}.png")
    classes(tmp_path)
    sizes = {s: len(open_dataset(tmp_path, split=s)) for s in available_splits(tmp_path)}
    assert sizes == {"train": 7, "val": 1, "all": 8}


def test_pictures_of_no_split_are_told(tmp_path: Path) -> None:
    for place in ("train/a", "val/b", "more/c", "more/d"):
        photo(tmp_path / f"images/{place}.jpg")
    assert len(open_dataset(tmp_path)) == 1
    assert len(open_dataset(tmp_path, split="all")) == 4
    assert "2 images are in no split's folder, and so only in 'all'." in (
        open_dataset(tmp_path).warnings
    )


def test_pictures_beside_splits_are_told(tmp_path: Path) -> None:
    for place in ("train/a", "val/b", "holiday/c", "holiday/d"):
        photo(tmp_path / f"{place}.jpg")
    data = open_dataset(tmp_path, split="all")
    assert [item.name for item in data.items] == ["train/a", "val/b"]
    assert data.warnings == (
        "Images outside the splits' folders were left out: 1 folder (holiday).",
    )


def test_folders_without_one_for_training_are_no_splits(tmp_path: Path) -> None:
    for place in ("test/a", "val/b", "dev/c"):
        photo(tmp_path / f"{place}.jpg")
    data = open_dataset(tmp_path)
    assert (data.name, len(data)) == ("images", 3)


# What cannot be told is not guessed.


def test_two_folders_of_label_maps(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    for folder in ("gt", "masks"):
        labels(tmp_path / folder / "a.png")
    classes(tmp_path)
    with pytest.raises(LayoutError, match=r"in both gt/ and masks/: rename the one to use"):
        open_dataset(tmp_path)
    (tmp_path / "gt").rename(tmp_path / "labels")
    data = open_dataset(tmp_path, split="all")
    assert data.items[0].labels == tmp_path / "labels/a.png"
    assert "1 folder (masks), because labels/ is used." in data.warnings[0]


def test_label_maps_that_fit_no_picture_are_told(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    labels(tmp_path / "masks/x1.png")
    classes(tmp_path)
    data = open_dataset(tmp_path, split="all")
    assert data.items[0].labels is None
    assert data.warnings == (
        "No label map has the name of an image: masks/x1.png matches no image, and images/a.jpg "
        "has no label map.",
    )
    (tmp_path / "masks/x1.png").rename(tmp_path / "masks/a.npy")
    assert (
        "masks/ contains no label maps that can be read: they must be PNG"
        in (open_dataset(tmp_path, split="all").warnings[0])
    )


def test_lossy_label_maps_are_refused_by_their_own_name(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    photo(tmp_path / "masks/a.jpg")
    classes(tmp_path)
    (error,) = findings(tmp_path, "error")
    assert "masks/a.jpg is a JPEG, which does not preserve class ids: export it as PNG" in error


def test_label_maps_without_classes(tmp_path: Path) -> None:
    for name in NAMES:
        photo(tmp_path / f"images/{name}.jpg")
        labels(tmp_path / f"masks/{name}.png", (0, 1, 7, 255))
    # Their numbers are the classes.
    data = open_dataset(tmp_path, split="all")
    assert (data.name, len(data), data.classes) == ("folder", 8, ("0", "1", "7"))
    assert "No classes.txt: the classes are called by their numbers (0, 1, 7)" in data.warnings[0]
    assert read_all(data) == [[0, 1, 2, VOID]] * 8
    (tmp_path / "images").rename(tmp_path / "photos")
    assert open_dataset(tmp_path, split="all").classes == ("0", "1", "7")


def test_label_maps_that_are_no_numbers(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for i, name in enumerate(NAMES):
        photo(tmp_path / f"images/{name}.jpg")
        shades = np.arange(48, dtype=np.uint8).reshape(6, 8) + 20 * i
        Image.fromarray(shades.astype(np.uint8)).save(tmp_path / f"masks/{name}.png")
    with pytest.raises(LayoutError, match=r"has labels but no classes\.txt: .* are in masks/\)"):
        open_dataset(tmp_path)
    (tmp_path / "images").rename(tmp_path / "train")
    (tmp_path / "masks").rename(tmp_path / "train_masks")
    # Pictures alone can be looked at; whoever trains on them is warned.
    data = open_dataset(tmp_path)
    assert (data.name, len(data)) == ("images", 8)
    assert "Label maps were left out: 1 folder (train_masks)." in data.warnings[0]
    photo(tmp_path / "val/z.jpg")
    data = open_dataset(tmp_path)
    assert (data.name, len(data), data.classes) == ("folder", 8, ())
    said = "in train_masks were left out: there is no classes.txt to say what they mean"
    assert said in data.warnings[0]


def test_masks_of_black_and_white_without_classes(tmp_path: Path) -> None:
    for name in NAMES:
        photo(tmp_path / f"{name}.jpg")
        labels(tmp_path / f"{name}_mask.png", (0, 255, 0))
    data = open_dataset(tmp_path, split="all")
    assert data.classes == ("0", "255")
    assert read_all(data) == [[0, 1, 0, 0]] * 8


def test_a_number_that_no_looked_at_map_has_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppap.data.folder.MOST_PEEKED", 2)
    for i in range(4):
        photo(tmp_path / f"images/{i}.jpg")
        labels(tmp_path / f"labels/{i}.png", (0, 9 if i == 3 else 1))
    data = open_dataset(tmp_path, split="all")
    assert "found in 2 of 4 label maps (0, 1)" in data.warnings[0]
    with pytest.raises(LabelError, match=r"9.*write every number with its class into classes\.txt"):
        data.load(3)


def test_one_stem_twice(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.jpg"):
        photo(tmp_path / "images" / name)
    assert [i.name for i in open_dataset(tmp_path, split="all").items] == ["a.jpg", "a.png", "b"]
    classes(tmp_path)
    labels(tmp_path / "labels/b.png")
    data = open_dataset(tmp_path, split="all")
    assert [i.labels is None for i in data.items] == [True, True, False]
    for name in ("a.png", "a_mask.png"):
        labels(tmp_path / "labels" / name)
        said = r"contains both a\.jpg and a\.png, which would share"
        with pytest.raises(LayoutError, match=said):
            open_dataset(tmp_path)
        (tmp_path / "labels" / name).unlink()
    for name in ("a.jpg.png", "a.png.png"):
        labels(tmp_path / "labels" / name)
    assert all(i.labels is not None for i in open_dataset(tmp_path, split="all").items)


def test_pictures_of_one_name_at_the_top(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.jpg"):
        photo(tmp_path / name)
    data = open_dataset(tmp_path)
    assert len(data) == 3
    assert data.notes[0].startswith("1 names occur with several suffixes, the first as a.jpg and")


# Masks of 0 and 255.


def masks(root: Path, *values: int, mode: str = "L", suffix: str = "png") -> None:
    for place, name in enumerate(NAMES):
        photo(root / f"images/{name}.jpg")
        ids = np.full((layouts.HEIGHT, layouts.WIDTH), values[0], np.uint8)
        ids[place % 3 :, 2:5] = values[-1]
        for column, value in enumerate(values):
            ids[0, column] = value
        (root / "labels").mkdir(exist_ok=True)
        Image.fromarray(ids).convert(mode).save(root / f"labels/{name}.{suffix}")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I"])
@pytest.mark.parametrize("suffix", ["png", "tif", "gif"])
def test_masks_of_black_and_white(mode: str, suffix: str, tmp_path: Path) -> None:
    if (mode, suffix) in (("I", "png"), ("I", "gif"), ("RGBA", "gif")):
        pytest.skip("Pillow does not write these")
    classes(tmp_path, "background", "object")
    masks(tmp_path, 0, 255, mode=mode, suffix=suffix)
    data = open_dataset(tmp_path, split="all")
    for index in range(len(data)):
        ids = data.load(index).labels
        assert ids is not None
        assert set(np.unique(ids).tolist()) == {0, 1}
        assert ids[0, 1] == 1
    (warning,) = findings(tmp_path, "warning")
    assert "contain only 0 and 255: 255 is read as the second class, 'object'" in warning
    # Train and val agree.
    assert np.array_equal(open_dataset(tmp_path).table, data.table)


def test_masks_of_one_bit(tmp_path: Path) -> None:
    classes(tmp_path, "background", "object")
    masks(tmp_path, 0, 255, mode="1")
    assert read_all(open_dataset(tmp_path, split="all"))[0][:2] == [0, 1]
    assert findings(tmp_path, "warning") == []


@pytest.mark.parametrize("values", [(0, 1), (0, 1, 255)])
def test_masks_of_ids_stay_as_they_are(values: tuple[int, ...], tmp_path: Path) -> None:
    classes(tmp_path, "background", "object")
    masks(tmp_path, *values)
    wanted = [VOID if value == 255 else value for value in values]
    assert read_all(open_dataset(tmp_path, split="all"))[0][: len(values)] == wanted
    assert findings(tmp_path, "warning") == []


def test_a_one_among_masks_of_black_and_white_fails_loudly(tmp_path: Path) -> None:
    classes(tmp_path, "background", "object")
    masks(tmp_path, 0, 255)
    data = open_dataset(tmp_path, split="all")
    labels(tmp_path / "labels/a.png", (0, 1, 255))
    with pytest.raises(LabelError, match="contains 1, but its numbers must be 0, 255: if it is a"):
        data.load(0)
    # Opened anew, 255 is void.
    assert read_all(open_dataset(tmp_path, split="all"))[0][:3] == [0, 1, VOID]


@pytest.mark.parametrize("line", ["void 255", "ignore: 255"])
def test_255_may_be_declared_void(line: str, tmp_path: Path) -> None:
    classes(tmp_path, "background", "object", line)
    masks(tmp_path, 0, 255)
    assert read_all(open_dataset(tmp_path, split="all"))[0][:2] == [0, VOID]
    (warning,) = findings(tmp_path, "warning")
    assert "contain only one class, 'background': every score would be perfect" in warning


@pytest.mark.parametrize("names", [("object",), ("a", "b", "c")])
def test_other_counts_of_classes_are_warned_of(names: tuple[str, ...], tmp_path: Path) -> None:
    classes(tmp_path, *names)
    masks(tmp_path, 0, 255)
    (warning,) = findings(tmp_path, "warning")
    assert "contain only one class" in warning
    assert "'0 background' and '255 object'" in warning


def test_a_rare_object_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppap.data.folder.PEEKED", 2)
    classes(tmp_path, "background", "object")
    for number in range(40):
        photo(tmp_path / f"images/{number}.jpg")
        labels(tmp_path / f"labels/{number}.png", (0, 255, 0) if number == 33 else (0,))
    assert open_dataset(tmp_path, split="all").table[255] == 1


# Numbers and colours.


def test_ids_that_are_not_contiguous(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    labels(tmp_path / "labels/a.png", (7, 11, 200, 0))
    classes(tmp_path, "road", "building", "sky")
    errors = findings(tmp_path, "error")
    assert (
        "classes.txt names 3 classes, but the label maps contain the numbers 0, 7, 11, 200: if 0 "
        "means no class, write 'void 0' into its first line"
    ) in errors[0]
    assert "contains 7, 11, 200, but its numbers must be 0 to 2, 255: if it is" in errors[1]
    classes(tmp_path, "void 0", "7 road", "11 building", "200 sky")
    data = open_dataset(tmp_path, split="all")
    assert read_all(data) == [[0, 1, 2, VOID]]
    assert data.notes[1:] == (
        "classes.txt gives the numbers of the classes.",
        "Numbers without a class: 0 and 255.",
    )


def test_the_offer_for_ids_in_order(tmp_path: Path) -> None:
    for name, ids in (("a", (7, 11, 255)), ("b", (11, 23))):
        photo(tmp_path / f"images/{name}.jpg")
        labels(tmp_path / f"labels/{name}.png", ids)
    classes(tmp_path, "road", "building", "sky")
    assert findings(tmp_path, "error")[0].endswith(
        "contain the numbers 7, 11, 23: if the classes are in this order, write '7 road', "
        "'11 building', '23 sky' into it, one per line"
    )


def test_shades_come_from_smoothing(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    y, x = np.mgrid[: layouts.HEIGHT, : layouts.WIDTH]
    (tmp_path / "labels").mkdir()
    Image.fromarray((y * 30 + x * 4).astype(np.uint8)).save(tmp_path / "labels/a.png")
    classes(tmp_path, "background", "object")
    first = findings(tmp_path, "error")[0]
    assert "different numbers: were they saved as JPEG or resized with smoothing?" in first


def test_numbers_above_255(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    (tmp_path / "labels").mkdir()
    ids = layouts.label_array((1000, 40_000, 0), np.uint16)
    Image.fromarray(ids).save(tmp_path / "labels/a.png")
    classes(tmp_path, "void 0", "1000 road", "40000 sky")
    assert read_all(open_dataset(tmp_path, split="all"))[0][:3] == [0, 1, VOID]


def test_a_class_that_never_occurs_is_told(tmp_path: Path) -> None:
    for name in NAMES:
        photo(tmp_path / f"images/{name}.jpg")
        labels(tmp_path / f"labels/{name}.png", (0, 2))
    classes(tmp_path)
    assert "Note: road does not occur in the 8 label maps that were opened." in (
        findings(tmp_path, "note")
    )


def painted(path: Path, *colours: tuple[int, int, int], palette: bool = False) -> None:
    rgb = np.zeros((layouts.HEIGHT, layouts.WIDTH, 3), np.uint8)
    rgb[...] = colours[-1]
    for column, colour in enumerate(colours):
        rgb[0, column] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(rgb)
    (image.quantize(len(colours)) if palette else image).save(path)


@pytest.mark.parametrize("palette", [False, True])
def test_colours_of_voc(palette: bool, tmp_path: Path) -> None:
    assert [voc_colour(i) for i in (1, 2, 8, 15, 20)] == [
        (128, 0, 0),
        (0, 128, 0),
        (64, 0, 0),
        (192, 128, 128),
        (0, 64, 128),
    ]
    photo(tmp_path / "JPEGImages/a.jpg")
    shown = (voc_colour(0), voc_colour(15), voc_colour(20), (224, 224, 192))
    painted(tmp_path / "SegmentationClass/a.png", *shown, palette=palette)
    layouts.write_text(tmp_path / "ImageSets/Segmentation/train.txt", "a")
    data = open_dataset(tmp_path)
    assert data.classes == VOC21
    assert read_all(data) == [[0, 15, 20, VOID]]
    assert "No classes.txt: the classes are assumed to be PASCAL VOC's." in data.notes


def test_colours_of_cityscapes(tmp_path: Path) -> None:
    photo(tmp_path / "images/a.jpg")
    shown = ((128, 64, 128), (0, 0, 142), (70, 130, 180), (0, 0, 0))
    painted(tmp_path / "labels/a.png", *shown)
    classes(tmp_path, "road", "sky", "car")
    data = open_dataset(tmp_path, split="all")
    assert read_all(data) == [[0, 2, 1, VOID]]


def test_colours_are_known_by_all_names_or_none() -> None:
    for names in (["building", "tree", "road"], ["road", "sky", "grass"], []):
        named = Named(Path("classes.txt"), names, {i: i for i in range(len(names))})
        assert with_known_colours(named).colours == {}
    named = Named(Path("classes.txt"), ["Cat", "TV"], {0: 0, 1: 1})
    known = with_known_colours(named).colours
    assert known == {(64, 0, 0): 0, (0, 64, 128): 1, (224, 224, 192): 255}


def test_declared_colours(tmp_path: Path) -> None:
    photo(tmp_path / "train/a.png")
    painted(tmp_path / "train_labels/a_L.png", (64, 128, 64), (192, 0, 128), (0, 0, 0))
    text = "name,r,g,b\nAnimal,64,128,64\nArchway,192,0,128\nVoid,0,0,0\n"
    (tmp_path / "class_dict.csv").write_text(text)
    data = open_dataset(tmp_path, split="all")
    assert data.classes == ("Animal", "Archway")
    assert data.colours == ((64, 128, 64), (192, 0, 128))
    assert read_all(data)[0][:3] == [0, 1, VOID]
    assert data.warnings[0].startswith("The folder looks like CamVid with 32 classes as colours")


def test_existing_folders_stay_as_they_were(shared_data: Path) -> None:
    for name, count in (("dubai_aerial", 72), ("msrc_half", 296)):
        data = open_dataset(shared_data / name, split="all")
        assert (data.name, len(data), data.warnings) == ("folder", count, ())
        assert all(item.labels is not None for item in data.items)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "id,breed\na,boxer\nb,collie\nb,collie\n"),
        ("classes.csv", "id,breed\na,boxer\nb,collie\n"),
        ("labels.json", '{"a": {"breed": "boxer"}}'),
        ("names.txt", "a\n\nb\n"),
    ],
)
def test_what_names_whole_pictures_is_no_list_of_classes(
    name: str, text: str, tmp_path: Path
) -> None:
    """Without label maps only ``classes.txt`` says how many classes are meant."""
    for one in "ab":
        photo(tmp_path / "images" / f"{one}.jpg")
    (tmp_path / name).write_text(text)
    data = open_dataset(tmp_path, split="all")
    assert (data.name, len(data), data.classes) == ("folder", 2, ())
    assert findings(tmp_path, "error") == []
    classes(tmp_path)
    assert open_dataset(tmp_path, split="all").classes == ("sky", "road", "tree")


def test_voc_s_colours_that_were_given_by_number(tmp_path: Path) -> None:
    """labelme paints so: 1 is dark red whatever it is, and not only where it is an aeroplane."""
    photo(tmp_path / "images" / "a.jpg")
    labels(tmp_path / "labels" / "a.png", (0, 1, 2, 255))
    stored = Image.open(tmp_path / "labels" / "a.png")
    painted = Image.fromarray(np.array(stored), "P")
    painted.putpalette([channel for n in range(256) for channel in voc_colour(n)])
    painted.save(tmp_path / "labels" / "a.png")

    def read_as(*lines: str) -> list[int]:
        classes(tmp_path, *lines)
        (found,) = read_all(open_dataset(tmp_path, split="all"))
        return found

    assert read_as("background", "aeroplane", "bicycle") == [0, 1, 2, VOID]
    assert read_as("background", "cat", "dog") == [0, 1, 2, VOID]
    with pytest.raises(LabelError, match="by its numbers or by its palette's colours"):
        read_as("background", "bicycle", "aeroplane")
    assert read_as("0 background", "1 bicycle", "2 aeroplane") == [0, 1, 2, VOID]
    coloured = ("background #000000", "bicycle #008000", "aeroplane #800000", "void #e0e0c0")
    assert read_as(*coloured) == [0, 2, 1, VOID]
