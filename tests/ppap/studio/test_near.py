"""What is offered in place of a path that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppap.studio.near import did_you_mean, near_paths


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("data/CamVid/train", "data/CamVid/val", "data/Cityscapes", "my photos", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/CamVid/classes.txt").write_text("sky\n")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("data/CamVidd", ["data/CamVid"]),
        ("data/camvid", ["data/CamVid"]),
        ("data/Cam", ["data/CamVid"]),  # not yet typed to its end
        ("dat/CamVid", ["data/CamVid"]),
        ("datta/CamVid/trian", ["data/CamVid/train"]),
        ("data/CamVidd/val", ["data/CamVid/val"]),
        ("data/C", []),
        ("data/ADE20K", []),
        ("data/CamVid/classes.txt", ["data/CamVid"]),
        ("my_photos", ["my photos"]),
        ("hidden", []),
        (".hiden", [".hidden"]),
    ],
)
def test_folders_that_may_be_meant(place: Path, typed: str, offered: list[str]) -> None:
    assert near_paths(str(place / typed), Path.is_dir) == [str(place / one) for one in offered]


@pytest.mark.parametrize("around", ["'{}'", '"{}"', " {} ", "file://{}", '"file://{}"'])
def test_what_terminals_and_browsers_put_around_paths(place: Path, around: str) -> None:
    wanted = str(place / "my photos")
    assert near_paths(around.format(wanted), Path.is_dir) == [wanted]
    assert near_paths(around.format(wanted.replace(" ", "\\ ")), Path.is_dir) == [wanted]


def test_an_address_with_escapes(place: Path) -> None:
    wanted = place / "my photos"
    assert near_paths(wanted.as_uri(), Path.is_dir) == [str(wanted)]


def test_only_what_fits_is_offered(place: Path) -> None:
    assert near_paths(str(place / "data/CamVid/clases.txt"), Path.is_dir) == []
    assert near_paths(str(place / "data/CamVid/clases.txt"), Path.is_file) == [
        str(place / "data/CamVid/classes.txt")
    ]
    assert near_paths(str(place / "data/CamVidd"), lambda path: False) == []


def test_a_home_folder_is_written_as_it_was_typed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place))
    assert near_paths("~/data/CamVidd", Path.is_dir) == ["~/data/CamVid"]


@pytest.mark.parametrize("typed", ["", "~nobody-here/x", "x" * 5000, "/" * 300, "a\0b", "/"])
def test_what_is_no_path_offers_nothing(typed: str) -> None:
    assert [one for one in near_paths(typed, Path.is_dir) if "\0" in one] == []


def test_folders_of_very_many_names_are_not_read_to_the_end(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppap.studio.near.LOOKED_AT", 0)
    assert near_paths(str(place / "data/CamVidd"), Path.is_dir) == []


def test_the_question() -> None:
    assert did_you_mean([]) == ""
    assert did_you_mean(["/a"]) == " Did you mean /a?"
    assert did_you_mean(["/a", "/b", "/c"]) == " Did you mean /a, /b or /c?"
