"""Uploads, folders, backbones and resolutions, and what bad input does."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from ppap.data.samples import samples
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

MARKUP = "<img src=x onerror=alert(1)>.png"


def photo(name: str) -> Image.Image:
    chosen = next(sample for sample in samples() if sample.name == name)
    with Image.open(chosen.photo) as image:
        return image.convert("RGB")


def upload(page: Page, files: Sequence[Path]) -> None:
    page.get_by_role("radio", name="Your images").click()
    turn = page.evaluate(f"{STUDIO}.bar.turn")
    page.locator(".batch input[type=file][multiple]").set_input_files([str(file) for file in files])
    until(page, f"{STUDIO}.bar.turn > {turn} + 1 && {STUDIO}.bar.busy.hidden", timeout=60_000)


def names(page: Page) -> list[str]:
    found: list[str] = page.evaluate(f"[...{STUDIO}.state.batch.names]")
    return found


def empty_png(path: Path, side: int) -> None:
    """A PNG that claims ``side`` × ``side`` pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.fixture
def strange(tmp_path: Path) -> dict[str, Path]:
    """Files of the kinds that people really drop."""
    lion = photo("lion")
    files = {
        name: tmp_path / name
        for name in (
            "text.jpg",
            "cut.jpg",
            "huge.png",
            "cmyk.jpg",
            "deep.png",
            "moving.gif",
            "turned.jpg",
            MARKUP,
        )
    }
    files["text.jpg"].write_text("this is no picture")
    lion.save(tmp_path / "whole.jpg")
    files["cut.jpg"].write_bytes((tmp_path / "whole.jpg").read_bytes()[:4000])
    empty_png(files["huge.png"], 20_000)
    lion.convert("CMYK").save(files["cmyk.jpg"])
    ramp = np.linspace(0, 65535, 256 * 256).reshape(256, 256).astype(np.uint16)
    Image.fromarray(ramp).save(files["deep.png"])
    lion.convert("P").save(
        files["moving.gif"], save_all=True, append_images=[photo("tower").convert("P")]
    )
    exif = Image.Exif()
    exif[0x112] = 6  # the camera lay on its side: show it a quarter turn clockwise
    lion.transpose(Image.Transpose.ROTATE_90).save(files["turned.jpg"], exif=exif, quality=95)
    lion.save(files[MARKUP])
    return files


def test_bad_files_get_a_sentence_and_good_ones_load(page: Page, strange: dict[str, Path]) -> None:
    upload(page, list(strange.values()))
    assert sorted(names(page)) == sorted(
        ["cmyk.jpg", "deep.png", "moving.gif", "turned.jpg", MARKUP]
    )
    problems = page.locator(".batch .messages.error").inner_text()
    for bad in ("text.jpg", "cut.jpg", "huge.png"):
        assert bad in problems
    remarks = page.locator(".batch .messages.notes").inner_text()
    for noted in ("cmyk.jpg", "deep.png", "moving.gif", "turned.jpg"):
        assert noted in remarks
    # Markup in a name is text, wherever it is shown.
    page.evaluate(
        "() => { window.__alerted = false; window.alert = () => (window.__alerted = true); }"
    )
    click_patch(page, names(page).index(MARKUP) * 784 + 400)
    expect(page.locator(".readout")).to_contain_text(MARKUP)
    painted(page)  # markup would have run by now
    assert page.evaluate("window.__alerted") is False
    expect(page.locator("img[src=x]")).to_have_count(0)


def test_files_are_dropped(page: Page, tmp_path: Path) -> None:
    photo("flower").resize((64, 64)).save(tmp_path / "dropped.png")
    page.get_by_role("radio", name="Your images").click()
    content = base64.b64encode((tmp_path / "dropped.png").read_bytes()).decode()
    transfer = page.evaluate_handle(
        """(content) => {
          const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], 'dropped.png', { type: 'image/png' }));
          return transfer;
        }""",
        content,
    )
    page.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
    until(page, f"{STUDIO}.state.batch.names[0] === 'dropped.png'")


def test_a_turned_photo_is_shown_upright(page: Page, strange: dict[str, Path]) -> None:
    upload(page, [strange["turned.jpg"], strange[MARKUP]])
    page.evaluate(f"{STUDIO}.setLook({{opacity: 0}})")
    painted(page)
    turned = np.array([pixel(page, j) for j in range(0, 784, 97)])
    upright = np.array([pixel(page, 784 + j) for j in range(0, 784, 97)])
    # The first patches carry the anchor's frame and the positives' outline; the rest must agree.
    assert np.median(np.abs(turned - upright)) < 12


def test_nothing_readable_leaves_the_batch_as_it_is(page: Page, strange: dict[str, Path]) -> None:
    click_patch(page, 1000)
    before, where = counts(page), shown(page)["anchor"]
    upload(page, [strange["text.jpg"], strange["huge.png"]])
    problems = page.locator(".batch .messages.error").inner_text()
    assert "text.jpg" in problems
    assert "huge.png" in problems
    assert len(names(page)) == 6
    has_counts(page, before)
    wait_for_data(page, "anchor", where)


def test_more_than_64_images(page: Page, tmp_path: Path) -> None:
    small = photo("flower").resize((64, 48))
    files = [tmp_path / f"{i:02}.jpg" for i in range(65)]
    for file in files:
        small.save(file)
    page.get_by_role("radio", name="224 px").click()
    until(page, f"{STUDIO}.state.batch.shapes[0][0] === 224")
    upload(page, files)
    assert len(names(page)) == 64
    assert (
        "You chose 65 files. Only the first 64 are used"
        in page.locator(".batch .messages.error").inner_text()
    )
    assert page.evaluate(f"{STUDIO}.patches") == 64 * 196
    assert sum(counts(page)) == 64 * 196 - 1


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """A folder data set: six crops of a sample photo with their label maps."""
    sample = next(sample for sample in samples() if sample.name == "china")
    for part in ("images", "labels"):
        (tmp_path / "set" / part).mkdir(parents=True)
    (tmp_path / "set" / "classes.txt").write_text("\n".join(f"kind {i}" for i in range(27)))
    (tmp_path / "set" / "train.txt").write_text("\n".join(f"crop{i}" for i in range(6)))
    (tmp_path / "set" / "val.txt").write_text("")
    with Image.open(sample.photo) as image, Image.open(sample.labels) as labels:
        for i in range(6):
            box = (40 * i, 20 * i, 40 * i + 300, 20 * i + 300)
            image.crop(box).save(tmp_path / "set" / "images" / f"crop{i}.jpg")
            labels.crop(box).save(tmp_path / "set" / "labels" / f"crop{i}.png")
    return tmp_path / "set"


def test_a_folder_with_labels_and_another_batch(page: Page, data_set: Path) -> None:
    page.get_by_role("radio", name="Folder").click()
    page.get_by_label("Folder or data set on this server").fill(str(data_set))
    page.locator(".source-panel input[inputmode=numeric]").fill("3")
    page.get_by_role("button", name="Load").click()
    until(page, f"{STUDIO}.state.batch.names.length === 3")
    page.wait_for_selector("#mosaic[data-ready=true]")
    first = names(page)
    assert all(name.startswith("crop") for name in first)
    expect(page.locator(".steps .help")).to_contain_text(
        "the anchor's class: kind ", use_inner_text=True
    )
    expect(page.locator(".steps thead")).to_contain_text("recall", use_inner_text=True)
    page.get_by_role("button", name="Another batch").click()
    until(page, f"{STUDIO}.state.batch.names[0] !== '{first[0]}'")
    assert not set(first) & set(names(page))


def test_chosen_images_of_a_folder_travel_in_the_link(
    open_studio: Callable[..., Page], data_set: Path
) -> None:
    query = f"?source=folder&folder={data_set}&split=train&count=2&seed=0&images=4,1&size=224&backbone=embedded"
    page = open_studio(query)
    assert [name.removesuffix(".jpg") for name in names(page)] == ["crop4", "crop1"]
    until(page, "new URLSearchParams(location.search).get('images') === '4,1'")
    # They stay at another resolution, and make way for the next ones.
    page.get_by_role("radio", name="320 px").click()
    until(page, f"{STUDIO}.state.batch.recipe.size === 320")
    assert [name.removesuffix(".jpg") for name in names(page)] == ["crop4", "crop1"]
    page.get_by_role("button", name="Another batch").click()
    until(page, f"!('images' in {STUDIO}.state.batch.recipe)")
    assert len(names(page)) == 2


def test_a_folder_that_is_not_there(page: Page) -> None:
    page.get_by_role("radio", name="Folder").click()
    for folder, sentence in (
        ("/no/such/folder", "There is no folder /no/such/folder on this server."),
        ("", "Enter a folder on this server."),
    ):
        page.get_by_label("Folder or data set on this server").fill(folder)
        page.get_by_role("button", name="Load").click()
        said = page.locator(".batch [data-error=folder]")
        expect(said).to_have_text(sentence, use_inner_text=True)
        expect(page.locator(".batch .messages.error:visible")).to_have_count(0)
        assert len(names(page)) == 6
        # What was typed is still there to be mended.
        expect(page.get_by_label("Folder or data set on this server")).to_have_value(folder)


def test_resolution_changes_the_grid(page: Page) -> None:
    for size, patches in ((224, 14), (320, 20)):
        page.get_by_role("radio", name=f"{size} px").click()
        until(page, f"{STUDIO}.state.batch.grids[0][0] === {patches}")
        page.wait_for_selector("#mosaic[data-ready=true]")
        assert sum(counts(page)) == 6 * patches * patches - 1


def test_a_backbone_that_cannot_be_had_says_what_to_do(open_studio: Callable[..., Page]) -> None:
    page = open_studio()
    batch = page.locator(".batch")
    batch.get_by_role("radio", name="File", exact=True).click()
    path = batch.get_by_label("Path of the file on this server")
    path.fill("/no/such/file.pth")
    page.keyboard.press("Enter")
    said = page.locator(".batch [data-error=checkpoint]")
    said.locator("p").wait_for(timeout=60_000)
    expect(said).to_have_text(
        "There is no file /no/such/file.pth on this server.", use_inner_text=True
    )
    soon(page, f"{STUDIO}.state.batch.backbone", "embedded")
    assert len(names(page)) == 6
    # The path is still there to be mended.
    expect(path).to_have_value("/no/such/file.pth")
    expect(batch.locator(".pending")).to_contain_text("On screen: EfficientNet-Lite0")


def test_the_embedded_backbone_says_what_it_is(page: Page) -> None:
    text = page.locator(".batch").inner_text()
    assert "ImageNet" in text
    assert "DINO" in text
