"""Class names, numbers and colours as people and programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import VOID, LayoutError, open_dataset
from ppap.data.class_files import class_file, read_classes


def read(tmp_path: Path, text: str, name: str = "classes.txt") -> tuple[list[str], dict, dict]:
    (tmp_path / name).write_text(text, encoding="utf-8")
    named = read_classes(tmp_path / name)
    return named.names, named.numbers, named.colours


ROADS = (["sky", "road"], {0: 0, 7: 1, 255: VOID})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("0 sky\n7 road\n", "classes.txt"),
        ("0: sky\r\n7: road\r\n", "classes.txt"),
        ("# numbers of the masks\n0\tsky\n7\troad", "classes.txt"),
        ("0, sky\n7, road\n", "labels.txt"),
        ("Pixel Value, Class\n0, sky\n7, road\n", "_classes.csv"),
        ('id,name\n0,"sky"\n7,"road"\n', "classes.csv"),
        ('{"0": "sky", "7": "road"}', "mapping.json"),
        ('{"sky": 0, "road": 7}', "mapping.json"),
        ('{"id2label": 0, "classes": {"0": "sky", "7": "road"}}', "id2label.json"),
        ('[{"id": 0, "name": "sky"}, {"id": 7, "name": "road"}]', "classes.json"),
        ('{"categories": [{"id": 0, "name": "sky"}, {"id": 7, "name": "road"}]}', "labels.json"),
    ],
)
def test_numbers(text: str, name: str, tmp_path: Path) -> None:
    names, numbers, colours = read(tmp_path, text, name)
    assert (names, numbers) == ROADS
    assert colours == {}
    assert class_file(tmp_path) == tmp_path / name


PAINTED = (["sky", "road"], {0: 0, 1: 1, 255: VOID})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sky #4682b4\nroad #804080\nvoid #000000\n", "classes.txt"),
        ("#4682b4 sky\n#804080 road\nvoid #000000\n", "classes.txt"),
        ("sky 70 130 180\nroad 128 64 128\nvoid 0 0 0\n", "classes.txt"),
        ("70 130 180\tsky\n128 64 128\troad\n0 0 0\t\tVoid\n", "label_colors.txt"),
        ("name,r,g,b\nsky,70,130,180\nroad,128,64,128\nVoid,0,0,0\n", "class_dict.csv"),
        (
            "# label:color_rgb:parts:actions\nsky:70,130,180::\nroad:128,64,128::\nignore:0,0,0::",
            "labelmap.txt",
        ),
        ('{"sky": [70, 130, 180], "road": [128, 64, 128], "void": [0, 0, 0]}', "mapping.json"),
        ('{"sky": "#4682b4", "road": "#804080", "void": "#000000"}', "mapping.json"),
    ],
)
def test_colours(text: str, name: str, tmp_path: Path) -> None:
    names, numbers, colours = read(tmp_path, text, name)
    assert (names, numbers) == PAINTED
    assert colours == {(70, 130, 180): 0, (128, 64, 128): 1, (0, 0, 0): 255}
    assert read_classes(tmp_path / name).class_list.colours == ((70, 130, 180), (128, 64, 128))


def test_names_alone_are_taken_to_the_letter(tmp_path: Path) -> None:
    strange = ["'\"</style>", "void", "2 storeys", "sky, cloudy", "# 1", "a: b", "#hash", "100"]
    names, numbers, _ = read(tmp_path, "\n".join(n for n in strange if n != "# 1"))
    assert names == [n for n in strange if n != "# 1"]
    assert numbers == {**{i: i for i in range(len(names))}, 255: VOID}


@pytest.mark.parametrize("line", ["void 0", "Ignore: 0", "VOID=0", "void\t0"])
def test_void_moves_the_names_on(line: str, tmp_path: Path) -> None:
    for text in (f"{line}\nsky\nroad\n", f"sky\nroad\n{line}\n"):
        names, numbers, _ = read(tmp_path, text)
        assert names == ["sky", "road"]
        assert numbers == {0: VOID, 1: 0, 2: 1, 255: VOID}


def test_several_numbers_of_void_and_of_a_class(tmp_path: Path) -> None:
    _, numbers, _ = read(tmp_path, "void 9\nvoid 12\nsky\n")
    assert numbers == {0: 0, 9: VOID, 12: VOID, 255: VOID}
    names, numbers, _ = read(tmp_path, "0 sky\n1 road\n4 road\n5 unlabelled\n255 white\n")
    assert names == ["sky", "road", "white"]
    assert numbers == {0: 0, 1: 1, 4: 1, 5: VOID, 255: 2}
    text = '{"void": [0, 9], "sky": 3, "road": [1, 2, 4]}'
    _, numbers, _ = read(tmp_path, text, "mapping.json")
    assert numbers == {0: VOID, 9: VOID, 3: 0, 1: 1, 2: 1, 4: 1, 255: VOID}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 sky\n0 road\n", "gives the number 0 twice, again in line 2"),
        ("sky #102030\nroad #102030\n", "gives the colour #102030 twice, again in line 2"),
        ("70000 sky\n1 road\n", "gives the number 70000 in line 1: it must be from 0 to 65535"),
    ],
)
def test_contradictions_are_named(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=reason):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    ["{", "7", '{"a": null}', '[["sky"]]', '{"7": 7.5}', '"sky"', '{"a": [-1, 0, 0]}',
     '{"a": [true, 0, 0]}'],
)  # fmt: skip
def test_json_that_names_no_classes(text: str, tmp_path: Path) -> None:
    said = (
        r"is not valid JSON|does not name classes|without a class name|has no class name|"
        r"gives the number -1"
    )
    with pytest.raises(LayoutError, match=said):
        read(tmp_path, text, "mapping.json")


def test_three_numbers_are_no_colour_where_one_is_too_large(tmp_path: Path) -> None:
    names, numbers, colours = read(tmp_path, '{"sky": [0, 1, 256], "road": [2, 3, 4]}', "a.json")
    assert names == ["sky", "road"]
    assert numbers == {0: 0, 1: 0, 256: 0, 2: 1, 3: 1, 4: 1, 255: VOID}
    assert colours == {}


@pytest.mark.parametrize("count", [255, 256, 300, 919])
def test_more_classes_than_a_byte_tells_apart(count: int, tmp_path: Path) -> None:
    void = 255 if count == 255 else 65_535
    stored = np.array([[0, count - 1, 254], [void, min(255, count - 1), 7]])
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "images/a.png")
    kind = np.uint8 if count == 255 else np.uint16
    Image.fromarray(stored.astype(kind)).save(tmp_path / "labels/a.png")
    (tmp_path / "classes.txt").write_text("".join(f"thing {i}\n" for i in range(count)))
    dataset = open_dataset(tmp_path, kind="folder", split="all")
    assert len(dataset.classes) == count
    labels = dataset.load(0).labels
    assert labels is not None
    assert np.array_equal(labels, np.where(stored == void, -1, stored))
