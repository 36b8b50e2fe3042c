"""The Study tab in a real Chromium, and Suggest in Explore."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from ppap.study import advise
from ppap.study.columns import COLUMNS
from ppap.study.conclusions import conclusions
from ppap.study.expectation import Aim
from ppap.study.saved import read_study
from tests.browser.conftest import Reference
from tests.browser.driver import Running, pages, painted, soon, studio, until
from tests.browser.looks import check_both_themes, check_looks
from trainers.ablations.plan import Ablation, write_grid

OPEN = "#study .study[data-ready=true]"
READY = f"{OPEN}:not([data-study='.sample'])"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study") / "runs"


@pytest.fixture(scope="module")
def running(runs: Path) -> Iterator[Running]:
    with studio(["--runs", str(runs)]) as started:
        yield started


@pytest.fixture
def open_tab(browser: Browser, running: Running) -> Iterator[Callable[[], Page]]:
    with pages(browser, running.url) as open_it:

        def on_study() -> Page:
            page = open_it()
            page.get_by_role("tab", name="Study").click()
            page.wait_for_selector("#study form")
            return page

        yield on_study


def begin(page: Page, *, anchors: str = "100", values: str = "3") -> None:
    form = page.locator("#study form")
    form.get_by_label("Anchors").fill(anchors)
    form.get_by_label("Size").select_option("224")
    for field in form.get_by_label("values", exact=True).all():
        field.fill(values)
    form.get_by_role("button", name="Study").click()


@pytest.mark.parametrize(("aim", "button"), [("pure", "Pure"), ("complete", "Complete")])
def test_suggest_moves_the_sliders_and_says_why(
    page: Page, reference: Reference, aim: Aim, button: str
) -> None:
    batch = reference.batch
    wanted = advise(batch.features, images=batch.counts, grids=batch.grids, aim=aim, embedded=True)
    chosen = page.locator(".settings .aims").get_by_role("button", name=button)
    chosen.click()
    page.wait_for_selector(f".aims [data-aim={aim}][aria-pressed=true]")
    assert page.locator(".settings .reasons li").all_inner_texts() == list(wanted.reasons)
    assert "positives should be correct" in wanted.reasons[0]
    values = page.evaluate("document.querySelector('#explore').studio.controls.values")
    assert values == wanted.settings.as_dict()
    anchor = page.evaluate("document.querySelector('#explore').studio.state.anchor")
    five: dict[str, Any] = wanted.settings.as_dict()
    expected = int((reference.codes(anchor, **five) == 2).sum())
    page.wait_for_selector(f'#mosaic[data-positive="{expected}"]')
    # They are the reasons of that suggestion, not of what is moved afterwards.
    page.locator("[data-exact=phi0]").fill("0.7")
    page.locator("[data-exact=phi0]").press("Enter")
    expect(page.locator(".settings .reasons")).to_be_hidden()
    expect(chosen).to_have_attribute("aria-pressed", "false")


def test_a_study_is_made_shown_taken_and_opened_again(
    open_tab: Callable[[], Page], runs: Path, tmp_path: Path
) -> None:
    page = open_tab()
    page.wait_for_selector(f"{OPEN}[data-study='.sample']")
    begin(page)
    page.wait_for_selector("#study .busy progress")
    page.wait_for_selector(READY, timeout=240_000)
    (folder,) = (runs / ".studies").iterdir()
    made = read_study(folder)
    assert made["plan"]["anchors"] == 100
    cells = page.locator("#study .rules tr.measured").first.locator("td")
    expect(cells.first).to_have_text(f"{made['rules'][0]['positives']:,.0f}", use_inner_text=True)
    low, high = made["rules"][0]["sureness"]["precision"]
    assert cells.nth(1).inner_text().split("\n") == [
        f"{100 * made['rules'][0]['precision']:.1f}",
        f"{100 * low:.1f} to {100 * high:.1f}",
    ]
    # Figures are the command's own files.
    expect(page.locator("#study .paper-figure img")).to_have_count(5)
    # One kind of features: nothing to lay beside it.
    expect(page.locator("#study .card.stages")).to_have_count(0)
    # Each part says first what it shows; headings are words that explain themselves.
    for part, text in conclusions(made).items():
        if part == "stages":
            continue
        card = {"proof": "advice", "rules": "rules"}.get(part, f"figure-{part}")
        expect(page.locator(f"#study .card.{card} .conclusion")).to_have_text(text)
    word = page.locator("#study .rules").get_by_role("button", name=COLUMNS[1].title)
    word.press("Enter")
    bubble = page.get_by_role("tooltip").filter(visible=True)
    expect(bubble).to_have_text(COLUMNS[1].hint)
    page.keyboard.press("Escape")
    expect(bubble).to_have_count(0)
    word.press("Enter")
    expect(bubble).to_have_count(1)
    page.keyboard.press("Tab")
    expect(bubble).to_have_count(0)
    shown = page.request.get(page.locator("#study .figure-sweep img").evaluate("e => e.src"))
    assert shown.body() == (folder / "sweep.svg").read_bytes()
    for name in ("sweep.svg", "sweep.png", "sweep.csv"):
        with page.expect_download() as waiting:
            page.locator(f'#study .figure-sweep a[download="{name}"]').click()
        waiting.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    with (tmp_path / "sweep.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 9
    page.reload()
    page.get_by_role("tab", name="Study").click()
    page.wait_for_selector(READY)


def test_a_cell_opens_explore_with_its_settings(open_tab: Callable[[], Page]) -> None:
    page = open_tab()
    page.wait_for_selector(READY)
    study = page.evaluate(
        "fetch(document.querySelector('#study .advice a[download]').href).then((r) => r.json())"
    )
    cells = page.locator("#study .cells").first.locator("button")
    expect(cells).to_have_count(9)
    # The first button is the top left cell: the smallest x, the largest y.
    cell = study["sweep"]["cells"][2][0]
    cells.first.hover()
    said = page.locator("#study .figure-sweep .readout").inner_text()
    assert f"{cell['positives']:,.0f} positives" in said
    cells.first.click()
    page.wait_for_selector("#mosaic", state="visible")
    values = page.evaluate("document.querySelector('#explore').studio.controls.values")
    assert values == cell["settings"]
    # The photos that were studied, at the study's resolution, with the same settings.
    until(page, "document.querySelector('#explore').studio.state.batch.recipe.size === 224")
    state = page.evaluate(
        "(({batch, settings}) => [batch.recipe, settings])(document.querySelector('#explore').studio.state)"
    )
    assert state[0]["source"] == "samples"
    assert state[1] == cell["settings"]


def test_anchors_open_explore(open_tab: Callable[[], Page], runs: Path) -> None:
    page = open_tab()
    page.wait_for_selector(READY)
    (folder,) = (runs / ".studies").iterdir()
    study = read_study(folder)
    anchors = study["anchors"]
    label = max(set(anchors["class"]), key=anchors["class"].count)
    own = [i for i, found in enumerate(anchors["class"]) if found == label]
    own.sort(key=lambda i: math.inf if anchors["precision"][i] is None else anchors["precision"][i])
    places = [",".join(str(anchors[n][i]) for n in ("image", "row", "column")) for i in own[:8]]
    classes = page.locator("#study .figure-classes").get_by_role("group")
    classes.get_by_role("button", name=anchors["classes"][label], exact=True).click()
    rows = page.locator("#study ol.anchors button")
    until(
        page,
        "(n) => document.querySelectorAll('#study ol.anchors li').length === n",
        arg=len(places),
    )
    assert [row.get_attribute("data-place") for row in rows.all()] == places
    expect(rows.first).to_contain_text(
        f"{100 * anchors['precision'][own[0]]:.1f} %", use_inner_text=True
    )
    page.get_by_role("button", name=f"Open these {len(places)} in Explore").click()
    page.wait_for_selector(f'#mosaic[data-anchor="{places[0]}"]')
    until(page, "(n) => document.querySelectorAll('.kept-chip').length === n", arg=len(places))
    state = "document.querySelector('#explore').studio.state"
    until(
        page,
        f"(wanted) => Object.keys(wanted).every((n) => {state}.view.settings[n] === wanted[n])",
        arg=study["settings"],
    )
    # The images are there already: a single one is shown at once, and the kept ones stay.
    page.get_by_role("tab", name="Study").click()
    rows.nth(1).click()
    page.wait_for_selector(f'#mosaic[data-anchor="{places[1]}"]')
    expect(page.locator(".kept-chip")).to_have_count(len(places))


def test_nonsense_gets_a_sentence(open_tab: Callable[[], Page], runs: Path) -> None:
    page = open_tab()
    before = len(list((runs / ".studies").iterdir()))
    form = page.locator("#study .batch form")
    # It is said at the field as it is typed, and again when the study is begun.
    form.get_by_label("Seed", exact=True).fill("-1")
    expect(form.locator("[data-error=seed]")).to_contain_text("from 0 to")
    form.get_by_label("Seed", exact=True).fill("3")
    expect(form.locator("[data-error=seed]")).to_be_hidden()
    expect(form.get_by_label("Command line")).to_have_value(re.compile("--seed=3"))
    begin(page, anchors="<b>many</b>")
    expect(form.locator("[data-error=anchors]")).to_contain_text(
        "Anchors must be a whole number from 1 to 20,000, not <b>many</b>"
    )
    begin(page, values="0")
    expect(form.locator("[data-error=x]")).to_contain_text("Number of values must be")
    form.get_by_label("Image folder on this server").fill("/nowhere; touch x")
    begin(page)
    expect(form.locator("[data-error=data]")).to_contain_text("no folder")
    assert len(list((runs / ".studies").iterdir())) == before


def test_it_is_whole_and_legible(open_tab: Callable[[], Page]) -> None:
    page = open_tab()
    page.wait_for_selector(READY)
    dark = "[...document.querySelectorAll('#study .paper-figure img')].map((e) => e.src.endsWith('&dark=1'))"
    for width in (1440, 420):
        page.evaluate("document.body.classList.remove('dark')")
        soon(page, dark, [False] * 5)  # figures follow the theme
        page.set_viewport_size({"width": width, "height": 900})
        painted(page)
        check_both_themes(page, width)
        soon(page, dark, [True] * 5)
    expect(page.get_by_role("tab")).to_have_text(
        ["Explore", "Study", "Train", "Evaluate", "Segment"]
    )


def test_it_can_be_cancelled_and_deleted(open_tab: Callable[[], Page], runs: Path) -> None:
    page = open_tab()
    page.wait_for_selector(READY)
    begin(page, anchors="4000", values="40")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#study .busy", state="hidden", timeout=30_000)
    assert len(list((runs / ".studies").iterdir())) == 1
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.locator("#study .reports").get_by_role("button", name="Delete").click()
    expect(page.locator("#study .reports li:not(.sample)")).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#study .reports").get_by_role("button", name="Delete").click()
    page.wait_for_selector("#study .reports li:not(.sample)", state="detached")
    assert list((runs / ".studies").iterdir()) == []
    page.wait_for_selector(f"{OPEN}[data-study='.sample']")


def test_an_ablation_is_listed_opened_and_refused(open_tab: Callable[[], Page], runs: Path) -> None:
    name = "depth<b>"  # no name of an ablation, but of a file
    (runs / ".ablations" / name).mkdir(parents=True)
    write_grid(runs, Ablation("depth", ("samples",), seeds=(0, 1), grid={"steps": ("1", "2")}))
    page = open_tab()
    ablations = page.locator("#study .ablations")
    ablations.get_by_role("button", name="depth").click()
    page.wait_for_selector("#study .study[data-ablation=depth]")
    table = page.locator("#study .ablation table")
    expect(table.locator("tbody tr")).to_have_count(2)
    assert table.locator("tbody tr").first.inner_text().split("\t")[:3] == [
        "samples",
        "1",
        "0 of 2",
    ]
    expect(page.locator("#study .ablation")).to_contain_text(
        "0 of 4 runs finished", use_inner_text=True
    )
    with page.expect_download() as waiting:
        page.locator("#study .ablation").get_by_role("button", name="CSV").click()
    assert waiting.value.suggested_filename == "depth.csv"
    ablations.get_by_text("New ablation").click()
    ablations.get_by_label("Recipe").select_option("samples")
    # What is the same in all runs is there to be changed; what is varied is not.
    ablations.get_by_text("Fixed settings").click()
    find = ablations.get_by_role("searchbox", name="Search the settings")
    find.fill("phi0")
    expect(ablations).to_contain_text("phi0 is varied.")
    find.fill("epochs")
    ablations.locator("[data-setting=epochs]").fill("2")
    plan = ablations.locator("[data-part=plan]")
    expect(plan).to_contain_text("9 runs (3 combinations × 3 seeds)")
    expect(plan).to_contain_text("not known yet")
    # Runs differ in the rule, which does not read what is fixed.
    vary = ablations.get_by_label("Settings to vary")
    vary.fill("rule=knn,baseline steps=1,2")
    alert = ablations.get_by_role("alert")
    expect(alert).to_contain_text("rule=knn and rule=baseline do not use steps")
    vary.fill("phi0=0.5,9")
    ablations.get_by_role("button", name="Start all runs").click()
    expect(alert).to_contain_text("phi0 must be a number from -1 to 1", use_inner_text=True)
    check_looks(page, 1440)
    # All of it comes back with the link.
    until(page, "decodeURIComponent(location.search).includes('ablation.grid=phi0=0.5,9')")
    page.reload()
    page.locator("#study .study[data-ablation=depth]").wait_for()
    expect(ablations.locator("[data-setting=epochs]")).to_have_value("2")
    expect(vary).to_have_value("phi0=0.5,9")
    assert [one.name for one in runs.iterdir() if not one.name.startswith(".")] == []
