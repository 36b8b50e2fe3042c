"""What preflight finds, and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ppap.data import Dataset, Example, Finding, preflight
from tests.support import layouts


@pytest.mark.parametrize("kind", sorted(set(layouts.LAYOUTS) - {"folder", "images"}))
def test_sound_data_gives_nothing(kind: str, tmp_path: Path) -> None:
    layouts.LAYOUTS[kind](tmp_path)
    assert preflight(tmp_path) == []


def test_everything_wrong_at_once(tmp_path: Path) -> None:
    layouts.cocostuff(tmp_path)
    folder = tmp_path / "images/train2017"
    labels = tmp_path / "annotations/train2017"
    names = [f"{n:012d}" for n in range(6)]
    for name in names:
        layouts.write_image(folder / f"{name}.jpg")
        layouts.write_labels(labels / f"{name}.png", (0, 255))
    lists = tmp_path / "curated/train2017/Coco164kFull_Stuff_Coarse.txt"
    layouts.write_text(lists, *names, names[5])
    (folder / f"{names[0]}.jpg").unlink()
    (labels / f"{names[1]}.png").unlink()
    (folder / f"{names[2]}.jpg").write_text("no picture")
    Image.new("L", (3, 3)).save(labels / f"{names[3]}.png")
    layouts.write_labels(labels / f"{names[4]}.png", (182,))
    found = {(f.severity, Path(f.file).name): f.text for f in preflight(tmp_path)}
    assert found.pop(("error", f"{names[0]}.jpg")) == "does not exist"
    assert found.pop(("error", f"{names[1]}.png")).startswith("does not exist, but its image")
    assert found.pop(("error", f"{names[2]}.jpg")).startswith("is not an image")
    assert found.pop(("error", f"{names[3]}.png")) == "has 3×3 pixels, but its image has 8×6"
    assert found.pop(("error", f"{names[4]}.png")).startswith("contains 182, but")
    assert found.pop(("warning", f"{names[5]}.jpg")) == "is listed more than once"
    assert found == {}


def test_what_cannot_be_opened_is_one_finding(tmp_path: Path) -> None:
    (finding,) = preflight(tmp_path / "none")
    assert finding == Finding("error", str(tmp_path / "none"), "does not exist")
    layouts.folder(tmp_path)
    layouts.write_text(tmp_path / "val.txt", "")
    (finding,) = preflight(tmp_path, split="val")
    assert finding.severity == "error"
    assert finding.text.startswith("has no images in its split 'val'")


def test_own_folder(tmp_path: Path) -> None:
    layouts.folder(tmp_path)
    layouts.write_labels(tmp_path / "labels/day/old.png", (0,))
    found = preflight(tmp_path, split="all")
    assert [f.severity for f in found] == ["warning", "note", "note"]
    assert (Path(found[0].file).name, found[0].text) == ("p4.png", "has no label map")
    assert found[2].text == "1 label map has no image: labels/day/old.png."


def test_opens_no_more_than_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.five_crops(tmp_path)
    opened: list[int] = []
    load = Dataset.load

    def counted(dataset: Dataset, index: int) -> Example:
        opened.append(index)
        return load(dataset, index)

    monkeypatch.setattr(Dataset, "load", counted)
    (finding,) = preflight(tmp_path, open_files=4)
    assert opened == [0, 3, 7, 11]
    assert finding.text == (
        "4 of 15 items were opened; for the rest, only the headers and ends of the files were "
        "checked."
    )
    preflight(tmp_path, open_files=0)
    assert len(opened) == 4


def test_long_complaints_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layouts.five_crops(tmp_path)
    monkeypatch.setattr("ppap.data.findings.LISTED", 3)
    for path in tmp_path.rglob("label/train/*.png"):
        path.unlink()
    found = preflight(tmp_path)
    assert len(found) == 4
    assert (found[3].file, found[3].severity) == ("12 more files", "error")


def many(root: Path, count: int = 40) -> None:
    for number in range(count):
        layouts.write_image(root / f"images/{number}.jpg", 100 + number)
        layouts.write_labels(root / f"labels/{number}.png", (0, 1, 255))
    layouts.write_text(root / "classes.txt", "land", "water")


def cut(path: Path, by: int = 60) -> None:
    path.write_bytes(path.read_bytes()[:-by])


def test_every_file_is_looked_at(tmp_path: Path) -> None:
    many(tmp_path)
    cut(tmp_path / "images/7.jpg")
    cut(tmp_path / "labels/23.png", 20)
    Image.new("L", (3, 3)).save(tmp_path / "labels/31.png")
    Image.new("L", (8, 6)).save(tmp_path / "labels/33.png", "JPEG")
    found = preflight(tmp_path, split="all", open_files=0)
    errors = {Path(f.file).name: f.text for f in found if f.severity == "error"}
    assert sorted(errors) == ["23.png", "31.png", "33.png", "7.jpg"]
    assert "damaged or cut short" in errors["7.jpg"]
    assert errors["31.png"] == "has 3×3 pixels, but its image has 8×6"
    assert errors["33.png"].startswith("is a JPEG, which does not preserve class ids")


def test_time_may_be_limited_but_that_is_said(tmp_path: Path) -> None:
    many(tmp_path)
    cut(tmp_path / "images/7.jpg")
    assert [f.text for f in preflight(tmp_path, split="all", open_files=0, seconds=-1)][-1] == (
        "0 of 40 items were checked in the time available; for the rest, only the file names "
        "were looked up. A run checks all of them before it starts."
    )
    assert any(f.severity == "error" for f in preflight(tmp_path, split="all", seconds=60))


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppap.data.findings.AT_ONCE", 3)
    many(tmp_path)
    told: list[tuple[int, int]] = []
    preflight(tmp_path, split="all", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (40, 40)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_what_is_skipped_is_a_warning(tmp_path: Path) -> None:
    many(tmp_path)
    cut(tmp_path / "images/7.jpg")
    (tmp_path / "labels/8.png").write_bytes(b"")
    found = preflight(tmp_path, split="all", on_error="skip")
    warnings = {Path(f.file).name: f.text for f in found if f.severity == "warning"}
    assert sorted(warnings) == ["7.jpg", "8.png"]
    assert all(text.endswith("(left out: on_error=skip)") for text in warnings.values())
    assert not [f for f in found if f.severity == "error"]
    # What is wrong with all of them is no matter of single files.
    layouts.write_text(tmp_path / "classes.txt", "only", "void 7")
    found = preflight(tmp_path, split="all", on_error="skip")
    (error,) = (f for f in found if f.severity == "error")
    assert error.text.startswith("names 1 classes, but the label maps contain the numbers 0 to 1")


def test_warnings_of_the_whole_set_come_without_a_file() -> None:
    assert str(Finding("warning", "", "It is odd.")) == "Warning: It is odd."
    assert str(Finding("warning", "a.png", "is odd")) == "Warning: a.png is odd"
    assert str(Finding("note", "a.png", "It is so.")) == "Note: It is so."


def test_real_data_is_sound(shared_data: Path) -> None:
    for name in ("cocostuff", "camvid", "cityscapes", "dubai_aerial"):
        found = preflight(shared_data / name, open_files=5)
        assert [f for f in found if f.severity != "note"] == []
