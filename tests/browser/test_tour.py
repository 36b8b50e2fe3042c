"""The tour: offered once, six steps that show what they say, and back to what was there before."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Reference
from tests.browser.driver import click_patch, counts, ready, shown, until, wait_for_data
from tests.browser.looks import check_both_themes

LESSON = "#explore .tour .lesson"


def step_of(page: Page, number: int) -> str:
    page.wait_for_selector(f'#explore .tour[data-step="{number}"]')
    return page.locator(LESSON).inner_text()


def test_it_is_offered_until_it_was_answered(page: Page) -> None:
    offer = page.locator("#explore .invitation")
    expect(offer).to_be_visible()
    offer.get_by_role("button", name="No, thanks").click()
    expect(offer).to_be_hidden()
    page.reload()
    ready(page)
    expect(offer).to_be_hidden()
    # It can still be taken.
    page.get_by_role("button", name="Tour", exact=False).first.click()
    step_of(page, 1)


def test_six_steps_show_what_they_say(page: Page, reference: Reference) -> None:
    click_patch(page, 900)
    before = shown(page)
    page.get_by_role("button", name="Take the tour").click()
    assert "The anchor is the patch we ask about" in step_of(page, 1)
    wait_for_data(page, "anchor", "0,15,12")
    following = page.locator(LESSON).get_by_role("button", name="Next")
    following.click()
    told = step_of(page, 2)
    positive, _, negative = counts(page)
    assert f"blue: {positive}." in told
    assert f"dark: {negative:,}." in told
    assert "ambiguous, amber, and training leaves them out" in told
    assert "toured" in (page.locator("#explore .settings").get_attribute("class") or "")
    following.click()
    told = step_of(page, 3)
    muzzle = reference.batch.index(image=0, row=15, column=12)
    grown = [int((reference.codes(muzzle, step=t) == 2).sum()) for t in (0, 3)]
    assert f"{grown[0]} positives became {grown[1]}" in told
    assert "the mean of the positives, the anchor's proxy" in told
    following.click()
    told = step_of(page, 4)
    page.wait_for_selector("#rival-mosaic[data-ready=true]")
    neighbours, own = (float(found) for found in re.findall(r"([\d.]+) % of", told))
    assert own > neighbours + 20
    following.click()
    told = step_of(page, 5)
    first, last, rival = (float(found) for found in re.findall(r"([\d.]+) %", told))
    assert "water" in told
    assert first > 95 > 30 > last
    assert rival > last
    # What it advises helps.
    field = page.locator("input[data-exact=phi0]")
    field.fill("0.75")
    field.press("Enter")
    until(
        page, "document.querySelector('#explore').studio.state.view.steps.at(-1).precision > 0.95"
    )
    following.click()
    told = step_of(page, 6)
    assert "frozen" in told
    # What comes next.
    assert [name for name in ("Train", "Study", "Evaluate", "Segment") if name not in told] == []
    assert "toured" in (page.locator("#explore .features").first.get_attribute("class") or "")
    wait_for_data(page, "anchor", "0,15,12")
    # What it names is there.
    page.locator("#explore .features").first.get_by_role("radio", name="Run", exact=True).wait_for()
    page.locator(LESSON).get_by_role("button", name="Finish").click()
    expect(page.locator(LESSON)).to_be_hidden()
    wait_for_data(page, "anchor", before["anchor"])
    until(page, "document.querySelector('input[data-exact=phi0]').value === '0.6'")
    expect(page.locator("#rival-mosaic")).to_be_hidden()
    expect(page.locator(".toured")).to_have_count(0)


def test_it_can_be_skipped_and_goes_back(page: Page) -> None:
    page.get_by_role("button", name="Take the tour").click()
    step_of(page, 1)
    page.locator(LESSON).get_by_role("button", name="Next").click()
    step_of(page, 2)
    page.locator(LESSON).get_by_role("button", name="Back").click()
    step_of(page, 1)
    page.keyboard.press("Escape")
    expect(page.locator(LESSON)).to_be_hidden()


@pytest.mark.parametrize("width", [1440, 420])
def test_layout_contrast_and_names(open_studio: Callable[..., Page], width: int) -> None:
    page = open_studio("?__theme=light", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Take the tour").click()
    step_of(page, 1)
    for number in range(2, 7):
        page.locator(LESSON).get_by_role("button", name="Next").click()
        step_of(page, number)
    # Wherever the page has gone, the words are in sight.
    lesson = page.locator(LESSON).bounding_box()
    assert lesson is not None
    assert lesson["y"] >= 0
    assert lesson["y"] + lesson["height"] <= 900
    check_both_themes(page, width)
