"""Notes for scripts."""

# No "from __future__ import annotations" here: see ``endpoints.py``.

from typing import Any

import gradio as gr

from ppap.settings import PRESETS, RANGES
from ppap.studio.explore.noting import Noting
from ppap.studio.publishing import publish, refusing, sent
from ppap.studio.store import Held

_DEFAULT = PRESETS[1].settings


def add_note_endpoints(blocks: gr.Blocks, noting: Noting) -> None:
    """Add every endpoint to the blocks that are being built."""
    endpoints = NoteEndpoints(noting)
    for function in (
        endpoints.notes,
        endpoints.note,
        endpoints.keep_note,
        endpoints.change_note,
        endpoints.delete_note,
        endpoints.note_page,
    ):
        publish(blocks, function)


class NoteEndpoints:
    """What scripts may call; each method's docstring is its documentation."""

    def __init__(self, noting: Noting) -> None:
        self.noting = noting

    def notes(self) -> dict[str, Any]:
        """List the notes, the newest first.

        Returns:
            Under "notes": key, name, description, time, link parameters, and what it shows.
        """
        with refusing():
            return {"notes": self.noting.kept.listed()}

    def note(self, key: str) -> dict[str, Any]:
        """Read a whole note.

        Args:
            key: as notes or keep_note gave it.

        Returns:
            The note, with settings and the numbers of every step.
        """
        with refusing():
            return self.noting.kept.read(key)

    def keep_note(
        self,
        name: str,
        batch: str,
        image: int,
        row: int,
        column: int,
        text: str = "",
        step: int = -1,
        phi0: float = _DEFAULT.phi0,
        psi0: float = _DEFAULT.psi0,
        sigma_pos: float = _DEFAULT.sigma_pos,
        sigma_amb: float = _DEFAULT.sigma_amb,
        steps: int = _DEFAULT.steps,
        style: str = "sets",
        opacity: float = 0.6,
    ) -> dict[str, Any]:
        """Save a view of Explore under a name, with its picture.

        Args:
            name: the note's name.
            batch: the id that load_batch or load_images gave.
            image: the anchor's image, from 0.
            row: its row in the grid of patches, from 0.
            column: its column, from 0.
            text: a description of what the view shows.
            step: the step that is shown, 0 to steps; −1: the last.
            phi0: initial positiveness criterion Φ⁰, −1 to 1.
            psi0: initial ambiguity criterion Ψ⁰, −1 to 1.
            sigma_pos: σ_pos: how gently Φ falls, above 0.
            sigma_amb: σ_amb: how gently Ψ rises, above 0.
            steps: T, 0 to 20.
            style: as of save.
            opacity: of the overlay, 0 to 1.

        Returns:
            Under "key": the note's id.
        """
        given = locals()
        with refusing():
            held = self.noting.server.store.get(batch)
            settings = {name: given[name] for name in RANGES}
            state = {
                "batch": batch,
                "anchor": held.batch.index(image, row, column),
                "settings": settings,
                "step": steps if step == -1 else step,
                "look": {"style": style, "opacity": opacity},
            }
            view = {
                **link_of(held),
                "anchor": f"{image},{row},{column}",
                **{name: f"{value:g}" for name, value in settings.items()},
                "step": str(state["step"]),
                "style": style,
                "opacity": f"{opacity:g}",
            }
            return {"key": self.noting.keep({"name": name, "text": text}, view, state)}

    def change_note(self, key: str, name: str, text: str = "") -> dict[str, Any]:
        """Change a note's name and description.

        Args:
            key: as notes or keep_note gave it.
            name: the new one.
            text: the new description.

        Returns:
            The note as it is now.
        """
        with refusing():
            self.noting.change(key, {"name": name, "text": text})
            return self.noting.kept.read(key)

    def delete_note(self, key: str) -> dict[str, Any]:
        """Delete a note.

        Args:
            key: as notes or keep_note gave it.

        Returns:
            Under "notes": those that are left.
        """
        with refusing():
            self.noting.remove(key)
            return {"notes": self.noting.kept.listed()}

    def note_page(self, key: str) -> gr.FileData:
        """Make a self-contained page of a note: picture, description, settings, numbers.

        Args:
            key: as notes or keep_note gave it.

        Returns:
            The file.
        """
        with refusing():
            return sent(self.noting.page(key).encode(), f"note-{key}.html")


def link_of(held: Held) -> dict[str, str]:
    """The parts of a link that lead to a batch, as the page writes them."""
    recipe = {n: v for n, v in held.recipe.items() if n != "files" and v not in (None, "", [])}
    parts = {
        name: ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        for name, value in recipe.items()
    }
    return {**parts, "batch": held.key} if held.recipe.get("files") else parts
