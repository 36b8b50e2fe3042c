"""Take it with you: the sets as JSON and NPZ, pictures, and the Python that reproduces them."""

from __future__ import annotations

import io
import json
from typing import Any, NamedTuple

import numpy as np

from ppap.batches import Batch
from ppap.rivals import RULES, Choice
from ppap.settings import RANGES
from ppap.studio.explore.extras import NONE, Extras, arrays_of, json_of, lines_of, with_kept
from ppap.studio.explore.layout import Lines
from ppap.studio.explore.looks.base import Look, Panel
from ppap.studio.explore.pictures import as_png, legend
from ppap.studio.explore.recipe_lines import batch_lines
from ppap.studio.explore.svg import as_svg
from ppap.studio.explore.views import View
from ppap.studio.store import Held
from ppap.study.fonts import writable

TYPES = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "json": "application/json",
    "npz": "application/octet-stream",
    "py": "text/x-python",
}


class Shown(NamedTuple):
    """What is on screen: a rule's choice and its view."""

    choice: Choice
    view: View
    features: str = ""
    """What they are called in captions; empty where only one set of them is shown."""


class File(NamedTuple):
    """A file to save."""

    name: str
    type: str
    data: bytes


def export(
    held: Held,
    format: str,
    own: Shown,
    rival: Shown | None,
    step: int,
    look: Look,
    lines: Lines,
    extras: Extras = NONE,
) -> File:
    """Make a file in one of the formats of TYPES."""
    both = [own] if rival is None else [own, rival]
    if format in ("png", "svg"):
        panels = [panel(held.batch, shown, step, look, format == "svg") for shown in both]
        panels[0] = with_kept(panels[0], extras, step)
        if format == "png":
            data = as_png(held.batch, panels, look, lines)
        else:
            data = as_svg(held.batch, panels, look, lines).encode()
    elif format == "json":
        found = as_json(held, both) | json_of(held.batch, extras, steps_json)
        data = json.dumps(found, ensure_ascii=False, indent=1).encode()
    elif format == "npz":
        data = as_npz(held.batch, both, extras)
    else:
        data = as_python(held, both, extras).encode()
    where = held.batch.position(int(own.view.sets.anchors[0]))
    name = f"ppap-{where.image}-{where.row}-{where.column}-step{step}.{format}"
    return File(name, TYPES[format], data)


def panel(batch: Batch, shown: Shown, step: int, look: Look, symbols: bool) -> Panel:
    """A rule's sets at a step, and a caption of three lines, the last on what the colours mean.

    ``symbols``: write the paper's Φ⁰ and σ_pos. Pillow's own font, which PNG is written with, has
    neither Greek letters nor the minus sign, so there the settings go by their Python names.
    """
    view = shown.view
    t = min(step, len(view.steps) - 1)
    numbers = view.steps[t]
    anchor = int(view.sets.anchors[0])
    where = batch.position(anchor)
    sets = ("positive", "ambiguous", "negative")
    counts = ", ".join(f"{getattr(numbers, name)} {name}" for name in sets)
    place = f"{batch.names[where.image]}, row {where.row}, column {where.column}"
    # At step 0 the proxy is the anchor itself.
    nearest = numbers.nearest[0] if t and numbers.nearest else None
    key = legend(look, labelled=batch.labels is not None, ring=nearest is not None)
    lines = [
        f"{shown.features or RULES[shown.choice.rule].title}: {counts}",
        f"anchor {place}; {described(shown.choice, t, symbols)}",
        key if symbols else key.replace("−", "-"),
    ]
    # Whatever shows an SVG has fonts of its own.
    lines = lines if symbols else writable(lines)
    return Panel(lines, view.codes[t], view.similarity[t], anchor, nearest)


def described(choice: Choice, t: int, symbols: bool) -> str:
    """A choice's settings in a line, with the step where there are steps."""
    rule = RULES[choice.rule]
    values = {name: getattr(choice.settings, name) for name in rule.settings}
    values |= {p.name: getattr(choice, p.name) for p in rule.parameters}
    allowed = RANGES | {p.name: p.allowed for p in rule.parameters}
    parts = [f"{allowed[k].symbol if symbols else k}={v:g}" for k, v in values.items()]
    return ", ".join(([f"step {t}"] if "steps" in rule.settings else []) + parts)


def as_json(held: Held, shown: list[Shown]) -> dict[str, Any]:
    """Everything about the sets that is not an array of features."""
    batch = held.batch
    view = shown[0].view
    return {
        "format": "ppap-studio sets 2",
        "batch": {
            "images": list(batch.names),
            "shapes": [list(image.shape[:2]) for image in batch.images],
            "grids": [list(grid) for grid in batch.grids],
            "patch": batch.patch,
            "backbone": batch.backbone.name,
            "backbone_note": batch.backbone.note,
            **{k: v for k, v in held.recipe.items() if k in ("source", "folder", "split", "seed")},
        },
        "anchor": {
            "index": int(view.sets.anchors[0]),
            **batch.position(int(view.sets.anchors[0]))._asdict(),
        },
        "rules": [rule_json(one) for one in shown],
    }


def rule_json(shown: Shown) -> dict[str, Any]:
    """One rule: its settings, and every step's numbers and patch indices."""
    rule = RULES[shown.choice.rule]
    settings = {name: getattr(shown.choice.settings, name) for name in rule.settings}
    settings |= {p.name: getattr(shown.choice, p.name) for p in rule.parameters}
    steps = steps_json(shown.view)
    return {"rule": rule.key, "title": rule.title, "settings": settings, "steps": steps}


def steps_json(view: View) -> list[dict[str, Any]]:
    """Every step's numbers and patch indices."""
    steps = []
    for t, numbers in enumerate(view.steps):
        entry = {k: v for k, v in numbers._asdict().items() if k not in ("nearest", "weights")}
        for name, members in view.sets.at(t)._asdict().items():
            entry[f"{name}_patches"] = members[0].nonzero().flatten().tolist()
        steps.append({"step": t, **entry})
    return steps


def as_npz(batch: Batch, shown: list[Shown], extras: Extras = NONE) -> bytes:
    """Arrays of every rule, named rule_array; proxies and thresholds by step.

    ``grid`` is int64 ``(B, 2)``: rows and columns of every image's patches; a patch's index counts
    through them image by image, row by row.
    """
    arrays: dict[str, np.ndarray] = {
        "images": np.array(batch.names),
        "grid": np.array(batch.grids),
        "anchor": shown[0].view.sets.anchors.numpy(),
    }
    for one in shown:
        sets, key = one.view.sets, one.choice.rule
        parts = [sets.at(t) for t in range(sets.steps + 1)]
        for name in ("positive", "ambiguous", "negative"):
            arrays[f"{key}_{name}"] = np.stack([getattr(p, name)[0].numpy() for p in parts])
        for name in ("proxies", "phi", "psi", "moved"):
            arrays[f"{key}_{name}"] = getattr(sets, name)[:, 0].numpy()
        arrays[f"{key}_similarity"] = one.view.similarity
    arrays |= arrays_of(extras)
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def as_python(held: Held, shown: list[Shown], extras: Extras = NONE) -> str:
    """Lines that compute the same sets with the library."""
    batch = held.batch
    anchor = int(shown[0].view.sets.anchors[0])
    where = batch.position(anchor)
    lines = [
        *batch_lines(held),
        f"anchor = batch.index(image={where.image}, row={where.row}, column={where.column})",
    ]
    for one in shown:
        lines += ["", f"# {RULES[one.choice.rule].title}", *rule_lines(one.choice)]
        lines.append(
            "print(*(int(s.sum()) for s in (sets.positive, sets.ambiguous, sets.negative)))"
        )
    lines += lines_of(batch, extras, shown[0].choice.settings)
    return "\n".join(lines) + "\n"


def rule_lines(choice: Choice) -> list[str]:
    """Lines that run a rule on ``batch`` for ``anchor``."""
    rule = RULES[choice.rule]
    values = [f"{name}={getattr(choice.settings, name)!r}" for name in rule.settings]
    values += [f"{p.name}={getattr(choice, p.name)!r}" for p in rule.parameters]
    if rule.key == "ppap":
        arguments = ", ".join(["batch.features", "torch.tensor([anchor])", *values])
        return [f"sets = ppap.propagate({arguments})"]
    five = choice.settings
    settings = ", ".join(f"{k}={v!r}" for k, v in five.as_dict().items())
    own = "".join(f", {p.name}={getattr(choice, p.name)!r}" for p in rule.parameters)
    return [
        "from ppap.rivals import Choice, gather_unit, prepare",
        "from ppap.settings import Settings",
        f"choice = Choice({rule.key!r}, Settings({settings}){own})",
        "prepared = prepare(choice, batch.features, images=batch.counts)",
        "sets = gather_unit(choice, batch.features, torch.tensor([anchor]), prepared)",
    ]
