from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from ppap.batches import Batch
from ppap.places import ASSETS
from ppap.studio.explore import pictures
from ppap.studio.explore.layout import LINE, MARGIN
from ppap.studio.explore.looks.base import FILL, NAMES, PALETTE, Look, Panel
from ppap.studio.explore.looks.similarity import heat
from ppap.studio.explore.pictures import arrange, as_png, legend, wrapped
from ppap.studio.explore.svg import as_svg, hexadecimal
from ppap.studio.explore.views import AMBIGUOUS, ANCHOR, NEGATIVE, POSITIVE
from tests.support.small_font import installed
from tests.support.small_studio import small_batch

OVERLAY = ASSETS / "studio" / "explore" / "overlay.js"
SVG = "{http://www.w3.org/2000/svg}"
# Rows of the first image: positives left, ambiguous, negatives right; the anchor at (1, 1).
CODES = np.array(
    [[2, 2, 1, 0], [2, 3, 1, 0], [2, 2, 1, 0], [0, 0, 0, 0]] + [[0, 0, 0, 0]] * 4, np.uint8
).reshape(-1)
ANCHOR_AT = 5


@pytest.fixture(scope="module")
def batch() -> Batch:
    grey = np.full((128, 128, 3), 100, np.uint8)
    return replace(small_batch(2), images=(grey, grey))


@pytest.fixture
def panel() -> Panel:
    similarity = np.linspace(-0.2, 1, 32)
    return Panel(["PPAP: 5 positive", "second line"], CODES, similarity, ANCHOR_AT)


def opened(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def inside(batch: Batch, panels: list[Panel], image: int, row: int, column: int) -> tuple[int, int]:
    """y, x of a spot within a patch that no outline, hatching or grid line crosses."""
    x1, y1, x2, y2 = arrange(batch, panels, [2]).places[image].square(row, column)
    return y1 + (y2 - y1) // 4, x1 + (x2 - x1) // 4


def blend(colour: tuple[int, int, int], alpha: float, under: int = 100) -> list[int]:
    return [round(under * (1 - alpha) + channel * alpha) for channel in colour]


def objects_in(script: str, name: str) -> str:
    found = re.search(rf"const {name} = {{(.*?)}};", script, re.DOTALL)
    assert found, f"overlay.js defines no {name}"
    return found[1]


def test_the_palette_is_the_page_s() -> None:
    text = objects_in(OVERLAY.read_text(), "PALETTE")
    page = {
        name: tuple(int(n) for n in numbers.split(","))
        for name, numbers in re.findall(r"(\w+): \[([\d, ]+)\]", text)
    }
    own = {**{NAMES[code]: PALETTE[code] for code in NAMES}, "anchor": PALETTE[ANCHOR]}
    assert page == own


def test_the_strength_of_the_fill_is_the_page_s() -> None:
    text = objects_in(OVERLAY.read_text(), "FILL")
    page = {name: float(number) for name, number in re.findall(r"(\w+): ([\d.]+)", text)}
    assert page == {NAMES[code]: FILL[code] for code in NAMES}


def test_each_set_is_blended_with_its_colour(batch: Batch, panel: Panel) -> None:
    look = Look(opacity=0.5)
    pixels = opened(as_png(batch, [panel], look, [2]))
    for row, column, code in ((0, 0, POSITIVE), (0, 2, AMBIGUOUS), (0, 3, NEGATIVE)):
        expected = blend(PALETTE[code], FILL[code] * 0.5)
        assert pixels[inside(batch, [panel], 0, row, column)].tolist() == expected
    assert pixels[inside(batch, [panel], 1, 2, 2)].tolist() == blend(PALETTE[NEGATIVE], 0.45)
    # The anchor is in none of the sets: its patch shows the photo, with a frame around it.
    assert pixels[inside(batch, [panel], 0, 1, 1)].tolist() == [100, 100, 100]
    patch = arrange(batch, [panel], [2]).places[0].width // 4
    x0, y0 = arrange(batch, [panel], [2]).places[0][:2]
    assert pixels[y0 + patch, x0 + patch + patch // 2].tolist() == list(PALETTE[ANCHOR])


def test_a_hidden_set_is_not_drawn(batch: Batch, panel: Panel) -> None:
    for name, row, column in (("positive", 0, 0), ("ambiguous", 0, 2), ("negative", 0, 3)):
        look = replace(Look(), **{name: False})  # type: ignore[arg-type]
        pixels = opened(as_png(batch, [panel], look, [2]))
        assert pixels[inside(batch, [panel], 0, row, column)].tolist() == [100, 100, 100]
        # Neither are its hatching and its outline.
        patch = arrange(batch, [panel], [2]).places[0].width // 4
        x0, y0 = arrange(batch, [panel], [2]).places[0][:2]
        if name != "negative":
            tile = pixels[
                y0 + 4 : y0 + patch - 4, x0 + column * patch + 4 : x0 + (column + 1) * patch - 4
            ]
            assert (tile == 100).all()


def test_ambiguous_patches_are_hatched(batch: Batch, panel: Panel) -> None:
    pixels = opened(as_png(batch, [panel], Look(opacity=1), [2]))
    patch = arrange(batch, [panel], [2]).places[0].width // 4
    x0, y0 = arrange(batch, [panel], [2]).places[0][:2]
    middle = pixels[
        y0 + patch // 2, x0 + 2 * patch + patch // 2 - 2 : x0 + 2 * patch + patch // 2 + 3
    ]
    flat = blend(PALETTE[AMBIGUOUS], FILL[AMBIGUOUS])
    assert (middle.sum(axis=1) < sum(flat) - 30).any()


def test_boxes_leave_the_photo_visible(batch: Batch, panel: Panel) -> None:
    pixels = opened(as_png(batch, [panel], Look(style="boxes", opacity=1), [2]))
    patch = arrange(batch, [panel], [2]).places[0].width // 4
    x0, y0 = arrange(batch, [panel], [2]).places[0][:2]
    for column, code in ((0, POSITIVE), (2, AMBIGUOUS)):
        assert pixels[inside(batch, [panel], 0, 0, column)].tolist() == [100, 100, 100]
        top = pixels[y0, x0 + column * patch + patch // 2]
        assert top.tolist() == list(PALETTE[code])
    assert pixels[y0, x0 + 3 * patch + patch // 2].tolist() == [100, 100, 100]
    hidden = opened(as_png(batch, [panel], Look(style="boxes", positive=False), [2]))
    assert hidden[y0, x0 + patch // 2].tolist() == [100, 100, 100]


def test_similarity_and_labels_are_coloured(batch: Batch, panel: Panel) -> None:
    pixels = opened(as_png(batch, [panel], Look(style="similarity", opacity=1), [2]))
    for row, column in ((0, 0), (2, 3)):
        rgb = heat(panel.similarity)[row * 4 + column].tolist()
        assert pixels[inside(batch, [panel], 0, row, column)].tolist() == rgb
    pixels = opened(as_png(batch, [panel], Look(style="labels", opacity=0.5), [2]))
    assert pixels[inside(batch, [panel], 0, 0, 0)].tolist() == blend((200, 10, 20), 0.5)
    assert pixels[inside(batch, [panel], 0, 0, 3)].tolist() == blend((30, 220, 40), 0.5)
    assert pixels[inside(batch, [panel], 0, 3, 0)].tolist() == [100, 100, 100]  # void
    bare = replace(batch, labels=None)
    pixels = opened(as_png(bare, [panel], Look(style="labels"), [2]))
    assert pixels[inside(batch, [panel], 0, 0, 0)].tolist() == [100, 100, 100]


def test_the_grid_is_drawn_on_request(batch: Batch, panel: Panel) -> None:
    x0, y0 = arrange(batch, [panel], [2]).places[1][:2]
    patch = arrange(batch, [panel], [2]).places[0].width // 4
    at = (y0 + 2 * patch, x0 + patch // 2)
    plain, lined = (
        opened(as_png(batch, [panel], Look(opacity=0, grid=grid), [2]))[at].tolist()
        for grid in (False, True)
    )
    assert plain == [100, 100, 100]
    assert lined == blend((255, 255, 255), 70 / 255)


def test_two_panels_stand_side_by_side(batch: Batch, panel: Panel) -> None:
    other = panel._replace(codes=np.where(CODES == 2, 0, CODES).astype(np.uint8))
    layout = arrange(batch, [panel, other], [2])
    pixels = opened(as_png(batch, [panel, other], Look(opacity=1), [2]))
    assert pixels.shape == (layout.height, 2 * layout.width, 3)
    y, x = inside(batch, [panel, other], 0, 0, 0)
    assert pixels[y, x].tolist() == blend(PALETTE[POSITIVE], FILL[POSITIVE])
    assert pixels[y, x + layout.width].tolist() == blend(PALETTE[NEGATIVE], FILL[NEGATIVE])


def test_captions_are_written(batch: Batch, panel: Panel) -> None:
    pixels = opened(as_png(batch, [panel], Look(), [2]))
    for line in range(2):
        band = pixels[MARGIN + line * LINE : MARGIN + (line + 1) * LINE]
        assert band.min() < 60


def test_long_captions_are_broken_into_lines_above_the_pictures(batch: Batch, panel: Panel) -> None:
    long = panel._replace(lines=["PPAP: 5 positive", "word " * 40])
    layout = arrange(batch, [long], [2])
    texts = list(parsed(as_svg(batch, [long], Look(), [2])).iter(f"{SVG}text"))
    assert " ".join(text.text or "" for text in texts) == " ".join(long.lines).strip()
    assert len(texts) > 3
    assert max(int(text.get("y", "")) for text in texts) < layout.places[0][:2][1]
    font = ImageFont.load_default(15)
    assert all(font.getlength(t.text or "") <= layout.width - 2 * MARGIN for t in texts)
    pixels = opened(as_png(batch, [long], Look(opacity=0), [2]))
    assert pixels[layout.places[0][:2][1] - LINE - 6 : layout.places[0][:2][1]].min() < 60
    assert pixels[layout.places[0][:2][1] + 3, layout.places[0][:2][0] + 3].tolist() == [
        100,
        100,
        100,
    ]


def test_a_ring_marks_the_patch_nearest_to_the_proxy(batch: Batch, panel: Panel) -> None:
    ringed = panel._replace(nearest=16 + 4 + 2)  # second image, (1, 2)
    layout = arrange(batch, [panel], [2])
    patch, (x0, y0) = layout.places[0].width // 4, layout.places[1][:2]
    assert patch == 32
    look = Look(opacity=0)
    pixels, plain = (opened(as_png(batch, [one], look, [2])) for one in (ringed, panel))
    y, x = y0 + patch + patch // 2, x0 + 2 * patch + patch // 2
    assert np.abs(np.argwhere((pixels != plain).any(axis=2)).mean(axis=0) - (y, x)).max() < 1
    radius = round(0.42 * patch + 1)
    assert pixels[y, x - radius].tolist() == list(PALETTE[ANCHOR])
    assert pixels[y - radius, x].tolist() == list(PALETTE[ANCHOR])
    for off in (-2, 1):
        assert pixels[y, x - radius + off].tolist() == [255, 255, 255]
    assert pixels[y, x].tolist() == [100, 100, 100]
    (white, pink) = parsed(as_svg(batch, [ringed], look, [2])).iter(f"{SVG}circle")
    assert (white.get("stroke"), white.get("stroke-width")) == ("#ffffff", "4")
    assert (pink.get("stroke"), pink.get("stroke-width")) == ("#dc267f", "2")
    for circle in (white, pink):
        at = [float(circle.get(name, "")) for name in ("cx", "cy", "r")]
        assert at == [x, y, radius]
    assert not list(parsed(as_svg(batch, [panel], look, [2])).iter(f"{SVG}circle"))


@pytest.mark.parametrize(
    ("look", "labelled", "ring", "expected"),
    [
        (
            Look(),
            True,
            True,
            "blue: positive, amber hatched: ambiguous, dark: negative; "
            "pink frame: anchor, pink ring: nearest to the proxy",
        ),
        (Look(negative=False), True, False, "blue: positive, amber hatched: ambiguous; "),
        (Look("boxes"), True, False, "blue box: positive, amber box: ambiguous; "),
        (Look("boxes", positive=False, ambiguous=False), True, False, ""),
        (Look("similarity"), True, False, "dark blue to yellow: similarity −0.2 to 1; "),
        (Look("labels"), True, False, "colours: classes of the label maps; "),
        (Look("labels"), False, False, ""),
    ],
)
def test_the_legend_says_what_is_drawn(
    look: Look, labelled: bool, ring: bool, expected: str
) -> None:
    whole = expected if ring else expected + "pink frame: anchor"
    assert legend(look, labelled=labelled, ring=ring) == whole


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)


def area_by_colour(root: ET.Element, patch: int) -> dict[str, float]:
    """Filled patches of each colour."""
    areas: dict[str, float] = {}
    for rect in root.iter(f"{SVG}rect"):
        if rect.get("fill-opacity"):
            size = float(rect.get("width", "0")) * float(rect.get("height", "0"))
            fill = rect.get("fill", "")
            areas[fill] = areas.get(fill, 0) + size / patch**2
    return areas


def test_the_svg_covers_as_many_patches_as_each_set_has(batch: Batch, panel: Panel) -> None:
    root = parsed(as_svg(batch, [panel], Look(), [2]))
    patch = arrange(batch, [panel], [2]).places[0].width // 4
    expected = {
        hexadecimal(PALETTE[code]): float(np.equal(CODES, code).sum())
        for code in (POSITIVE, AMBIGUOUS, NEGATIVE)
    }
    assert area_by_colour(root, patch) == expected
    images = list(root.iter(f"{SVG}image"))
    assert len(images) == 2
    data = base64.b64decode(images[0].get("href", "").split(",", 1)[1])
    with Image.open(io.BytesIO(data)) as photo:
        assert photo.format == "JPEG"
    assert [text.text for text in root.iter(f"{SVG}text")] == panel.lines


def test_the_svg_draws_hatching_outline_grid_and_anchor(batch: Batch, panel: Panel) -> None:
    def count(tag: str, look: Look, **wanted: str) -> int:
        elements = parsed(as_svg(batch, [panel], look, [2])).iter(f"{SVG}{tag}")
        return sum(all(e.get(k) == v for k, v in wanted.items()) for e in elements)

    assert count("line", Look(), stroke="#3c1e00") == 3
    # The positives and the anchor form a block of 3 × 2 patches: 10 edges.
    assert count("line", Look(), stroke="#ffffff") == 10
    assert count("line", Look(positive=False, grid=True), stroke="#ffffff") == 2 * 10
    pink = "#dc267f"
    assert count("rect", Look(style="boxes"), stroke=pink) == 1
    blue, amber = "#3d7bff", "#ffb000"
    assert count("rect", Look(style="boxes"), stroke=blue) == 5
    assert count("rect", Look(style="boxes"), stroke=amber) == 3
    assert count("rect", Look(style="boxes", ambiguous=False), stroke=amber) == 0


def test_a_hidden_set_is_not_in_the_svg(batch: Batch, panel: Panel) -> None:
    text = as_svg(batch, [panel], Look(negative=False), [2])
    assert "#080c18" not in text
    assert "#3d7bff" in text


def test_two_panels_of_svg_do_not_overlap(batch: Batch, panel: Panel) -> None:
    layout = arrange(batch, [panel, panel], [2])
    root = parsed(as_svg(batch, [panel, panel], Look(), [2]))
    assert root.get("width") == str(2 * layout.width)
    shifts = [g.get("transform") for g in root.findall(f"{SVG}g")]
    assert shifts == ["translate(0 0)", f"translate({layout.width} 0)"]


def test_markup_in_names_stays_text(panel: Panel) -> None:
    names = ('<script>alert("1")</script>&', "]]>'\"</title></image>")
    odd = small_batch(2, names=names)
    lines = [f"anchor {names[0]}", "a & b < c"]
    root = parsed(as_svg(odd, [panel._replace(lines=lines)], Look(), [2]))
    assert [title.text for title in root.iter(f"{SVG}title")] == list(names)
    written = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
    assert written.replace(" ", "") == "".join(lines).replace(" ", "")
    assert not list(root.iter(f"{SVG}script"))


def test_captions_in_any_script_are_written_in_fonts_that_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [one for one in font_manager.fontManager.ttflist if "mpl-data" in one.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)

    def drawn(line: str) -> np.ndarray:
        sheet = Image.new("RGB", (200, 40), "white")
        pictures.write(ImageDraw.Draw(sheet), 10, 10, line)
        return np.asarray(sheet).min(axis=(0, 2)) < 128  # which columns have ink

    with installed(tmp_path / "one.ttf", "Zz Test", "하늘"):
        # Squares of 900 by 1,000 units at 15 pixels, after Latin letters of the usual font.
        squares = drawn("a하늘é")
        assert np.diff(np.flatnonzero(squares)).max() <= 5
        assert squares.sum() >= drawn("aé").sum() + 2 * 12
    assert drawn("plain")[10:40].any()


def test_wide_characters_are_broken_sooner() -> None:
    lines = wrapped(["空 " * 60, "a " * 60], 300)
    assert max(len(line) for line in lines if "空" in line) <= 300 // 16
    assert max(len(line) for line in lines if "a" in line) > 300 // 16
