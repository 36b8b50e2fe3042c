"""Overlay styles of exports beside the page's: the same keys, colours and marks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from ppap.batches import Batch
from ppap.inspection.lengths import Outliers
from ppap.places import ASSETS
from ppap.studio.explore.looks.attention import Drawn
from ppap.studio.explore.looks.base import MARKED, Look, Panel
from ppap.studio.explore.looks.clusters import cluster_colours
from ppap.studio.explore.looks.registry import STYLES, read_style
from ppap.studio.explore.looks.scales import CIVIDIS, cividis, grey
from ppap.studio.explore.looks.similarity import heat
from ppap.studio.explore.pictures import arrange, frames, legend, photos
from tests.support.small_studio import small_batch

STYLE_FOLDER = ASSETS / "studio" / "explore" / "styles"
NODE = shutil.which("node")


@pytest.fixture(scope="module")
def batch() -> Batch:
    return small_batch(2)


def said(script: str, tmp_path: Path) -> Any:
    """What a module script prints as JSON, beside copies of the page's modules."""
    root = tmp_path / "studio"
    shutil.copytree(ASSETS / "studio", root)
    (root / "package.json").write_text('{"type": "module"}')
    (root / "explore" / "script.js").write_text(script)
    assert NODE
    done = subprocess.run(
        [NODE, str(root / "explore" / "script.js")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_cividis_is_matplotlib_s() -> None:
    x = np.arange(256) / 255
    exact = np.array([matplotlib.colormaps["cividis"](i)[:3] for i in range(256)]) * 255
    off = np.abs(cividis(x).astype(float) - exact)
    assert off.max() < 7  # at the bend of its blue, between two stops
    assert off.mean() < 0.5
    assert (cividis(np.array([-5.0, 7.0])) == cividis(np.array([0.0, 1.0]))).all()


def test_scales_are_the_page_s() -> None:
    text = (STYLE_FOLDER / "scales.js").read_text()
    assert "".join(re.findall(r'"([0-9a-f]{60,})"', text)) == CIVIDIS
    text = (STYLE_FOLDER.parent / "mosaic.js").read_text()
    assert f'const MARKED = "rgb({",".join(map(str, MARKED))})"' in text


@pytest.mark.skipif(NODE is None, reason="no node on this machine")
def test_the_page_works_out_the_same_colours_and_has_the_same_styles(tmp_path: Path) -> None:
    script = """
globalThis.document = { createElement: () => ({}) };
const { cividis } = await import("./styles/scales.js");
const { ofCosine } = await import("./styles/similarity.js");
const { STYLES } = await import("./styles/index.js");
const at = Array.from({ length: 1001 }, (_, i) => -0.1 + (1.2 * i) / 1000);
console.log(JSON.stringify({
  scale: at.map(cividis),
  heat: at.map(ofCosine),
  styles: STYLES.map(({ key, grey }) => [key, Boolean(grey)]),
}));
"""
    page = said(script, tmp_path)
    at = -0.1 + 1.2 * np.arange(1001) / 1000
    # Where a channel lies half way, the last bit of a product may decide.
    assert np.abs(cividis(at).astype(int) - page["scale"]).max() <= 1
    assert (cividis(at) == page["scale"]).mean() > 0.999
    assert (heat(at) == page["heat"]).mean() > 0.999
    own = {key: style.grey for key, style in STYLES.items()}
    assert {key: own.get(key) for key, _ in page["styles"]} == dict(page["styles"])
    assert {key for key, _ in page["styles"]} == own.keys()


def test_cosines_from_a_little_below_zero_have_a_colour() -> None:
    assert heat(np.array([-1.0, -0.2, 1.0])).tolist() == [[0, 34, 78], [0, 34, 78], [254, 232, 56]]
    assert (heat(np.array([0.4])) == cividis(np.array([0.5]))).all()


def test_grey_keeps_the_brightness_and_nothing_else(batch: Batch) -> None:
    rgb = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], np.uint8)
    assert grey(rgb)[0, :, 0].tolist() == [76, 150, 28, 90]
    assert (grey(rgb)[..., :1] == grey(rgb)).all()
    for style in ("similarity", "lengths", "attention", "trust"):
        assert (photos(batch, Look(style))[0] == grey(batch.images[0])).all()
    for style in ("sets", "boxes", "labels", "components", "clusters"):
        assert photos(batch, Look(style))[0] is batch.images[0]


def test_an_unknown_style_or_option_falls_back_to_the_usual() -> None:
    for key in (None, "none", 3, ["sets"], {"a": 1}):
        assert read_style({"style": key})[0].key == "sets"
    assert read_style({"style": "clusters"})[1] == {"count": 8}
    for count in (True, "8", 8.0, None, [8]):
        assert read_style({"style": "clusters", "options": {"count": count}})[1] == {"count": 8}
    assert read_style({"style": "clusters", "options": {"count": 5}})[1] == {"count": 5}
    assert read_style({"style": "components", "options": [1]})[1] == {"background": None}
    assert read_style({"style": "components", "options": {"background": "auto"}})[1] == {
        "background": "auto"
    }
    usual = {"head": None, "from": "class"}
    assert read_style({"style": "attention", "options": {"head": True, "from": 1}})[1] == usual
    given = {"head": 2, "from": "anchor"}
    assert read_style({"style": "attention", "options": given})[1] == given


def test_all_cluster_colours_differ() -> None:
    for count in (2, 8, 64):
        assert len(set(cluster_colours(count))) == count
    assert cluster_colours(64)[:8] == cluster_colours(8)


def test_outliers_are_framed_and_counted(batch: Batch) -> None:
    found = Outliers(np.array([5, 20]), 3.0, 1.0, 0.1)
    look = Look("lengths", data=(np.linspace(1, 2, 32), found))
    panel = Panel(["one"], np.zeros(32, np.uint8), np.zeros(32), 0)
    layout = arrange(batch, [panel], [2])
    drawn = list(frames(batch, look, layout))
    assert [shape.rgba[:3] for shape in drawn] == [(255, 255, 255), MARKED] * 2
    for index, shape in ((5, drawn[1]), (20, drawn[3])):
        image, row, column = batch.position(index)
        x1, y1, x2, y2 = layout.places[image].square(row, column)
        assert shape.points == (x1 + 2, y1 + 2, x2 - 2, y2 - 2)
    words = legend(look, labelled=False, ring=False)
    assert "red frames: 2 longer than 3" in words
    none = replace(look, data=(look.data[0], found._replace(patches=np.array([], int))))
    assert not list(frames(batch, none, layout))
    assert "frames:" not in legend(none, labelled=False, ring=False).replace("pink frame:", "")


def test_captions_say_what_the_colours_are_of() -> None:
    drawn = Drawn(np.zeros(1), np.ones(1, bool), 3.21, "from the anchor, head 2 of 6")
    words = legend(Look("attention", data=drawn), labelled=False, ring=False)
    assert "from the anchor, head 2 of 6" in words
    assert "3.21 times as much" in words
