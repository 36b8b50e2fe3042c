"""Notes: views kept under a name, on disk beside the runs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ppap.studio.access.owners import Ownership
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.explore import notes as notes_module
from ppap.studio.explore.note_endpoints import NoteEndpoints
from ppap.studio.explore.notes import FOLDER, LONGEST_NAME, MOST_PARTS, NOTE, PICTURE, Notes
from ppap.studio.explore.noting import Noting
from ppap.studio.requests import RequestError
from tests.support.small_studio import SmallStudio

SETTINGS: dict[str, Any] = {"phi0": 0.4, "psi0": 0.1, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}


@pytest.fixture
def studio(tmp_path: Path) -> SmallStudio:
    return SmallStudio(tmp_path / "studio")


@pytest.fixture
def noting(studio: SmallStudio, tmp_path: Path) -> Noting:
    return Noting(studio.server, Notes(tmp_path / "runs", Ownership(logins=True)))


def state(studio: SmallStudio, **changes: Any) -> dict[str, Any]:
    """What the page would export, of two uploaded photos."""
    files = [studio.upload(f"{i}.png", i) for i in range(2)]
    batch = studio.load(source="files", files=files)
    usual = {"batch": batch["batch"], "anchor": 5, "settings": SETTINGS, "step": 2}
    return {**usual, "look": {"style": "boxes"}, "across": 2, **changes}


def keep(noting: Noting, studio: SmallStudio, **changes: Any) -> dict[str, Any]:
    view = {"anchor": "0,0,5", "style": "boxes"}
    if "state" not in changes:
        changes["state"] = state(studio)
    return noting.keep_note({"name": "Two", "text": "A sentence.", "view": view, **changes})


def test_a_note_holds_what_was_shown(noting: Noting, studio: SmallStudio) -> None:
    wanted = state(studio)
    kept = keep(noting, studio, state=wanted)
    (listed,) = noting.notes(None)["notes"]
    assert listed["key"] == kept["key"]
    assert (listed["name"], listed["text"]) == ("Two", "A sentence.")
    assert listed["view"] == {"anchor": "0,0,5", "style": "boxes"}
    note = noting.kept.read(kept["key"])
    shown = json.loads(studio.server.file({**wanted, "format": "json"}).data)
    for kept_step, step in zip(note["shown"][0]["steps"], shown["rules"][0]["steps"], strict=True):
        lists = {name: step.pop(name) for name in list(step) if name.endswith("_patches")}
        assert len(lists) == 3
        assert kept_step == step
    assert note["shown"][0]["settings"] == SETTINGS
    picture = noting.kept.file(kept["key"], PICTURE).read_bytes()
    assert picture == studio.server.file({**wanted, "format": "png"}).data
    with Image.open(noting.kept.file(kept["key"], notes_module.THUMBNAIL)) as small:
        assert small.format == "JPEG"
        assert small.width <= 360
        assert small.height <= 240


def test_they_outlive_the_studio_and_their_images(
    noting: Noting, studio: SmallStudio, tmp_path: Path
) -> None:
    key = keep(noting, studio)["key"]
    other = SmallStudio(tmp_path / "other")
    again = Noting(other.server, Notes(tmp_path / "runs"))
    assert [one["key"] for one in again.notes(None)["notes"]] == [key]
    assert "<img" in again.page(key)


def test_renaming_and_deleting(noting: Noting, studio: SmallStudio, tmp_path: Path) -> None:
    key = keep(noting, studio)["key"]
    reply = noting.change_note({"key": key, "name": " Three\n of  them ", "text": ""})
    assert [one["name"] for one in reply["notes"]] == ["Three of them"]
    assert noting.kept.read(key)["shown"]
    assert noting.remove_note(key)["notes"] == []
    assert list((tmp_path / "runs" / FOLDER).iterdir()) == []
    assert "There is no note" in noting.remove_note(key)["error"]


def test_the_page_stands_alone_and_takes_no_markup(noting: Noting, studio: SmallStudio) -> None:
    words = {"name": "<script>alert(1)</script>", "text": "<img src=x onerror=alert(2)>"}
    page = noting.page(keep(noting, studio, **words)["key"])
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "sigma_pos = 3" in page


def test_everybody_sees_their_own(noting: Noting, studio: SmallStudio) -> None:
    wanted = state(studio)
    with asking(Visitor(user="ada")):
        key = keep(noting, studio, state=wanted)["key"]
        assert len(noting.notes(None)["notes"]) == 1
    with asking(Visitor(user="bob")):
        assert noting.notes(None)["notes"] == []
        for reply in (
            noting.remove_note(key),
            noting.change_note({"key": key, "name": "mine"}),
        ):
            assert "There is no note" in reply["error"]
        with pytest.raises(RequestError):
            noting.kept.file(key, PICTURE)
        with pytest.raises(RequestError):
            noting.page(key)
    with asking(Visitor(user="ada")):
        assert noting.remove_note(key)["notes"] == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "Enter a name for the note"),
        ({"name": 3}, "Enter a name for the note"),
        ({"name": "x" * (LONGEST_NAME + 1)}, "at most 80"),
        ({"name": "a\x00b"}, "cannot be displayed"),
        ({"text": ["x"]}, "must be text"),
        ({"text": "x" * 5000}, "at most 600"),
        ({"view": "?a=1"}, "parameters of a link"),
        ({"view": {"a": 1}}, "parameters of a link"),
        ({"view": {"a": "x" * 2000}}, "too long"),
        ({"view": {"a": "half a character: \ud800"}}, "characters in the link"),
        ({"view": {"\ud800": ""}}, "characters in the link"),
        ({"view": {f"a{i}": "" for i in range(MOST_PARTS + 1)}}, "parameters of a link"),
        ({"state": None}, "object"),
        ({"state": {"batch": "gone"}}, "no longer in memory"),
    ],
)
def test_hostile_requests(
    noting: Noting, studio: SmallStudio, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    assert said in keep(noting, studio, **changes)["error"]
    assert not (tmp_path / "runs").exists()


def test_no_name_leads_elsewhere(noting: Noting, studio: SmallStudio, tmp_path: Path) -> None:
    key = keep(noting, studio)["key"]
    (tmp_path / "runs" / "secret").mkdir()
    (tmp_path / "runs" / "secret" / NOTE).write_text("{}")
    for odd in ("../secret", "", ".", f"../{FOLDER}/{key}", None, 3, ["x"]):
        with pytest.raises(RequestError):
            noting.kept.folder_of(odd)
    for odd in (NOTE, "../note.json", "", "owner", None):
        with pytest.raises(RequestError):
            noting.kept.file(key, odd)


def test_damaged_notes_are_left_out(noting: Noting, studio: SmallStudio, tmp_path: Path) -> None:
    keep(noting, studio)
    folder = tmp_path / "runs" / FOLDER
    for i, text in enumerate(("", "[]", "{", '{"format": "other"}', "[" * 9999)):
        (folder / f"damaged-{i}").mkdir()
        (folder / f"damaged-{i}" / NOTE).write_text(text)
    assert len(noting.notes(None)["notes"]) == 1


def test_limits(
    noting: Noting, studio: SmallStudio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(notes_module, "MOST_BYTES", 100)
    assert "too large" in keep(noting, studio)["error"]
    monkeypatch.undo()
    monkeypatch.setattr(notes_module, "MOST", 1)
    keep(noting, studio)
    assert "already" in keep(noting, studio)["error"]
    closed = Noting(studio.server, noting.kept, allowed=False)
    assert closed.notes(None)["closed"] is True
    for reply in (keep(closed, studio), closed.remove_note("x"), closed.change_note({})):
        assert "error" in reply
    assert len(closed.notes(None)["notes"]) == 1


def test_nothing_is_half_kept(
    noting: Noting, studio: SmallStudio, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(folder: Path, note: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(notes_module, "write", full)
    assert "error" in keep(noting, studio)
    assert list((tmp_path / "runs" / FOLDER).iterdir()) == []


def test_scripts_keep_and_read_them(noting: Noting, studio: SmallStudio) -> None:
    endpoints = NoteEndpoints(noting)
    batch = state(studio)["batch"]
    key = endpoints.keep_note("Mine", batch, 1, 0, 2, text="So.", **SETTINGS)["key"]
    note = endpoints.note(key)
    assert note["view"]["anchor"] == "1,0,2"
    assert note["view"]["batch"] == batch
    assert note["view"]["step"] == "2"
    assert [one["key"] for one in endpoints.notes()["notes"]] == [key]
    assert endpoints.change_note(key, "Yours")["name"] == "Yours"
    file = endpoints.note_page(key)
    assert "Yours" in Path(file.path).read_text()
    assert endpoints.delete_note(key)["notes"] == []


def test_thumbnails_are_small_pictures() -> None:
    out = io.BytesIO()
    Image.new("RGB", (4000, 100)).save(out, "PNG")
    with Image.open(io.BytesIO(notes_module.thumbnail(out.getvalue()))) as image:
        assert image.size == (360, 9)
