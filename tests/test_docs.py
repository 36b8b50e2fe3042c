"""What the documentation says must be so: every link, picture, command, file and name in it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ppap
from ppap import propagation
from ppap.backbones import known_backbones
from ppap.data import KINDS
from ppap.settings import RANGES
from tests.conftest import ROOT
from trainers.__main__ import COMMANDS
from trainers.config import FROZEN, TRAINING_RULES, Config

DOCS = sorted((ROOT / "docs").glob("*.md"))
INDEX = ROOT / "docs" / "index.md"
ROOTED = [ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md")]
PAGES = [*ROOTED, *DOCS]
MOST_BYTES = 3_000_000  # of all pictures
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<body>.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`((?:ppap|trainers|tests|assets|docs|\.ci)/[\w./-]*\w\.\w+)`")


@functools.cache
def prose(page: Path) -> str:
    """A page without its listings."""
    return FENCE.sub("", page.read_text())


@functools.cache
def anchors(page: Path) -> set[str]:
    """What links may say behind # of a page, as GitHub and MyST make it of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Every link of a page into the project: as written, its file, and the part behind #."""
    for found in LINK.finditer(prose(page)):
        target = found["target"]
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            yield target, (page.parent / path).resolve() if path else page, anchor


def listings(page: Path) -> str:
    """The shell commands of a page, continued lines joined."""
    bodies = [one["body"] for one in FENCE.finditer(page.read_text()) if not one["kind"]]
    return "\n".join(bodies).replace("\\\n", " ")


@functools.cache
def sources() -> str:
    """All code that reads arguments."""
    files = [*(ROOT / "trainers").rglob("*.py"), *(ROOT / "ppap" / "studio").glob("*.py")]
    files += [*(ROOT / "tests").rglob("*.py"), *(ROOT / "ppap/studio/access").glob("*.py")]
    return "\n".join(file.read_text() for file in files)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, file, anchor in links(page):
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    text = re.sub(r"^New file .*$", "", prose(page), flags=re.MULTILINE)
    for name in FILE.findall(text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist_with_their_options(page: Path) -> None:
    text = page.read_text()
    for module in re.findall(r"python -m\s+((?:trainers|tests|ppap)[\w.]*)", text):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module
    for command in re.findall(r"^ppap (\S+)", listings(page), re.MULTILINE):
        assert command in COMMANDS, command
    for line in listings(page).splitlines():
        if line.startswith(("python -m trainers", "ppap ", "python app.py")):
            for option in re.findall(r"(?<=\s)(--[a-z][a-z-]+)", line.partition("#")[0]):
                known = (f'"{option}"', f'"{option[2:]}"')  # the latter where a loop adds it
                assert any(name in sources() for name in known), f"{option} in {line}"
            for settings in re.findall(r"--set ((?:[a-z0-9_]+=\S+\s*)+)", line):
                for name in re.findall(r"([a-z0-9_]+)=", settings):
                    assert name in Config.__dataclass_fields__, f"{name} in {line}"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_the_index_names_every_page_once() -> None:
    """The sidebar of the built pages is made of it."""
    named = re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", INDEX.read_text(), re.MULTILINE)
    assert len(set(named)) == len(named)
    assert {ROOT / "docs" / name for name in named if "/" not in name} == set(DOCS) - {INDEX}


def test_pictures_are_light() -> None:
    shown = {file for page in PAGES for _, file, _ in links(page) if file.parent.name == "figures"}
    assert shown == {file for file in (ROOT / "assets" / "figures").iterdir() if file.is_file()}
    assert sum(file.stat().st_size for file in shown) < MOST_BYTES


def test_every_setting_is_explained_in_the_words_of_the_page() -> None:
    text = (ROOT / "docs" / "explore.md").read_text()
    for setting in RANGES.values():
        assert setting.meaning in text


def test_the_reference_holds_what_the_package_offers() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    offered = {f"ppap.{name}" for name in ppap.__all__} - {"ppap.__version__"}
    assert offered <= set(re.findall(r":: (ppap\.\S+)", text))


def test_the_method_names_a_function_for_each_equation() -> None:
    parts = re.split(r"^## (Eq\. \d)", prose(ROOT / "docs" / "method.md"), flags=re.MULTILINE)
    described = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert list(described) == [f"Eq. {n}" for n in range(1, 9)]
    for equation, text in described.items():
        names = re.findall(r"`([a-z_]+)`", text)
        assert names, equation
        if equation != "Eq. 8":
            docs = [getattr(propagation, name).__doc__ for name in names]
            assert any(equation in doc for doc in docs), equation


def test_the_lists_are_complete() -> None:
    """Kinds of data sets, rules, and the backbones with names of their own."""

    def first_cells(name: str, column: int = 0) -> set[str]:
        rows = re.findall(r"^\|(.*)\|$", (ROOT / "docs" / f"{name}.md").read_text(), re.MULTILINE)
        cells = [row.split("|")[column] for row in rows if row.count("|") >= column]
        return {word for cell in cells for word in re.findall(r"`([a-z0-9_]+)`", cell)}

    assert first_cells("data") == set(KINDS)
    assert first_cells("method", 3) == set(TRAINING_RULES) - {FROZEN}
    known = {one.name for one in known_backbones()}
    assert first_cells("backbones") <= known
    assert {name for name in known if not name.startswith(("dinov2", "dinov3"))} <= first_cells(
        "backbones"
    )


def test_the_glossary_holds_every_setting() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    for setting in RANGES.values():
        assert setting.symbol in text
