"""Lists of pictures as people write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ppap.data import LayoutError, open_dataset
from ppap.data.lists import read_list
from tests.support import layouts

PICTURES = ("day/p1", "night/p8", "day/p5")


def listed(root: Path) -> list[str]:
    return [item.name for item in open_dataset(root, split="val").items]


LINES: dict[str, Callable[[str], str]] = {
    "suffix": lambda n: f"{n}.png",
    "another suffix": lambda n: f"{n}.jpg",
    "capitals": lambda n: f"{n}.PNG".upper(),
    "path": lambda n: f"images/{n}.png",
    "dot": lambda n: f"./images/{n}.png",
    "backslash": lambda n: f"images\\{n}.png".replace("/", "\\"),
    "drive": lambda n: f"D:\\data\\set\\images\\{n}.png".replace("/", "\\"),
    "absolute": lambda n: f"/home/me/set/images/{n}.png",
    "up": lambda n: f"../set/images/{n}.png",
    "quotes": lambda n: f'"{n}.png"',
    "pair": lambda n: f"images/{n}.png labels/{n}.png",
    "pair with tab": lambda n: f"{n}.png\t{n}.png",
    "table": lambda n: f"images/{n}.png,labels/{n}.png",
    "semicolons": lambda n: f"{n}.png; labels/{n}.png",
    "numbered": lambda n: f"12 {n}.png",
    "class after it": lambda n: f"{n} 1",
    "comment after it": lambda n: f"{n}.png   # sharp",
    "base name": lambda n: n.rpartition("/")[2],
}


@pytest.mark.parametrize("way", LINES)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines(way: str, end: str, tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    text = end.join(["# chosen by hand", "", *(LINES[way](name) for name in PICTURES), ""])
    (tmp_path / "val.txt").write_bytes(text.encode("utf-8-sig"))
    assert listed(tmp_path) == list(PICTURES)


@pytest.mark.parametrize("name", ["val.csv", "Val.TXT", "splits/validation.txt", "valid.lst"])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files(name: str, coding: str, tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    lines = ["image,mask", *(f"images/{n}.png,labels/{n}.png" for n in PICTURES)]
    (tmp_path / name).write_bytes("\n".join(lines).encode(coding))
    assert listed(tmp_path) == list(PICTURES)


def test_names_with_blanks_commas_and_signs(tmp_path: Path) -> None:
    strange = ["two words", "a, b", "x # y", "#1", "back\\slash", "dots.in.it"]
    for name in strange:
        layouts.write_image(tmp_path / "images" / f"{name}.png")
    layouts.write_text(tmp_path / "val.txt", *strange)
    layouts.write_text(tmp_path / "train.txt", *(f"images/{name}.png" for name in strange))
    assert listed(tmp_path) == strange
    assert [item.name for item in open_dataset(tmp_path).items] == strange


def test_the_label_map_beside_a_picture_is_the_one_that_is_meant(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    layouts.write_labels(tmp_path / "labels/second/look.png", (1,))
    layouts.write_text(tmp_path / "val.txt", "day/p1.png labels/second/look.png", "day/p3.png")
    data = open_dataset(tmp_path, split="val")
    first, second = data.items
    assert first.labels == tmp_path / "labels/second/look.png"
    assert second.labels == tmp_path / "labels/day/p3.png"
    assert not any("have no image" in note for note in data.notes)
    layouts.write_text(tmp_path / "val.txt", "day/p1.png labels/gone.png")
    with pytest.raises(
        LayoutError, match=r"label map 'labels/gone\.png' in line 1, but there is no"
    ):
        open_dataset(tmp_path, split="val")


def test_a_name_that_several_pictures_have(tmp_path: Path) -> None:
    for place in ("cam1/p.png", "cam2/p.png", "x.png", "x.jpg"):
        layouts.write_image(tmp_path / "images" / place)
    for text in ("p", "x"):
        layouts.write_text(tmp_path / "val.txt", text)
        with pytest.raises(LayoutError, match=rf"lists '{text}' in line 1, which could be .* or "):
            open_dataset(tmp_path, split="val")
    layouts.write_text(tmp_path / "val.txt", "cam2/p", "x.jpg")
    assert listed(tmp_path) == ["cam2/p", "x.jpg"]


@pytest.mark.parametrize("text", ["night/p1", "day/p77", "images/night/p1.png", "p1 p2x", "day"])
def test_what_is_not_there_is_not_replaced(text: str, tmp_path: Path) -> None:
    layouts.folder(tmp_path)  # day/p1 is there
    layouts.write_text(tmp_path / "val.txt", "night/p8", text)
    if text == "p1 p2x":
        assert listed(tmp_path) == ["night/p8", "day/p1"]
        return
    with pytest.raises(LayoutError, match=rf"lists '{text}', but images/ contains no such image$"):
        open_dataset(tmp_path, split="val")


def test_many_that_are_missing_are_counted(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    layouts.write_text(tmp_path / "val.txt", "a", "b", "c")
    with pytest.raises(LayoutError, match=r"'a', but images/ contains .* \(nor 2 others"):
        open_dataset(tmp_path, split="val")


def test_a_test_list_is_a_split_and_left_out_of_the_others(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    layouts.write_text(tmp_path / "test.txt", "day/p1", "day/p3")
    assert open_dataset(tmp_path).splits == ("train", "val", "test", "all")
    sizes = {split: len(open_dataset(tmp_path, split=split)) for split in ("train", "val", "test")}
    assert sizes == {"train": 7, "val": 1, "test": 2}
    layouts.write_text(tmp_path / "val.txt", "night/p8")
    assert len(open_dataset(tmp_path)) == 7


def test_a_test_list_of_pictures_that_were_withheld_is_told(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    layouts.write_text(tmp_path / "test.txt", "secret1", "secret2")
    data = open_dataset(tmp_path)
    assert len(data) == 8
    assert "The split test was left out:" in data.warnings[0]
    assert (
        "test.txt lists 'secret1', but images/ contains no such image (nor 1 other "
        in (data.warnings[0])
    )
    with pytest.raises(LayoutError, match="has no images in its split 'test'"):
        open_dataset(tmp_path, split="test")


def test_lists_of_published_sets(tmp_path: Path) -> None:
    layouts.cocostuff(tmp_path)
    curated = tmp_path / "curated/train2017/Coco164kFull_Stuff_Coarse.txt"
    curated.write_bytes(b"\xef\xbb\xbf# ids\r\n000000000030.jpg\r\ntrain2017\\000000000009\r\n")
    assert read_list(curated) == ["000000000030", "000000000009"]
    assert [i.name for i in open_dataset(tmp_path).items] == ["000000000030", "000000000009"]
    for line in ("../a", "/a", "a\0b"):
        layouts.write_text(curated, line)
        with pytest.raises(LayoutError, match="outside the data set in line 1"):
            read_list(curated)
