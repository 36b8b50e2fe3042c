"""Which label map belongs to which picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppap.data import LayoutError
from ppap.data.listing import without_suffix
from ppap.data.pairing import is_label_name, marked, pair


def paired(photos: list[str], labels: list[str]) -> dict[str, str]:
    return pair({without_suffix(p): p for p in photos}, labels, Path("labels")).labels


@pytest.mark.parametrize(
    ("photo", "label"),
    [
        ("a.jpg", "a.png"),
        ("a.jpg", "a.jpg.png"),
        ("a.b.jpg", "a.b.png"),
        ("day/a.jpg", "day/a_mask.tif"),
        ("a.jpg", "a_GT.bmp"),
        ("a.jpg", "a-labels.gif"),
        ("a.jpg", "a labelIds.png"),
        ("a.jpg", "a.seg.png"),
        ("0001TP_006690.png", "0001TP_006690_L.png"),
        ("u/u_000002_000019_leftImg8bit.png", "u/u_000002_000019_gtFine_labelIds.png"),
        ("100694_sat.jpg", "100694_mask.png"),
        ("image_7.jpg", "mask_7.png"),
        ("img007.png", "label007.png"),
        ("7.jpg", "gt_7.png"),
        ("a.jpg", "a.jpg"),
    ],
)
def test_names_that_belong_together(photo: str, label: str) -> None:
    assert paired([photo, "other.jpg"], [label]) == {without_suffix(photo): label}


@pytest.mark.parametrize(
    ("photo", "label"),
    [
        ("a.jpg", "b.png"),
        ("a.jpg", "a_color.png"),
        ("a.jpg", "a_instanceIds.png"),
        ("a.jpg", "amask.png"),
        ("1.jpg", "11.png"),
        ("day/a.jpg", "night/a.png"),
        ("masked.jpg", "ed.png"),
    ],
)
def test_names_that_do_not(photo: str, label: str) -> None:
    assert paired([photo], [label]) == {}


def test_the_plain_name_counts_more() -> None:
    assert paired(["a.jpg"], ["a_mask.png", "a.png"]) == {"a": "a.png"}
    assert paired(["a.jpg", "a_mask.jpg"], ["a.png", "a_mask.png"]) == {
        "a": "a.png",
        "a_mask": "a_mask.png",
    }


def test_a_lossless_file_counts_more() -> None:
    assert paired(["a.jpg"], ["a.jpg", "a.png"]) == {"a": "a.png"}


@pytest.mark.parametrize("others", [["a.png", "a.tif"], ["a_mask.png", "a_gt.png"]])
def test_two_for_one_are_refused(others: list[str]) -> None:
    with pytest.raises(LayoutError, match=rf"both {others[0]} and {others[1]}, which could each"):
        paired(["a.jpg"], others)


def test_folders_on_one_side_alone() -> None:
    assert paired(["cam1/a.jpg", "cam2/b.jpg"], ["a_mask.png", "b_mask.png"]) == {
        "cam1/a": "a_mask.png",
        "cam2/b": "b_mask.png",
    }
    assert paired(["a.jpg"], ["x/y/a.png"]) == {"a": "x/y/a.png"}
    # Two pictures of one name in two folders: nobody can tell.
    assert paired(["cam1/a.jpg", "cam2/a.jpg"], ["a.png"]) == {}


def test_strays_are_told() -> None:
    found = pair({"a": "a.jpg"}, ["a.png", "old.png", "a_color.png"], Path("labels"))
    assert found.stray == ["old.png", "a_color.png"]


def test_what_a_label_map_may_be_called() -> None:
    assert is_label_name("a.PNG")
    assert is_label_name("a.jpg")  # to be refused by its own name
    assert not is_label_name("a.json")
    assert marked("x/a_mask") == "x/a"
    assert marked("a") is None
