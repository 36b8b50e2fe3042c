"""A second set of features beside the first: one click, two mosaics, and what changes."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

import ppap
from ppap.backbones import load_backbone
from ppap.batches import Batch
from ppap.data import samples_dataset
from ppap.settings import EMBEDDED_PRESET
from tests.browser.conftest import Reference
from tests.browser.driver import (
    STUDIO,
    click_patch,
    counts,
    has_counts,
    painted,
    pixel,
    shown,
    soon,
    until,
    wait_for_data,
)
from tests.support.foreign_weights import plain

LION = 784 + 7 * 28 + 14
SECOND = "beside-mosaic"
# What is drawn on the second mosaic.
SHEET = f"document.getElementById('{SECOND}').mosaic.canvas.toDataURL()"
SETTINGS: dict[str, Any] = dict(EMBEDDED_PRESET.settings.as_dict())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ViT with random weights and patches of 32 pixels."""
    file = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(plain(patch_size=32, img_size=128).state_dict(), file)
    return file


@pytest.fixture(scope="module")
def second(weights: Path) -> Batch:
    """The sample photos by its features, computed in this process."""
    photos = samples_dataset()
    examples = [photos.load(i) for i in range(len(photos))]
    return ppap.make_batch(examples, load_backbone(weights), size=448)


def open_beside(page: Page, weights: Path) -> None:
    fields = json.dumps({"backbone": "checkpoint", "checkpoint": str(weights)})
    page.evaluate(f"void {STUDIO}.beside.open({fields})")
    both_ready(page)


def both_ready(page: Page) -> None:
    """Both mosaics show the sets of the same anchor under the settings of the sliders."""
    # Whole networks are loaded for it, beside whatever else runs.
    page.wait_for_selector(f"#{SECOND}[data-ready=true]", timeout=90_000)
    until(
        page,
        f"""() => {{
          const {{ state, beside }} = {STUDIO};
          const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
          return beside.view && state.view.anchor === state.anchor && beside.view.anchor === beside.anchor
            && same(state.view.settings, state.settings) && same(beside.view.settings, beside.settings.values);
        }}""",
    )


def use_same(page: Page) -> None:
    page.get_by_label("Compare with").select_option("same")
    both_ready(page)


def set_phi0(page: Page, value: float) -> None:
    field = page.locator("input[data-exact=phi0]")
    field.fill(str(value))
    field.press("Enter")
    both_ready(page)


def library(batch: Batch, anchor: int, step: int = -1, **changes: Any) -> np.ndarray:
    """0 negative, 1 ambiguous, 2 positive, 3 anchor."""
    settings: dict[str, Any] = {**SETTINGS, **changes}
    sets = ppap.propagate(batch.features, torch.tensor([anchor]), **settings)
    parts = sets.at(sets.steps if step < 0 else step)
    codes = parts.ambiguous[0].numpy() * 1 + parts.positive[0].numpy() * 2
    codes[anchor] = 3
    return codes


def numbers(codes: np.ndarray) -> tuple[int, int, int]:
    return tuple(int((codes == code).sum()) for code in (2, 1, 0))  # type: ignore[return-value]


def partner(patch: int) -> int:
    """The patch of 14 × 14 that holds the middle of one of 28 × 28."""
    image, rest = divmod(patch, 784)
    row, column = divmod(rest, 28)
    return image * 196 + row // 2 * 14 + column // 2


def row_of(page: Page, name: str) -> list[str]:
    found: list[str] = page.locator(f".beside-table [data-row={name}] td").all_inner_texts()
    return found


def test_one_click_gives_two_mosaics_that_agree_with_the_library(
    page: Page, weights: Path, reference: Reference, second: Batch
) -> None:
    open_beside(page, weights)
    click_patch(page, LION)
    both_ready(page)
    has_counts(page, numbers(reference.codes(LION)))
    assert shown(page, SECOND)["anchor"] == "1,3,7"
    has_counts(page, numbers(library(second, partner(LION))), SECOND)
    # A click on the second moves both, and so does another step.
    other = 3 * 196 + 5 * 14 + 5
    x, y = page.evaluate(f"document.getElementById('{SECOND}').mosaic.centreOf({other})")
    page.locator(f"#{SECOND}").click(position={"x": x, "y": y})
    wait_for_data(page, "anchor", "3,5,5", id=SECOND)
    both_ready(page)
    first = page.evaluate(f"{STUDIO}.state.anchor")
    assert partner(first) == other
    page.get_by_role("button", name="Step 1", exact=True).click()
    has_counts(page, numbers(reference.codes(first, 1)))
    has_counts(page, numbers(library(second, other, 1)), SECOND)


def test_hover_marks_the_same_place_on_both(page: Page, weights: Path) -> None:
    open_beside(page, weights)
    for id, patch, here, there in (
        ("mosaic", LION, "1,7,14", "1,3,7"),
        (SECOND, 3 * 196 + 5 * 14 + 6, "3,11,13", "3,5,6"),
    ):
        x, y = page.evaluate(f"document.getElementById('{id}').mosaic.centreOf({patch})")
        page.locator(f"#{id}").hover(position={"x": x, "y": y})
        wait_for_data(page, "hover", here)
        wait_for_data(page, "hover", there, id=SECOND)


def test_a_lasso_holds_the_same_places_on_both(page: Page, weights: Path) -> None:
    open_beside(page, weights)
    there = 1 * 196 + 3 * 14 + 7
    page.evaluate(f"{STUDIO}.beside.maps.map.select(new Set([{there}]))")
    wait_for_data(page, "selected", "4")
    wait_for_data(page, "selected", "1", id=SECOND)
    chosen = page.evaluate(f"[...{STUDIO}.state.selection]")
    assert {partner(patch) for patch in chosen} == {there}
    page.evaluate(f"{STUDIO}.map.select(new Set([{LION}, 0, 1, 28, 29]))")
    wait_for_data(page, "selected", "5")
    # The middle of one of 14 × 14 opens the last of its four.
    soon(page, f"[...{STUDIO}.beside.selection]", [0])
    page.evaluate(f"{STUDIO}.map.select(new Set())")
    wait_for_data(page, "selected", "0", id=SECOND)


def test_features_of_one_s_own_stand_on_the_photographs(page: Page, tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(6, 14, 14, 8)).astype(np.float32)
    np.savez(tmp_path / "own.npz", features=features)
    page.evaluate(f"void {STUDIO}.beside.loadOwn({json.dumps({'npz': str(tmp_path / 'own.npz')})})")
    both_ready(page)
    click_patch(page, LION)
    both_ready(page)
    own = torch.nn.functional.normalize(torch.from_numpy(features.reshape(-1, 8)), dim=1)
    sets = ppap.propagate(own, torch.tensor([partner(LION)]), **SETTINGS)
    assert counts(page, SECOND)[0] == int(sets.positive.sum())
    page.evaluate(f"{STUDIO}.setLook({{opacity: 0}})")
    painted(page)
    flower = 5 * 784 + 14 * 28 + 14
    here, there = pixel(page, flower), pixel(page, partner(flower), id=SECOND, dx=0.15, dy=0.15)
    assert max(abs(a - b) for a, b in zip(here, there, strict=True)) < 12
    assert "beside.npz=" in page.evaluate(f"{STUDIO}.link()")


def test_settings_are_for_both_or_for_one(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    use_same(page)
    set_phi0(page, 0.45)  # of the second: what else would be beside it
    has_counts(page, numbers(reference.codes(LION)))
    has_counts(page, numbers(reference.codes(LION, phi0=0.45)), SECOND)
    page.get_by_role("radio", name="First", exact=True).click()
    expect(page.locator("input[data-exact=phi0]")).to_have_value("0.6")
    set_phi0(page, 0.7)
    has_counts(page, numbers(reference.codes(LION, phi0=0.7)))
    has_counts(page, numbers(reference.codes(LION, phi0=0.45)), SECOND)
    page.get_by_role("radio", name="Both", exact=True).click()
    both_ready(page)
    assert counts(page, SECOND) == counts(page) == numbers(reference.codes(LION, phi0=0.7))


def test_what_is_gained_and_lost_is_counted_and_drawn(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    use_same(page)
    set_phi0(page, 0.45)
    before, after = reference.codes(LION) == 2, reference.codes(LION, phi0=0.45) == 2
    labels = reference.batch.labels
    assert labels is not None
    right = (labels == labels[LION]).numpy()
    page.evaluate(f"{STUDIO}.setLook({{style: 'difference', opacity: 1}})")
    painted(page)
    for code, members in ((1, after & ~before), (2, before & ~after), (3, before & after)):
        text = page.locator(f"[data-change='{code}']").inner_text()
        count = int(members.sum())
        share = f", {int((members & right).sum()):,} correct" if count else ""
        assert text.endswith(f"{count:,}{share}")
    gained = int(np.flatnonzero(after & ~before & np.roll(after & ~before, -1))[0])
    for id in ("mosaic", SECOND):
        red, green, blue = pixel(page, gained, id=id)
        assert (green > red + 60, blue > red + 40) == (True, True)
    first, then, difference = (row_of(page, name) for name in ("first", "second", "difference"))
    assert (first[0], then[0]) == (f"{before.sum():,}", f"{after.sum():,}")
    more = int(after.sum()) - int(before.sum())
    assert difference[0] == (f"+{more:,}" if more > 0 else f"−{-more:,}")
    assert difference[3].endswith(" points")


def test_points_move_from_one_map_to_the_other(page: Page, weights: Path) -> None:
    open_beside(page, weights)
    until(page, "document.querySelector('#beside-map').dataset.state === 'umap'", timeout=120_000)
    slider = page.locator("[data-part=morph]")
    slider.fill("0.5")
    page.wait_for_selector("#map[data-share='0.5']")
    off = page.evaluate(
        f"""() => {{
          const {{ map, beside }} = {STUDIO};
          const drawn = map.plot.data[0].x;
          const end = beside.maps.map.points.x;
          return Math.max(...Array.from(map.points.x, (x, j) =>
            Math.abs(drawn[j] - (x + end[beside.forward[j]]) / 2)));
        }}"""
    )
    assert off < 1e-5
    page.get_by_role("button", name="Move the points from one map to the other").click()
    page.wait_for_selector("#map[data-share='0']")
    page.get_by_role("button", name="Move the points from one map to the other").click()
    page.wait_for_selector("#map[data-share='1']")
    # Near where they began, so that the eye can follow: far nearer than places at random would be.
    mean = page.evaluate(
        f"""() => {{
          const {{ points, motion: {{ target }} }} = {STUDIO}.map;
          const far = (order) => points.x.reduce((sum, x, j) =>
            sum + Math.hypot(x - target.x[order(j)], points.y[j] - target.y[order(j)]), 0);
          return far((j) => j) / far((j) => (j + 2352) % 4704);
        }}"""
    )
    assert mean < 0.7


def test_the_link_brings_back_both(page: Page, weights: Path) -> None:
    open_beside(page, weights)
    click_patch(page, LION)
    page.get_by_role("radio", name="Second", exact=True).click()
    set_phi0(page, 0.8)
    before = counts(page), counts(page, SECOND)
    link = page.evaluate(f"{STUDIO}.link()")
    page.goto("about:blank")
    page.goto(link)
    both_ready(page)
    wait_for_data(page, "anchor", "1,3,7", id=SECOND)
    assert (counts(page), counts(page, SECOND)) == before
    assert (
        page.get_by_role("radio", name="Second", exact=True).get_attribute("aria-checked") == "true"
    )
    expect(page.locator("input[data-exact=phi0]")).to_have_value("0.8")
    page.get_by_label("Compare with").select_option("none")
    page.locator(f"#{SECOND}").wait_for(state="hidden")
    expect(page.locator("input[data-exact=phi0]")).to_have_value("0.6")
    expect(page.locator("#beside-map")).to_have_count(0)


def test_what_is_taken_away_has_both(page: Page, weights: Path) -> None:
    open_beside(page, weights)
    taken = page.evaluate(
        f"""async () => {{
          const studio = {STUDIO};
          const reply = await studio.server.take({{ ...studio.exportState(), format: 'npz' }});
          return reply.data;
        }}"""
    )
    with np.load(io.BytesIO(base64.b64decode(taken))) as arrays:
        codes = np.array(page.evaluate(f"[...{STUDIO}.state.difference]"))
        assert arrays["difference"][-1].tolist() == codes.tolist()
        assert int(arrays["beside_ppap_positive"][-1].sum()) == counts(page, SECOND)[0]


def test_other_images_bring_their_second_features_along(page: Page) -> None:
    use_same(page)
    page.get_by_role("radio", name="224").click()
    until(page, f"{STUDIO}.state.batch.grids[0][0] === 14")
    both_ready(page)
    assert sum(counts(page, SECOND)) == 6 * 196 - 1


def test_a_refusal_is_said_beside_and_the_first_stays(page: Page) -> None:
    before = counts(page)
    fields = json.dumps({"backbone": "checkpoint", "checkpoint": "/no/such/file.pth"})
    page.evaluate(f"void {STUDIO}.beside.open({fields})")
    said = page.locator("[data-part=beside] .field-error:visible")
    said.wait_for()
    expect(said).to_have_text(
        "There is no file /no/such/file.pth on this server.", use_inner_text=True
    )
    has_counts(page, before)


def test_an_overlay_of_the_first_leaves_the_second_its_sets(page: Page, weights: Path) -> None:
    open_beside(page, weights)
    page.evaluate(f"{STUDIO}.anchors.kept.toggle({LION})")
    note = page.locator("[data-part=beside] [data-part=look]")
    sets = page.evaluate(SHEET)
    for style in ("trust", "union"):
        page.evaluate(f"{STUDIO}.setLook({{ style: '{style}' }})")
        painted(page)
        expect(note).to_contain_text("The sets are shown instead", use_inner_text=True)
        assert page.evaluate(SHEET) == sets
    page.evaluate(f"{STUDIO}.setLook({{ style: 'similarity' }})")
    painted(page)
    expect(note).to_be_hidden()
    assert page.evaluate(SHEET) != sets


def test_requests_that_cross_on_their_way_end_with_the_newest(page: Page, weights: Path) -> None:
    """A slider that is moved twice on a slow connection: the server gives up what is older."""
    newest = json.dumps({"backbone": "checkpoint", "checkpoint": str(weights)})
    page.evaluate(
        f"""() => {{
          const {{ server, beside }} = {STUDIO};
          const load = server.load;
          let later;
          const overtaken = new Promise((done) => (later = done));
          let calls = 0;
          server.load = async (request) => {{
            if (++calls > 1) return load(request).finally(later);
            await Promise.race([overtaken, new Promise((done) => setTimeout(done, 1000))]);
            return load(request);
          }};
          void beside.open({{ backbone: "embedded" }});
          void beside.load({newest});
        }}"""
    )
    both_ready(page)
    soon(page, f"{STUDIO}.beside.batch.grids[0]", [14, 14])
