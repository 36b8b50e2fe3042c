"""What every page must be in any width and theme: whole, legible and named."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.driver import painted

# Every text with less contrast to what lies behind it than WCAG AA asks for.
FAINT = """
() => {
  const channel = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll('.ppap *, .masthead *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest('svg, :disabled, [aria-pressed=false], #map, dialog:not([open])')) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return faint;
}
"""

# Controls that a screen reader could not name.
NAMELESS = """
() => [...document.querySelectorAll('.ppap :is(button, input, select, textarea, [role=application])')]
  .filter((e) => e.checkVisibility())
  .filter((e) => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim() || e.title))
  .map((e) => e.outerHTML.slice(0, 120))
"""

# Buttons whose words do not fit, or that reach out of the window and cannot be scrolled to.
CLIPPED = """
() => [...document.querySelectorAll('.ppap button')].filter((e) => e.checkVisibility()
  && (e.scrollWidth > e.clientWidth + 1
    || (e.getBoundingClientRect().right > innerWidth && !e.closest('.scroll'))))
  .map((e) => e.textContent)
"""


def check_looks(page: Page, width: int) -> None:
    """Nothing is cut off, faint, or without a name."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []


def check_both_themes(page: Page, width: int) -> None:
    """The same in light and in dark, without loading the page anew."""
    page.emulate_media(reduced_motion="reduce")  # no colour is half way
    for dark in (False, True):
        page.evaluate("(dark) => document.body.classList.toggle('dark', dark)", dark)
        painted(page)
        check_looks(page, width)
