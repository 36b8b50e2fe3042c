"""Style sheets pick elements by what the scripts call them."""

from __future__ import annotations

import re

from tests.conftest import ROOT

STUDIO = ROOT / "assets/studio"


def test_labels_that_style_sheets_pick_are_given_by_a_script() -> None:
    scripts = "\n".join(file.read_text() for file in STUDIO.rglob("*.js"))
    picked = [
        (file.name, label)
        for file in STUDIO.rglob("*.css")
        for label in re.findall(r'\[aria-label="([^"]+)"\]', file.read_text())
    ]
    assert picked
    assert [one for one in picked if f'"{one[1]}"' not in scripts] == []
