"""What label maps and JSON call images."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ppap.output.naming import file_names, file_stems, folded


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
    assert found[:5] == ["a.jpg", "a.png", "A.gif", "passwd", "y.z"]
    assert found[5] == "__b_"
    assert found[6:] == ["image", "image (2)"]
    for stem in found:
        assert stem
        assert not set(stem) & set('/\\<>:"|?*')


@pytest.mark.parametrize(
    "stem",
    [
        "a+b, 50%",
        "it's [1] @ home!",
        "{x}~`$^&=;#",
        "two  spaces ",
        " in front",
        "ends with a dot.",
        "Screenshot at 10.00\u202fAM",
        "non\u00a0breaking",
        "cafe\u0301",  # as macOS writes it
        "हिन्दी",
        "می\u200cخواهم",
        "\U0001f469\u200d\U0001f33e",
        "한국어",
        "n" * 90,
        "n" * 250,
        "é" * 125,
    ],
)
def test_a_photo_s_own_name_is_kept(stem: str) -> None:
    (found,) = file_names([f"{stem}.jpeg"])
    assert found == (stem, f"{stem}.jpeg")
    assert len(f"{found.stem}.png".encode()) <= 255


def test_equal_names_get_a_number_that_is_free() -> None:
    names = ["image.jpg", "image.jpg", "image (2).jpg", "IMAGE.jpg", "image.png"]
    assert file_names(names) == [
        ("image.jpg", "image.jpg"),
        ("image (3)", "image (3).jpg"),
        ("image (2)", "image (2).jpg"),
        ("IMAGE (4)", "IMAGE (4).jpg"),
        ("image.png", "image.png"),  # another name: only the label maps tell of the suffix
    ]


def test_long_names_that_are_equal_stay_short_enough() -> None:
    for stem in ("n" * 251, "ж" * 125):
        first, second = file_stems([f"{stem}.jpg"] * 2)
        assert first == stem
        assert second.endswith(" (2)")
        assert len(f"{second}.png".encode()) <= 255
    assert file_stems(["n" * 400])[0] == "n" * 251
    for suffixes in ((".jpg", ".png"), (".jpeg", ".tiff")):
        found = file_names(["n" * 250 + suffix for suffix in suffixes])
        assert found[0].stem == "n" * 250
        assert found[1].stem.endswith("n (2)"), "no room for the suffix"
    both = file_names(["n" * 246 + ".jpeg", "n" * 246 + ".tiff"])
    assert [len(f"{one.stem}.png") for one in both] == [255, 255]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("CON.jpg", "_CON"),
        ("lpt1.tar.png", "_lpt1.tar"),
        ("COM5.jpg", "_COM5"),
        ("console.jpg", "console"),
        (".hidden.jpg", "hidden"),
        ("...jpg", "image"),
        ("~$draft.jpg", "_$draft"),
        ("tile.mat", "tile"),
        ("10.00 AM", "10.00 AM"),
        ("a\x00b\n.jpg", "a_b_"),
    ],
)
def test_names_that_some_system_cannot_store(name: str, stem: str) -> None:
    (found,) = file_names([name])
    assert found.stem == stem
    assert found.image.startswith(stem)


def test_no_image_is_taken_for_another_s_label_map() -> None:
    names = ["a.jpg", "a_mask.png", "a_mask.jpg", "mask_1.png", "b.jpg", "b.jpg.png"]
    assert [one.image for one in file_names(names)] == [
        "a.jpg",
        "a_mask (2).png",
        "a_mask.jpg",
        "mask_1.png",  # there is no image 1
        "b.jpg",
        "b.jpg (2).png",
    ]


def test_names_that_some_systems_take_for_one() -> None:
    found = file_stems(["caf\u00e9.jpg", "cafe\u0301.jpg"])
    assert found == ["caf\u00e9", "cafe\u0301 (2)"]


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=6))
def test_names_always_differ(names: list[str]) -> None:
    found = file_names(names)
    stems = [one.stem.casefold() for one in found]
    assert len(set(stems)) == len({folded(one.image) for one in found}) == len(names)
    assert all(stem and "/" not in stem and not stem.startswith(".") for stem in stems)
    for one in found:
        f"{one.stem}{one.image}".encode()  # can be written
