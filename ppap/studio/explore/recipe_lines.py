"""A batch's recipe as lines of Python that make the same batch with the library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ppap.backbones.naming import as_path, called
from ppap.batches import rounded_size
from ppap.studio.requests import OWN
from ppap.studio.store import Held

PATHS = "from pathlib import Path"


def batch_lines(held: Held) -> list[str]:
    """Lines that import what they need, and put the batch into ``batch``."""
    recipe = held.recipe
    lines = ["import torch", "import ppap"]
    network = ""
    if recipe["backbone"] not in OWN:
        importing, network = network_of(held)
        lines.append(importing)
    if recipe["source"] in OWN:
        lines += own_lines(recipe)
        if network:
            lines.append(f"batch = with_features_of(batch, {network})")
            lines.insert(2, "from ppap.batches import with_features_of")
    else:
        lines += source_lines(recipe, held.batch.names)
        lines.append(f"batch = ppap.make_batch(examples, {network}, {fit_of(held)})")
    if any("Path(" in line for line in lines) and PATHS not in lines:
        lines.insert(0, PATHS)
    return lines


def network_of(held: Held) -> tuple[str, str]:
    """What gives the features: the line that imports it, and the call."""
    recipe = held.recipe
    output = recipe.get("output")
    if output in ("backbone", "projection"):  # of a run, or of a checkpoint of training
        call = f"load_features({held.batch.backbone.name!r}, {output!r})"
        return "from ppap.checkpoints.features import load_features", call
    if recipe["backbone"] == "checkpoint" and not output:
        named = called(recipe["checkpoint"]).model is not None
        backbone = repr(recipe["checkpoint"]) if named else f"Path({recipe['checkpoint']!r})"
    else:
        name = held.batch.backbone.name if output else recipe["backbone"]
        alone = output and as_path(name) is not None and called(name).model is None
        backbone = f"Path({name!r})" if alone else repr(name)
    return "from ppap.backbones import load_backbone", f"load_backbone({backbone})"


def own_lines(recipe: Mapping[str, Any]) -> list[str]:
    """Lines that make a batch of features of one's own."""
    if recipe["source"] == "memory":
        return [
            "from ppap.own_features.arrays import OwnFeatures",
            "from ppap.own_features.batch import own_batch",
            "",
            "# The arrays that ppap.explore was given.",
            "batch = own_batch(OwnFeatures(features, images, labels, classes))",
        ]
    name = recipe.get("npz") or (recipe.get("files") or ["features.npz"])[0]
    return [
        "from ppap.own_features.batch import own_batch",
        "from ppap.own_features.files import read_npz",
        "",
        f"batch = own_batch(read_npz(Path({name!r})))",
    ]


def fit_of(held: Held) -> str:
    """The arguments of ``make_batch`` that bring the images to their sizes."""
    size = rounded_size(held.recipe.get("size", 448), held.batch.patch)
    whole = held.recipe.get("picture") == "whole"
    return f"size={size}" + (', picture="whole"' if whole else "")


def source_lines(recipe: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    """Lines that read the photographs."""
    if recipe["source"] == "files":
        return [
            PATHS,
            "from ppap.data import Example, read_image",
            "",
            "# The uploaded files, by name: set the folder they are in.",
            'folder = Path(".")',
            f"names = {list(names)!r}",
            "examples = [Example(read_image(folder / name)) for name in names]",
        ]
    if recipe["source"] == "samples":
        return [
            "from ppap.data import samples_dataset",
            "",
            "photos = samples_dataset()",
            "examples = [photos.load(i) for i in range(len(photos))]",
        ]
    kind = f", kind={recipe['kind']!r}" if recipe.get("kind") else ""
    return [
        "from ppap.data import open_dataset",
        "",
        f"data = open_dataset({expanded(recipe['folder'])!r}, split={recipe['split']!r}{kind})",
        f"examples = [data.load(i) for i in {list(recipe['indices'])!r}]",
    ]


def expanded(folder: str) -> str:
    """A folder as a path that Python understands: ``~`` is the shell's."""
    return str(Path(folder).expanduser())
