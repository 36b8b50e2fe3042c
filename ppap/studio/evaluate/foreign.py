"""Another method's predictions, as files in a folder of this server, in place of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ppap.settings import excerpt
from ppap.studio.checkpoints import Checkpoints, Chosen
from ppap.studio.evaluate.measures import Measures
from ppap.studio.requests import RequestError

HOLDING = ("clusters", "classes")
MAPS = ("one-to-one", "many-to-one")


class Foreign(NamedTuple):
    """How files of predictions are read."""

    holding: str
    """What their numbers are: one of HOLDING."""
    map: str
    """How clusters get their classes: one of MAPS, or empty: as their number asks for."""

    def arguments(self, chosen: Chosen) -> list[str]:
        """Of the command, in place of a checkpoint."""
        words = [f"--predictions={chosen.file}", f"--predictions-are={self.holding}"]
        return [*words, f"--map={self.map}"] if self.map and self.holding == "clusters" else words


def choose(raw: Any, checkpoints: Checkpoints) -> tuple[Chosen, Foreign | None]:
    """What a page names: a checkpoint as ``Checkpoints.choose`` has it, or
    ``{"predictions": folder, "are": …, "map": …}``.

    Raises:
        RequestError: there is no such checkpoint or folder, or the page may not look into it.
    """
    if not isinstance(raw, Mapping) or "predictions" not in raw:
        return checkpoints.choose(raw), None
    folder = raw["predictions"]
    if not isinstance(folder, str) or not folder.strip():
        raise RequestError("Enter the folder of predictions on this server.")
    found = checkpoints.sources.folder(folder.strip())
    holding = _among(raw.get("are") or HOLDING[0], HOLDING, "The files' numbers")
    how = _among(raw["map"], MAPS, "The map") if raw.get("map") else ""
    return Chosen(found, found.name, None), Foreign(holding, how)


def require_as_they_are(measures: Measures) -> None:
    """RequestError where more is asked of files than their scores."""
    # What says nothing by itself, and the size, which squares have.
    idle = {name: getattr(measures, name) for name in ("by", "features", "train", "seed", "size")}
    if measures != Measures(**idle):
        raise RequestError(
            "Predictions from files are scored as they are: refinement, inference settings, "
            "clusters, many starts, retrieval and protocol do not apply."
        )


def _among(value: object, allowed: tuple[str, ...], what: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise RequestError(f"{what} must be {' or '.join(allowed)}, not {excerpt(value)}.")
    return value
