"""Kept anchors, trust and the lasso in every file."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppap.studio import networks
from ppap.studio.explore import several
from ppap.studio.explore.keptmarks import inner_border
from ppap.studio.explore.layout import Place
from ppap.studio.explore.looks.base import KEPT_COLOURS
from tests.conftest import ROOT
from tests.ppap.studio.explore.test_server import HOSTILE
from tests.support.small_studio import SmallStudio, load_tiny, small_batch

SETTINGS = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}
KEPT = [3, None, 20]
KEPT_JS = ROOT / "assets" / "studio" / "explore" / "kept.js"


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallStudio]:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)
    made = SmallStudio(tmp_path)
    yield made
    made.server.surveys.close()


def saved(studio: SmallStudio, format: str, **more: Any) -> bytes:
    key = studio.store.add(small_batch(), {"source": "samples", "backbone": "embedded"}).key
    request = {"batch": key, "anchor": 5, "settings": SETTINGS, "step": 2, "format": format}
    return studio.server.file({**request, "kept": KEPT, "lasso": [1, 40], **more}).data


def union_of(studio: SmallStudio, step: int) -> several.Overlap:
    kept = several.gather(
        small_batch(), KEPT, several.read_settings(SETTINGS), studio.server.surveys.device
    )
    return several.overlap(kept, step)


def said(svg: bytes) -> str:
    """Captions, wherever they are broken."""
    return " ".join(re.findall(r"<text[^>]*>([^<]*)<", svg.decode()))


def test_json_and_npz_hold_kept_anchors_and_the_lasso(studio: SmallStudio) -> None:
    whole = json.loads(saved(studio, "json"))
    assert [one["number"] for one in whole["several"]["anchors"]] == [1, 3]
    assert whole["several"]["anchors"][1]["colour"] == "#f0e442"
    assert whole["lasso"]["patches"] == [1, 40]
    assert whole["lasso"]["images"][0]["patches"] == 1
    with np.load(io.BytesIO(saved(studio, "npz"))) as arrays:
        assert arrays["several_anchors"].tolist() == [3, 20]
        assert arrays["lasso"].tolist() == [1, 40]
        for t in range(3):
            found = union_of(studio, t)
            assert (arrays["several_union"][t] == found.union).all()
            assert (arrays["several_intersection"][t] == found.intersection).all()
            step = whole["several"]["steps"][t]
            assert step["union_patches"] == np.flatnonzero(found.union).tolist()


def test_nothing_is_added_where_nothing_is_kept(studio: SmallStudio) -> None:
    whole = json.loads(saved(studio, "json", kept=[], lasso=None))
    assert not {"several", "lasso"} & set(whole)
    with np.load(io.BytesIO(saved(studio, "npz", kept=None, lasso=[]))) as arrays:
        assert not [name for name in arrays if name.startswith(("several", "lasso"))]
    assert "several" not in saved(studio, "py", kept=[None]).decode()


def test_python_has_the_kept_anchors(studio: SmallStudio) -> None:
    lines = saved(studio, "py").decode()
    assert "batch.index(image=1, row=1, column=0)" in lines
    assert "union, intersection = " in lines


def test_pictures_have_borders_numbers_and_a_line(studio: SmallStudio) -> None:
    svg = saved(studio, "svg").decode()
    found = union_of(studio, 2)
    assert f"kept anchors 1, 3: {found.union.sum()} positive of any (union)" in said(svg.encode())
    for slot in (0, 2):
        colour = "#{:02x}{:02x}{:02x}".format(*KEPT_COLOURS[slot])
        assert f'stroke="{colour}"' in svg
        assert f'fill="{colour}"' in svg
    assert "#56b4e9" not in svg
    picture = np.asarray(Image.open(io.BytesIO(saved(studio, "png"))).convert("RGB"))
    for slot in (0, 2):
        assert (picture == KEPT_COLOURS[slot]).all(axis=-1).any()


def test_the_number_of_the_anchor_itself_has_its_colour(studio: SmallStudio) -> None:
    pink = "#dc267f"
    rims = re.findall(r'r="11" fill="(#\w+)" stroke="(#\w+)"', saved(studio, "svg").decode())
    assert rims == [("#d55e00", "#ffffff"), ("#f0e442", "#ffffff")]
    svg = saved(studio, "svg", anchor=20).decode()
    assert ('r="11" fill="#f0e442" stroke="' + pink) in svg


@pytest.mark.parametrize("style", ["union", "intersection"])
def test_union_and_intersection_are_drawn(studio: SmallStudio, style: str) -> None:
    look = {"style": style, "opacity": 1}
    svg = saved(studio, "svg", look=look).decode()
    area = sum(
        int(w) * int(h)
        for w, h in re.findall(r'width="(\d+)" height="(\d+)" fill="#[0-9a-f]{6}" fill-opa', svg)
    )
    found = union_of(studio, 2)
    members = found.union if style == "union" else found.intersection
    assert area == members.sum() * 32 * 32


def test_trust_is_drawn_with_its_scale(studio: SmallStudio) -> None:
    look = {"style": "trust", "opacity": 1}
    text = said(saved(studio, "svg", look=look, measure="recall"))
    assert "Recall of P as the anchor, 0 % to 100 % (All 48 patches)" in text
    assert "Precision of P" in said(saved(studio, "svg", look=look))
    assert saved(studio, "png", look=look, measure="moved").startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["kept", "lasso", "measure", "look"])
def test_whatever_is_asked_of_a_file_is_answered(studio: SmallStudio, name: str) -> None:
    key = studio.store.add(small_batch(), {"source": "samples", "backbone": "embedded"}).key
    request = {"batch": key, "anchor": 5, "settings": SETTINGS, "step": 2, "format": "json"}
    look = {"style": "trust"}
    for value in HOSTILE:
        reply = studio.ask("take", {**request, "look": look, name: value})
        assert "The studio failed" not in reply.get("error", ""), value


def test_borders_moved_inwards_stay_inside_and_closed() -> None:
    inside = np.zeros((4, 5), bool)
    inside[1:3, 1:4] = True
    inside[3, 2] = True
    place = Place(10, 20, 50, 40, 4, 5)
    lines = inner_border(inside, place, 2)
    ends: dict[tuple[int, int], int] = {}
    for x1, y1, x2, y2 in lines:
        assert x1 <= x2
        assert y1 <= y2
        for end in ((x1, y1), (x2, y2)):
            ends[end] = ends.get(end, 0) + 1
    # Every end meets another: the line is closed.
    assert set(ends.values()) == {2}
    assert (22, 32) in ends  # the corner of the first patch, two pixels in
    assert (38, 48) in ends  # and where the border turns outwards at the last one


def test_the_page_has_the_same_colours() -> None:
    listed = KEPT_JS.read_text().split("COLOURS = [")[1].split("];")[0]
    colours = [tuple(map(int, three)) for three in re.findall(r"\[(\d+), (\d+), (\d+)\]", listed)]
    assert tuple(colours) == KEPT_COLOURS
