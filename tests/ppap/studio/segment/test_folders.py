"""Segmenting a folder of the server: any number of pictures, page by page, with flat memory."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppap.clustering import clusters_of, find_clusters, see
from ppap.studio.segment import reading, replies, shelf, work
from ppap.studio.segment.shelf import Maps, Shelf
from tests.ppap.studio.segment.test_server import Place
from tests.support import layouts
from tests.support.small_studio import TinyBackbone, draw, load_tiny, picture, wait_until

PICTURES = 11
ASKED = {"source": "folder", "clusters": 3, "size": 224}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("ppap.studio.networks.load_backbone", load_tiny)
    # As for hundreds of pictures.
    for module in (work, replies):
        monkeypatch.setattr(module, "MAX_IMAGES", 4)
    monkeypatch.setattr("ppap.studio.segment.server.MAX_IMAGES", 4)
    monkeypatch.setattr(work, "MOST_SEEN", 4)
    monkeypatch.setattr(replies, "PER_PAGE", 5)
    made = Place(tmp_path)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for n in range(PICTURES):
        draw(tmp_path / f"photos/{'day' if n % 2 else 'night'}/p{n}.png", n, 64 + n)
    return tmp_path / "photos"


def ask(place: Place, folder: Path, **more: Any) -> dict[str, Any]:
    return place.load({**ASKED, "folder": str(folder), **more})


def order() -> list[int]:
    """Of the pictures: folder by folder."""
    return [n for odd in (1, 0) for n in range(PICTURES) if n % 2 == odd]


def test_clusters_are_found_in_some_and_all_are_segmented(place: Place, folder: Path) -> None:
    reply = ask(place, folder)
    backbone = TinyBackbone()
    seen = [see(backbone, picture(n, 64 + n), size=224) for n in order()]
    centres = find_clusters([seen[i * PICTURES // 4] for i in range(4)], 3)
    result = place.segmenting.store.result(reply["result"])
    maps = result.layer("clusters").maps
    assert len(maps) == PICTURES
    for one, found in zip(seen, maps, strict=True):
        assert np.array_equal(found.ids(), clusters_of(one, centres))
    pixels = np.concatenate([one.ids().ravel() for one in maps])
    shares = [float((pixels == i).mean()) for i in range(3)]
    assert reply["layers"][0]["shares"] == pytest.approx(shares)
    assert "found in 4 of the 11 images" in reply["notes"][0]
    # Nothing of it stays in memory but where it is.
    assert all(isinstance(one.photo, shelf.Slip) for one in result.pictures.pictures)
    assert len(result.pictures.seen[1]) == 4
    with Image.open(io.BytesIO(result.photo(3))) as photo:
        assert photo.size == (64 + order()[3],) * 2


def test_pages(place: Place, folder: Path) -> None:
    first = ask(place, folder)
    assert (first["total"], first["start"], first["per_page"]) == (PICTURES, 0, 5)
    names = [one["name"] for one in first["pictures"]]
    assert names == [f"day/p{n}.png" for n in (1, 3, 5, 7, 9)]
    last = place.segmenting.pictures({"result": first["result"], "start": 10})
    assert [one["name"] for one in last["pictures"]] == ["night/p10.png"]
    assert last["pictures"][0]["photo"].endswith("/10/photo")
    assert last["layers"][0]["maps"][0].endswith("/10/clusters")
    inside = place.segmenting.pictures({"result": first["result"], "start": 7})
    assert inside["start"] == 5
    for start in (-1, 1.5, "0", True, None, 10**9):
        assert "start must be" in place.segmenting.pictures({**last, "start": start})["error"]
    json.dumps(last)


def test_another_number_of_clusters_reads_only_what_it_must(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ask(place, folder)
    asked: list[int] = []

    def counted(*arguments: Any, **named: Any) -> Any:
        asked.append(1)
        return see(*arguments, **named)

    monkeypatch.setattr(work, "see", counted)
    again = place.load({**ASKED, "of": first["set"], "clusters": 5})
    assert (again["set"], again["total"]) == (first["set"], PICTURES)
    assert len(asked) == PICTURES - 4


def test_what_is_done_can_be_kept(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[dict[str, Any]] = []

    def after_three(*arguments: Any, **named: Any) -> np.ndarray:
        status = place.segmenting.progress(job)
        parts.append(status["part"])
        if status["part"]["done"] == 3:
            shown = place.segmenting.pictures(status["part"])
            assert (len(shown["pictures"]), shown["total"]) == (3, 3)
            place.segmenting.stop(job)
        return clusters_of(*arguments, **named)

    monkeypatch.setattr(work, "clusters_of", after_three)
    place.segmenting._long.submit("", lambda: wait_until(lambda: bool(job)))
    job = ""
    job = place.segmenting.load({**ASKED, "folder": str(folder)})["job"]
    wait_until(lambda: place.segmenting.progress(job)["state"] in ("done", "failed"))
    reply = place.segmenting.progress(job)["result"]
    assert [part["done"] for part in parts] == [0, 1, 2, 3]
    assert parts[0]["result"] == reply["result"]
    assert reply["total"] == 4
    assert "Cancelled: 4 of 11 images" in reply["notes"][0]


def test_stopping_what_has_not_begun_cancels_it(place: Place, folder: Path) -> None:
    job = ""
    place.segmenting._long.submit("", lambda: wait_until(lambda: bool(job)))
    started = place.segmenting.load({**ASKED, "folder": str(folder)})["job"]
    place.segmenting.stop(started)
    job = started
    wait_until(lambda: place.segmenting.progress(job)["state"] not in ("waiting", "running"))
    assert place.segmenting.progress(job)["state"] == "cancelled"
    assert place.segmenting.stop("none") == {}


def test_pictures_that_cannot_be_read_are_counted(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppap.studio.segment.pictures.MAX_PROBLEMS", 2)
    for n in (1, 4, 6):  # 1 is one of those that clusters are found in
        (next(folder.rglob(f"p{n}.png"))).write_bytes(b"no picture")
    reply = ask(place, folder)
    assert reply["total"] == PICTURES - 3
    assert len(reply["problems"]) == 3
    assert reply["problems"][2] == "1 more images cannot be read."
    for file in folder.rglob("*.png"):
        file.write_bytes(b"no picture")
    assert "is not an image" in ask(place, folder)["error"]


def test_a_zip_of_many_is_made_by_a_job(place: Place, folder: Path) -> None:
    reply = ask(place, folder)
    started = place.segmenting.take({"result": reply["result"], "names": ["a", "b", "a"]})
    wait_until(lambda: place.segmenting.progress(started["job"])["state"] == "done")
    made = place.segmenting.progress(started["job"])["result"]
    key = made["url"].removeprefix("studio/segment/").removesuffix(".zip")
    with zipfile.ZipFile(place.segmenting.packing.taken(key).file) as archive:
        assert len([name for name in archive.namelist() if name.startswith("labels/")]) == PICTURES
        found = json.loads(archive.read("annotations.json"))
    assert [one["id"] for one in found["images"]] == list(range(1, PICTURES + 1))
    assert [one["name"] for one in found["categories"]] == ["a", "b"]
    assert {one["image_id"] for one in found["annotations"]} == set(range(1, PICTURES + 1))
    assert "There must be 3 names" in place.segmenting.take({**reply, "names": ["x"]})["error"]


def test_a_data_set_whole_or_a_split_of_it(place: Place, tmp_path: Path) -> None:
    layouts.camvid(tmp_path / "set")
    whole = ask(place, tmp_path / "set")
    assert [one["name"] for one in whole["pictures"]] == [
        "train/Seq_9.png",
        "train/Seq_10.png",
        "val/Seq_1.jpg",
    ]
    assert ask(place, tmp_path / "set", split="val")["total"] == 1
    refused = ask(place, tmp_path / "set", split="vall")
    assert refused["field"] == "split"
    assert "Did you mean val?" in refused["error"]
    request = {"folder": str(tmp_path / "set"), "split": "vall"}
    assert "split" in place.segmenting.check(request)["errors"]
    assert place.segmenting.check({"folder": str(tmp_path / "set")})["errors"] == {}


def test_no_picture_leads_out_of_a_public_studio(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppap.studio.networks.load_backbone", load_tiny)
    place = Place(tmp_path, local=False)
    sources = place.segmenting.loader.sources
    sources.folders = [tmp_path / "open"]
    layouts.camvid(tmp_path / "open")
    secret = draw(tmp_path / "secret.png", 3)
    (tmp_path / "open/train/Seq_9.png").unlink()
    (tmp_path / "open/train/Seq_9.png").symlink_to(secret)
    reply = ask(place, tmp_path / "open")
    assert [one["name"] for one in reply["pictures"]] == ["train/Seq_10.png", "val/Seq_1.jpg"]
    assert "lies outside the folders" in reply["problems"][0]
    assert "open to other machines" in ask(place, folder)["error"]
    place.close()


def test_too_many_are_said(place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_PICTURES", 6)
    reply = ask(place, folder)
    assert reply["total"] == 6
    assert reply["notes"][0] == "Only the first 6 of 11 images are used."


def test_a_full_disk_is_said(place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MAX_BYTES", 100)
    assert ask(place, folder)["error"] == shelf.FULL


def test_where_the_disk_is_full_what_is_done_is_kept(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    puts: list[int] = []
    put = Shelf.put

    def full_after_three(self: Shelf, data: bytes) -> shelf.Slip:
        puts.append(len(data))
        if len(puts) > 3:
            raise shelf.DiskFull(shelf.FULL)
        return put(self, data)

    monkeypatch.setattr("ppap.studio.segment.pictures.MAX_PREVIEWS", 0)  # maps alone are kept
    monkeypatch.setattr(Shelf, "put", full_after_three)
    reply = ask(place, folder)
    assert (reply["total"], reply["expected"]) == (3, PICTURES)
    said = "The disk for temporary files is full: 3 of 11 images are segmented."
    assert reply["notes"][0] == said
    # Previews for which there was no room are drawn when they are looked at.
    result = place.segmenting.store.result(reply["result"])
    assert result.done[2].photo is None
    with Image.open(io.BytesIO(result.photo(2))) as photo:
        assert photo.size == (64 + order()[2],) * 2


def test_a_closer_look(place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ppap.studio.segment.pictures.SHOWN", 40)
    monkeypatch.setattr("ppap.studio.segment.pictures.LARGE", 60)
    reply = ask(place, folder)
    result = place.segmenting.store.result(reply["result"])
    assert reply["pictures"][0]["shown"] == [40, 40]
    assert reply["pictures"][0]["large"] == [60, 60]
    for large, side in ((False, 40), (True, 60)):
        with Image.open(io.BytesIO(result.photo(0, large=large))) as photo:
            assert photo.size == (side, side)
        assert result.drawing(0, "clusters", large=large).ids().shape == (side, side)
    with pytest.raises(ValueError, match="no such image"):
        result.photo(PICTURES, large=True)


def test_photos_of_a_folder_are_taken_as_they_are(place: Place, folder: Path) -> None:
    (folder / "day/p1.png").rename(folder / "day/a+b, 50%.png")
    reply = ask(place, folder)
    started = place.segmenting.take({"result": reply["result"], "photos": True, "overlays": False})
    wait_until(lambda: place.segmenting.progress(started["job"])["state"] == "done")
    made = place.segmenting.progress(started["job"])["result"]
    key = made["url"].removeprefix("studio/segment/").removesuffix(".zip")
    with zipfile.ZipFile(place.segmenting.packing.taken(key).file) as archive:
        photos = [name for name in archive.namelist() if name.startswith("images/")]
        own = (folder / "day/a+b, 50%.png").read_bytes()
        assert archive.read("images/a+b, 50%.png") == own
    assert len(photos) == PICTURES


def test_a_shelf_gives_back_what_it_got(place: Place) -> None:
    one = Shelf()
    slips = [one.put(bytes([n]) * n) for n in range(20)]
    assert [slip.read() for slip in slips] == [bytes([n]) * n for n in range(20)]
    for kept in (None, one):
        maps = Maps(3, kept)
        for n in range(4):
            maps.append(np.array([[n % 3, -1], [2, 2]]))
        assert [m.ids().tolist() for m in maps][1] == [[1, -1], [2, 2]]
        assert maps[-1].ids().tolist() == [[0, -1], [2, 2]]
        assert len(maps[1:]) == 3
        assert maps.shares() == pytest.approx([2 / 12, 1 / 12, 9 / 12])
