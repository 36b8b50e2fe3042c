"""Lists that several pages offer to choose from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ppap.backbones import BackboneInfo, as_path, known_backbones, with_file
from ppap.backbones.embedded import EMBEDDED_DEEP


def listed_title(info: BackboneInfo) -> str:
    """A backbone's title for lists, which tells that a network is needed, at least once."""
    return f"{info.title} (downloads)" if info.needs_download else info.title


def backbone_choices(own: str) -> list[dict[str, Any]]:
    """The backbones for the page's list, with the one the studio was started with."""
    # What differs in the deep one is what trains: here it would be the same choice twice.
    different = [b for b in known_backbones() if b.name != EMBEDDED_DEEP.name]
    choices = [{"name": b.name, "title": listed_title(b), "note": b.note} for b in different]
    if own not in {choice["name"] for choice in choices}:
        # Where a file lies is nobody's business; what it is called tells enough.
        file = as_path(own)
        title = own if file is None else with_file(own, Path(file.name))
        choices.append({"name": own, "title": title, "note": ""})
    return choices
