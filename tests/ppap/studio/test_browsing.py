"""The folders that a studio shows: only those that it may, whatever is asked, and all they hold."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ppap.studio import browsing as module
from ppap.studio import looking as looks
from ppap.studio.access.owners import Ownership, claim
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.browsing import Browsing
from ppap.studio.sources import Sources
from tests.support.fuzzing import NUMBERS, TEXTS
from tests.support.small_studio import draw

ADA, BOB = Visitor(user="ada"), Visitor(user="bob")
ODD_NAMES = (
    "Fotos 🌻",
    "two\nlines",
    "100%25 done",
    "a" * 200,
    "<b>bold",
    " space ",
    "cafe\u0301",
    "C:\\",
    "'quoted' \"twice\"",
    "$HOME",
    "~",
    "x..",
)


class Place:
    """A folder that is offered, one beside it, and what browses them."""

    def __init__(self, root: Path, *, local: bool = False, **options: Any) -> None:
        self.offered, self.secret, self.runs = root / "offered", root / "secret", root / "runs"
        for folder in (self.offered, self.secret, self.runs):
            folder.mkdir(exist_ok=True)
        draw(self.secret / "inside/a.png", 1)
        self.sources = Sources(
            [self.offered], uploads=root / "uploads", any_folder=local, **options
        )
        self.browsing = Browsing(self.sources, folders=[self.offered], runs=self.runs)

    def browse(self, path: object = "", **more: Any) -> dict[str, Any]:
        return self.browsing.browse_folder({"path": path, **more})

    def names(self, path: object, **more: Any) -> list[str]:
        return [entry["name"] for entry in self.browse(str(path), **more)["entries"]]

    def completed(self, text: str, **more: Any) -> list[str]:
        reply = self.browsing.complete_path({"text": text, **more})
        return [one["path"] for one in reply["paths"]]


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is that tests run on."""
    for each, name in ((module, "SECONDS"), (module, "TYPING_SECONDS"), (looks, "SECONDS")):
        monkeypatch.setattr(each, name, 300.0)


@pytest.fixture
def public(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> Place:
    return Place(tmp_path, local=True)


def test_a_folder_is_listed_in_the_order_that_people_expect(local: Place) -> None:
    for name in ("set10", "set2", "Set1", ".hidden", "@eaDir"):
        (local.offered / name).mkdir()
    draw(local.offered / "photo.jpg", 1)
    (local.offered / "notes.txt").write_text("x")
    reply = local.browse(str(local.offered))
    assert [one["name"] for one in reply["entries"]] == ["Set1", "set2", "set10"]
    assert {one["kind"] for one in reply["entries"]} == {"folder"}
    assert (reply["total"], reply["pictures"], reply["said"]) == (3, 1, [])
    assert reply["up"] == str(local.offered.parent)
    assert [one["path"] for one in reply["crumbs"]][-2:] == [reply["up"], str(local.offered)]
    assert reply["crumbs"][0]["path"] == "/"


def test_files_are_listed_where_some_are_wanted(local: Place) -> None:
    for name in ("b.pt", "a.safetensors", "x.npz", "y.txt", "photo.jpg"):
        (local.offered / name).write_bytes(b"12345")
    (local.offered / "zz").mkdir()
    assert local.names(local.offered) == ["zz"]
    assert local.names(local.offered, want="checkpoint") == ["zz", "a.safetensors", "b.pt"]
    assert local.names(local.offered, want="features") == ["zz", "x.npz"]
    (local.offered / "zz/model.safetensors").write_bytes(b"x")
    entries = local.browse(str(local.offered), want="backbone")["entries"]
    assert [(one["name"], one.get("model")) for one in entries[:2]] == [
        ("zz", True),
        ("a.safetensors", None),
    ]
    file = local.browse(str(local.offered), want="features")["entries"][1]
    assert (file["kind"], file["size"]) == ("file", 5)
    assert file["time"] > 0


def test_names_with_anything_in_them(public: Place) -> None:
    for name in ODD_NAMES:
        draw(public.offered / name / "photo.png", 1)
    entries = public.browse(str(public.offered))["entries"]
    assert {Path(one["path"]).name for one in entries} == set(ODD_NAMES)
    assert all("\n" not in one["name"] for one in entries)
    for one in entries:
        inside = public.browse(one["path"])
        assert (inside["path"], inside["pictures"]) == (one["path"], 1)
        looked = public.browsing.looking.look_at_folder({"path": one["path"]})
        assert looked["text"] == "1 image without labels"
    assert public.completed(f"{public.offered}/Fotos") == [str(public.offered / "Fotos 🌻")]
    json.dumps(entries)


def test_names_that_are_no_text_are_counted(public: Place) -> None:
    os.mkdir(os.fsencode(public.offered) + b"/\xff")  # noqa: PTH102
    reply = public.browse(str(public.offered))
    assert reply["entries"] == []
    assert "1 entry was left out, because the name is not valid text" in reply["said"][0]


HOSTILE: tuple[Callable[[Place], str], ...] = (
    lambda place: str(place.secret),
    lambda place: f"{place.offered}/../secret",
    lambda place: f"{place.offered}/out",
    lambda place: f"{place.offered}/out/inside",
    lambda place: f"{place.offered}/out/../secret",
    lambda place: str(place.offered.parent),
    lambda place: "/",
    lambda place: "~",
    lambda place: "/etc",
    lambda place: "..",
    lambda place: f"{place.secret}/none",
    lambda place: f"{place.offered}2",
    lambda place: "x" * 4000,
)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_public_studio_shows_nothing_else(public: Place, number: int) -> None:
    (public.offered / "out").symlink_to(public.secret)
    (public.offered.parent / "offered2").mkdir()
    path = HOSTILE[number](public)
    wanted = "This studio is open to other machines"
    for reply in (public.browse(path), public.browsing.looking.look_at_folder({"path": path})):
        assert wanted in reply["error"]
        assert "inside" not in json.dumps(reply)
    near = public.browse(path, nearest=True)
    assert wanted in near.get("error", "") or near["path"] == str(public.offered)
    for text in (path, f"{path}/", f"{path}/i"):
        assert set(public.completed(text)) <= {str(public.offered)}


def test_links_that_lead_out_are_left_out_and_counted(public: Place, local: Place) -> None:
    (public.offered / "in").mkdir()
    (public.offered / "again").symlink_to(public.offered / "in")
    (public.offered / "out").symlink_to(public.secret)
    (public.offered / "circle").symlink_to(public.offered / "circle")
    reply = public.browse(str(public.offered))
    assert [one["name"] for one in reply["entries"]] == ["again", "in"]
    assert "1 link was left out" in reply["said"][0]
    # Where everything may be shown, a link is shown by the name that leads to it.
    assert local.names(local.offered) == ["again", "in", "out"]
    assert local.browse(f"{local.offered}/out")["path"] == f"{local.offered}/out"
    assert local.names(f"{local.offered}/out") == ["inside"]


def test_photos_that_lead_out_have_no_thumbnail(public: Place) -> None:
    draw(public.offered / "set/own.png", 2)
    (public.offered / "set/other.png").symlink_to(public.secret / "inside/a.png")
    looked = public.browsing.looking.look_at_folder({"path": str(public.offered / "set")})
    assert [one["name"] for one in looked["thumbnails"]] == ["own.png"]


def test_where_one_may_begin(public: Place, local: Place) -> None:
    found = public.browse("", recent=[str(public.secret), str(public.offered), "/none", 5])
    assert [(one["group"], one["path"]) for one in found["places"]] == [
        ("recent", str(public.offered)),
        ("places", str(public.offered)),
    ]
    every = [one["path"] for one in local.browse("", want="checkpoint")["places"]]
    assert every[:2] == [str(local.offered), str(local.runs)]
    assert {str(Path.home()), "/"} <= set(every)
    assert public.browse(str(public.offered))["up"] == ""
    assert [one["path"] for one in public.browse(str(public.offered))["crumbs"]] == [
        str(public.offered)
    ]


def test_the_nearest_folder_of_a_path_that_is_not_there(local: Place) -> None:
    (local.offered / "deep").mkdir()
    (local.offered / "deep/a.pt").write_bytes(b"x")
    reply = local.browse(f"{local.offered}/deep/none/x", nearest=True)
    assert reply["path"] == str(local.offered / "deep")
    assert "There is no" in reply["said"][0]
    reply = local.browse(f"{local.offered}/deep/a.pt", nearest=True, want="checkpoint")
    assert (reply["path"], reply["marked"]) == (
        str(local.offered / "deep"),
        str(local.offered / "deep/a.pt"),
    )
    assert "There is no folder" in local.browse(f"{local.offered}/none")["error"]


def test_thousands_are_told_in_pages(local: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(450):
        (local.offered / f"n{n}").mkdir()
    first = local.browse(str(local.offered))
    assert (len(first["entries"]), first["total"]) == (200, 450)
    rest = local.names(local.offered, start=400)
    assert rest == [f"n{n}" for n in range(400, 450)]
    assert local.names(local.offered, filter="N44") == ["n44", *(f"n{n}" for n in range(440, 450))]
    monkeypatch.setattr(module, "KEPT", 300)
    assert "more than 300 entries" in local.browse(str(local.offered))["said"][0]
    monkeypatch.setattr(module, "LOOKED_AT", 10)
    assert local.browse(str(local.offered))["total"] == 10


def test_a_folder_that_cannot_be_opened(local: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.os, "scandir", refuse)
    assert "cannot be opened: Permission denied." in local.browse(str(local.offered))["error"]


def test_others_things_are_not_there(tmp_path: Path) -> None:
    ownership = Ownership(logins=True, private_runs=True)
    runs = tmp_path / "offered/runs"
    place = Place(tmp_path, hides=partial(ownership.hides, runs.resolve()))
    for who, name in ((ADA, "hers"), (BOB, "his")):
        (runs / name).mkdir(parents=True)
        with asking(who):
            claim(runs / name)
    with asking(ADA):
        assert place.names(place.offered) == []  # the folder of all runs is everybody's at once
        assert "There is no folder" in place.browse(str(runs / "his"))["error"]
        assert place.browse("", recent=[str(runs / "his")])["places"][0]["group"] == "places"
        assert place.completed(f"{runs}/") == []
        assert place.browse(str(runs / "hers"))["entries"] == []
        assert place.browse("")["who"] == "ada"


def test_paths_are_completed_as_they_are_typed(local: Place) -> None:
    for name in ("CamVid", "camera", "other"):
        (local.offered / name).mkdir()
    (local.offered / "cam.pt").write_bytes(b"x")
    at = f"{local.offered}/"
    assert local.completed(f"{at}ca") == [f"{at}camera", f"{at}CamVid"]
    assert local.completed(f"{at}ca", want="checkpoint")[-1] == f"{at}cam.pt"
    assert local.completed(at) == [f"{at}camera", f"{at}CamVid", f"{at}other"]
    assert local.completed(str(local.offered)[:-2]) == [str(local.offered)]
    assert local.completed(f"{at}none/") == []
    for n in range(30):
        (local.offered / f"z{n}").mkdir()
    assert len(local.completed(at)) == module.COMPLETIONS


def test_a_home_is_completed_as_it_is_typed(local: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(local.offered))
    (local.offered / "data").mkdir()
    assert local.completed("~/d") == ["~/data"]


ODD_VALUES: tuple[object, ...] = (
    *TEXTS,
    *NUMBERS,
    None,
    True,
    [],
    {},
    [[1]],
    {"a": "b"},
    float("nan"),
    float("inf"),
)


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: repr(value)[:20])
def test_any_argument_is_answered(public: Place, value: object) -> None:
    calls = public.browsing.calls()
    for call in calls:
        for name in ("path", "text", "want", "filter", "start", "recent"):
            reply = call({"path": str(public.offered), name: value})
            assert isinstance(reply, dict)
            assert "The studio failed" not in reply.get("error", "")
            json.dumps(reply, ensure_ascii=False).encode()
        assert isinstance(call(value), dict)


def test_a_pipe_is_no_folder(local: Place) -> None:
    os.mkfifo(local.offered / "pipe.jpg")
    assert stat.S_ISFIFO((local.offered / "pipe.jpg").stat().st_mode)
    assert local.names(local.offered, want="checkpoint") == []
    looked = local.browsing.looking.look_at_folder({"path": str(local.offered)})
    assert looked["thumbnails"] == []
