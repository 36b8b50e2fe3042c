"""The map: UMAP behind a stand-in, clicks, lasso, colours, thumbnails, and zoom that survives."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.driver import STUDIO, click_patch, painted, pixel, shown, until, wait_for_data

LION = 784 + 7 * 28 + 14


def wait_for_map(page: Page, version: str = "umap") -> None:
    until(page, f"document.querySelector('#map').dataset.state === '{version}'", timeout=120_000)


def place(page: Page, patch: int) -> tuple[float, float]:
    """Where a patch is on the screen."""
    x, y = page.evaluate(
        f"""() => {{
          const map = {STUDIO}.map;
          const {{ xaxis, yaxis }} = map.plot._fullLayout;
          const box = map.plot.getBoundingClientRect();
          return [box.left + xaxis._offset + xaxis.l2p(map.points.x[{patch}]),
                  box.top + yaxis._offset + yaxis.l2p(map.points.y[{patch}])];
        }}"""
    )
    return x, y


def test_a_stand_in_is_there_at_once_and_umap_follows(page: Page) -> None:
    until(page, "['pca', 'umap'].includes(document.querySelector('#map').dataset.state)")
    wait_for_map(page)
    expect(page.locator(".map-status")).to_contain_text("UMAP of all patches", use_inner_text=True)
    expect(page.locator(".map progress")).to_be_hidden()


def test_clicking_a_point_makes_it_the_anchor(page: Page) -> None:
    wait_for_map(page)
    before = shown(page)["anchor"]
    # A point that stands alone is hit exactly; any point hit must become the anchor.
    x, y = place(page, 5 * 784 + 14 * 28 + 14)
    page.mouse.move(x, y)
    page.locator(".tip:visible").wait_for()
    patch = int(page.locator(".tip").get_attribute("data-patch") or -1)
    page.mouse.click(x, y)
    image, rest = divmod(patch, 784)
    wait_for_data(page, "anchor", f"{image},{rest // 28},{rest % 28}")
    assert shown(page)["anchor"] != before
    assert image == 5


def test_hover_shows_the_thumbnail_of_the_patch(page: Page) -> None:
    wait_for_map(page)
    x, y = place(page, LION)
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    page.locator(".tip:visible").wait_for()
    expect(page.locator(".tip span")).to_contain_text("similarity", use_inner_text=True)
    painted = page.evaluate(
        """() => { const c = document.querySelector('.tip canvas');
          const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
          return new Set(d).size; }"""
    )
    assert painted > 20


def lasso(page: Page) -> None:
    box = page.locator("#map .nsewdrag").first.bounding_box()
    assert box
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.5), (0.02, 0.5), (0.02, 0.02)]
    points = [(box["x"] + box["width"] * u, box["y"] + box["height"] * v) for u, v in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=6)
    page.mouse.up()


def test_lasso_marks_the_patches_in_the_mosaic(page: Page) -> None:
    wait_for_map(page)
    lasso(page)
    until(page, "Number(document.getElementById('mosaic').dataset.selected) > 0")
    chosen = page.evaluate(f"[...{STUDIO}.state.selection]")
    height = page.evaluate(
        f"""() => {{
          const {{ points, plot }} = {STUDIO}.map;
          const axis = plot._fullLayout.yaxis;
          const upper = [...points.y].map((y) => axis.l2p(y) < 0.5 * axis._length);
          return [upper.filter(Boolean).length, upper.filter((u, j) => u && {STUDIO}.state.selection.has(j)).length];
        }}"""
    )
    inside, marked = height
    assert marked > 0.95 * inside
    assert len(chosen) < 4704
    # The border of the chosen region is drawn in green.
    edge = page.evaluate(
        f"""() => {{ const s = {STUDIO}.state; const {{ columns }} = s.batch;
          return [...s.selection].find((j) => j % columns > 2 && !s.selection.has(j - 1) && !s.selection.has(j - 2)); }}"""
    )
    red, green, _ = pixel(page, edge, dx=0.0, dy=0.5)
    assert green > red + 40
    page.get_by_role("button", name="Clear lasso").click()
    wait_for_data(page, "selected", "0")


def test_zoom_of_the_map_survives_a_click(page: Page) -> None:
    wait_for_map(page)
    box = page.locator("#map .nsewdrag").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    ranges = "JSON.stringify(document.querySelector('#map').layout.xaxis.range)"
    whole = page.evaluate(ranges)
    page.evaluate(
        "() => document.querySelector('#map').on('plotly_relayout', () => (window.settled = true))"
    )
    page.mouse.wheel(0, -400)
    until(page, f"(whole) => window.settled && {ranges} !== whole", arg=whole)
    zoomed = page.evaluate(ranges)
    drawn = page.evaluate("document.querySelector('#map').dataset.drawn")
    colours = "document.querySelector('#map').data[0].marker.color.join()"
    before = page.evaluate(colours)
    click_patch(page, LION)
    until(page, f"(before) => {colours} !== before", arg=before)
    painted(page)
    assert page.evaluate(ranges) == zoomed
    assert page.evaluate("document.querySelector('#map').dataset.drawn") == drawn


def test_colours_of_an_overlay_go_with_it(page: Page) -> None:
    wait_for_map(page)
    coloured = "document.querySelector('#map').dataset.coloured"
    for style, by in (("lengths", "overlay:3"), ("boxes", "set:3")):
        page.evaluate(f"{STUDIO}.setLook({{style: '{style}'}})")
        until(page, f"{coloured} === '{by}'")


def test_colours_follow_the_choice_and_the_step(page: Page) -> None:
    wait_for_map(page)
    click_patch(page, LION)
    until(page, "document.querySelector('#map').dataset.coloured === 'set:3'")
    colours = "[...document.querySelector('#map').data[0].marker.color]"
    codes = page.evaluate(f"[...{STUDIO}.state.view.codes[3]]")
    by_set = page.evaluate(colours)
    for code, other in zip(codes, by_set, strict=True):
        assert (other == "rgb(61,123,255)") == (code == 2)
    seen = [by_set]
    for key, name in (("image", "Image"), ("label", "Label"), ("similarity", "Similarity")):
        page.locator(".map").get_by_role("radio", name=name).click()
        until(page, f"document.querySelector('#map').dataset.coloured === '{key}:3'")
        seen.append(page.evaluate(colours))
        assert seen[-1] not in seen[:-1]
    assert len(set(seen[1])) == 6  # one colour an image


def test_the_proxy_moves_on_the_map(page: Page) -> None:
    wait_for_map(page)
    click_patch(page, LION)
    until(page, "document.querySelector('#map').dataset.coloured === 'set:3'")
    shapes = page.evaluate("document.querySelector('#map').layout.shapes")
    dots = [shape for shape in shapes if shape["type"] == "circle"]
    assert len(dots) == 4
    assert [dot["x1"] for dot in dots] == [4, 4, 4, 8]  # the current step's is larger
    assert len({(dot["xanchor"], dot["yanchor"]) for dot in dots}) > 1
    page.locator("#mosaic").focus()
    page.keyboard.press(",")
    until(page, "document.querySelector('#map').dataset.coloured === 'set:2'")
    moved = page.evaluate("document.querySelector('#map').layout.shapes")
    assert [shape["x1"] for shape in moved if shape["type"] == "circle"] == [4, 4, 8, 4]
