"""How Sphinx builds these pages: `make docs`. Nothing is fetched, neither now nor by a reader.

The tree of pages is docs/index.md itself: each of its headings with a list of links becomes a part
of the sidebar. Equations become MathML, which browsers draw without a script.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from filling import filled  # noqa: E402

import ppap  # noqa: E402

project = "PPAP Studio"
author = "The PPAP Studio authors"
release = ppap.__version__
root_doc = "docs/index"
# The source is the whole checkout, so that pages may point to SECURITY.md and to pictures.
include_patterns = ["docs/*.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"PPAP Studio {release}"
html_copy_source = False
html_static_path: list[str] = []
html_theme_options = {"navigation_with_keys": True}
# Shell, console output and listings are shown as they are.
highlight_language = "text"

# A caption of the index, and the pages listed below it.
PART = re.compile(r"^## (?P<caption>.+)\n\n(?P<links>(?:- \[.*\n(?:  .*\n)*)+)", re.MULTILINE)
LINK = re.compile(r"^- \[[^\]]+\]\((?P<page>[^)#]+)\.md\)", re.MULTILINE)


def tree(text: str) -> str:
    """The index's parts as Sphinx wants its tree: hidden, below the page."""
    found = []
    for part in PART.finditer(text):
        pages = [f"/docs/{one['page']}" for one in LINK.finditer(part["links"])]
        pages = [page.replace("/docs/../", "/") for page in pages]
        lines = [":hidden:", f":caption: {part['caption']}", "", *pages]
        found.append("\n".join(["```{toctree}", *lines, "```"]))
    return "\n\n".join(found)


def complete(app: Any, name: str, source: list[str]) -> None:
    """What Sphinx reads of a page: the index with its tree, others with what the code says."""
    if name == root_doc:
        source[0] += "\n" + tree(source[0]) + "\n"
    else:
        source[0] = filled(source[0])


ATTRIBUTES: dict[str, list[str]] = {}


def before_napoleon(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """|P| is a number of patches, no substitution; a field without a text of its own has none."""
    lines[:] = [line.replace("|", "\\|") for line in lines]
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()
    if what == "attribute":
        ATTRIBUTES[name] = list(lines)


def after_napoleon(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Napoleon takes an attribute's words before a colon for its type: here they are its text."""
    if what == "attribute":
        lines[:] = ATTRIBUTES.pop(name, lines)


def mathml(block: bool) -> Any:
    """Visitors that write an equation as MathML."""

    def visit(writer: Any, node: Any) -> None:
        drawn = latex2mathml.tex2mathml(node.astext(), as_block=block)
        for brace in "{}":  # of a set: as high as a letter
            drawn = drawn.replace(f"<mo>{brace}</mo>", f'<mo stretchy="false">{brace}</mo>')
        writer.body.append(f'<div class="math">{drawn}</div>' if block else drawn)
        raise nodes.SkipNode

    return visit, None


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls it."""
    app.connect("source-read", complete)
    app.connect("autodoc-process-docstring", before_napoleon, priority=400)
    app.connect("autodoc-process-docstring", after_napoleon, priority=600)
    app.add_html_math_renderer("mathml", mathml(False), mathml(True))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
