"""Links out of the folders that may be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppap.data import DataError, open_dataset, read_image
from ppap.data.confining import LEADS_OUT, confined, in_environment, leads_out
from ppap.data.labels import read_labels
from ppap.data.listing import read_lines
from tests.support import layouts


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """A folder that may be read, with links into one that may not."""
    layouts.write_image(tmp_path / "private/p.png")
    (tmp_path / "private/list.txt").write_text("secret")
    layouts.write_image(tmp_path / "shown/a.png")
    (tmp_path / "shown/file.png").symlink_to(tmp_path / "private/p.png")
    (tmp_path / "shown/folder").symlink_to(tmp_path / "private")
    (tmp_path / "shown/twice").symlink_to(tmp_path / "shown/folder")
    (tmp_path / "shown/list.txt").symlink_to("../private/list.txt")
    (tmp_path / "shown/within.png").symlink_to(tmp_path / "shown/a.png")
    return tmp_path / "shown"


OUT = ("file.png", "folder/p.png", "twice/p.png", "list.txt", "../shown/file.png")


def test_anything_may_be_read_unless_somebody_says_otherwise(shown: Path) -> None:
    assert not any(leads_out(shown / name) for name in OUT)
    with confined([shown]), confined(None):
        assert not any(leads_out(shown / name) for name in OUT)


def test_links_may_lead_where_one_may_read(shown: Path) -> None:
    with confined([shown]):
        assert all(leads_out(shown / name) for name in OUT)
        assert not any(leads_out(shown / name) for name in ("a.png", "within.png", "missing"))
        # What begins elsewhere, an upload, is checked elsewhere.
        assert not leads_out(shown.parent / "private/p.png")
    with confined([shown, shown.parent / "private"]):
        assert not any(leads_out(shown / name) for name in OUT)


def test_a_folder_reached_through_a_link_is_the_same_folder(shown: Path) -> None:
    (shown.parent / "other").symlink_to(shown)
    with confined([shown.parent / "other"]):
        assert leads_out(shown / "file.png")
        assert leads_out(shown.parent / "other/file.png")
        assert not leads_out(shown.parent / "other/a.png")


def test_another_process_finds_the_bounds_in_its_environment(
    shown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in in_environment([shown]).items():
        monkeypatch.setenv(name, value)
    assert leads_out(shown / "file.png")
    assert not leads_out(shown / "a.png")
    with confined([shown.parent]):  # what is said nearer wins
        assert not leads_out(shown / "file.png")


def test_nothing_is_read_through_such_a_link(shown: Path) -> None:
    with confined([shown]):
        for read in (read_image, read_labels):
            with pytest.raises(DataError, match=LEADS_OUT):
                read(shown / "folder/p.png")
        with pytest.raises(DataError, match=LEADS_OUT) as told:
            read_lines(shown / "list.txt")
        assert "secret" not in str(told.value)
        assert read_image(shown / "within.png").rgb.size


@pytest.mark.parametrize("layout", [layouts.camvid, layouts.folder, layouts.cityscapes])
def test_label_maps_behind_links_are_not_read(
    layout: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(layout)
    layout(tmp_path / "set")
    data = open_dataset(tmp_path / "set")
    labels = data.items[0].labels
    assert labels is not None
    labels.rename(tmp_path / "private.png")
    labels.symlink_to(tmp_path / "private.png")
    assert data.load(0).labels is not None
    for name, value in in_environment([tmp_path / "set"]).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match=LEADS_OUT):
        data.load(0)
