from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppap.data import open_dataset
from ppap.studio import loading, networks, sources
from ppap.studio.access.shares import Shares
from ppap.studio.requests import RequestError, read_request
from ppap.studio.sources import turn
from ppap.studio.store import BatchGone
from tests.support.small_segmenters import write_folder
from tests.support.small_studio import SmallStudio, draw, load_tiny, wait_until


@pytest.fixture(autouse=True)
def _tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)


@pytest.fixture
def studio(tmp_path: Path) -> SmallStudio:
    return SmallStudio(tmp_path)


@pytest.fixture
def public(tmp_path: Path) -> SmallStudio:
    """As with a --host that other machines can reach."""
    return SmallStudio(tmp_path, local=False)


def fill(folder: Path, count: int) -> list[Path]:
    return [draw(folder / f"{i:02}.png", i) for i in range(count)]


def test_uploads_load_under_their_own_names_and_no_path_gets_out(studio: SmallStudio) -> None:
    files = [studio.upload("beach.png", 1), studio.upload("../../etc/<b>.png", 2)]
    reply = studio.load(source="files", files=files)
    assert reply["names"] == ("beach.png", "../../etc/<b>.png")
    assert reply["recipe"] == {
        "source": "files",
        "size": 224,
        "picture": "square",
        "backbone": "embedded",
        "checkpoint": "",
        "files": ["beach.png", "../../etc/<b>.png"],
    }
    assert str(studio.root) not in repr(reply)
    assert str(studio.root) not in repr(studio.store.get(reply["batch"]).recipe)


def test_the_files_of_a_batch_load_again_by_its_id_alone(studio: SmallStudio) -> None:
    first = studio.load(source="files", files=[studio.upload("beach.png", 1)])
    again = studio.load(source="files", of=first["batch"], size=320)
    assert again["names"] == ("beach.png",)
    assert (first["shapes"], again["shapes"]) == ([[224, 224]], [[320, 320]])
    third = studio.load(source="files", of=again["batch"])  # a batch made so serves in its turn
    assert third["names"] == ("beach.png",)


@pytest.mark.parametrize("key", ["gone", "", 7, [], {"a": 1}])
def test_the_files_of_a_batch_that_is_not_there(studio: SmallStudio, key: object) -> None:
    with pytest.raises(BatchGone):
        studio.loader.start({"source": "files", "of": key})


def test_unreadable_uploads_are_named_and_the_others_load(studio: SmallStudio) -> None:
    broken = studio.uploads / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not a photo")
    empty = studio.uploads / "empty.png"
    empty.touch()
    files = [
        {"path": str(broken), "name": "holiday.jpg"},
        studio.upload("good.png"),
        {"path": str(empty), "name": "nothing.png"},
        {"path": str(studio.uploads / "missing.png"), "name": "gone.png"},
        {"path": str(studio.uploads), "name": "folder.png"},
    ]
    reply = studio.load(source="files", files=files)
    assert reply["names"] == ("good.png",)
    assert [text.split()[0] for text in reply["problems"]] == [
        "holiday.jpg",
        "nothing.png",
        "gone.png",
        "folder.png",
    ]
    assert str(studio.root) not in repr(reply)


def test_nothing_readable_is_an_error_and_leaves_the_store_alone(studio: SmallStudio) -> None:
    kept = studio.load(source="files", files=[studio.upload("a.png")])["batch"]
    broken = studio.uploads / "broken.jpg"
    broken.write_text("no photo")
    reply = studio.load(source="files", files=[{"path": str(broken), "name": "x.jpg"}])
    assert "x.jpg" in reply["error"]
    assert list(studio.store._held) == [kept]


@pytest.mark.parametrize("local", [True, False])
def test_files_outside_the_upload_folder_are_refused(tmp_path: Path, local: bool) -> None:
    studio = SmallStudio(tmp_path, local=local)
    secret = draw(tmp_path / "secret.png", 1)
    link = studio.uploads / "link.png"
    link.symlink_to(secret)
    (studio.uploads / "folder").symlink_to(tmp_path)
    (studio.uploads / "circle").symlink_to(studio.uploads / "circle")
    beside = draw(tmp_path / "uploads2" / "a.png", 1)
    paths = [
        str(secret),
        str(link),
        str(studio.uploads / "folder" / "secret.png"),
        str(studio.uploads / ".." / "secret.png"),
        str(beside),
        str(tmp_path / "no such file"),
        "",
        "secret.png",
        "~nobody-here/a.png",
        "a\0b",
        "x" * 100_000,
        "http://example.com/a.png",
        str(studio.uploads / "circle" / "x"),
    ]
    for path in paths:
        reply = studio.load(source="files", files=[{"path": path, "name": "photo.png"}])
        assert reply["error"] == "photo.png was not uploaded to this studio.", path
    assert not studio.store._held


def test_a_folder_loads_with_its_recipe(studio: SmallStudio, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    fill(folder, 5)
    reply = studio.load(source="folder", folder=str(folder), count=3)
    assert len(reply["names"]) == 3
    assert reply["recipe"]["folder"] == str(folder)
    assert (reply["recipe"]["count"], reply["recipe"]["seed"]) == (3, 0)
    assert "indices" not in reply["recipe"]
    held = studio.store.get(reply["batch"])
    assert [f"{i:02}.png" for i in held.recipe["indices"]] == list(held.batch.names)


def test_the_same_request_gives_the_same_images_and_the_next_batch_others(
    studio: SmallStudio,
) -> None:
    fill(studio.offered, 10)

    def names(seed: int) -> tuple[str, ...]:
        found: tuple[str, ...] = studio.load(
            source="folder", folder=str(studio.offered), count=4, seed=seed
        )["names"]
        return found

    batches = [names(seed) for seed in range(5)]
    assert batches[0] == names(0)
    assert not set(batches[0]) & set(batches[1])
    # The third batch wraps around: the last two images and the first two again.
    assert set(batches[0]) | set(batches[1]) | set(batches[2]) == {f"{i:02}.png" for i in range(10)}
    assert batches[2][2:] == batches[0][:2]
    assert all(len(set(batch)) == 4 for batch in batches)


def test_images_of_a_folder_by_their_numbers(studio: SmallStudio) -> None:
    fill(studio.offered, 10)
    request = {"source": "folder", "folder": str(studio.offered), "count": 3}
    reply = studio.load(**request, images=[7, 2, 9])
    assert reply["names"] == ("07.png", "02.png", "09.png")
    assert reply["recipe"]["images"] == [7, 2, 9]
    assert "images" not in studio.load(**request)["recipe"]
    said = studio.load(**request, images=[7, 10])["error"]
    assert "There is no image number 10" in said
    assert "has 10 images" in said


@pytest.mark.parametrize(("length", "count"), [(1, 1), (3, 8), (7, 7), (10, 3), (64, 64), (5, 4)])
def test_batches_walk_through_everything_without_doubles(length: int, count: int) -> None:
    for seed in (0, 1, 2, 3, 10**9):
        chosen = list(turn(length, count, seed))
        assert len(chosen) == len(set(chosen)) == min(length, count)
        assert set(chosen) <= set(range(length))
    walked = [i for seed in range(math.ceil(length / count)) for i in turn(length, count, seed)]
    assert set(walked) == set(range(length))
    assert list(turn(0, count, 3)) == []


def test_unreadable_files_of_a_folder_are_named_and_not_in_the_indices(
    studio: SmallStudio,
) -> None:
    fill(studio.offered, 3)
    (studio.offered / "01.png").write_text("no photo")
    reply = studio.load(source="folder", folder=str(studio.offered))
    assert sorted(reply["names"]) == ["00.png", "02.png"]
    assert [text for text in reply["problems"] if "01.png" in text]
    assert sorted(studio.store.get(reply["batch"]).recipe["indices"]) == [0, 2]


def test_folders_that_cannot_be_used_are_refused(studio: SmallStudio, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    file = draw(tmp_path / "file.png", 1)
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    for folder, part in (
        ("", "Enter a folder"),
        (str(tmp_path / "nowhere"), "There is no folder"),
        (str(file), "There is no folder"),
        ("x" * 4000, "There is no folder"),
        ("~nobody-here/photos", "There is no folder"),
        (str(circle), "There is no folder"),
        (str(tmp_path / "empty"), "contains no images"),
    ):
        reply = studio.load(source="folder", folder=folder)
        assert part in reply["error"], folder
    assert not studio.store._held


def test_a_refusal_says_at_which_field_and_what_may_be_meant(
    studio: SmallStudio, tmp_path: Path
) -> None:
    write_folder(studio.offered / "CamVid", 6)
    weights = studio.offered / "best.pth"
    weights.write_bytes(b"nothing")
    right = str(studio.offered / "CamVid")
    for changes, field, part, offers in (
        (
            {"folder": right + "d"},
            "folder",
            f"CamVidd on this server. Did you mean {right}?",
            [right],
        ),
        ({"folder": right + "/classes.txt"}, "folder", "it is a file. Did you mean", [right]),
        (
            {"folder": right, "split": "vall"},
            "split",
            "vall. Did you mean val or all?",
            ["val", "all"],
        ),
        ({"folder": right, "split": "test"}, "split", "It has train, val and all.", []),
        ({"folder": right, "count": 0}, "count", "from 1 to 64, not 0", []),
        ({"folder": right, "images": [99]}, "count", "no image number 99", []),
        (
            {"folder": right, "backbone": "checkpoint", "checkpoint": str(weights)[:-1]},
            "checkpoint",
            f"Did you mean {weights}?",
            [str(weights)],
        ),
        (
            {"folder": right, "backbone": "checkpoint", "checkpoint": str(studio.offered)},
            "checkpoint",
            "it is a folder. Did you mean",
            [str(weights)],
        ),
        ({"folder": right, "backbone": "none"}, "backbone", "no backbone none", []),
    ):
        reply = studio.load(source="folder", **{"split": "train", **changes})
        assert part in reply["error"], changes
        assert (reply["field"], reply["offers"]) == (field, offers), changes
    assert len(studio.load(source="folder", folder=right, split="validation")["names"]) == 1


def test_other_machines_are_offered_nothing_that_is_not_theirs(
    public: SmallStudio, tmp_path: Path
) -> None:
    fill(public.offered / "holidays", 2)
    fill(tmp_path / "offer", 2)
    reply = public.load(source="folder", folder=str(public.offered / "holiday"))
    assert reply["offers"] == [str(public.offered / "holidays")]
    # Near what they may see, and near what they may not.
    for folder in (f"{public.offered}s", str(tmp_path / "offfer")):
        reply = public.load(source="folder", folder=folder)
        assert reply["offers"] == [str(public.offered)]
        assert str(tmp_path / "offer") + "?" not in reply["error"]
    (public.offered / "secret").symlink_to(tmp_path / "offer")
    reply = public.load(source="folder", folder=str(public.offered / "secre"))
    assert reply["offers"] == []


def test_what_the_loader_says_of_a_folder_comes_with_its_batch(studio: SmallStudio) -> None:
    root = studio.offered / "set"
    write_folder(root, 6)
    draw(root / "labels/stray.png", 1)
    (root / "images/later.heic").write_bytes(b"x")
    reply = studio.load(source="folder", folder=str(root), count=2)
    wanted = open_dataset(root, split="train").notes
    assert len(wanted) >= 2
    assert tuple(reply["notes"][: len(wanted)]) == wanted
    assert any("stray" in note for note in reply["notes"])
    # A page that is opened by a link hears of it, too.
    assert studio.ask("recall", reply["batch"])["notes"] == reply["notes"]


@pytest.mark.parametrize(("which", "shown"), [("public", 1), ("studio", 4)])
def test_no_link_leads_out_of_what_is_open_to_other_machines(
    which: str, shown: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    one: SmallStudio = request.getfixturevalue(which)
    fill(tmp_path / "private", 2)
    fill(one.offered / "linked", 1)
    (one.offered / "linked/out").symlink_to(tmp_path / "private")
    (one.offered / "linked/one.png").symlink_to(next((tmp_path / "private").iterdir()))
    reply = one.load(source="folder", folder=str(one.offered / "linked"), count=9)
    assert len(reply["names"]) == shown  # on one's own machine links lead where they lead
    told = any("2 links (one.png, out) left out" in note for note in reply["notes"])
    assert told == (which == "public")


def test_only_offered_folders_are_open_to_other_machines(
    public: SmallStudio, tmp_path: Path
) -> None:
    fill(public.offered / "below", 2)
    fill(tmp_path / "private", 2)
    fill(tmp_path / "offered2", 2)
    (public.offered / "out").symlink_to(tmp_path / "private")
    assert "names" in public.load(source="folder", folder=str(public.offered))
    assert "names" in public.load(source="folder", folder=str(public.offered / "below"))
    refused = {
        public.load(source="folder", folder=folder)["error"]
        for folder in (
            str(tmp_path / "private"),
            str(tmp_path / "nowhere"),  # what does not exist is not told apart
            str(tmp_path / "offered2"),
            str(public.offered / "out"),
            str(public.offered / ".." / "private"),
            "/",
            "~",
            "~nobody-here",
            "../",
        )
    }
    assert len(refused) == 1
    assert "--images" in refused.pop()


def test_checkpoints_too_come_from_offered_folders_only(
    public: SmallStudio, tmp_path: Path
) -> None:
    inside = public.offered / "vit.pth"
    outside = tmp_path / "outside.pth"
    for file in (inside, outside):
        file.write_bytes(b"weights")
    (public.offered / "link.pth").symlink_to(outside)
    assert "names" in public.load(backbone="checkpoint", checkpoint=str(inside))
    for request in (
        {"backbone": "checkpoint", "checkpoint": str(outside)},
        {"backbone": "checkpoint", "checkpoint": str(public.offered / "link.pth")},
        {"backbone": "checkpoint", "checkpoint": str(tmp_path / "nowhere.pth")},
        {"backbone": "checkpoint", "checkpoint": "/etc/passwd"},
        # A backbone's name that is a path is a file just as well.
        {"backbone": str(outside)},
        {"backbone": str(tmp_path / "nowhere.pth")},
        {"backbone": "/etc/passwd"},
        {"backbone": "../outside.pth"},
    ):
        assert "--images" in public.load(**request)["error"], request
    assert "Enter the path of a file" in public.load(backbone="checkpoint")["error"]


def test_a_name_before_a_file_is_kept_and_the_file_checked(
    public: SmallStudio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    studio = SmallStudio(tmp_path / "local")
    loaded: list[str | Path] = []

    def load(name: str | Path, **rest: Any) -> Any:
        loaded.append(name)
        return load_tiny("embedded", **rest)

    monkeypatch.setattr(networks, "load_backbone", load)
    file = public.offered / "vit.pth"
    file.write_bytes(b"weights")
    named = f"test_vit@{file}"
    for request in ({"backbone": named}, {"backbone": "checkpoint", "checkpoint": named}):
        assert "names" in public.load(**request)
        assert "names" in studio.load(**request)
    assert set(loaded) == {named}
    outside = tmp_path / "outside.pth"
    outside.write_bytes(b"weights")
    (public.offered / "link.pth").symlink_to(outside)
    for path in (outside, public.offered / "link.pth", tmp_path / "nowhere.pth"):
        for request in (
            {"backbone": f"test_vit@{path}"},
            {"backbone": "checkpoint", "checkpoint": f"test_vit@{path}"},
        ):
            assert "--images" in public.load(**request)["error"], request
    missing = studio.load(backbone="checkpoint", checkpoint=f"test_vit@{tmp_path}/none.pth")
    assert "There is no file" in missing["error"]
    assert missing["field"] == "checkpoint"


def test_a_folder_of_weights_is_a_checkpoint_where_nothing_in_it_leads_out(
    public: SmallStudio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    studio = SmallStudio(tmp_path / "local")
    loaded: list[str | Path] = []

    def load(name: str | Path, **rest: Any) -> Any:
        loaded.append(name)
        return load_tiny("embedded", **rest)

    monkeypatch.setattr(networks, "load_backbone", load)
    folder = public.offered / "dinov2-small"
    folder.mkdir()
    request = {"backbone": "checkpoint", "checkpoint": str(folder)}
    for one in (public, studio):  # nothing in it yet
        assert "it is a folder" in one.load(**request)["error"]
    (folder / "model.safetensors").write_bytes(b"weights")
    for one in (public, studio):
        assert "names" in one.load(**request)
    assert loaded == [folder, folder]
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (folder / "config.json").symlink_to(outside)
    assert "--images" in public.load(**request)["error"]
    assert "names" in studio.load(**request)


def test_a_checkpoint_may_have_any_name(studio: SmallStudio) -> None:
    for name in ("weights", "weights.pth"):
        file = studio.root / name
        file.write_bytes(b"weights")
        reply = studio.load(backbone="checkpoint", checkpoint=str(file))
        assert reply["recipe"]["checkpoint"] == str(file)
    missing = studio.load(backbone="checkpoint", checkpoint=str(studio.root / "none"))
    assert "There is no file" in missing["error"]


def test_the_backbone_of_the_command_line_needs_no_offered_folder(tmp_path: Path) -> None:
    file = tmp_path / "mine.pth"
    file.write_bytes(b"weights")
    studio = SmallStudio(tmp_path / "studio", local=False, backbone=str(file))
    assert "names" in studio.load(backbone=str(file))


def test_backbones_stay_in_memory_until_their_file_changes(
    studio: SmallStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load(name: str | Path, **rest: Any) -> Any:
        loaded.append(str(name))
        return load_tiny(name, **rest)

    monkeypatch.setattr(networks, "load_backbone", load)
    files = [studio.upload("a.png")]
    for _ in range(2):
        studio.load(source="files", files=files)
    assert loaded == ["embedded"]
    file = studio.root / "last.pth"
    for seconds in (1, 2, 2):
        file.write_bytes(b"weights")
        os.utime(file, (seconds, seconds))
        studio.load(backbone="checkpoint", checkpoint=str(file))
    assert loaded == ["embedded", str(file), str(file)]


def test_samples_are_found_again_and_uploads_are_not(studio: SmallStudio) -> None:
    first = studio.load()
    assert studio.load()["batch"] == first["batch"]
    assert studio.load(checkpoint="of no meaning")["batch"] == first["batch"]
    assert studio.load(size=320)["batch"] != first["batch"]
    # Files may have changed: they are read again.
    files = [studio.upload("a.png")]
    uploads = [studio.load(source="files", files=files)["batch"] for _ in range(2)]
    assert uploads[0] != uploads[1]


def test_a_size_is_rounded_to_what_the_backbone_takes(studio: SmallStudio) -> None:
    files = [studio.upload("a.png")]
    reply = studio.load(source="files", files=files, size=320, backbone="tiny14")
    assert (reply["shapes"], reply["grids"]) == ([[322, 322]], [[23, 23]])
    assert reply["recipe"]["size"] == 320


def test_large_photos_are_cut_before_the_next_is_read(
    studio: SmallStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    make = loading.make_batch

    def look(examples: Any, *rest: Any, **more: Any) -> Any:
        seen.extend(example.photo.rgb.shape for example in examples)
        return make(examples, *rest, **more)

    monkeypatch.setattr(loading, "make_batch", look)
    draw(studio.uploads / "large.png", 1, side=1000)
    studio.load(source="files", files=[{"path": str(studio.uploads / "large.png"), "name": "l"}])
    assert seen == [(224, 224, 3)]


def test_cutting_early_changes_no_pixel(studio: SmallStudio) -> None:
    from ppap.data import read_image, square

    path = draw(studio.uploads / "large.png", 1, side=500)
    reply = studio.load(source="files", files=[{"path": str(path), "name": "l"}])
    images = studio.store.get(reply["batch"]).batch.images
    np.testing.assert_array_equal(images[0], square(read_image(path).rgb, 224))


@pytest.mark.parametrize(
    ("request_", "part"),
    [
        ({"backbone": "no-such-vit"}, "there is no backbone no-such-vit"),
        ({"backbone": "nan"}, "NaN"),
        ({"source": "folder", "folder": "/no/such/folder"}, "There is no folder"),
    ],
)
def test_a_job_that_fails_says_why_and_leaves_the_store_alone(
    studio: SmallStudio, request_: dict[str, Any], part: str
) -> None:
    kept = studio.load()["batch"]
    assert part in studio.load(**request_)["error"]
    assert list(studio.store._held) == [kept]
    assert studio.load()["batch"] == kept


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (RuntimeError("secret /srv/path"), "The studio failed (RuntimeError)"),
        (KeyError("secret"), "The studio failed (KeyError)"),
        (OSError(28, "secret", "/srv"), "a file: No space left on device. See the terminal"),
        (MemoryError(), "more memory than is available"),
    ],
)
def test_a_fault_is_told_without_its_details(
    studio: SmallStudio,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    part: str,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(loading, "make_batch", fail)
    reply = studio.load()
    assert part in reply["error"]
    assert "secret" not in reply["error"]
    assert not studio.store._held


class Gate:
    """Holds back the reading of images until the test lets it go on."""

    def __init__(self, read: Callable[..., Any]) -> None:
        self.read, self.entered, self.open = read, threading.Event(), threading.Event()

    def __call__(self, *arguments: Any, **rest: Any) -> Any:
        self.entered.set()
        assert self.open.wait(20)
        return self.read(*arguments, **rest)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate(sources.read_image)
    monkeypatch.setattr(sources, "read_image", gate)
    return gate


def test_a_newer_request_of_a_page_cancels_its_older_ones_only(
    studio: SmallStudio, gate: Gate
) -> None:
    request = {"size": 224, "source": "files", "files": [studio.upload("a.png")] * 2}
    running = studio.loader.start({**request, "page": "one"})
    assert gate.entered.wait(20)
    other = studio.loader.start({**request, "page": "two"})
    waiting = studio.loader.start({**request, "page": "one"})
    newest = studio.loader.start({**request, "page": "one"})
    gate.open.set()
    keys = {"running": running, "other": other, "waiting": waiting, "newest": newest}
    states = {}
    for name, key in keys.items():
        job = studio.loader.job(key)
        wait_until(lambda job=job: job.state not in ("waiting", "running"))  # type: ignore[misc]
        states[name] = job.state
    assert states == {
        "running": "cancelled",
        "other": "done",
        "waiting": "cancelled",
        "newest": "done",
    }
    assert len(studio.store._held) == 2
    assert studio.ask("progress", running)["state"] == "cancelled"


def test_pages_without_a_name_do_not_cancel_each_other(studio: SmallStudio, gate: Gate) -> None:
    request = {"size": 224, "source": "files", "files": [studio.upload("a.png")]}
    jobs = [studio.loader.job(studio.loader.start({**request, "page": p})) for p in ("", None, 5)]
    gate.open.set()
    wait_until(lambda: all(job.state == "done" for job in jobs))


def test_closing_gives_up_what_is_under_way(studio: SmallStudio, gate: Gate) -> None:
    request = {"size": 224, "source": "files", "files": [studio.upload("a.png")] * 2}
    job = studio.loader.job(studio.loader.start(request))
    assert gate.entered.wait(20)
    studio.loader.close()
    gate.open.set()
    wait_until(lambda: job.state == "cancelled")
    assert not studio.store._held


def test_jobs_are_forgotten_one_day_and_hold_no_batch(
    studio: SmallStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio.loader._jobs._jobs, "each", 2)
    keys = [studio.loader.start({"size": 224}) for _ in range(3)]
    with pytest.raises(RequestError, match="has expired"):
        studio.loader.job(keys[0])
    job = studio.loader.job(keys[2])
    wait_until(lambda: job.state == "done")
    # The store's bound is the bound: a finished job must not keep a dropped batch alive.
    monkeypatch.setattr(studio.store, "_held", Shares(1, 1))
    reply = studio.ask("progress", keys[2])
    assert reply["gone"] is True


@pytest.mark.parametrize("key", [None, 5, [], {}, "nothing", True, math.nan])
def test_an_unknown_job_is_refused(studio: SmallStudio, key: Any) -> None:
    with pytest.raises(RequestError, match="has expired"):
        studio.loader.job(key)


def test_progress_goes_from_reading_to_embedding(studio: SmallStudio) -> None:
    told: list[tuple[str, float]] = []
    request = read_request({"source": "files", "size": 224, "files": [studio.upload("a.png")]})
    studio.loader._make(request, lambda text, share: told.append((text, share)))
    assert told == [
        ("Loading the backbone", 0),
        ("Reading image 1 of 1", 0),
        ("Embedding image 1 of 1", 0.2),
    ]
