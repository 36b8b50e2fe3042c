"""Two sets of features side by side, for scripts: named endpoints for ``gradio_client``."""

# No "from __future__ import annotations" here: see endpoints.py.

import json
from collections.abc import Mapping
from typing import Any

from ppap.settings import PRESETS, RANGES
from ppap.studio.explore.server import Server
from ppap.studio.publishing import refusing
from ppap.studio.requests import RequestError

_DEFAULT = PRESETS[1].settings


def beside_of(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an endpoint's arguments put beside the first features; None for nothing.

    Settings that ``other_settings`` does not name are those of the first.
    """
    if not given.get("other"):
        return None
    changes = given.get("other_settings") or {}
    if not isinstance(changes, Mapping):
        raise RequestError('The other settings must be an object, such as {"phi0": 0.5}.')
    settings = {name: given[name] for name in RANGES}
    return {"batch": given["other"], "settings": settings | dict(changes)}


class BesideEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def compare_features(
        self,
        batch: str,
        other: str,
        image: int,
        row: int,
        column: int,
        phi0: float = _DEFAULT.phi0,
        psi0: float = _DEFAULT.psi0,
        sigma_pos: float = _DEFAULT.sigma_pos,
        sigma_amb: float = _DEFAULT.sigma_amb,
        steps: int = _DEFAULT.steps,
        other_settings: dict[str, float] | None = None,
    ) -> dict[str, Any]:
        """Compute one anchor's sets in two sets of features of the same images.

        In the other batch, the anchor is the patch that contains the first anchor's centre.

        Args:
            batch: the id that load_batch or load_images gave.
            other: the id of a batch of the same images with other features; the same id for the
                same features under other settings.
            image: the anchor's image, from 0.
            row: its row in the first grid of patches, from 0.
            column: its column, from 0.
            phi0: initial positiveness criterion Φ⁰, −1 to 1.
            psi0: initial ambiguity criterion Ψ⁰, −1 to 1.
            sigma_pos: σ_pos: how gently Φ falls, above 0.
            sigma_amb: σ_amb: how gently Ψ rises, above 0.
            steps: T, 0 to 20.
            other_settings: settings of the other features where they differ, such as
                {"phi0": 0.4}.

        Returns:
            As propagate for the first features; "beside": the same for the others; "differences":
            by step, the patches of the first grid that are gained and lost as positives and those
            that are positive in both, and with labels how many of them have the anchor's class.
        """
        given = locals()
        with refusing():
            first = self.server.store.get(batch).batch
            file = self.server.file(
                {
                    "batch": batch,
                    "anchor": first.index(image, row, column),
                    "settings": {name: given[name] for name in RANGES},
                    "beside": beside_of(given) or {"batch": other},
                    "format": "json",
                    "step": 0,
                }
            )
        found: dict[str, Any] = json.loads(file.data)
        return found
