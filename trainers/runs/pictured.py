"""What a run's pictures show: of which images, in which colours; ``pictures/about.json``.

Runs from before that file tell it in their report, if they have one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ppap.data import VOID_COLOUR
from ppap.writing import writing
from trainers.runs.standing import Reading, settings_of
from trainers.runs.values import text
from trainers.runs.watching import pictures

FILE = "about.json"
# Classes that a page is told; no data set has more.
MOST = 65_535


@dataclass(frozen=True)
class Pictured:
    """What the pictures of a run's validations show."""

    split: str = ""
    classes: list[str] = field(default_factory=list)
    colours: list[list[int]] = field(default_factory=list)
    """Of each class, in the pictures; the same of the clusters that were matched with it."""
    none: list[int] = field(default_factory=lambda: list(VOID_COLOUR))
    """Of pixels without a class, and of clusters that none was matched with."""
    images: dict[int, str] = field(default_factory=dict)
    """Names by index."""


def write_pictured(folder: Path, about: Pictured) -> None:
    """Write it beside the pictures in a run's folder."""
    with writing(folder / "pictures" / FILE) as partial:
        partial.write_text(json.dumps(asdict(about), ensure_ascii=False) + "\n", encoding="utf-8")


def read_pictured(folder: Path, reading: Reading) -> Pictured:
    """What a run says of its pictures; what makes no sense in it is left out."""
    said = reading.json(folder / "pictures" / FILE)
    if said:
        raw = said.get("images")
        images = raw.items() if isinstance(raw, Mapping) else ()
        names = {int(i): text(name) or "" for i, name in images if i.isdecimal() and len(i) < 10}
        return Pictured(text(said.get("split")) or "", *_classes(said), _none(said), names)
    report, config = reading.json(folder / "report.json"), settings_of(folder, reading)
    if config.get("selection") == "held_out":
        return Pictured("held out", *_classes(report))
    listed = report.get("images")
    names = {
        one["index"]: text(one["name"]) or ""
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, Mapping)
        and type(one.get("index")) is int
        and isinstance(one.get("name"), str)
    }
    return Pictured(str(config.get("eval_split", "")), *_classes(report), images=names)


def as_reply(name: str, folder: Path, reading: Reading) -> dict[str, Any]:
    """What pages are told of a run's predictions.

    Returns:
        ``steps`` and ``images`` of which there are pictures; ``names`` of these images;
        ``classes``, ``colours`` and ``none`` as of ``Pictured``; ``data``: runs that have the same
        there predicted the same images.
    """
    about, there = read_pictured(folder, reading), pictures(folder)
    config = settings_of(folder, reading)
    launch = reading.launch(folder)
    state = reading.json(folder / "state.json")
    data = text(state.get("data")) or (launch.about.get("data") if launch else None) or ""
    return {
        "name": name,
        **there,
        "names": {str(i): about.images[i] for i in there["images"] if i in about.images},
        "classes": about.classes,
        "colours": about.colours,
        "none": about.none,
        "data": json.dumps([config.get("dataset", ""), data, about.split]),
    }


def _classes(raw: Mapping[str, Any]) -> tuple[list[str], list[list[int]]]:
    names, colours = raw.get("classes"), raw.get("colours")
    fine = (
        isinstance(names, list)
        and isinstance(colours, list)
        and len(names) == len(colours) <= MOST
        and all(isinstance(name, str) for name in names)
        and all(_is_colour(colour) for colour in colours)
    )
    if not fine:
        return [], []
    return [text(name) or "" for name in names], list(colours)  # type: ignore[union-attr,arg-type]


def _none(raw: Mapping[str, Any]) -> list[int]:
    colour = raw.get("none")
    return list(colour) if _is_colour(colour) else list(VOID_COLOUR)  # type: ignore[arg-type]


def _is_colour(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(type(part) is int and 0 <= part <= 255 for part in value)
    )
