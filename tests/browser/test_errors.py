"""Errors stand where they belong: short, at their field, in time, and beside their log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.driver import pages, studio, until
from tests.browser.looks import check_both_themes
from tests.support.small_segmenters import write_folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders that are nearly, or not at all, what somebody may type."""
    root = tmp_path_factory.mktemp("errors")
    write_folder(root / "CamVid", 6)
    (root / "nothing here/text").mkdir(parents=True)
    write_folder(root / "<b>odd", 2)
    write_folder(root / "broken", 4)
    for file in (root / "broken/images").iterdir():
        file.write_bytes(file.read_bytes()[:-40])
    return root


@pytest.fixture(scope="module")
def opened(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Page]]:
    runs = tmp_path_factory.mktemp("errors-runs") / "runs"
    with studio(["--runs", str(runs)]) as running, pages(browser, running.url) as open_it:
        yield open_it


def tab(page: Page, name: str) -> Locator:
    page.get_by_role("tab", name=name).click()
    return page.locator(f"#{name.lower()}")


def folded_away(error: Locator, longest: int = 210) -> str:
    """What is seen of an error is short; what its details hold."""
    seen = error.locator("> p").first.inner_text()
    assert len(seen) <= longest
    details = error.locator("details")
    expect(details).not_to_have_attribute("open", re.compile(""))
    box = error.bounding_box()
    assert box is not None
    assert box["height"] < 140
    details.locator("summary").click()
    return details.locator("p").inner_text()


def test_a_folder_is_checked_while_it_is_typed_and_what_is_near_is_offered(
    opened: Callable[..., Page], place: Path
) -> None:
    page = opened()
    bar = page.locator("#explore .batch")
    bar.get_by_role("radio", name="Folder").click()
    expect(bar.locator(".field-error:visible")).to_have_count(0)
    folder = bar.get_by_label("Folder or data set on this server")
    folder.fill(f"{place}/CamVidd")
    error = bar.locator("[data-error=folder]")
    expect(error.locator("p").first).to_have_text(
        f"There is no folder {place}/CamVidd on this server."
    )
    expect(folder).to_have_attribute("aria-invalid", "true")
    expect(error.locator(".offers")).to_have_text(f"Did you mean {place}/CamVid?")
    error.get_by_role("button").click()
    expect(error).to_be_hidden()
    expect(folder).to_have_value(f"{place}/CamVid")
    expect(folder).to_be_focused()
    bar.get_by_label("Split").fill("vla")
    split = bar.locator("[data-error=split]")
    expect(split.locator(".offers")).to_contain_text("val")
    bar.get_by_role("button", name="Load").click()
    # It stays at its field when it is sent all the same.
    expect(split.locator("p").first).to_have_text(f"{place}/CamVid has no split vla.")
    expect(bar.locator(".messages.error")).to_be_hidden()
    split.get_by_role("button", name="val", exact=True).click()
    bar.get_by_role("button", name="Load").click()
    until(page, "document.querySelector('#explore').studio.state.batch.recipe.split === 'val'")
    expect(bar.locator(".field-error:visible")).to_have_count(0)


def test_what_the_loader_says_of_a_folder_is_seen_with_its_batch(
    opened: Callable[..., Page], place: Path
) -> None:
    page = opened()
    bar = page.locator("#explore .batch")
    bar.get_by_role("radio", name="Folder").click()
    bar.get_by_label("Folder or data set on this server").fill(str(place / "CamVid"))
    bar.get_by_role("button", name="Load").click()
    expect(bar.locator(".messages.notes")).to_contain_text("one image in five is val")


def test_long_refusals_are_folded(opened: Callable[..., Page], place: Path) -> None:
    page = opened()
    bar = page.locator("#explore .batch")
    bar.get_by_role("radio", name="Folder").click()
    bar.get_by_label("Folder or data set on this server").fill(str(place / "nothing here"))
    error = bar.locator("[data-error=folder]")
    expect(error).to_contain_text("contains no images")
    assert "leftImg8bit" in folded_away(error)


def test_markup_in_names_is_text(opened: Callable[..., Page], place: Path) -> None:
    page = opened()
    bar = page.locator("#explore .batch")
    bar.get_by_role("radio", name="Folder").click()
    bar.get_by_label("Folder or data set on this server").fill(f"{place}/<b>od")
    offer = bar.locator("[data-error=folder] button")
    expect(offer).to_have_text(f"{place}/<b>odd")
    expect(page.locator("#explore .batch b")).to_have_count(0)


def test_many_problems_do_not_bury_the_sidebar(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened()
    files = [tmp_path / f"text {i}.jpg" for i in range(15)]
    for file in files:
        file.write_text("no picture")
    bar = page.locator("#explore .batch")
    bar.get_by_role("radio", name="Your images").click()
    bar.locator("input[type=file][multiple]").set_input_files([str(file) for file in files])
    box = bar.locator(".messages.error")
    expect(box).to_contain_text("text 2.jpg", timeout=60_000)
    expect(box.locator("> p")).to_have_count(3)
    box.get_by_text("and 12 more").click()
    expect(box.get_by_text("text 14.jpg")).to_be_visible()


def test_train_blames_nobody_before_anything_is_typed(
    opened: Callable[..., Page], place: Path
) -> None:
    page = opened()
    train = tab(page, "Train")
    train.locator("[data-part=recipe]").select_option("camvid")
    checked = "document.querySelector('#train').train.form"
    data, error = train.locator("[data-part=data]"), train.locator("[data-error=data]")
    until(page, f"'data' in ({checked}.wrong?.errors ?? {{}})")
    expect(data).to_be_visible()
    expect(train.locator(".field-error:visible")).to_have_count(0)
    expect(data).to_have_attribute("aria-invalid", "false")
    # Sent like this it is said, and a slip is said while it is typed.
    train.get_by_role("button", name="Start", exact=True).click()
    expect(error).to_have_text("Enter the data set folder.")
    data.fill(str(place / "camvid"))
    expect(error.locator(".offers")).to_have_text(f"Did you mean {place}/CamVid?")
    data.fill(str(place / "nothing here"))
    expect(error).to_contain_text("does not have the layout", timeout=60_000)
    assert len(error.locator("> p").inner_text()) <= 210
    # What a look at the data finds is not taken away by the next check of the form.
    train.locator("[data-part=name]").fill("another")
    expect(error).to_contain_text("does not have the layout", timeout=60_000)
    expect(train.locator(".refusal")).to_be_hidden()


def test_a_study_s_form_is_checked_at_its_fields(opened: Callable[..., Page], place: Path) -> None:
    page = opened()
    form = tab(page, "Study").locator("section.batch form")
    expect(form.locator(".field-error:visible")).to_have_count(0)
    data = form.get_by_label("Image folder on this server, or samples")
    data.fill(f'"{place}/CamVid"')
    error = form.locator("[data-error=data]")
    error.get_by_role("button", name=str(place / "CamVid"), exact=True).click()
    expect(error).to_be_hidden()
    form.get_by_label("Split", exact=True).fill("test")
    expect(form.locator("[data-error=split]")).to_contain_text("It has train, val and all.")
    form.get_by_role("button", name="Study").click()
    expect(form.locator("[data-error=split]")).to_contain_text("It has train, val and all.")
    expect(form.locator(".messages.error")).to_be_hidden()


def test_the_log_of_what_failed_is_beside_its_reason(
    opened: Callable[..., Page], place: Path
) -> None:
    page = opened()
    form = tab(page, "Study").locator("section.batch form")
    form.get_by_label("Image folder on this server, or samples").fill(str(place / "broken"))
    form.get_by_label("Split", exact=True).fill("all")
    form.get_by_role("button", name="Study").click()
    box = form.locator(".messages.error")
    expect(box).to_be_visible(timeout=120_000)
    expect(box.locator("> p")).to_have_count(1)
    expect(box.locator("> p")).to_contain_text("p0.png cannot be read")
    for log in box.locator("pre").all():
        expect(log).to_be_hidden()


def test_a_checkpoint_that_cannot_be_had_is_told_at_its_field(
    opened: Callable[..., Page], place: Path
) -> None:
    page = opened()
    segment = tab(page, "Segment")
    page.wait_for_selector("#segment .stage[data-ready=true]", timeout=120_000)
    (place / "weights.pt").write_bytes(b"nothing")
    segment.get_by_label("Segment with").select_option("file")
    expect(segment.locator(".field-error:visible")).to_have_count(0)
    path = segment.get_by_label("Checkpoint file on this server")
    path.fill(str(place / "wieghts.pt"))
    path.press("Enter")
    error = segment.locator("[data-error=checkpoint]")
    expect(error.locator("p").first).to_have_text(
        f"There is no file {place}/wieghts.pt on this server."
    )
    error.get_by_role("button").click()
    expect(error).to_contain_text("weights.pt")  # it is there, and no checkpoint
    expect(error.locator(".offers")).to_have_count(0)
    expect(segment.locator(".messages.error")).to_be_hidden()


@pytest.mark.parametrize("width", [1440, 420])
def test_errors_are_legible(opened: Callable[..., Page], place: Path, width: int) -> None:
    page = opened("?__theme=light", width=width)
    bar = page.locator("#explore .batch")
    bar.get_by_role("radio", name="Folder").click()
    bar.get_by_label("Folder or data set on this server").fill(f"{place}/CamVidd")
    expect(bar.locator(".offers")).to_be_visible()
    check_both_themes(page, width)
