"""What two sets of features side by side give to take away: each file of both, in one."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from ppap.studio.explore import beside
from ppap.studio.explore.beside import GAINED, KEPT, LOST, Right, Second, right_of
from ppap.studio.explore.exports import File, Shown, export
from ppap.studio.explore.extras import NONE, Extras
from ppap.studio.explore.layout import Lines
from ppap.studio.explore.looks.base import Look
from ppap.studio.explore.looks.difference import DIFFERENCE, Change
from ppap.studio.store import Held

NAMES = {GAINED: "gained", LOST: "lost", KEPT: "kept"}


def export_pair(
    held: Held,
    format: str,
    own: Shown,
    second: Second,
    step: int,
    looks: tuple[Look, Look],
    lines: Lines,
    extras: Extras = NONE,
) -> File:
    """Make a file in one of the formats of ``exports.TYPES`` of both sets of features.

    Args:
        held: the first features.
        format: of the file.
        own: what they show.
        second: what stands beside it.
        step: of the first features.
        looks: how each of the two is drawn.
        lines: images in every line.
        extras: of the first features.
    """
    first, other = own, second.shown
    if held is not second.held:
        first = first._replace(features=held.batch.backbone.title)
        other = other._replace(features=second.held.batch.backbone.title)
    here, there = looks
    if here.style == DIFFERENCE.key:
        codes, codes_beside = beside.changes(own, second, step)
        counts = said(held, own, codes)
        here = replace(here, data=Change(codes, counts))
        there = replace(there, data=Change(codes_beside, counts))
    step_beside = beside.step_beside(step, own.view, other.view)
    left = export(held, format, first, None, step, here, lines, extras)
    right = export(second.held, format, other, None, step_beside, there, lines)
    return joined(format, left, right, held, own, second)


def with_difference(look: Look, held: Held, own: Shown, rival: Shown | None, step: int) -> Look:
    """A look with the difference from PPAP's positives to a rival's, where it draws that."""
    if look.style != DIFFERENCE.key or rival is None:
        return look
    after = rival.view.codes[beside.step_beside(step, own.view, rival.view)]
    codes = beside.change(own.view.codes[step], after)
    return replace(look, data=Change(codes, said(held, own, codes)))


def said(held: Held, own: Shown, codes: np.ndarray) -> dict[int, str]:
    """How many patches are gained, lost and kept, and how many of them are right."""
    anchor = int(own.view.sets.anchors[0])
    texts = {}
    for code in NAMES:
        found = right_of(codes == code, held.batch.labels, anchor)
        right = "" if found is None else f", {found.right} correct"
        texts[code] = f"{int((codes == code).sum())}{right}"
    return texts


def joined(format: str, first: File, other: File, held: Held, own: Shown, second: Second) -> File:
    """The file of the first features and that of the second as one."""
    if format == "png":
        data = png_beside(first.data, other.data)
    elif format == "svg":
        data = svg_beside(first.data.decode(), other.data.decode()).encode()
    elif format == "json":
        found = json.loads(first.data) | {"beside": json.loads(other.data)}
        found["differences"] = differences(held, own, second)
        data = json.dumps(found, ensure_ascii=False, indent=1).encode()
    elif format == "npz":
        data = npz_beside(first.data, other.data, own, second)
    else:
        data = python_beside(first.data.decode(), other.data.decode(), held, second).encode()
    return first._replace(data=data)


def png_beside(first: bytes, other: bytes) -> bytes:
    """Two pictures next to each other, on white."""
    with Image.open(io.BytesIO(first)) as left, Image.open(io.BytesIO(other)) as right:
        size = (left.width + right.width, max(left.height, right.height))
        sheet = Image.new("RGB", size, "white")
        sheet.paste(left, (0, 0))
        sheet.paste(right, (left.width, 0))
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=False)
    return out.getvalue()


def svg_beside(first: str, other: str) -> str:
    """Two pictures next to each other in one SVG."""
    (width, height), (wide, high) = _sides(first), _sides(other)
    most = max(height, high)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + wide}" height="{most}" '
        f'viewBox="0 0 {width + wide} {most}">'
    )
    ground = f'<rect width="{width + wide}" height="{most}" fill="white"/>'
    moved = other.replace("<svg ", f'<svg x="{width}" ', 1)
    return "\n".join([head, ground, first.strip(), moved.strip(), "</svg>", ""])


def _sides(svg: str) -> tuple[int, int]:
    found = re.search(r'width="(\d+)" height="(\d+)"', svg)
    assert found, "an SVG of ours says how large it is"
    return int(found[1]), int(found[2])


def differences(held: Held, own: Shown, second: Second) -> list[dict[str, Any]]:
    """What the positives gain and lose at every step, in patches of the first features."""
    anchor = int(own.view.sets.anchors[0])
    labels = held.batch.labels
    found = []
    for step in range(len(own.view.steps)):
        codes, _ = beside.changes(own, second, step)
        entry: dict[str, Any] = {
            "step": step,
            "step_beside": beside.step_beside(step, own.view, second.shown.view),
        }
        for code, name in NAMES.items():
            members = codes == code
            right = right_of(members, labels, anchor) or Right(None, None)  # type: ignore[arg-type]
            entry[name] = int(members.sum())
            entry[f"{name}_right"], entry[f"{name}_labelled"] = right
            entry[f"{name}_patches"] = np.flatnonzero(members).tolist()
        found.append(entry)
    return found


def npz_beside(first: bytes, other: bytes, own: Shown, second: Second) -> bytes:
    """The second features' arrays beside the first's, as ``beside_…``.

    ``beside_patch`` int64 ``(N,)`` is the second's patch that holds the middle of each of the
    first's; ``difference`` uint8 ``(T+1, N)`` is 0, or 1 gained, 2 lost, 3 positive in both.
    """
    with np.load(io.BytesIO(first)) as here, np.load(io.BytesIO(other)) as there:
        arrays = dict(here) | {f"beside_{name}": array for name, array in there.items()}
    steps = range(len(own.view.steps))
    arrays["beside_patch"] = second.pairing.second
    arrays["difference"] = np.stack([beside.changes(own, second, t)[0] for t in steps])
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def python_beside(first: str, other: str, held: Held, second: Second) -> str:
    """Lines for the first features, then for the second, and what the positives gain and lose."""
    lines = [first.rstrip(), "first = sets", "", "# Beside it", *lines_beside(first, other)]
    if held.batch.grids == second.held.batch.grids:
        lines += [
            "before, after = first.at(first.steps).positive[0], sets.at(sets.steps).positive[0]",
            "print(int((after & ~before).sum()), 'gained,', int((before & ~after).sum()), 'lost')",
        ]
    return "\n".join(lines) + "\n"


def lines_beside(first: str, other: str) -> list[str]:
    """The second features' lines, without those that have been run and would change nothing."""
    done = set(first.splitlines())
    lines: list[str] = []
    for line in other.rstrip().splitlines():
        if line in done and (not lines or line.startswith(("import ", "from "))):
            continue
        lines.append(line)
    return lines
