"""Rivals beside PPAP for the same anchor."""

from __future__ import annotations

import numpy as np
import torch
from playwright.sync_api import Page, expect

import ppap
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
    until,
    wait_for_data,
)

LION = 784 + 7 * 28 + 14


def compare_with(page: Page, rule: str) -> None:
    page.get_by_label("Compare with").select_option(rule)
    page.wait_for_selector("#rival-mosaic[data-ready=true]")
    until(page, f"{STUDIO}.state.rivalView !== null")
    # What stood there is of the rule before, until it is not stale any more.
    expect(page.locator(".pane.stale")).to_have_count(0)


def test_k_nearest_shows_k_positives(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    compare_with(page, "knn")
    wait_for_data(page, "positive", "100", id="rival-mosaic")
    page.locator("input[data-rival=k]").fill("37")
    wait_for_data(page, "positive", "37", id="rival-mosaic")
    sets = ppap.k_nearest(reference.batch.features, torch.tensor([LION]), k=37)
    codes = np.array(page.evaluate(f"[...{STUDIO}.state.rivalView.codes[0]]"))
    assert (codes == 2).nonzero()[0].tolist() == sets.positive[0].nonzero().flatten().tolist()
    expect(page.locator("[data-part=rival-numbers]")).to_contain_text("|P| 37", use_inner_text=True)
    assert counts(page)[0] == int((reference.codes(LION) == 2).sum())  # PPAP's stay


def test_both_mosaics_draw_their_own_sets(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    compare_with(page, "knn")
    page.locator("input[data-rival=k]").fill("10")
    wait_for_data(page, "positive", "10", id="rival-mosaic")
    page.evaluate(f"{STUDIO}.setLook({{opacity: 1}})")
    painted(page)
    rival = page.evaluate(f"[...{STUDIO}.state.rivalView.codes[0]]")
    own = reference.codes(LION)
    differing = next(j for j in range(len(own)) if own[j] == 2 and rival[j] == 0)
    blue = pixel(page, differing)
    dark = pixel(page, differing, id="rival-mosaic")
    assert blue[2] > blue[0] + 60
    assert max(dark) < 60


def test_ablations_follow_the_settings(page: Page, reference: Reference) -> None:
    click_patch(page, LION)
    own = reference.codes(LION)
    first = reference.codes(LION, 0)
    assert EMBEDDED_PRESET.settings.steps == 3
    for rule, codes in (("tps", own), ("ans", first), ("baseline", first)):
        compare_with(page, rule)
        wait_for_data(page, "positive", str((codes == 2).sum()), id="rival-mosaic")
        numbers = counts(page, "rival-mosaic")
        assert sum(numbers) == len(own) - 1
        assert (numbers[1] > 0) == (rule == "ans")


def test_rules_that_prepare_the_batch(page: Page) -> None:
    click_patch(page, LION)
    for rule in ("hp", "kmeans"):
        compare_with(page, rule)
        positive, ambiguous, negative = counts(page, "rival-mosaic")
        assert positive + ambiguous + negative == 4703
        assert positive > 0
        assert (ambiguous > 0) == (rule == "hp")


def test_a_small_batch_lowers_what_it_cannot_give(page: Page) -> None:
    page.get_by_role("radio", name="224 px").click()
    until(page, f"{STUDIO}.state.batch.grids[0][0] === 14")
    compare_with(page, "hp")
    expect(page.locator("input[data-rival=pool_size]")).to_have_value("1176")
    assert counts(page, "rival-mosaic")[0] > 0


def test_clicking_the_rival_moves_both_anchors(page: Page) -> None:
    compare_with(page, "baseline")
    click_patch(page, LION, id="rival-mosaic")
    assert shown(page)["anchor"] == shown(page, "rival-mosaic")["anchor"] == "1,7,14"


def test_a_rule_that_cannot_run_says_why_and_ppap_stays(page: Page) -> None:
    compare_with(page, "knn")
    before = counts(page)
    page.locator("input[data-rival=k]").fill("99999")
    message = page.locator(".pane .field-error:visible")
    message.wait_for()
    expect(message).to_have_text(
        "k must be from 1 to 4703 for this batch, not 99999.", use_inner_text=True
    )
    expect(page.locator("[data-part=rival-numbers]")).to_have_text("", use_inner_text=True)
    has_counts(page, before)


def test_old_numbers_never_stand_under_a_new_rule(page: Page) -> None:
    compare_with(page, "knn")
    expect(page.locator("[data-part=rival-numbers]")).to_contain_text(
        "|P| 100", use_inner_text=True
    )
    # As it is at the moment of the choice, before any answer can be there.
    said, ready, stale = page.evaluate(
        """() => {
          const select = document.querySelector('.compare select');
          select.value = 'kmeans';
          select.dispatchEvent(new Event('change'));
          const rival = document.getElementById('rival-mosaic');
          return [document.querySelector('[data-part=rival-numbers]').textContent, rival.dataset.ready,
            document.querySelectorAll('.pane.stale').length];
        }"""
    )
    assert said == "Gathering…"
    assert ready == "false"
    assert stale == 1
    page.wait_for_selector("#rival-mosaic[data-ready=true]")
    expect(page.locator(".pane.stale")).to_have_count(0)
    expect(page.locator("[data-part=rival-numbers]")).not_to_contain_text(
        "|P| 100 ", use_inner_text=True
    )


def test_nothing_takes_the_rival_away(page: Page) -> None:
    compare_with(page, "baseline")
    wide = page.locator("#mosaic canvas").first.bounding_box()
    page.get_by_label("Compare with").select_option("none")
    page.locator("#rival-mosaic").wait_for(state="hidden")
    assert wide
    until(
        page,
        "(least) => document.querySelector('#mosaic canvas').getBoundingClientRect().width > least",
        arg=1.5 * wide["width"],
    )
