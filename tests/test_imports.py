"""Who may import whom, read from the source; and that ``import ppap`` stays light."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ppap

ROOT = Path(__file__).parent.parent

# A module imports only from its own room and from those above it in these lists. The lists stand in
# CONTRIBUTING.md, too. Data flows the same way.
LIBRARY = (
    "places",
    "checks",
    "settings",
    "protocol",
    "writing",
    "machine",
    "surroundings",
    "data",
    "backbones",
    "propagation",
    "contrast",
    "rivals",
    "segmenter",
    "checkpoints",
    "embedding",
    "evaluation",
    "predictor",
    "clustering",
    "output",
    "batches",
    "own_features",
    "inspection",
    "study",
    "studio",
)
TRAINERS = (
    "command",
    "progress",
    "processes",
    "locks",
    "several",
    "tracking",
    "slurm",
    "config",
    "rules",
    "recipes",
    "devices",
    "cache",
    "cropping",
    "runs",
    "engines",
    "reporting",
    "training",
    "launching",
    "ablations",
)
# What a person types; none of them needs another.
COMMANDS = ("train", "segment", "evaluate", "study", "compare", "ablation", "crops")
# Folders of ppap/studio: none knows another, and what all share knows none of them.
PAGES = ("explore", "study", "train", "evaluate", "segment")
# Puts the pages together.
ASSEMBLY = ("page", "main", "inline")

SOURCES = sorted(
    path
    for part in ("app.py", "ppap", "trainers")
    for path in ([ROOT / part] if part.endswith(".py") else (ROOT / part).rglob("*.py"))
    if path.is_file()
)


def name_of(path: Path) -> str:
    """``ppap/data/camvid.py`` → ``ppap.data.camvid``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, *, package: bool) -> Iterator[str]:
    """Dotted names a module imports anywhere, also inside functions; relative ones resolved.

    ``from a import b`` gives ``a.b``: b may be a module of its own.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                parents = parents[: len(parents) - node.level + package]
                base = ".".join([*parents, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imports_in(path: Path) -> list[str]:
    package = path.name == "__init__.py"
    return list(imports_of(path.read_text(), name_of(path), package=package))


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def objection(module: str, imported: str) -> str | None:
    """What is wrong with ``module`` importing ``imported``; None if nothing is."""
    gradio_allowed = module == "app" or within(module, "ppap.studio")
    if within(imported, "gradio") and not gradio_allowed:
        return f"{module} imports gradio: only ppap/studio/ and app.py may"
    if within(imported, "trainers") and within(module, "ppap") and not gradio_allowed:
        return f"{module} imports {imported}: ppap/ must not need trainers/"
    if within(imported, "ppap.studio") and within(module, "trainers"):
        return f"{module} imports {imported}: training must not need the browser side"
    if within(imported, "app"):
        return f"{module} imports app.py: nothing may"
    if within(module, "trainers") and within(imported, "trainers"):
        return trainers_objection(module, imported)
    if within(module, "ppap.studio") and within(imported, "ppap.studio"):
        return studio_objection(module, imported)
    if not within(module, "ppap") or not within(imported, "ppap") or module == "ppap":
        return None
    stage, other = room_of(module), room_of(imported)
    if other not in LIBRARY:
        return f"{module} imports {imported} from the package itself: name the module it lives in"
    if stage in LIBRARY and LIBRARY.index(other) > LIBRARY.index(stage):
        return f"{module} imports {imported}: {other} comes after {stage} in LIBRARY"
    return None


def room_of(name: str, depth: int = 1) -> str:
    """``ppap.data.camvid`` → ``data``; empty for the package itself."""
    return (*name.split("."), *[""] * depth)[depth]


def trainers_objection(module: str, imported: str) -> str | None:
    room, other = room_of(module), room_of(imported)
    if other in COMMANDS and room not in (other, "__main__"):
        return f"{module} imports {imported}: nobody needs a command; move what both share down"
    if room in TRAINERS and other in TRAINERS and TRAINERS.index(other) > TRAINERS.index(room):
        return f"{module} imports {imported}: {other} comes after {room} in TRAINERS"
    return None


def studio_objection(module: str, imported: str) -> str | None:
    room, other = room_of(module, 2), room_of(imported, 2)
    if other in ASSEMBLY and room not in ASSEMBLY:
        return f"{module} imports {imported}: {other} puts the pages together, they do not know it"
    if other in PAGES and room not in (other, *ASSEMBLY):
        return f"{module} imports {imported}: only the page itself may know its folder"
    return None


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_follow_the_direction_of_the_data(path: Path) -> None:
    objections = [objection(name_of(path), imported) for imported in imports_in(path)]
    assert [text for text in objections if text] == []


@pytest.mark.parametrize(
    ("folder", "known"),
    [
        ("ppap", {*LIBRARY, "__init__"}),
        ("trainers", {*TRAINERS, *COMMANDS, "__init__", "__main__"}),
    ],
)
def test_every_module_has_its_room(folder: str, known: set[str]) -> None:
    found = {path.stem for path in (ROOT / folder).glob("*.py")}
    found |= {path.parent.name for path in (ROOT / folder).glob("*/__init__.py")}
    missing = sorted(found - known)
    assert not missing, (
        f"{folder} has new modules without a room: {', '.join(missing)}. Put them into the lists "
        "of tests/test_imports.py and CONTRIBUTING.md, after everything they import."
    )


def arrows() -> dict[str, set[str]]:
    """Which module imports which, of all there are; a deferred import counts."""
    modules = {name_of(path) for path in SOURCES}
    found: dict[str, set[str]] = {}
    for path in SOURCES:
        module = name_of(path)
        found[module] = set()
        for imported in imports_in(path):
            name = imported
            while name and name not in modules:
                name = name.rpartition(".")[0]
            # A package's face names what is in it; whoever is in it may stand behind that face.
            if name and name != module and not within(module, name):
                found[module].add(name)
    return found


def circle_in(found: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty where there is none."""
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> list[str]:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return []
        for other in sorted(found.get(module, ())):
            if circle := visit(other, [*way, module]):
                return circle
        done.add(module)
        return []

    for module in sorted(found):
        if circle := visit(module, []):
            return circle
    return []


def test_there_is_no_circle() -> None:
    assert " → ".join(circle_in(arrows())) == ""


def test_a_circle_would_be_found() -> None:
    found = arrows()
    found["trainers.runs.folder"] = {*found["trainers.runs.folder"], "trainers.training.session"}
    circle = circle_in(found)
    assert circle[0] == circle[-1]
    assert {"trainers.runs.folder", "trainers.training.session"} <= set(circle)
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_the_lists_stand_in_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name, rooms in (("ppap", LIBRARY), ("trainers", TRAINERS)):
        listed = re.findall(rf"^\| `{name}/(\w+)(?:/|\.py)` \|", text, re.M)
        assert tuple(listed) == rooms, f"the table of {name}/ in CONTRIBUTING.md"


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("ppap.propagation", "trainers.config"),
        ("ppap.evaluation.trust", "gradio"),
        ("trainers.train", "gradio.themes"),
        ("trainers.train", "ppap.studio.explore.views"),
        ("ppap.propagation", "ppap.rivals.pool"),
        ("ppap.rivals.pool", "ppap.evaluation.trust"),
        ("ppap.evaluation.trust", "ppap.studio"),
        ("ppap.rivals.pool", "ppap.propagate"),
        ("ppap.studio.page", "app"),
        ("ppap.data.camvid", "ppap.checkpoints.own"),
        ("ppap.studio.jobs", "ppap.studio.evaluate.reports"),
        ("ppap.studio.study.server", "ppap.studio.train.server"),
        ("ppap.studio.explore.server", "ppap.studio.page.Studio"),
        ("trainers.runs.folder", "trainers.training.records"),
        ("trainers.runs.standing", "trainers.launching.queue"),
        ("trainers.reporting.report", "trainers.training.prepare"),
        ("trainers.training.session", "trainers.launching.orders"),
        ("trainers.training.session", "trainers.evaluate"),
        ("trainers.launching.runner", "trainers.ablations.plan"),
        ("trainers.launching.runner", "trainers.train.parser"),
        ("trainers.ablations.table", "trainers.compare.cell"),
        ("trainers.cache.plan", "trainers.cropping.kinds"),
        ("trainers.config", "trainers.recipes.camvid"),
        ("trainers.compare", "trainers.train"),
    ],
)
def test_a_wrong_import_would_be_found(module: str, imported: str) -> None:
    assert objection(module, imported)


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("ppap.studio.page", "gradio"),
        ("app", "gradio"),
        ("ppap.studio.page", "trainers.runs.folder"),
        ("ppap.studio.page", "ppap.studio.explore.server"),
        ("ppap.studio.explore.server", "ppap.studio.requests"),
        ("trainers.recipes.camvid", "trainers.config"),
        ("trainers.ablation", "trainers.ablations.plan"),
        ("trainers.training.trainer", "trainers.runs.folder"),
        ("trainers.train", "ppap.rivals"),
        ("ppap.rivals.pool", "ppap.propagation.unit"),
        ("ppap.rivals.pool", "ppap.rivals.collect"),
        ("ppap", "ppap.rivals"),
        ("ppap.propagation", "torch"),
        ("ppap.rivals.pool", "gradio_client_like_name"),
    ],
)
def test_a_right_import_would_pass(module: str, imported: str) -> None:
    assert objection(module, imported) is None


def test_every_direction_is_held() -> None:
    """No room may import from one after it, no page another page, no command a command."""
    for package, rooms in (("ppap", LIBRARY), ("trainers", TRAINERS)):
        for place, room in enumerate(rooms):
            for later in rooms[place + 1 :]:
                assert objection(f"{package}.{room}", f"{package}.{later}.name"), (room, later)
                assert objection(f"{package}.{later}", f"{package}.{room}.name") is None
    for page in PAGES:
        for other in PAGES:
            found = objection(f"ppap.studio.{page}.server", f"ppap.studio.{other}.server.name")
            assert (found is None) is (page == other)
    for command in COMMANDS:
        for other in (*COMMANDS, *TRAINERS):
            found = objection(f"trainers.{command}", f"trainers.{other}.name")
            assert (found is None) is (command == other or other in TRAINERS)
        for room in TRAINERS:
            assert objection(f"trainers.{room}", f"trainers.{command}.name")


def test_imports_are_read_wherever_they_stand() -> None:
    source = """
import a.b, c as d
from e import f
from . import g
from .h import i
from .. import j
from ..k import l
def late():
    import m
    if True:
        from n.o import p
"""
    found = set(imports_of(source, "x.y.z", package=False))
    inside = {"x.y.g", "x.y.h.i", "x.j", "x.k.l"}
    assert found == {"a.b", "c", "e.f", "m", "n.o.p"} | inside
    assert "x.y.z.g" in set(imports_of("from . import g", "x.y.z", package=True))


def test_all_is_what_the_package_exports() -> None:
    # Names are imported when they are first used; type checkers read the imports above that.
    tree = ast.parse(Path(ppap.__file__).read_text())
    typed = next(node for node in tree.body if isinstance(node, ast.If))
    declared = {
        alias.name: str(node.module)
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(ppap.__all__) - {"__version__"} == set(declared)
    assert declared == ppap._HOMES
    assert len(ppap.__all__) == len(set(ppap.__all__))
    assert set(ppap.__all__) <= set(dir(ppap))
    for name, module in declared.items():
        assert getattr(ppap, name) is getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="'ppap' has no attribute 'nonsense'"):
        _ = ppap.nonsense  # type: ignore[attr-defined]


def test_no_module_is_called_utils() -> None:
    named = [path for path in SOURCES if path.stem in ("utils", "util", "helpers", "misc")]
    assert named == [], "a module's name must say what is in it"


def test_importing_ppap_stays_light() -> None:
    heavy = (
        "torch",
        "numpy",
        "gradio",
        "timm",
        "umap",
        "sklearn",
        "numba",
        "plotly",
        "scipy.optimize",
    )
    code = f"import sys, ppap; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], "import these where they are first needed"
