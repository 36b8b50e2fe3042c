"""What goes into every file beside the anchor's sets: kept anchors, and the lasso."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ppap.batches import Batch
from ppap.settings import Settings
from ppap.studio.explore import lasso, several
from ppap.studio.explore.device import Device
from ppap.studio.explore.looks.base import KeptSets, Panel
from ppap.studio.explore.several import Kept
from ppap.studio.explore.views import View


class Extras(NamedTuple):
    """Of the first features, where two stand side by side."""

    kept: tuple[Kept, ...] = ()
    lasso: np.ndarray = np.empty(0, np.int64)


NONE = Extras()


def read_extras(request: Mapping[str, Any], batch: Batch, device: Device) -> Extras:
    """What a request for a file names; RequestError and PatchError where it makes no sense."""
    chosen = lasso.read_lasso(request.get("lasso"), batch)
    return Extras(several.kept_from(request, batch, device), chosen)


def with_kept(panel: Panel, extras: Extras, step: int) -> Panel:
    """A panel with the kept anchors at a step, and a line on them in its caption."""
    if not extras.kept:
        return panel
    sets = tuple(KeptSets(one.slot, one.anchor, one.view.codes[step]) for one in extras.kept)
    lines = [*panel.lines, several.caption(extras.kept, step)]
    return panel._replace(lines=lines, kept=sets)


def json_of(
    batch: Batch, extras: Extras, steps: Callable[[View], list[dict[str, Any]]]
) -> dict[str, Any]:
    """For the file of sets: ``several`` where anchors are kept, ``lasso`` where there is one."""
    found = {}
    if extras.kept:
        found["several"] = several.as_json(batch, extras.kept, steps)
    if len(extras.lasso):
        found["lasso"] = lasso.as_json(batch, extras.lasso)
    return found


def arrays_of(extras: Extras) -> dict[str, np.ndarray]:
    """For the NPZ: ``several_…`` where anchors are kept, ``lasso`` where there is one."""
    found = several.as_arrays(extras.kept) if extras.kept else {}
    return found | ({"lasso": extras.lasso} if len(extras.lasso) else {})


def lines_of(batch: Batch, extras: Extras, settings: Settings) -> list[str]:
    """For the lines of Python."""
    return list(several.python_lines(batch, extras.kept, settings)) if extras.kept else []
