"""Click, step, keys and settings: what the page draws is what the library computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

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

# A patch on the lion's face and one on the flower.
LION = 784 + 7 * 28 + 14
FLOWER = 5 * 784 + 14 * 28 + 14
OTHER_SETTINGS: dict[str, Any] = {
    "phi0": 0.7,
    "psi0": 0.2,
    "sigma_pos": 5,
    "sigma_amb": 2,
    "steps": 2,
}


def library_counts(codes: np.ndarray) -> tuple[int, int, int]:
    return int((codes == 2).sum()), int((codes == 1).sum()), int((codes == 0).sum())


def test_click_gathers_what_the_library_gathers(page: Page, reference: Reference) -> None:
    for anchor in (LION, FLOWER):
        click_patch(page, anchor)
        where = reference.batch.position(anchor)
        wait_for_data(
            page,
            "anchor",
            f"{where.image},{where.row},{where.column}",
        )
        has_counts(page, library_counts(reference.codes(anchor)))


def test_every_patch_has_its_own_set(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    for step in range(4):
        codes = page.evaluate(f"[...{STUDIO}.state.view.codes[{step}]]")
        assert codes == reference.codes(LION, step).tolist()


def test_sets_are_drawn_in_their_colours(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    codes = reference.codes(LION)
    page.evaluate(f"{STUDIO}.setLook({{opacity: 1}})")
    painted(page)
    chance = np.random.default_rng(0)
    colours = {
        code: np.array(
            [pixel(page, int(j)) for j in chance.choice(np.flatnonzero(codes == code), 12)]
        )
        for code in (0, 1, 2)
    }
    red, _, blue = 0, 1, 2
    assert (colours[2][:, blue] > colours[2][:, red] + 60).all()  # positive: blue
    assert (colours[1][:, red] > colours[1][:, blue] + 60).all()  # ambiguous: amber
    assert (colours[0].max(axis=1) < 60).all()  # negative: dark


def test_switching_a_set_off_shows_the_photo_again(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    inside = int(np.flatnonzero(reference.codes(LION) == 0)[50])
    dark = pixel(page, inside)
    page.get_by_role("button", name="Negative").click()
    painted(page)
    photo = pixel(page, inside)
    assert sum(photo) > sum(dark)
    page.locator("#mosaic").focus()
    page.keyboard.press("3")  # and back
    painted(page)
    assert pixel(page, inside) == dark


def test_boxes_leave_the_photo_between_them(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    inside = int(np.flatnonzero(reference.codes(LION) == 2)[20])
    page.get_by_role("radio", name="Boxes").click()
    painted(page)
    middle, border = pixel(page, inside, dx=0.5, dy=0.5), pixel(page, inside, dx=0.5, dy=0.0)
    page.get_by_role("button", name="Positive").click()
    painted(page)
    assert pixel(page, inside, dx=0.5, dy=0.5) == middle
    assert border[2] - border[0] > pixel(page, inside, dx=0.5, dy=0.0)[2] - border[0]


def test_labels_and_similarity_overlays_differ_from_the_sets(page: Page) -> None:
    seen = {tuple(pixel(page, LION + 60))}
    for name in ("Similarity", "Labels"):
        page.get_by_role("radio", name=name).first.click()
        painted(page)
        seen.add(tuple(pixel(page, LION + 60)))
    assert len(seen) == 3
    legend = page.locator(".stage .classes").inner_text().split()
    assert legend == ["animal", "building", "ground", "plant", "sky", "solid", "water"]


def test_keys_move_the_anchor_step_and_play(page: Page) -> None:
    click_patch(page, LION)
    page.locator("#mosaic").focus()
    page.keyboard.press("ArrowRight")
    wait_for_data(page, "anchor", "1,7,15")
    page.keyboard.press("ArrowDown")
    wait_for_data(page, "anchor", "1,8,15")
    page.keyboard.press("Shift+ArrowLeft")
    wait_for_data(page, "anchor", "1,8,10")
    page.keyboard.press(",")
    wait_for_data(page, "step", "2")
    page.keyboard.press(",")
    wait_for_data(page, "step", "1")
    page.keyboard.press(".")
    wait_for_data(page, "step", "2")
    page.keyboard.press("Space")
    wait_for_data(page, "step", "3")
    page.keyboard.press("Space")  # at the end: from the start again
    wait_for_data(page, "step", "0")
    wait_for_data(page, "step", "3")


def test_arrows_cross_into_the_next_image(page: Page) -> None:
    click_patch(page, 5 * 28 + 27)  # last column of the first image
    page.locator("#mosaic").focus()
    page.keyboard.press("ArrowRight")
    wait_for_data(page, "anchor", "1,5,0")
    page.keyboard.press("ArrowLeft")
    wait_for_data(page, "anchor", "0,5,27")


def test_question_mark_lists_the_keys(page: Page) -> None:
    page.locator("#mosaic").focus()
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog", name="Keyboard shortcuts")
    sheet.wait_for()
    expect(sheet).to_contain_text("Move the anchor", use_inner_text=True)
    page.keyboard.press("Escape")
    sheet.wait_for(state="hidden")


def test_hover_outlines_and_previews(page: Page, reference: Reference) -> None:
    x, y = page.evaluate(f"document.getElementById('mosaic').mosaic.centreOf({FLOWER})")
    page.locator("#mosaic").hover(position={"x": x, "y": y})
    wait_for_data(page, "hover", "5,14,14")
    page.wait_for_selector("#mosaic[data-preview]")
    first = int((reference.codes(FLOWER, 0) == 2).sum())
    assert int(shown(page)["preview"]) == first
    drawn = page.evaluate(
        """() => { const c = document.querySelector('#mosaic .glass');
          return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0); }"""
    )
    assert drawn
    expect(page.locator(".readout")).to_contain_text("similarity to the proxy", use_inner_text=True)


def test_everything_follows_while_a_slider_moves(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    box = page.locator("input[data-setting=phi0]").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    page.mouse.down()
    seen = []
    for share in (0.62, 0.66, 0.7, 0.74):
        page.mouse.move(box["x"] + box["width"] * share, middle)
        value = float(page.locator("input[data-exact=phi0]").input_value())
        expected = library_counts(reference.codes(LION, phi0=value))
        wait_for_data(page, "positive", str(expected[0]))  # the button is still down
        has_counts(page, expected)
        seen.append(expected)
    page.mouse.up()
    assert len(set(seen)) == 4
    expect(page.get_by_label("Preset")).to_have_value("custom")


def test_exact_entry_preset_and_reset(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    for name, value in OTHER_SETTINGS.items():
        field = page.locator(f"input[data-exact={name}]")
        field.fill(str(value))
        field.press("Enter")
    wait_for_data(page, "step", "2")
    expected = library_counts(reference.codes(LION, **OTHER_SETTINGS))
    wait_for_data(page, "positive", str(expected[0]))
    has_counts(page, expected)
    page.get_by_label("Preset").select_option("potsdam_vitb8")
    wait_for_data(page, "step", "1")
    potsdam: dict[str, Any] = {
        "phi0": 0.55,
        "psi0": 0.15,
        "sigma_pos": 5,
        "sigma_amb": 3,
        "steps": 1,
    }
    has_counts(page, library_counts(reference.codes(LION, **potsdam)))
    page.get_by_role("button", name="Reset", exact=True).click()
    wait_for_data(page, "step", "3")
    has_counts(page, library_counts(reference.codes(LION)))


def test_a_wrong_entry_gets_a_sentence_and_changes_nothing(page: Page) -> None:
    field = page.locator("input[data-exact=phi0]")
    problem = page.locator(".field-error:visible")
    for number, entry in enumerate(["1.5", "-2", "abc", "", "NaN", "1e999"]):
        before = counts(page)
        field.fill(entry)
        field.press("Enter")
        expect(problem.first).to_have_text("Φ⁰ must be a number from -1 to 1.", use_inner_text=True)
        painted(page)
        has_counts(page, before)
        sound = round(0.65 + number / 100, 2)
        field.fill(str(sound))
        field.press("Enter")
        until(page, f"{STUDIO}.state.view.settings.phi0 === {sound}")
        expect(problem).to_have_count(0)


def test_timeline_table_and_histogram_move_along(page: Page, reference: Reference) -> None:
    click_patch(page, FLOWER)
    for step in (0, 2):
        page.get_by_role("button", name=f"Step {step}", exact=True).click()
        wait_for_data(page, "step", str(step))
        expected = library_counts(reference.codes(FLOWER, step))
        has_counts(page, expected)
        row = page.locator(".steps tr.current").inner_text().replace(",", "").split()
        assert row[:3] == ["t", "=", str(step)]
        assert [int(n) for n in row[6:9]] == list(expected)
        label = page.locator(".histogram svg").get_attribute("aria-label") or ""
        assert f"step {step}: {expected[0]} patches above Φ" in label


def test_labels_give_precision_and_recall(page: Page, reference: Reference) -> None:
    click_patch(page, FLOWER)
    codes = reference.codes(FLOWER)
    labels = reference.batch.labels
    assert labels is not None
    same = (labels == labels[FLOWER]).numpy()
    known = (labels >= 0).numpy()
    positive = codes == 2
    precision = 100 * (positive & same).sum() / (positive & known).sum()
    recall = 100 * (positive & same).sum() / (same.sum() - 1)
    row = page.locator(".steps tr.current").inner_text()
    assert f"{precision:.1f} %" in row
    assert f"{recall:.1f} %" in row


def test_zoom_pans_and_fits(page: Page) -> None:
    page.get_by_role("button", name="Zoom in (+)").click()
    page.get_by_role("button", name="Zoom in (+)").click()
    scale = page.evaluate(f"{STUDIO}.camera.scale")
    assert scale == pytest.approx(1.96)
    x, y = page.evaluate(
        "[0, 1].map((i) => [...document.querySelectorAll('#mosaic canvas')][0].getBoundingClientRect()[['width', 'height'][i]] / 2 - 30)"
    )
    here = page.evaluate(f"document.getElementById('mosaic').mosaic.patchAt({x}, {y})")
    click_patch(page, here)  # patches are still where they are drawn
    where = shown(page)["anchor"]
    box = page.locator("#mosaic").bounding_box()
    assert box
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 150, steps=4)
    page.mouse.up()
    assert page.evaluate(f"{STUDIO}.camera.x") < -80
    wait_for_data(page, "anchor", where)  # a drag is no click
    page.locator("#mosaic").focus()
    page.keyboard.press("0")
    soon(page, f"{STUDIO}.camera.scale", 1)


def test_two_pages_do_not_disturb_each_other(open_studio: Callable[..., Page]) -> None:
    first, second = open_studio(), open_studio()
    click_patch(first, LION)
    click_patch(second, FLOWER)
    wait_for_data(first, "anchor", "1,7,14")
    wait_for_data(second, "anchor", "5,14,14")
