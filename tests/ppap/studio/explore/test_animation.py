"""Moving pictures of the propagation: which frames, how large, and what may be asked for."""

from __future__ import annotations

import io
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.explore import animating as jobs
from ppap.studio.explore import animation
from ppap.studio.explore.animating import Animating
from ppap.studio.explore.animation import EASED, HOLD, LAST, animate, fitting, frames
from ppap.studio.explore.animation_endpoints import AnimationEndpoints
from ppap.studio.explore.looks.base import PALETTE
from ppap.studio.requests import RequestError
from tests.support.small_studio import SmallStudio, small_batch, wait_until

SETTINGS: dict[str, Any] = {"phi0": 0.4, "psi0": 0.1, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}


@pytest.fixture
def studio(tmp_path: Path) -> SmallStudio:
    return SmallStudio(tmp_path / "studio")


@pytest.fixture
def animating(studio: SmallStudio) -> Animating:
    return Animating(studio.server)


@pytest.fixture
def request_of(studio: SmallStudio) -> dict[str, Any]:
    held = studio.store.add(small_batch(), {"source": "samples"})
    look = {"style": "boxes"}
    return {"batch": held.key, "anchor": 5, "settings": SETTINGS, "look": look, "format": "webp"}


def still(studio: SmallStudio, request: dict[str, Any], step: int) -> Image.Image:
    file = studio.server.file({**request, "format": "png", "step": step})
    return Image.open(io.BytesIO(file.data)).convert("RGB")


def silent(text: str, share: float) -> None:
    assert 0 <= share <= 1
    assert text


def test_every_step_stands_as_its_png_shows_it(
    animating: Animating, studio: SmallStudio, request_of: dict[str, Any]
) -> None:
    made = animating.make(request_of, silent)
    assert (made.name, made.type) == ("ppap-0-1-1.webp", "image/webp")
    with Image.open(io.BytesIO(made.data)) as moving:
        assert moving.n_frames == 3 + 2 * EASED  # type: ignore[attr-defined]
        assert moving.info["loop"] == 0
        times = []
        for step in range(3):
            moving.seek(step * (EASED + 1))
            wanted = still(studio, request_of, step)
            # The first step's caption is a line shorter: it has no ring to tell of.
            spare = moving.height - wanted.height
            assert spare == 0 or step == 0
            shown = moving.convert("RGB").crop((0, spare, wanted.width, moving.height))
            assert shown.tobytes() == wanted.tobytes()
            times.append(moving.info["duration"])
    assert times == [HOLD, HOLD, LAST]


def test_between_two_steps_the_one_becomes_the_other() -> None:
    black, white = (Image.new("RGB", (2, 2), colour) for colour in ("black", "white"))
    shown = [frame.image.getpixel((0, 0))[0] for frame in frames([black, white], silent)]  # type: ignore[index]
    assert shown[0] == 0
    assert shown[-1] == 255
    assert shown == sorted(shown)
    # Gently at both ends: the first and the last change are the smallest.
    changes = np.diff(shown)
    assert changes.argmax() in range(1, len(changes) - 1)


def test_no_steps_make_a_still(animating: Animating, request_of: dict[str, Any]) -> None:
    made = animating.make({**request_of, "settings": {**SETTINGS, "steps": 0}}, silent)
    with Image.open(io.BytesIO(made.data)) as moving:
        assert getattr(moving, "n_frames", 1) == 1


def test_a_gif_keeps_the_colours_of_the_marks(
    animating: Animating, request_of: dict[str, Any]
) -> None:
    made = animating.make({**request_of, "format": "gif"}, silent)
    with Image.open(io.BytesIO(made.data)) as moving:
        assert moving.format == "GIF"
        assert moving.n_frames == 3 + 2 * EASED  # type: ignore[attr-defined]
        moving.seek(moving.n_frames - 1)  # type: ignore[attr-defined]
        colours = {tuple(one) for one in np.asarray(moving.convert("RGB")).reshape(-1, 3).tolist()}
    assert PALETTE[3] in colours  # the anchor's pink


def test_the_map_stands_beside_the_images(
    animating: Animating, studio: SmallStudio, request_of: dict[str, Any]
) -> None:
    images = still(studio, request_of, 2)
    made = animating.make({**request_of, "map": True}, silent)
    with Image.open(io.BytesIO(made.data)) as moving:
        moving.seek(moving.n_frames - 1)  # type: ignore[attr-defined]
        last = moving.convert("RGB")
    assert last.height >= images.height
    there = (0, last.height - images.height, images.width, last.height)
    assert last.crop(there).tobytes() == images.tobytes()
    beside = last.crop((images.width, 0, *last.size))
    colours = {tuple(one) for one in np.asarray(beside).reshape(-1, 3).tolist()}
    assert {PALETTE[3], (255, 255, 255)} <= colours
    # Two patches at one place, as features of one's own may have it.
    view = studio.server.shown(studio.store.get(request_of["batch"]), request_of).own.view
    flat = animation.draw_map(view, 2, np.zeros((48, 2)), 240)
    assert flat.size == (240, 240)


def test_large_pictures_become_smaller_ones() -> None:
    assert fitting((1000, 800), 3) == 1
    scale = fitting((4000, 1000), 20)
    count = 21 + 20 * EASED
    assert scale**2 * 4_000_000 * count <= 1.001 * animation.MOST_PIXELS
    assert 9000 * fitting((9000, 10), 0) == pytest.approx(animation.MOST_SIDE)
    made = animate(lambda step: Image.new("RGB", (3000, 40)), 1, "webp", silent)
    with Image.open(io.BytesIO(made)) as moving:
        assert moving.width == animation.MOST_SIDE


def fake_encoder(folder: Path, body: str) -> str:
    program = folder / "encoder"
    program.write_text(f"#!{sys.executable}\nimport sys, pathlib\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_a_film_gets_whole_frames_with_even_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "pathlib.Path(sys.argv[-1]).write_text(f'{len(sys.stdin.buffer.read())} {sys.argv}')"
    program = fake_encoder(tmp_path, said)
    monkeypatch.setattr(animation, "encoder", lambda: program)
    made = animate(lambda step: Image.new("RGB", (101, 51)), 1, "mp4", silent).decode()
    size, _, words = made.partition(" ")
    shown = [
        round(frame.milliseconds * animation.RATE / 1000)
        for frame in frames([Image.new("RGB", (1, 1))] * 2, silent)
    ]
    assert int(size) == 102 * 52 * 3 * sum(shown)
    assert "'102x52'" in words
    failing = fake_encoder(tmp_path, "sys.exit(1)")
    monkeypatch.setattr(animation, "encoder", lambda: failing)
    with pytest.raises(RequestError, match="failed"):
        animate(lambda step: Image.new("RGB", (10, 10)), 1, "mp4", silent)


def test_without_an_encoder_there_is_no_film(
    animating: Animating, request_of: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animation, "encoder", lambda: None)
    monkeypatch.setattr(jobs, "encoder", lambda: None)
    assert animating.animation_formats(None) == {"formats": ["webp", "gif"]}
    with pytest.raises(RequestError, match="needs ffmpeg"):
        animating.make({**request_of, "format": "mp4"}, silent)


def finished(animating: Animating, key: str) -> dict[str, Any]:
    wait_until(lambda: animating.animation(key).get("state") not in ("waiting", "running"))
    return animating.animation(key)


def test_a_page_follows_it_to_its_file(animating: Animating, request_of: dict[str, Any]) -> None:
    key = animating.animate({**request_of, "page": "mine"})["job"]
    assert finished(animating, key)["name"] == "ppap-0-1-1.webp"
    job = animating.job(key)
    assert job.file is not None
    assert job.file.read_bytes()[8:12] == b"WEBP"
    with asking(Visitor(user="bob")):
        key = animating.animate(request_of)["job"]
    with asking(Visitor(user="ada")):
        assert "no longer available" in animating.animation(key)["error"]
        assert "no longer available" in animating.cancel_animation(key)["error"]


def test_it_can_be_cancelled_and_a_newer_one_ends_it(
    animating: Animating, request_of: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    going = threading.Event()
    make = animating.server.file

    def slow(request: Any) -> Any:
        going.wait(20)
        return make(request)

    monkeypatch.setattr(animating.server, "file", slow)
    first = animating.animate({**request_of, "page": "mine"})["job"]
    second = animating.animate({**request_of, "page": "mine"})["job"]
    third = animating.animate({**request_of, "page": "yours"})["job"]
    animating.cancel_animation(third)
    going.set()
    states = [finished(animating, key)["state"] for key in (first, second, third)]
    assert states == ["cancelled", "done", "cancelled"]
    assert animating.job(third).file is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": "exe"}, "The format must be one of"),
        ({"format": ["webp"]}, "The format must be one of"),
        ({"format": None}, "The format must be one of"),
        ({"map": "yes"}, "true or false"),
        ({"batch": "gone"}, "no longer in memory"),
        ({"anchor": 10**9}, ""),
        ({"settings": {**SETTINGS, "steps": 10**6}}, "must be a whole number from 0 to 20"),
        ({"rival": {"rule": "none"}}, ""),
        ({"look": "sets", "across": -1, "page": ["x"]}, None),
    ],
)
def test_hostile_requests(
    animating: Animating, request_of: dict[str, Any], changes: dict[str, Any], said: str | None
) -> None:
    reply = animating.animate({**request_of, **changes})
    if said is None:
        assert finished(animating, reply["job"])["state"] == "done"
    else:
        assert said in reply["error"]
    for odd in (None, 3, ["x"], "unknown"):
        assert "error" in animating.animation(odd)


def test_scripts_get_the_file(animating: Animating, request_of: dict[str, Any]) -> None:
    endpoints = AnimationEndpoints(animating)
    made = endpoints.animate(request_of["batch"], 1, 0, 2, format="gif", map=True, **SETTINGS)
    assert made.orig_name == "ppap-1-0-2.gif"
    with Image.open(made.path) as moving:
        assert moving.n_frames == 3 + 2 * EASED  # type: ignore[attr-defined]
