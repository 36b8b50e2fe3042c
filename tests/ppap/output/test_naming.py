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
    assert found[:5] == ["a", "a (2)", "A (3)", "passwd", "y.z"]
    assert found[5] == "__b_"
    assert found[7] == "image"
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
        "n" * 251,
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
        ("image", "image.jpg"),
        ("image (3)", "image (3).jpg"),
        ("image (2)", "image (2).jpg"),
        ("IMAGE (4)", "IMAGE (4).jpg"),
        ("image (5)", "image.png"),  # another name: only the label map needs another one
    ]


def test_long_names_that_are_equal_stay_short_enough() -> None:
    for stem in ("n" * 251, "ж" * 125):
        first, second = file_stems([f"{stem}.jpg"] * 2)
        assert first == stem
        assert second.endswith(" (2)")
        assert len(f"{second}.png".encode()) <= 255
    assert file_stems(["n" * 400])[0] == "n" * 251


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
