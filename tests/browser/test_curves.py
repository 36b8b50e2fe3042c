"""Curves on the Train page: zoom, cursor, axes, seeds as a band, one chart large, colours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.driver import soon, until

CHARTS = "document.querySelector('#train').train.charts"


def show_train(page: Page) -> None:
    """Show the Train page, and let no run but the test's own be drawn."""
    page.get_by_role("tab", name="Train").click()
    page.locator("#train [data-part=command]").wait_for()
    until(page, "document.querySelector('#train').train.version !== null")
    page.evaluate(
        "() => { const { train } = document.querySelector('#train');"
        " train.showCurves = () => {}; train.list.drawn = () => []; }"
    )


def run(name: str, count: int, fold: str = "", *, seconds: bool = True, up: float = 0) -> Any:
    """A run of so many steps, ten to an epoch, two seconds each, whose loss falls by one each."""
    steps = list(range(1, count + 1))
    series: dict[str, Any] = {
        "loss": {"x": steps, "y": [count - step + 1 + up for step in steps]},
        "lr": {"x": list(steps), "y": [0.5] * count},
        "epoch": {"x": list(steps), "y": [step / 10 for step in steps]},
    }
    if seconds:
        series["seconds"] = {"x": list(steps), "y": [2 * step for step in steps]}
    validation = {"cluster_miou": {"x": steps[9::10], "y": [float(step) for step in steps[9::10]]}}
    series = {"step": series, "validation": validation}
    return {
        "name": name,
        "fold": fold,
        "colour": "#dc267f",
        "dash": [],
        "file": 1,
        "series": series,
    }


def show(page: Page, runs: list[Any]) -> None:
    page.evaluate(f"(runs) => {CHARTS}.setRuns(runs)", runs)


def says(page: Page, name: str, text: str) -> None:
    """What a chart tells of the place of its cursor."""
    slider = page.locator(f"#train [data-chart={name}] canvas[role=slider]")
    expect(slider).to_have_attribute("aria-valuetext", text)


def test_curves(open_studio: Callable[..., Page]) -> None:
    page = open_studio()
    show_train(page)
    link = {"x": "weeks", "zoom": "8..2", "smooth": "0.5", "log": "1", "large": "loss"}
    link["seeds"] = "extremes"
    page.evaluate("(link) => document.querySelector('#train').train.restore(link, [])", link)
    expect(page.locator("#train .messages.notes")).to_contain_text(": x, zoom.")
    soon(page, f"[{CHARTS}.smoothing, {CHARTS}.log, {CHARTS}.large.name]", [0.5, True, "loss"])
    show(page, [run("a-seed1", 40, "a"), run("a-seed2", 40, "a", up=2), run("b", 20)])
    loss, lr = (page.locator(f"#train [data-chart={name}]") for name in ("loss", "lr"))
    expect(lr).to_be_hidden()
    page.get_by_role("slider", name="Loss", exact=True).press("Escape")
    expect(lr).to_be_visible()
    page.get_by_label("Smoothing").fill("0")
    page.get_by_role("button", name="Log axis").click()

    # Two seeds are one curve with a band, and named so.
    key = page.locator("#train .run-key")
    expect(key).to_have_text("a, 2 seeds (mean, minimum to maximum)b")
    band = f"{CHARTS}.charts[0].curves[0].band"
    soon(page, f"[{band}.low[0], {band}.y[0], {band}.high[0]]", [40, 41, 42])
    page.get_by_label("Seeds", exact=True).select_option("deviation")
    soon(page, f"+({band}.high[0] - {band}.y[0]).toFixed(6)", 1.414214)
    page.get_by_label("Seeds", exact=True).select_option("each")
    expect(key).to_have_text("a-seed1a-seed2b")

    # The cursor is moved by keys, and stands in all charts; whose value is whose is told.
    slider = page.get_by_role("slider", name="Loss", exact=True)
    slider.press("Home")
    slider.press("ArrowRight")
    says(page, "loss", "step 2: a-seed1 39, a-seed2 41, b 19")
    says(page, "lr", "step 2: a-seed1 0.5, a-seed2 0.5, b 0.5")
    slider.press("End")
    says(page, "loss", "step 40: a-seed1 1, a-seed2 3, b –")
    expect(loss.locator(".readout li")).to_have_text(["a-seed23", "a-seed11", "b–"])
    expect(lr.locator(".readout")).to_be_hidden()

    # A part is dragged over: all charts show it, in finer points, and so does the link.
    page.evaluate(
        f"""() => {{
          const charts = {CHARTS};
          for (const {{ series }} of charts.runs) series.step.loss.m = [...series.step.loss.y];
          window.asked = [];
          charts.hooks.finer = async (name, from, to) => {{
            window.asked.push([name, from, to]);
            const loss = {{ x: [10, 10.5, 11], y: [5, 900, 5] }};
            return name === 'b' ? null : {{ file: name === 'a-seed1' ? 1 : 2, series: {{ step: {{ loss }} }} }};
          }};
        }}"""
    )
    box = slider.bounding_box()
    assert box
    chart = page.evaluate(f"(({{ left, width }}) => [left, width])({CHARTS}.charts[0])")
    for act, share in (("down", 0.25), ("up", 0.75)):
        page.mouse.move(box["x"] + chart[0] + share * chart[1], box["y"] + 60, steps=3)
        getattr(page.mouse, act)()
    zoom = page.evaluate(f"[{CHARTS}.zoom.from, {CHARTS}.zoom.to].map(Math.round)")
    assert zoom == [11, 30]
    until(page, "new URLSearchParams(location.search).get('zoom')?.startsWith('10.')")
    soon(page, "window.asked.map(([name]) => name)", ["a-seed1", "a-seed2", "b"])
    high = f"{CHARTS}.charts[0].curves.map(({{ run, y }}) => [run, Math.max(...y)])"
    # What comes of another file than the one that is drawn is of no use.
    soon(
        page,
        f"JSON.stringify({high})",
        json.dumps([["a-seed1", 900], ["a-seed2", 33], ["b", 11]], separators=(",", ":")),
    )
    slider.dblclick(position={"x": 100, "y": 50})
    soon(page, f"{CHARTS}.zoom", None)
    slider.press("+")
    expect(page.get_by_role("button", name="Show all", exact=True)).to_be_visible()
    slider.press("-")  # out to everything
    expect(page.get_by_role("button", name="Show all", exact=True)).to_be_hidden()
    slider.press("+")
    slider.press("0")
    expect(page.get_by_role("button", name="Show all", exact=True)).to_be_hidden()

    # By time and by epoch; who cannot be there is named.
    show(page, [run("a", 40), run("old", 40, seconds=False)])
    page.get_by_role("radio", name="Time").click()
    expect(page.get_by_text("Left out, because their logs have no times: old.")).to_be_visible()
    slider.press("End")
    says(page, "loss", "1 min 20 s: 1")
    says(page, "cluster_miou", "1 min 20 s: 40")
    page.get_by_role("radio", name="Epoch").click()
    slider.press("Home")
    says(page, "loss", "epoch 0.1: a 40, old 40")

    # One chart large, and back.
    page.get_by_role("button", name="Show Loss large").click()
    expect(lr).to_be_hidden()
    page.keyboard.press("Escape")
    expect(lr).to_be_visible()
    until(page, "new URLSearchParams(location.search).get('x') === 'epoch'")


def test_a_point_that_cannot_be_seen_is_not_drawn(open_studio: Callable[..., Page]) -> None:
    page = open_studio()
    show_train(page)
    show(page, [run("long", 5000)])
    page.locator("#train [data-chart=loss]").scroll_into_view_if_needed()
    says(page, "loss", "Last: 1")
    drawings = page.evaluate(
        f"""() => {{
          const charts = {CHARTS}, [chart] = charts.charts;
          let drawings = 0;
          const draw = chart.draw.bind(chart);
          chart.draw = () => {{ drawings++; draw(); }};
          const add = (step, value) => {{
            const {{ x, y }} = charts.runs[0].series.step.loss;
            x.push(step);
            y.push(value);
            charts.setRuns(charts.runs.map((run) => ({{ ...run }})));
            return drawings;
          }};
          return [add(5001, 2), add(5002, 9999), add(5500, 2), chart.canvas.getAttribute('aria-valuetext')];
        }}"""
    )
    assert drawings == [0, 1, 2, "Last: 2"]
    as_arrays(page)


def as_arrays(page: Page) -> None:
    """Curves, axes and colours without a chart: in the same page, since each costs seconds."""
    found = page.evaluate(
        """async () => {
          const load = (name) => import(new URL(`studio/static/train/${name}.js`, document.baseURI));
          const [curves, scales, { RunColours }, { Charts }, { Pace }] = await Promise.all(['curves', 'scales', 'runcolours', 'charts', 'pace'].map(load));
          const pace = new Pace();
          const waits = [pace.wait()];
          for (let i = 0; i < 10; i++) pace.draw(20, () => {}); // far more than a page may spend
          waits.push(pace.wait() > 2000);
          const fresh = new Charts({ looked() {} }); // nothing is known of any run yet
          const long = { x: [], y: [] };
          const more = (from, to) => ({ x: [...Array(to - from).keys()].map((i) => from + i), y: Array(to - from).fill(1) });
          let grown = curves.extended(long, more(0, 300), 400);
          grown = curves.extended(grown, { x: [300], y: [50] }, 400);
          const whole = [grown.x.length, grown.m];
          grown = curves.extended(grown, more(301, 500), 400);
          const colours = new RunColours();
          const all = [...Array(30).keys()].map((i) => `run${i}`);
          const looks = (names) => [...colours.of(names, all).values()].map((look) => JSON.stringify(look));
          const [first] = looks(['run9']);
          const many = looks(all.slice(0, 24));
          const again = new RunColours().of(['run3', 'run9'], ['run9', 'run3']);
          const link = { x: 'time', zoom: '1..2', smooth: '0.5', log: '1', seeds: 'deviation', large: 'loss' };
          return {
            odd: fresh.restore(link),
            view: JSON.stringify(Object.entries(fresh.view()).map(([name, value]) => `${name} ${value}`).sort()) === JSON.stringify(Object.entries(link).map(([name, value]) => `${name} ${value}`).sort()),
            waits,
            whole,
            thinned: [grown.x.length, Math.max(...grown.y), Math.max(...grown.m) < 50],
            refined: curves.refined({ x: [1, 4, 8], y: [1, 4, 8] }, { x: [3, 4, 5], y: [3, 7, 5], m: [0, 0, 0] }),
            nothing: curves.band([{ x: [1, 2], y: [1, 1] }, { x: [3, 4], y: [1, 1] }]),
            overlap: (({ x, y }) => [x[0], x.at(-1), y[0]])(curves.band([{ x: [1, 5], y: [1, 5] }, { x: [3, 9], y: [3, 3] }])),
            nearest: [curves.nearest([1, 4], 2), curves.nearest([1, 4], 3), curves.nearest([], 3), curves.nearest([1, 4], 9)],
            ticks: scales.ticks({ low: 0, high: 1 }, 4).map(({ text }) => text),
            log: scales.logTicks({ low: -4, high: 4 }, 4).map(({ text }) => text),
            distinct: new Set(many).size,
            kept: many[9] === first,
            stays: JSON.stringify(again.get('run9')) === first && JSON.stringify(again.get('run3')) === many[3],
          };
        }"""
    )
    assert found == {
        "odd": [],
        "waits": [0, True],
        "view": True,
        "whole": [301, None],
        "thinned": [101, 50, True],
        "refined": {"x": [1, 3, 4, 5, 8], "y": [1, 3, 7, 5, 8], "m": [1, 0, 0, 0, 8]},
        "nothing": None,
        "overlap": [3, 5, 3],
        "nearest": [0, 1, -1, 1],
        "ticks": ["0", "0.5", "1.0"],
        "log": ["1e-4", "0.01", "1", "100", "10k"],
        "distinct": 24,
        "kept": True,
        "stays": True,
    }
