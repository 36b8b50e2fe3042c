"""Overlay styles beside the sets: chosen by mouse and keys, drawn as the library has them, linked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from playwright.sync_api import Page, expect

from ppap.backbones import load_backbone
from ppap.backbones.attention import last_attention
from ppap.batches import make_batch
from ppap.data import samples_dataset
from ppap.inspection.clusters import clusters
from ppap.inspection.components import components
from ppap.studio.explore.looks.clusters import cluster_colours
from ppap.studio.explore.looks.lengths import scale_of
from ppap.studio.explore.looks.scales import cividis
from tests.browser.conftest import Reference
from tests.browser.driver import STUDIO, click_patch, painted, pixel, soon, until, wait_for_data
from tests.browser.looks import check_looks
from tests.support.foreign_weights import as_timm, plain

LION = 784 + 7 * 28 + 14
# Away from the anchor and its neighbourhood, in all images.
SPREAD = range(300, 4704, 391)


def choose(page: Page, name: str, legend: str) -> None:
    """Choose an overlay in the menu, and wait for its legend."""
    page.locator(".styles .more").click()
    page.get_by_role("menuitemradio", name=name).click()
    legend_says(page, legend)


def legend_says(page: Page, text: str) -> None:
    expect(page.locator(".stage > .classes")).to_contain_text(text)
    painted(page)


def opaque(page: Page) -> None:
    page.evaluate(f"{STUDIO}.setLook({{opacity: 1}})")
    painted(page)


def test_the_menu_works_with_keys_and_says_what_is_missing(page: Page) -> None:
    more = page.get_by_role("button", name="More overlays")
    menu = page.get_by_role("menu", name="More overlays")
    more.focus()
    page.keyboard.press("Enter")
    expect(menu).to_be_visible()
    expect(more).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("menuitemradio", name="Components")).to_be_focused()
    page.keyboard.press("End")
    attention = page.get_by_role("menuitemradio", name="Attention")
    expect(attention).to_be_focused()
    expect(attention).to_have_attribute("aria-disabled", "true")
    expect(attention).to_contain_text("is not a ViT, so it has no attention.")
    page.keyboard.press("Enter")  # nothing happens
    soon(page, f"{STUDIO}.state.look.style", "sets")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(menu).to_be_hidden()
    expect(page.get_by_role("button", name="Length. More overlays")).to_be_focused()
    legend_says(page, "no outliers: no feature is longer than")
    page.get_by_role("radio", name="Boxes").click()
    expect(more).to_have_text("More▾")
    page.keyboard.press("ArrowLeft")
    soon(page, f"{STUDIO}.state.look.style", "sets")
    page.locator("#mosaic").focus()
    page.keyboard.press("Shift+O")  # attention is left out, as it cannot be shown
    soon(page, f"{STUDIO}.state.look.style", "lengths")
    for style in ("sets", "boxes"):
        page.keyboard.press("o")
        soon(page, f"{STUDIO}.state.look.style", style)


def test_components_are_drawn_and_a_click_takes_the_background_away(
    page: Page, reference: Reference
) -> None:
    click_patch(page, LION)
    opaque(page)
    choose(page, "Components", "Principal components")
    f = reference.batch.features
    whole = components(f).rgb
    assert [pixel(page, j) for j in SPREAD] == [whole[j].tolist() for j in SPREAD]
    # The map has the same colours.
    expect(page.get_by_role("radio", name="Overlay")).to_have_attribute("aria-checked", "true")
    sky = 3 * 784 + 2 * 28 + 20
    x, y = page.evaluate(f"document.getElementById('mosaic').mosaic.centreOf({sky})")
    page.locator("#mosaic").click(position={"x": x, "y": y}, modifiers=["Alt"])
    legend_says(page, "background, ")
    wait_for_data(page, "anchor", "1,7,14")  # still the lion's face
    part = components(f, background=sky)
    assert pixel(page, sky) == [0, 0, 0]
    assert [pixel(page, j) for j in SPREAD] == [part.rgb[j].tolist() for j in SPREAD]
    hide = page.get_by_role("radio", name="Hide the anchor's side")
    expect(hide).to_have_attribute("aria-checked", "true")
    page.get_by_role("radio", name="Shown").click()
    expect(page.locator(".stage > .classes")).not_to_contain_text("background")
    hide.click()
    legend_says(page, "background, ")
    assert pixel(page, LION + 3) == [0, 0, 0]


def test_clusters_follow_their_number_and_the_link(
    page: Page, reference: Reference, open_studio: Callable[..., Page]
) -> None:
    opaque(page)
    choose(page, "Clusters", "Patches in each cluster")
    page.get_by_label("Clusters", exact=True).fill("5")
    expect(page.locator(".stage > .classes .chip")).to_have_count(6)
    painted(page)
    found = clusters(reference.batch.features, 5)
    colours = cluster_colours(5)
    wanted = [list(colours[found.labels[j]]) for j in SPREAD]
    assert [pixel(page, j) for j in SPREAD] == wanted
    x, y = page.evaluate(f"document.getElementById('mosaic').mosaic.centreOf({SPREAD[3]})")
    page.locator("#mosaic").hover(position={"x": x, "y": y})
    expect(page.locator(".readout")).to_contain_text(f"cluster {found.labels[SPREAD[3]] + 1}")
    page.get_by_label("Clusters", exact=True).fill("65")  # is not taken
    expect(page.get_by_label("Clusters", exact=True)).to_have_attribute("aria-invalid", "true")
    until(page, "location.search.includes('style.count=5')")
    other = open_studio("?" + page.url.split("?", 1)[1])
    legend_says(other, "Patches in each cluster")
    expect(other.get_by_label("Clusters", exact=True)).to_have_value("5")
    assert [pixel(other, j) for j in SPREAD] == wanted


def test_continuous_colours_lie_on_grey_photographs(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    page.evaluate(f"{STUDIO}.setLook({{opacity: 0, show: {{}}}})")
    painted(page)
    in_colour = np.array([pixel(page, j) for j in SPREAD])
    assert np.ptp(in_colour, axis=1).max() > 60
    page.get_by_role("radio", name="Similarity").first.click()
    painted(page)
    grey = np.array([pixel(page, j) for j in SPREAD])
    assert np.ptp(grey, axis=1).max() == 0
    assert np.abs(grey[:, 0] - in_colour @ [0.3, 0.59, 0.11]).max() <= 2
    opaque(page)
    cosines = reference.batch.features @ reference.batch.features[LION]
    page.get_by_role("button", name="Step 0", exact=True).click()
    painted(page)
    expected = cividis((cosines.numpy() + 0.2) / 1.2)[list(SPREAD)].astype(int)
    assert np.abs(np.array([pixel(page, j) for j in SPREAD]) - expected).max() <= 4  # 256 levels
    assert reference.batch.norms is not None
    lengths = reference.batch.norms.numpy()
    choose(page, "Length", "Feature length")
    low, high = scale_of(lengths)
    expected = cividis((lengths - low) / (high - low))[list(SPREAD)]
    assert np.abs(np.array([pixel(page, j) for j in SPREAD]) - expected).max() <= 1
    page.get_by_role("radio", name="Sets").click()
    page.evaluate(f"{STUDIO}.setLook({{opacity: 0}})")
    painted(page)
    assert (np.array([pixel(page, j) for j in SPREAD]) == in_colour).all()


def test_attention_of_a_vit_head_by_head(open_studio: Callable[..., Page], tmp_path: Path) -> None:
    file = tmp_path / "vit.pth"
    torch.save(as_timm(plain()), file)
    page = open_studio(
        f"?source=samples&size=224&backbone=checkpoint&checkpoint={file}"
        "&anchor=1,7,7&style=attention&style.head=2&opacity=1"
    )
    legend_says(page, "Attention relative to an even share")
    expect(page.locator(".stage > .classes")).not_to_contain_text("to go")
    painted(page)
    photos = samples_dataset()
    vit = load_backbone(file)
    batch = make_batch([photos.load(i) for i in range(len(photos))], vit, size=224)
    pixels = torch.from_numpy(np.stack(batch.images)).permute(0, 3, 1, 2).float() / 255
    trunk = vit.trunk(pixels)

    def colours(values: np.ndarray) -> np.ndarray:
        return cividis(values / np.percentile(values, 99.5)).astype(int)

    picked = [j for j in range(5, 1176, 83) if j != 196 + 7 * 14 + 7]
    expected = colours(last_attention(vit, trunk).patches[:, 1].reshape(-1).numpy())[picked]
    found = np.array([pixel(page, j) for j in picked])
    assert np.abs(found - expected).max() <= 4  # 256 levels
    page.get_by_role("radio", name="Anchor").click()
    page.get_by_label("Head").select_option("0")
    legend_says(page, "Attention relative to an even share")
    own = last_attention(vit, trunk, 7 * 14 + 7).patches[1, 0].reshape(-1).numpy()
    inside = list(range(196 + 20, 196 + 160, 17))
    expected = colours(own)[[j - 196 for j in inside]]
    assert np.abs(np.array([pixel(page, j) for j in inside]) - expected).max() <= 4
    outside = np.array([pixel(page, j) for j in (20, 900, 1100)])
    assert np.ptp(outside, axis=1).max() == 0  # grey, and nothing upon it
    until(page, "location.search.includes('style.from=anchor')")


def test_the_menu_is_whole_and_legible_in_a_narrow_dark_page(
    open_studio: Callable[..., Page],
) -> None:
    page = open_studio("?__theme=dark", width=420, height=800)
    choose(page, "Clusters", "Patches in each cluster")
    page.locator(".styles .more").click()
    box = page.get_by_role("menu", name="More overlays").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 420
    check_looks(page, 420)
