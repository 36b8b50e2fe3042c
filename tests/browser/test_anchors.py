"""Several anchors, every anchor and the lasso: what the page says is what the library computes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from ppap.data import samples_dataset
from ppap.settings import EMBEDDED_PRESET
from ppap.studio.explore.looks.base import KEPT_COLOURS
from ppap.study.every_anchor import every_anchor
from tests.browser.conftest import Reference
from tests.browser.driver import (
    STUDIO,
    click_patch,
    painted,
    pixel,
    until,
    wait_for_data,
)
from tests.browser.looks import check_looks

LION = (1, 7, 14)
EIGHT = [
    LION,
    (2, 14, 12),
    (0, 15, 12),
    (5, 14, 14),
    (4, 20, 3),
    (3, 4, 22),
    (1, 20, 8),
    (2, 25, 20),
]


def patch(where: tuple[int, int, int]) -> int:
    image, row, column = where
    return image * 784 + row * 28 + column


def shift_click(page: Page, where: tuple[int, int, int]) -> None:
    x, y = page.evaluate(f"document.getElementById('mosaic').mosaic.centreOf({patch(where)})")
    page.locator("#mosaic").click(position={"x": x, "y": y}, modifiers=["Shift"])


def kept(*places: tuple[int, int, int] | None) -> str:
    return ";".join("" if one is None else ",".join(map(str, one)) for one in places)


def gathered(page: Page) -> None:
    """All kept anchors have their sets."""
    until(page, f"{STUDIO}.state.kept.every((one) => !one || one.codes)")


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=re.compile(name)).click()


def positives(reference: Reference, *places: tuple[int, int, int], **changes: Any) -> np.ndarray:
    return np.array([reference.codes(patch(one), **changes) == 2 for one in places])


def test_eight_anchors_overlap_as_the_library_says(page: Page, reference: Reference) -> None:
    for number, where in enumerate(EIGHT, 1):
        shift_click(page, where)
        wait_for_data(page, "kept", kept(*EIGHT[:number]))
    shift_click(page, (0, 0, 0))
    expect(page.locator(".stage .messages.error")).to_contain_text(
        "Remove one first", use_inner_text=True
    )
    wait_for_data(page, "kept", kept(*EIGHT))
    gathered(page)
    tab(page, "Kept")
    inside = positives(reference, *EIGHT)
    card = page.locator(".card.kept")
    expect(card).to_have_attribute("data-union", str(inside.any(axis=0).sum()))
    expect(card).to_have_attribute("data-intersection", str(inside.all(axis=0).sum()))
    cells = card.locator(".overlap tbody tr").nth(2).locator("td").all_inner_texts()
    common = inside.astype(int) @ inside.astype(int).T
    sizes = common.diagonal()
    for j in range(8):
        either = sizes[2] + sizes[j] - common[2, j]
        below = f"{common[2, j] / either:.2f}" if j < 2 else f"{common[2, j]:,}"
        assert cells[j] == below
    page.get_by_role("button", name="Remove all").click()
    wait_for_data(page, "kept", "")
    expect(card.locator(".overlap")).to_be_hidden()


def test_each_is_drawn_in_its_colour_and_union_and_intersection_where_they_are(
    page: Page, reference: Reference
) -> None:
    first, second = (0, 15, 12), LION
    for one in (first, second):
        shift_click(page, one)
    gathered(page)
    page.evaluate(f"{STUDIO}.setLook({{opacity: 1, style: 'anchors'}})")
    painted(page)
    inside = positives(reference, first, second)
    only = np.flatnonzero(inside[1] & ~inside[0])
    # Of that patch's own neighbours: borders are drawn at its edges.
    middle = [int(j) for j in only if inside[1][[j - 1, j + 1, j - 28, j + 28]].all()]
    seen = np.array(pixel(page, middle[0], dx=0.5, dy=0.5))
    assert np.abs(seen - np.array(KEPT_COLOURS[1])).max() < 60
    for style, members in (("union", inside.any(axis=0)), ("intersection", inside.all(axis=0))):
        page.evaluate(f"{STUDIO}.setLook({{style: '{style}'}})")
        drawn = page.evaluate(
            """async (style) => {
              const { styleOf } = await import(new URL('studio/static/explore/styles/index.js', document.baseURI));
              const { state } = document.querySelector('#explore').studio;
              const rgba = styleOf(style).colours(state, state.view, state.step);
              return [...rgba].filter((_, i) => i % 4 === 3).map((alpha) => alpha > 0);
            }""",
            style,
        )
        assert drawn == members.tolist()


def test_keys_keep_let_go_and_settings_gather_anew(page: Page, reference: Reference) -> None:
    click_patch(page, patch(LION))
    page.keyboard.press("k")
    shift_click(page, (0, 15, 12))
    wait_for_data(page, "kept", kept(LION, (0, 15, 12)))
    page.keyboard.press("k")  # it is the anchor: let go of it
    wait_for_data(page, "kept", kept(None, (0, 15, 12)))
    field = page.locator("input[data-exact=phi0]")
    field.fill("0.7")
    field.press("Enter")
    until(page, f"{STUDIO}.state.kept[1].settings.phi0 === 0.7")
    codes = page.evaluate(f"[...{STUDIO}.state.kept[1].codes[3]]")
    assert codes == reference.codes(patch((0, 15, 12)), phi0=0.7).tolist()
    page.locator("#mosaic").focus()
    page.keyboard.press("Shift+K")
    wait_for_data(page, "kept", "")


def test_a_click_asks_for_no_kept_anchor(page: Page) -> None:
    shift_click(page, LION)
    gathered(page)
    page.evaluate(
        f"(() => {{ const s = {STUDIO}.server, f = s.several; window.asked = 0;"
        " s.several = (...a) => { window.asked++; return f(...a); }; })()"
    )
    click_patch(page, 40)
    click_patch(page, 900)
    assert page.evaluate("window.asked") == 0


def test_links_and_files_carry_them(open_studio: Callable[..., Page], page: Page) -> None:
    shift_click(page, LION)
    shift_click(page, (0, 15, 12))
    gathered(page)
    page.evaluate(f"{STUDIO}.anchors.kept.remove(0)")
    page.evaluate(f"{STUDIO}.map.select(new Set([3, 900]))")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.locator("[data-format=json]").click()
    whole = json.loads(download.value.path().read_text())
    assert [one["number"] for one in whole["several"]["anchors"]] == [2]
    assert whole["lasso"]["patches"] == [3, 900]
    with page.expect_download() as download:
        page.locator("[data-format=npz]").click()
    with np.load(io.BytesIO(download.value.path().read_bytes())) as arrays:
        assert arrays["several_union"].shape == (4, 4704)
    link = page.locator("[data-part=link]").input_value()
    again = open_studio(f"?{link.split('?')[1]}")
    wait_for_data(again, "kept", kept(None, (0, 15, 12)))
    wrong = open_studio(f"?{link.split('?')[1]}".replace("anchors=", "anchors=a,"))
    wait_for_data(wrong, "kept", "")
    expect(wrong.locator(".batch .messages.notes")).to_contain_text("anchors", use_inner_text=True)


def test_they_stay_where_they_are_at_another_resolution(page: Page) -> None:
    for where in EIGHT[:2]:
        shift_click(page, where)
    gathered(page)
    page.get_by_role("radio", name="224 px").click()
    until(page, f"{STUDIO}.state.batch.recipe.size === 224")
    wait_for_data(page, "kept", kept(*((image, i // 2, j // 2) for image, i, j in EIGHT[:2])))
    gathered(page)


def test_trust_is_every_anchors_and_the_list_leads_to_them(
    page: Page, reference: Reference
) -> None:
    page.get_by_role("button", name="More overlays").click()
    page.get_by_role("menuitemradio", name=re.compile("^Trust")).click()
    wait_for_data(page, "trust", "precision whole")
    batch = reference.batch
    table = every_anchor(batch.features, EMBEDDED_PRESET.settings, labels=batch.labels)
    values = page.evaluate(f"[...{STUDIO}.state.trust.values].map((v) => isNaN(v) ? null : v)")
    found = np.array([np.nan if value is None else value for value in values])
    np.testing.assert_allclose(found, table.precision.numpy(), rtol=1e-4, atol=1e-6)
    page.get_by_label("Each patch as the anchor").select_option("moved")
    wait_for_data(page, "trust", "moved whole")
    tab(page, "Worth a look")
    first = page.locator(".worth-list button").first
    worst = np.nanmin(table.precision.numpy())
    expect(first).to_contain_text(f"precision {100 * worst:.1f} %", use_inner_text=True)
    page.locator("#mosaic").focus()
    listed = [
        int(one)
        for one in page.evaluate(
            "[...document.querySelectorAll('.worth-list button')].map((b) => b.dataset.patch)"
        )
    ]
    for key, at in (("n", 0), ("n", 1), ("p", 0)):
        page.keyboard.press(key)
        where = batch.position(listed[at])
        wait_for_data(page, "anchor", f"{where.image},{where.row},{where.column}")
    page.get_by_label("Image", exact=True).select_option("3")
    until(
        page,
        "[...document.querySelectorAll('.worth-list button')]"
        ".every((b) => b.dataset.patch >= 3 * 784 && b.dataset.patch < 4 * 784)",
    )
    page.locator(".worth-list button").nth(1).click()
    page.wait_for_selector(".worth-list li:nth-child(2) button[aria-current=true]")
    # The list marks the choice at once; the mosaic follows when its sets are there.
    until(page, "document.querySelector('#mosaic').dataset.anchor.startsWith('3,')")


def test_trust_follows_the_settings(page: Page, reference: Reference) -> None:
    page.evaluate(f"{STUDIO}.setLook({{style: 'trust'}})")
    wait_for_data(page, "trust", "precision whole")
    field = page.locator("input[data-exact=phi0]")
    field.fill("0.75")
    field.press("Enter")
    until(page, f"{STUDIO}.state.trust.settings.phi0 === 0.75 && {STUDIO}.state.trust.finished")
    settings = replace(EMBEDDED_PRESET.settings, phi0=0.75)
    batch = reference.batch
    table = every_anchor(batch.features, settings, labels=batch.labels)
    some = list(range(0, 4704, 97))
    values = page.evaluate(f"{some}.map((j) => {STUDIO}.state.trust.values[j])")
    expected = [None if v != v else v for v in table.precision[some].tolist()]
    for value, other in zip(values, expected, strict=True):
        assert (value is None or value != value) == (other is None)
        assert other is None or value == pytest.approx(other, abs=1e-5)


def test_the_lasso_says_what_it_holds(page: Page, reference: Reference) -> None:
    chosen = [*range(100, 400), *range(800, 1000)]
    page.evaluate(f"{STUDIO}.map.select(new Set({chosen}))")
    page.wait_for_selector(".lasso[data-patches='500']")
    batch = reference.batch
    assert batch.labels is not None
    labels, classes = batch.labels.numpy()[chosen], samples_dataset().classes
    rows = {
        line.split("\t")[0]: line.split("\t")[1:]
        for line in page.locator(".lasso table").first.inner_text().splitlines()[1:]
    }
    for name, cells in rows.items():
        count = (labels == (-1 if name == "void" else classes.index(name))).sum()
        assert cells[:2] == [str(count), f"{count / 5:.1f} %"]
    images = page.locator(".lasso table").nth(1).inner_text()
    assert re.search(r"cheetah1\s+300\s+60\.0 %", images)
    with page.expect_download() as download:
        page.locator("[data-lasso=csv]").click()
    assert len(download.value.path().read_text().splitlines()) == 501
    page.locator("#mosaic").focus()
    page.keyboard.press("Escape")
    page.locator(".lasso").wait_for(state="hidden")


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (420, "dark")])
def test_all_of_it_is_whole_and_legible(
    open_studio: Callable[..., Page], width: int, theme: str
) -> None:
    page = open_studio(f"?__theme={theme}", width=width)
    for where in EIGHT:
        page.evaluate(f"{STUDIO}.anchors.kept.toggle({patch(where)})")
    page.evaluate(f"{STUDIO}.map.select(new Set([1, 2, 3000]))")
    page.wait_for_selector(".lasso[data-patches='3']")
    check_looks(page, width)
    gathered(page)
    tab(page, "Kept")
    page.locator(".overlap").wait_for()
    page.evaluate(f"{STUDIO}.setLook({{style: 'union'}})")
    check_looks(page, width)
    page.evaluate(f"{STUDIO}.setLook({{style: 'trust'}})")
    tab(page, "Worth a look")
    page.locator(".worth-list button").first.wait_for()
    check_looks(page, width)
