"""Every view has an address: links, Back and Forward, reloads, half filled forms; and the samples
that stand where there is nothing of one's own yet."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from ppap.studio import sample
from ppap.studio.access.passwords import add_user
from tests.browser.driver import Running, context_of_the_file, ready, studio, until

STUDY = "#study .study[data-ready=true]"
REPORT = "#evaluate .report[data-ready=true]"
LOOKED_AT = "#train .run h2"
PASSWORD = "ada's long password"
NAMES = ("train", "study", "evaluate")
LONG = "/somewhere/" + 300 * "deep/" + "folder"


def write_run(root: Path, name: str) -> None:
    """A run that has ended, with a report."""
    folder = root / name
    folder.mkdir(parents=True)
    for file in ("config.json", "state.json", "metrics.jsonl", "report.json"):
        shutil.copy(sample.RUN / file, folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("addresses") / "runs"
    for name in ("first", "second"):
        write_run(root, name)
        shutil.copytree(sample.STUDY, root / ".studies" / name)
    return root


@pytest.fixture(scope="module")
def running(runs: Path) -> Iterator[Running]:
    with studio(["--runs", str(runs)]) as started:
        yield started


@dataclass(frozen=True)
class Empty:
    """A studio without anything, with logins, below a path."""

    url: str
    runs: Path


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Empty]:
    folder = tmp_path_factory.mktemp("empty")
    add_user(folder / "users", "ada", PASSWORD)
    words = ["--runs", str(folder / "runs"), "--auth-file", str(folder / "users")]
    with studio(words, {"GRADIO_ROOT_PATH": "/lab"}) as started:
        yield Empty(f"{started.url}lab/", folder / "runs")


def log_in(page: Page) -> None:
    page.get_by_label("username").fill("ada")
    page.get_by_label("password").fill(PASSWORD)
    page.get_by_role("button", name="Login").click()


@pytest.fixture
def open_link(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """A function that opens a link, and closes the page in the end; no script may have failed."""
    errors: list[str] = []
    opened: list[Page] = []

    def open_it(url: str) -> Page:
        page = context_of_the_file(browser).new_page()
        page.set_viewport_size({"width": 1440, "height": 900})
        page.on("pageerror", lambda error: errors.append(str(error)))
        opened.append(page)
        page.goto(url)
        return page

    yield open_it
    for page in opened:
        page.evaluate("localStorage.clear()")
        page.close()
    assert errors == []


def tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def titled(page: Page, *words: str) -> None:
    expect(page).to_have_title(" · ".join((*words, "PPAP Studio")))


def address_has(page: Page, *parts: str) -> None:
    until(page, "(parts) => parts.every((one) => location.search.includes(one))", arg=parts)


def test_links_open_what_they_name(open_link: Callable[[str], Page], running: Running) -> None:
    page = open_link(f"{running.url}?tab=study&study=first")
    expect(page.locator(STUDY)).to_have_attribute("data-study", "first")
    titled(page, "Study", "Sample photos all")

    page.goto(f"{running.url}?tab=train&run=first&order=name&filter=first")
    expect(page.locator(LOOKED_AT)).to_have_text("first")
    expect(page.locator("#train tr[data-run=second]")).to_have_count(0)
    titled(page, "Train", "first")

    page.goto(f"{running.url}?tab=evaluate&report=second&beside=first&kind=linear")
    expect(page.locator(REPORT)).to_have_attribute("data-report", "second")
    expect(page.locator(REPORT)).to_have_attribute("data-beside", "first")
    chosen = page.locator("#evaluate .images [role=radio][data-value=linear]")
    expect(chosen).to_have_attribute("aria-checked", "true")
    titled(page, "Evaluate", "second")

    page.goto(f"{running.url}?tab=evaluate&report=.sample&image=4")
    page.wait_for_selector("#evaluate .images[data-ready=true][data-index='4']")

    # Explore's own link has no tab, and the address of another is no view of it.
    page.goto(f"{running.url}?source=samples&size=448&anchor=1,3,5")
    ready(page)
    expect(page.locator("#mosaic")).to_have_attribute("data-anchor", "1,3,5")
    tab(page, "Study")
    address_has(page, "?tab=study&study=")
    assert "anchor" not in page.url
    page.go_back()
    address_has(page, "anchor=1%2C3%2C5")
    titled(page, "Explore")


def test_a_tab_chosen_before_the_scripts_are_there_is_in_the_address(
    browser: Browser, running: Running
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        held: list[Route] = []
        page.route("**/shared/address.js*", lambda route: held.append(route))
        page.goto(running.url)
        tab(page, "Study")
        until(page, "document.querySelector('#study')?.checkVisibility()")
        while not held:
            page.wait_for_timeout(20)
        for route in held:
            route.continue_()
        address_has(page, "tab=study")


def test_back_and_forward_return(open_link: Callable[[str], Page], running: Running) -> None:
    page = open_link(running.url)
    ready(page)
    tab(page, "Train")
    page.locator("#train tr[data-run=first] .open").click()
    page.locator("#train tr[data-run=second] .open").click()
    expect(page.locator(LOOKED_AT)).to_have_text("second")
    tab(page, "Evaluate")
    page.locator("#evaluate li[data-report=first] .open").click()
    expect(page.locator(REPORT)).to_have_attribute("data-report", "first")
    page.locator("#evaluate").get_by_label("Split", exact=True).fill("half")
    tab(page, "Study")
    expect(page.locator(STUDY)).to_have_attribute("data-study", "first")
    page.locator("#study li[data-study=second] .open").click()
    address_has(page, "study=second")

    for _ in range(2):
        page.go_back()  # to the study that was open by itself, and to the report
    expect(page.locator("#evaluate")).to_be_visible()
    expect(page.locator(REPORT)).to_have_attribute("data-report", "first")
    expect(page.locator("#evaluate").get_by_label("Split", exact=True)).to_have_value("half")
    for _ in range(2):
        page.go_back()
    titled(page, "Train", "second")
    page.go_back()
    expect(page.locator(LOOKED_AT)).to_have_text("first")
    page.go_forward()
    expect(page.locator(LOOKED_AT)).to_have_text("second")
    page.reload()
    expect(page.locator(LOOKED_AT)).to_have_text("second")
    page.go_back()
    expect(page.locator(LOOKED_AT)).to_have_text("first")


def half_filled(page: Page) -> dict[str, Any]:
    """What is typed in the forms of Train, Study and Evaluate."""
    train, study, evaluate = (page.locator(f"#{name} .side, #{name} .order") for name in NAMES)
    found: dict[str, Any] = {}
    tab(page, "Train")
    page.locator("#train [data-part=command]").wait_for()
    found["train"] = [
        train.locator("[data-part=recipe]").input_value(),
        train.locator("[data-part=data]").input_value(),
        train.locator("[data-part=name]").input_value(),
        train.locator("[data-setting=phi0]").input_value(),
        train.locator("[data-setting=rule]").input_value(),
    ]
    tab(page, "Study")
    study.locator("textarea").first.wait_for()
    found["study"] = [
        study.get_by_label("Split", exact=True).input_value(),
        study.get_by_label("Anchors", exact=True).input_value(),
        study.get_by_label("x axis").input_value(),
        study.get_by_label("from").first.input_value(),
        study.get_by_label("Sweep two settings").is_checked(),
        study.locator("[role=radio][data-value=explore]").get_attribute("aria-checked"),
        study.get_by_label("Settings to vary").input_value(),
    ]
    tab(page, "Evaluate")
    evaluate.get_by_label("Split", exact=True).wait_for()
    found["evaluate"] = [
        evaluate.get_by_label("Data set folder on this server").input_value(),
        evaluate.get_by_label("Split", exact=True).input_value(),
    ]
    return found


def fill_half(page: Page) -> None:
    tab(page, "Train")
    train, study, evaluate = (page.locator(f"#{name} .side, #{name} .order") for name in NAMES)
    train.locator("[data-part=recipe]").select_option("camvid")
    train.locator("[data-part=data]").fill(LONG)  # too long for a link
    train.locator("[data-part=name]").fill("mine")
    train.locator("[data-group=Rule] summary").click()
    train.locator("[data-setting=phi0]").fill("0.4x")
    tab(page, "Study")
    study.get_by_label("Split", exact=True).fill("val & more=1")
    study.get_by_label("Anchors", exact=True).fill("")
    study.get_by_label("x axis").select_option("psi0")
    study.get_by_label("from").first.fill("0.1")
    study.locator("[role=radio][data-value=explore]").click()
    study.get_by_label("Sweep two settings").uncheck()
    study.get_by_text("New ablation").click()
    study.get_by_label("Settings to vary").fill("steps=1,2")
    tab(page, "Evaluate")
    evaluate.get_by_label("Data set folder on this server").fill("~/photos")
    evaluate.get_by_label("Split", exact=True).fill("half")


def test_half_filled_forms_are_there_after_a_reload(
    open_link: Callable[[str], Page], running: Running
) -> None:
    page = open_link(f"{running.url}?tab=train")
    fill_half(page)
    filled = half_filled(page)
    assert filled == {
        "train": ["camvid", LONG, "mine", "0.4x", "ppap"],
        "study": ["val & more=1", "", "psi0", "0.1", False, "true", "steps=1,2"],
        "evaluate": ["~/photos", "half"],
    }
    address_has(page, "form.split=half")
    page.reload()
    expect(page.locator("#evaluate").get_by_label("Split", exact=True)).to_have_value("half")
    assert half_filled(page) == filled
    tab(page, "Train")
    address_has(page, "tab=train")
    assert "deep" not in page.url  # it would be no link any more
    page.reload()
    expect(page.locator("#train [data-part=data]")).to_have_value(LONG)
    # A link carries what fits: somebody else's window has it, too.
    tab(page, "Study")
    address_has(page, "form.split=")
    other = open_link(page.url)
    expect(other.locator("#study").get_by_label("Split", exact=True)).to_have_value("val & more=1")
    expect(other.locator("#study .side").get_by_label("Anchors", exact=True)).to_have_value("")


def test_what_makes_no_sense_is_named(open_link: Callable[[str], Page], running: Running) -> None:
    page = open_link(f"{running.url}?tab=train&run=gone&order=sideways&wild=1&form.nothing=2")
    expect(page.locator("#train .notes")).to_contain_text("The run gone no longer exists")
    expect(page.locator("#train tr[data-run]")).to_have_count(3)
    page.goto(f"{running.url}?tab=train&order=sideways&wild=1&form.nothing=2&run=first")
    notes = page.locator("#train .notes")
    for name in ("wild", "nothing", "order"):
        expect(notes).to_contain_text(name)
    expect(page.locator(LOOKED_AT)).to_have_text("first")
    # What every object of JavaScript has is none of ours.
    page.goto(f"{running.url}?tab=train&order=constructor&run=second")
    expect(page.locator(LOOKED_AT)).to_have_text("second")
    expect(notes).to_contain_text("were ignored: order")

    page.goto(f"{running.url}?tab=study&study=<b>gone</b>&form.size=7")
    notes = page.locator("#study .main .notes").first
    expect(notes).to_contain_text("The study <b>gone</b> no longer exists")
    expect(notes).to_contain_text("were ignored: size")
    expect(page.locator("#study li[data-study]")).to_have_count(3)
    page.wait_for_selector(STUDY)

    page.goto(f"{running.url}?tab=evaluate&report=gone&image=99&kind=odd&form.checkpoint=x")
    notes = page.locator("#evaluate .main .notes").first
    expect(notes).to_contain_text("The report gone no longer exists")
    expect(notes).to_contain_text("were ignored: checkpoint")
    page.wait_for_selector(REPORT)

    for tab in ("nowhere", "constructor"):
        page.goto(f"{running.url}?tab={tab}")
        expect(page.locator("#explore .notes")).to_contain_text("were ignored: tab")


def test_a_link_survives_the_login_and_a_prefix(
    open_link: Callable[[str], Page], empty: Empty
) -> None:
    page = open_link(f"{empty.url}?tab=evaluate&form.split=half")
    log_in(page)
    expect(page.locator("#evaluate").get_by_label("Split", exact=True)).to_have_value("half")
    assert page.url.startswith(f"{empty.url}?tab=evaluate")
    tab(page, "Train")
    address_has(page, "tab=train")
    assert page.url.startswith(f"{empty.url}?")
    page.go_back()
    titled(page, "Evaluate", "Sample")
    # Who logs in next finds nothing of this user's.
    page.get_by_role("link", name="Log out").click()
    page.get_by_label("username").wait_for()
    kept = "Object.keys(sessionStorage).filter((one) => one.startsWith('ppap'))"
    assert page.evaluate(kept) == []


def test_samples_stand_where_there_is_nothing(
    open_link: Callable[[str], Page], empty: Empty
) -> None:
    page = open_link(f"{empty.url}?tab=study")
    log_in(page)
    expect(page.locator(STUDY)).to_have_attribute("data-study", sample.KEY)
    page.locator("#study .figure-sweep img").scroll_into_view_if_needed()
    until(page, "document.querySelector('#study .figure-sweep img').naturalWidth > 0")
    expect(page.locator("#study .sample-note")).to_contain_text("press Study")
    expect(page.locator("#study li.sample")).not_to_contain_text("Delete")

    tab(page, "Train")
    expect(page.locator(LOOKED_AT)).to_have_text("Sample run")
    expect(page.locator("#train [data-chart=loss]")).to_be_visible()
    until(page, "document.querySelector('#train .predictions canvas[data-drawn]')?.width > 0")
    for name in ("Delete…", "Rename", "Stop"):
        expect(page.locator("#train .run").get_by_role("button", name=name)).to_be_hidden()
    page.get_by_role("button", name="Clone with changes").click()
    expect(page.locator("#train [data-part=name]")).to_have_value("samples")

    tab(page, "Evaluate")
    page.wait_for_selector("#evaluate .images[data-ready=true]")
    page.locator("#evaluate .sample-note button").click()
    expect(page.locator("#evaluate .main")).to_contain_text("No report is open")
    page.reload()
    back = page.locator("#evaluate .sample-back")
    expect(back).to_be_visible()
    expect(page.locator("#evaluate .main")).to_contain_text("No report is open")
    expect(page.locator("#evaluate li.sample")).to_have_count(0)
    back.click()
    page.wait_for_selector(f"{REPORT}[data-report='{sample.KEY}']")

    # The first run of one's own takes its place.
    write_run(empty.runs, "own")
    tab(page, "Train")
    expect(page.locator(LOOKED_AT)).to_have_text("own")


def test_what_segment_shows_has_an_address(
    open_link: Callable[[str], Page], running: Running
) -> None:
    done = "#segment .stage[data-ready=true]"
    page = open_link(f"{running.url}?tab=segment&clusters=5&size=224&run=gone&backbone=none")
    page.wait_for_selector(done)
    said = page.locator("#segment .side .notes")
    expect(said).to_contain_text("were ignored: backbone")
    expect(said).to_contain_text("gone no longer has a checkpoint here")
    expect(page.locator("#segment [data-part=clusters]")).to_have_value("5")
    assert (
        page.evaluate("document.querySelector('#segment').studio.result.layers[0].names.length")
        == 5
    )
    number = page.locator("#segment [data-part=clusters]")
    number.fill("4")
    number.press("Enter")
    address_has(page, "clusters=4", "size=224")
    page.locator("#segment [role=radio][data-value=folder]").click()
    page.get_by_label("Folder on this server").fill("~/half")
    address_has(page, "form.folder=")
    page.reload()
    page.wait_for_selector(done)
    expect(number).to_have_value("4")
    expect(page.locator("#segment [data-part=clusters]")).to_have_value("4")
    expect(page.get_by_label("Folder on this server")).to_have_value("~/half")
    page.goto(f"{running.url}?tab=segment&source=files&set=gone")
    expect(page.locator("#segment .error")).to_contain_text("no longer on the server")
    page.wait_for_selector(done)
