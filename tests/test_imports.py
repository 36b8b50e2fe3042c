"""Who may import whom, read from the source; and that ``import ppap`` stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import ppap

ROOT = Path(__file__).parent.parent

# A module of ppap imports only from its own stage and those before it. Data flows the same way.
STAGES = (
    "checks",
    "settings",
    "data",
    "backbones",
    "propagation",
    "contrast",
    "rivals",
    "segmenter",
    "checkpoint",
    "published",
    "opening",
    "embedding_layout",
    "embedding_worker",
    "embedding",
    "fitting",
    "evaluation",
    "predictor",
    "clustering",
    "coco_json",
    "label_files",
    "batches",
    "study",
    "studio",
)

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
    if not within(module, "ppap") or not within(imported, "ppap") or module == "ppap":
        return None
    stage, other = module.split(".")[1], (*imported.split("."), "")[1]
    if other not in STAGES:
        return f"{module} imports {imported} from the package itself: name the module it lives in"
    if stage in STAGES and STAGES.index(other) > STAGES.index(stage):
        return f"{module} imports {imported}: {other} comes after {stage} in STAGES"
    return None


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_follow_the_direction_of_the_data(path: Path) -> None:
    objections = [objection(name_of(path), imported) for imported in imports_in(path)]
    assert [text for text in objections if text] == []


def test_every_module_has_a_stage() -> None:
    found = {path.stem for path in (ROOT / "ppap").glob("*.py")} - {"__init__"}
    found |= {path.parent.name for path in (ROOT / "ppap").glob("*/__init__.py")}
    missing = sorted(found - set(STAGES))
    assert not missing, (
        f"ppap has new modules without a stage: {', '.join(missing)}. Put them into STAGES of "
        "tests/test_imports.py, after everything they import."
    )


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("ppap.propagation", "trainers.config"),
        ("ppap.evaluation.trust", "gradio"),
        ("trainers.train", "gradio.themes"),
        ("trainers.train", "ppap.studio.explorer"),
        ("ppap.propagation", "ppap.rivals.pool"),
        ("ppap.rivals.pool", "ppap.evaluation.trust"),
        ("ppap.evaluation.trust", "ppap.studio"),
        ("ppap.rivals.pool", "ppap.propagate"),
        ("ppap.studio.page", "app"),
    ],
)
def test_a_wrong_import_would_be_found(module: str, imported: str) -> None:
    assert objection(module, imported)


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("ppap.studio.page", "gradio"),
        ("app", "gradio"),
        ("ppap.studio.page", "trainers.runs"),
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
    exported = {
        name
        for name, value in vars(ppap).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(ppap.__all__) - {"__version__"} == exported - {"annotations"}
    assert len(ppap.__all__) == len(set(ppap.__all__))


def test_no_module_is_called_utils() -> None:
    named = [path for path in SOURCES if path.stem in ("utils", "util", "helpers", "misc")]
    assert named == [], "a module's name must say what is in it"


def test_importing_ppap_stays_light() -> None:
    heavy = ("gradio", "timm", "umap", "sklearn", "numba", "plotly", "scipy.optimize")
    code = f"import sys, ppap; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [], "import these where they are first needed"
