"""The script of the page that docs/add-a-page.md adds, in a real Chromium; the server is made up."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Browser, Route, expect

from tests.conftest import ROOT
from tests.test_worked_examples import apply, page

HOST = "http://worked.example/"
PAGE = '<meta charset="utf-8"><div id="host"><div class="ppap"></div></div>'
MOUNT = """
import('/assets/studio/classes/page.js').then(({ mount }) => mount(document.getElementById('host'), {
  classes: async ({ folder }) =>
    folder ? { title: folder, classes: ['<b>road</b>', 'tree'] } : { error: 'Enter a folder.' },
}))
"""


def test_it_lists_classes_and_says_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "assets/studio/shared", tmp_path / "assets/studio/shared")
    (tmp_path / "ppap/studio").mkdir(parents=True)
    shutil.copy(ROOT / "ppap/studio/page.py", tmp_path / "ppap/studio")
    apply(page("add-a-page"), tmp_path)

    def serve(route: Route) -> None:
        name = route.request.url.removeprefix(HOST)
        if name:
            route.fulfill(path=tmp_path / name, content_type="text/javascript")
        else:
            route.fulfill(body=PAGE, content_type="text/html")

    tab = browser.new_page()
    tab.route(f"{HOST}**", serve)
    tab.goto(HOST)
    tab.evaluate(MOUNT)
    tab.get_by_label("Folder").fill("/data/streets")
    tab.get_by_role("button", name="Show").click()
    expect(tab.locator("li")).to_have_text(["/data/streets", "<b>road</b>", "tree"])
    tab.get_by_label("Folder").fill("")
    tab.get_by_role("button", name="Show").click()
    expect(tab.get_by_role("alert")).to_have_text("Enter a folder.")
    tab.close()
